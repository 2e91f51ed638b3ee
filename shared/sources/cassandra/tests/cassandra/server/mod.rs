//! A small server of CQL's native protocol, version 4, with tables in memory: what it answers and refuses is what Cassandra's
//! documentation says of one node that owns the whole ring.

mod connection;
mod frame;
mod statement;
mod tables;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use tokio::{net::TcpListener, task::JoinHandle};

pub(crate) use tables::{Kind, Row, Table};

/// How many frames an answer may wait for: a connection that stands still is the client's to end.
const SLOW: Duration = Duration::from_secs(600);

/// What the server holds and how it behaves.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) tables: Vec<Table>,
    /// The one that may sign in; anybody where it is absent.
    pub(crate) user: Option<(String, String)>,
    /// Rows of `system.size_estimates`: by keyspace and table, bytes of a partition and partitions, for the whole ring.
    pub(crate) estimates: Vec<(String, String, i64, i64)>,
    pub(crate) partitioner: Option<String>,
    /// What goes wrong with pages of tables that are not the server's own.
    pub(crate) trouble: Option<Trouble>,
    /// The texts of prepared statements, by their ids.
    pub(crate) prepared: Vec<String>,
    /// Executed statements on such tables.
    pub(crate) executed: Vec<String>,
}

/// What goes wrong, after so many pages.
#[derive(Debug, Clone)]
pub(crate) struct Trouble {
    pub(crate) after: usize,
    pub(crate) what: Wrong,
}

/// A way to go wrong.
#[derive(Debug, Clone)]
pub(crate) enum Wrong {
    /// The connection is closed.
    Close,
    /// The connection stands still.
    Stall,
    /// This is answered.
    Answer(Refusal),
}

/// An error as the protocol has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: i32,
    pub(crate) text: String,
    /// What follows for some codes.
    pub(crate) extra: Vec<u8>,
}

impl Refusal {
    pub(crate) fn new(code: i32, text: impl Into<String>) -> Self {
        Self { code, text: text.into(), extra: Vec::new() }
    }

    fn syntax(text: impl Into<String>) -> Self {
        Self::new(0x2000, text)
    }

    fn invalid(text: impl Into<String>) -> Self {
        Self::new(0x2200, text)
    }
}

/// A running server, ended with this value.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) state: Arc<Mutex<State>>,
    port: u16,
    accepting: JoinHandle<()>,
    connections: Arc<Mutex<Vec<JoinHandle<()>>>>,
}

impl Server {
    /// Listens on a free port of 127.0.0.1, with TLS by this certificate and key (PEM) where there is one.
    pub(crate) async fn start(state: State, tls: Option<(&[u8], &[u8])>) -> Self {
        let state = Arc::new(Mutex::new(state));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let acceptor = tls.map(|(certificate, key)| {
            let provider = Arc::new(rustls::crypto::ring::default_provider());
            let certificates = CertificateDer::pem_slice_iter(certificate).collect::<Result<Vec<_>, _>>().unwrap();
            let config = ServerConfig::builder_with_provider(provider)
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_no_client_auth()
                .with_single_cert(certificates, PrivateKeyDer::from_pem_slice(key).unwrap())
                .unwrap();
            tokio_rustls::TlsAcceptor::from(Arc::new(config))
        });
        let connections = Arc::new(Mutex::new(Vec::new()));
        let (shared, accepted) = (Arc::clone(&state), Arc::clone(&connections));
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (state, acceptor) = (Arc::clone(&shared), acceptor.clone());
                let connection = tokio::spawn(async move {
                    // A client that goes away or does not trust the certificate ends its connection.
                    match acceptor {
                        Some(acceptor) => {
                            if let Ok(stream) = acceptor.accept(stream).await {
                                let _ = connection::serve(stream, state).await;
                            }
                        }
                        None => _ = connection::serve(stream, state).await,
                    }
                });
                accepted.lock().unwrap().push(connection);
            }
        });
        Self { state, port, accepting, connections }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Ends every connection, and takes no other.
    pub(crate) fn kill(&self) {
        self.accepting.abort();
        self.connections.lock().unwrap().drain(..).for_each(|connection| connection.abort());
    }

    pub(crate) fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().unwrap())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}
