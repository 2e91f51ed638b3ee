//! MongoDB's protocol, by SecantusDB: a server of its own on WiredTiger that MongoDB's drivers take for one.
//!
//! It runs as a process: its licence (GPL) does not reach what only talks to it.

use std::{fs, path::Path, process::Command};

use crate::{Peer, free_port, process};

const HINT: &str = "run `make peers`";

/// A running server, ended with this value.
#[derive(Debug)]
pub struct SecantusDb {
    /// `None` where it was killed.
    peer: Option<Peer>,
    /// Its data, its key and its certificate.
    home: tempfile::TempDir,
    port: u16,
}

/// How a server is to run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SecantusOptions {
    /// It wants a user and password. Users are made on a server without it, then it is started again.
    pub auth: bool,
    /// It speaks TLS, with a certificate of its own for `localhost` and 127.0.0.1.
    pub tls: bool,
    /// It says that it is no member of a replica set, and refuses to read snapshots as such a server does.
    pub standalone: bool,
}

impl SecantusDb {
    /// Starts a server without data. It takes MongoDB's `configureFailPoint`.
    ///
    /// # Panics
    /// When it is not installed or does not come up.
    #[must_use]
    pub fn start(options: SecantusOptions) -> Self {
        let home = tempfile::tempdir().unwrap();
        make_certificate(home.path());
        let mut server = Self { peer: None, home, port: free_port() };
        server.run(options);
        server
    }

    /// Ends the server and starts it again at the same address, with its data and other options.
    ///
    /// # Panics
    /// As [`start`](Self::start).
    pub fn restart(&mut self, options: SecantusOptions) {
        if let Some(peer) = self.peer.take() {
            peer.stop();
        }
        self.run(options);
    }

    /// Ends the server, as a machine that is lost: nobody is told.
    pub fn kill(&mut self) {
        self.peer = None;
    }

    fn run(&mut self, options: SecantusOptions) {
        let (home, folder) = (self.home.path(), tempfile::tempdir().unwrap());
        let mut command = Command::new(process::installed("venv-sources", "secantusd-py"));
        command
            .args(["--host", "127.0.0.1", "--port", &self.port.to_string(), "--enable-test-commands", "--storage-path"])
            .arg(home.join("data"))
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .current_dir(folder.path());
        if options.auth {
            command.arg("--auth");
        }
        if options.standalone {
            command.arg("--standalone");
        }
        if options.tls {
            command.arg("--tls-cert-file").arg(home.join("certificate.pem"));
            command.arg("--tls-key-file").arg(home.join("key.pem"));
        }
        let mut peer = Peer::start("SecantusDB", folder, &mut command, HINT);
        peer.wait_for_port(([127, 0, 0, 1], self.port).into());
        self.peer = Some(peer);
    }

    /// The port of 127.0.0.1 that it listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The certificate of its TLS, as PEM.
    ///
    /// # Panics
    /// When the file is gone.
    #[must_use]
    pub fn certificate(&self) -> Vec<u8> {
        fs::read(self.home.path().join("certificate.pem")).unwrap()
    }
}

/// A certificate that is signed by its own key.
fn make_certificate(folder: &Path) {
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30"])
        .args(["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE", "-keyout"])
        .arg(folder.join("key.pem"))
        .arg("-out")
        .arg(folder.join("certificate.pem"))
        .output()
        .unwrap_or_else(|error| panic!("openssl cannot be started: {error}; install Debian's package openssl"));
    assert!(made.status.success(), "openssl: {}", String::from_utf8_lossy(&made.stderr));
}
