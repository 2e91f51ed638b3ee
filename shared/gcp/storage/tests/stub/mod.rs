//! Cloud Storage as Google's documentation describes it, where fake-gcs-server does something else: preconditions on every
//! call, resumable sessions, checksums that are compared, pages; and faults on order.

mod http;
mod objects;

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use millstream_events::names::ObjectPath;
use millstream_gcp_client::{Connection, Emulators, Service};
use millstream_gcp_storage::{GcsObjectStore, StoreOptions};
use tokio::{net::TcpListener, sync::Semaphore};

use self::objects::Objects;

/// The one bucket.
pub(crate) const BUCKET: &str = "lake";

/// A session takes its pieces in multiples of this, but for the last.
pub(crate) const QUANTUM: usize = 256 << 10;

/// What a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ask {
    /// An object's bytes.
    Read,
    /// What is known of it.
    Stat,
    /// A page of a listing.
    List,
    /// Its end.
    Delete,
    /// An upload in one request.
    Upload,
    /// A resumable session's start.
    Start,
    /// A session's next piece.
    Piece,
    /// How far a session is.
    Query,
}

/// What goes wrong with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It is answered with this status and has no effect.
    Status(u16),
    /// It has its effect and is answered with this status.
    Lost(u16),
    /// The line breaks before it has an effect.
    Cut,
    /// It has its effect and the line breaks.
    CutAfter,
    /// The line stands still after this many bytes of the answer, and breaks at [`Stub::cut`].
    CutAt(usize),
    /// Nothing: a later one is meant.
    Nothing,
    /// The first byte of the body is changed on its way.
    Changed,
    /// Somebody else writes the same bytes first, and the request is answered with this status.
    Rival(u16),
}

/// What the server holds, was asked, and is to do wrong.
#[derive(Debug, Default)]
struct World {
    objects: Objects,
    faults: Vec<(Ask, Fault)>,
    asked: Vec<Ask>,
    page: usize,
}

impl World {
    /// Counts a request and takes the first fault that waits for one of its kind.
    fn ask(&mut self, ask: Ask) -> Option<Fault> {
        self.asked.push(ask);
        let at = self.faults.iter().position(|(waits, _)| *waits == ask)?;
        Some(self.faults.remove(at).1)
    }
}

/// A running server; it ends with the test's runtime.
#[derive(Debug, Clone)]
pub(crate) struct Stub {
    address: SocketAddr,
    world: Arc<Mutex<World>>,
    cuts: Arc<Semaphore>,
}

impl Stub {
    /// Starts it, without objects.
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let world = World { page: 1_000, ..World::default() };
        let stub = Self {
            address: listener.local_addr().unwrap(),
            world: Arc::new(Mutex::new(world)),
            cuts: Arc::new(Semaphore::new(0)),
        };
        tokio::spawn(axum::serve(listener, http::routes(stub.clone())).into_future());
        stub
    }

    /// A store on it, with few and quick retries, for which 1 MiB is a large body.
    pub(crate) async fn store(&self) -> GcsObjectStore {
        self.store_with(Duration::from_secs(60)).await
    }

    /// The same, less patient.
    pub(crate) async fn store_with(&self, patience: Duration) -> GcsObjectStore {
        let emulators = Emulators::default().with(Service::Storage, &self.address.to_string());
        let options = StoreOptions {
            attempts: 3,
            patience,
            first_pause: Duration::from_millis(1),
            single_request: 1 << 20,
            session_piece: QUANTUM,
            check_before_delete: false,
        };
        GcsObjectStore::connect_with(&Connection::new("p1", emulators).unwrap(), options).await.unwrap()
    }

    /// The next request of this kind that no other fault waits for goes wrong like that.
    pub(crate) fn fault(&self, ask: Ask, fault: Fault) {
        self.world().faults.push((ask, fault));
    }

    /// Breaks this many lines that stand still, or will.
    pub(crate) fn cut(&self, lines: usize) {
        self.cuts.add_permits(lines);
    }

    /// How many requests of this kind there were.
    pub(crate) fn asked(&self, ask: Ask) -> usize {
        self.world().asked.iter().filter(|asked| **asked == ask).count()
    }

    /// Lists in pages of this many objects.
    pub(crate) fn set_page(&self, page: usize) {
        self.world().page = page;
    }

    /// An object that was there before, or that somebody else writes.
    pub(crate) fn put(&self, name: &str, bytes: &[u8]) -> u64 {
        self.world().objects.put(name, bytes.to_vec(), Default::default())
    }

    /// The bytes of an object.
    pub(crate) fn bytes(&self, name: &str) -> Option<Vec<u8>> {
        self.world().objects.get(name).map(|object| object.bytes.clone())
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An object of the bucket.
pub(crate) fn path(name: &str) -> ObjectPath {
    ObjectPath::new(BUCKET, name).unwrap()
}
