//! A small Kubernetes API server: typed storage and nothing behind it. Nobody runs a pod here; a test plays the operators by
//! writing `status`.
//!
//! What it does as a real one: create, get, list (label selectors, pages, metadata alone), merge patch, server-side apply,
//! replace, delete with preconditions and finalizers, the `status` subresource, `resourceVersion`, `AlreadyExists` and
//! `Conflict` (409), `Expired` (410), pod logs, `Status` bodies. Custom resources with a field that their definition does not
//! have are refused, which a real server does only where a client asks for it. What is left out: watches, discovery,
//! strategic merge, admission, defaults, and what a caller may do.

mod apply;
mod objects;
mod routes;
mod schema;
mod selector;
mod status;
mod store;

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
    time::Duration,
};

use tokio::sync::oneshot;

use self::store::Store;

/// A running server on a free port of 127.0.0.1, ended with this value.
#[derive(Debug)]
pub struct ApiServer {
    address: SocketAddr,
    store: Arc<Mutex<Store>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl ApiServer {
    /// Starts one with every kind it knows.
    ///
    /// # Panics
    /// When it cannot listen.
    #[must_use]
    pub fn start() -> Self {
        Self::start_without(&[])
    }

    /// Starts one that lacks these kinds, by their plural names: `["trainjobs"]`.
    ///
    /// # Panics
    /// When it cannot listen.
    #[must_use]
    pub fn start_without(plurals: &[&str]) -> Self {
        let store = Arc::new(Mutex::new(Store::new(plurals)));
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let router = routes::router(Arc::clone(&store));
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                tokio::select! {
                    served = async { axum::serve(listener, router).await } => served.unwrap(),
                    _ = stopped => {}
                }
            });
        });
        Self { address, store, stop: Some(stop), thread: Some(thread) }
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What a pod's container has said so far. Until it is told, the container is still being created.
    pub fn set_log(&self, namespace: &str, pod: &str, container: &str, text: &str) {
        self.store().set_log(namespace, pod, container, text);
    }

    /// Puts its clock forward.
    pub fn pass(&self, time: Duration) {
        self.store().pass(time);
    }

    /// Answers the next list that goes on from an earlier page as a real server does after some minutes, when it has forgotten
    /// the version that the list began with.
    pub fn expire_next_page(&self) {
        self.store().expire_next_page();
    }

    /// Refuses whoever does not bring this bearer token, from now on.
    pub fn require_token(&self, token: &str) {
        self.store().token = Some(token.to_owned());
    }

    /// What was asked so far: `POST /api/v1/namespaces/x/configmaps`.
    #[must_use]
    pub fn requests(&self) -> Vec<String> {
        self.store().requests.clone()
    }

    fn store(&self) -> MutexGuard<'_, Store> {
        lock(&self.store)
    }
}

/// A panic in one request leaves nothing half written: each checks before it writes.
fn lock(store: &Mutex<Store>) -> MutexGuard<'_, Store> {
    store.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for ApiServer {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
