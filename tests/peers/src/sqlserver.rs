//! SQL Server's protocol, by pysqlbridge.
//!
//! It speaks TDS with its TLS and its sign-in, has the catalogue views and answers a large part of the SELECTs that a SQL Server
//! answers; `shared/sources/sqlserver/README.md` says what it does not have. The program is `tests/python/sqlserver_peer.py`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};

use crate::{Peer, free_port, process};

const HINT: &str = "run `make peers`";

/// A running server, ended with this value.
#[derive(Debug)]
pub struct SqlServer {
    peer: Peer,
    port: u16,
}

impl SqlServer {
    /// The user that may sign in.
    pub const USER: &str = "reader";

    /// Its password.
    pub const PASSWORD: &str = "correct horse/battery@staple";

    /// Starts a server without tables.
    ///
    /// # Panics
    /// When pysqlbridge is not installed or does not come up.
    #[must_use]
    pub fn start() -> Self {
        let (port, folder) = (free_port(), tempfile::tempdir().unwrap());
        let tables = folder.path().join("tables");
        fs::create_dir(&tables).unwrap();
        let mut command = Command::new(process::installed("venv-sources", "python"));
        command
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("../python/sqlserver_peer.py"))
            .args(["--port", &port.to_string(), "--user", Self::USER, "--password", Self::PASSWORD, "--folder"])
            .arg(&tables)
            .env("PYTHONDONTWRITEBYTECODE", "1");
        let mut peer = Peer::start("pysqlbridge", folder, &mut command, HINT);
        peer.wait_for_port(([127, 0, 0, 1], port).into());
        Self { peer, port }
    }

    /// The port of 127.0.0.1 that it listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The certificate of its TLS, as PEM.
    ///
    /// # Panics
    /// When it has written none.
    #[must_use]
    pub fn certificate(&self) -> Vec<u8> {
        fs::read(self.tables().join("certificate.pem")).unwrap()
    }

    /// Makes a table what it is from now on. Columns are names and types, of which some are the primary key; values are JSON's,
    /// bytes in hexadecimal and times in ISO 8601.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn put(&self, table: &str, columns: &[(&str, &str)], key: &[&str], rows: &[Vec<Value>]) {
        let content = json!({"columns": columns, "key": key, "rows": rows}).to_string();
        // A statement sees the old one or the new one.
        let (path, beside) = (self.path(table), self.tables().join("next"));
        fs::write(&beside, content).and_then(|()| fs::rename(&beside, path)).unwrap();
    }

    /// Removes a table, if it is there.
    pub fn remove(&self, table: &str) {
        let _ = fs::remove_file(self.path(table));
    }

    /// The end of what it has said.
    #[must_use]
    pub fn log(&self) -> String {
        self.peer.log()
    }

    fn tables(&self) -> PathBuf {
        self.peer.folder().join("tables")
    }

    fn path(&self, table: &str) -> PathBuf {
        self.tables().join(format!("{table}.json"))
    }
}
