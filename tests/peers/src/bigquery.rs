//! bqemulator: BigQuery's REST API on DuckDB.
//!
//! It reads and writes the objects of a fake-gcs-server's folder. What it does differently from the service is listed in
//! `shared/gcp/bigquery/README.md`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use crate::{Peer, fake_gcs::FakeGcs, free_port, http, peers_bin, pubsub::PROJECT};

const HINT: &str = "run `make peers`";

/// DuckDB's version in `tests/python/peers.txt`: extensions are kept by it.
const DUCKDB: &str = "v1.5.5";

/// A running emulator, ended with this value.
#[derive(Debug)]
pub struct BigQueryEmulator {
    /// Kept for its end.
    _peer: Peer,
    port: u16,
}

impl BigQueryEmulator {
    /// Starts an emulator of one's own over the objects in `buckets`, a folder of folders.
    ///
    /// # Panics
    /// When it is not installed or does not come up.
    #[must_use]
    pub fn start(buckets: &Path) -> Self {
        let (port, folder) = (free_port(), tempfile::tempdir().unwrap());
        provide_extension(folder.path());
        let mut command = Command::new(peers_bin("bqemulator"));
        command
            .args(["start", "--ephemeral", "--log-level", "warning", "--project", PROJECT])
            .args(["--rest-port", &port.to_string(), "--grpc-port", "0"])
            // DuckDB looks for its extensions in the home: nothing is put into the user's own.
            .env("HOME", folder.path())
            .env("BQEMU_GCS_LOCAL_ROOT", buckets)
            .current_dir(folder.path());
        let mut peer = Peer::start("bqemulator", folder, &mut command, HINT);
        let url = format!("http://127.0.0.1:{port}/bigquery/v2/projects/{PROJECT}/datasets");
        peer.wait_until(|| http::try_send("GET", &url, &[], Vec::new()).is_ok_and(|answer| answer.status == 200));
        Self { _peer: peer, port }
    }

    /// The emulator that the tests running in this process share, over the buckets of the server that they share. Each test
    /// uses datasets of its own.
    ///
    /// # Panics
    /// As [`start`](Self::start).
    #[must_use]
    pub fn shared() -> (Arc<Self>, Arc<FakeGcs>) {
        static SHARED: Mutex<Weak<BigQueryEmulator>> = Mutex::new(Weak::new());
        let buckets = FakeGcs::shared();
        // Another test's panic while it started one leaves nothing half done.
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        let emulator = shared.upgrade().unwrap_or_else(|| {
            let started = Arc::new(Self::start(buckets.root()));
            *shared = Arc::downgrade(&started);
            started
        });
        (emulator, buckets)
    }

    /// The base URL, as `BIGQUERY_EMULATOR_HOST` takes it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

/// Puts DuckDB's spatial extension, which the emulator loads at its start, where a DuckDB with this home finds it.
fn provide_extension(home: &Path) {
    let packages = peers_bin("python").parent().unwrap().join("../lib");
    let file = find(&packages, "spatial.duckdb_extension")
        .unwrap_or_else(|| panic!("DuckDB's spatial extension is not in {}; {HINT}", packages.display()));
    let machine = if cfg!(target_arch = "aarch64") { "linux_arm64" } else { "linux_amd64" };
    let folder = home.join(".duckdb/extensions").join(DUCKDB).join(machine);
    fs::create_dir_all(&folder).unwrap();
    fs::copy(file, folder.join("spatial.duckdb_extension")).unwrap();
}

fn find(folder: &Path, name: &str) -> Option<PathBuf> {
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                folders.push(entry.path());
            } else if entry.file_name() == name {
                return Some(entry.path());
            }
        }
    }
    None
}
