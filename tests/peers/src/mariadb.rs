//! MariaDB: a server of one's own, with a certificate made for it.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::Path,
    process::Command,
    sync::{Arc, Mutex, Weak},
};

use tempfile::TempDir;

use crate::{Peer, free_port, process};

const HINT: &str = "run `make databases`";

/// The user that may do everything, and its password.
const ADMIN: (&str, &str) = ("admin", "admin s3cret");

/// The user that may only read the database `shop`, and its password.
const READER: (&str, &str) = ("reader", "reader s@cret/1");

/// Made with the server: a database, and the two users.
const INIT: &str = "\
CREATE DATABASE shop;
CREATE USER 'admin'@'127.0.0.1' IDENTIFIED BY 'admin s3cret';
GRANT ALL ON *.* TO 'admin'@'127.0.0.1' WITH GRANT OPTION;
CREATE USER 'reader'@'127.0.0.1' IDENTIFIED BY 'reader s@cret/1';
GRANT SELECT ON shop.* TO 'reader'@'127.0.0.1';
";

/// A running server, ended with this value. It listens on 127.0.0.1, with TLS and without.
#[derive(Debug)]
pub struct MariaDb {
    /// Dropped, and with it ended, before the folder is removed.
    peer: Peer,
    port: u16,
    root: TempDir,
}

impl MariaDb {
    /// Starts a server of one's own.
    ///
    /// # Panics
    /// When it is not installed or does not come up.
    #[must_use]
    pub fn start() -> Self {
        let root = tempfile::tempdir().unwrap();
        let data = root.path().join("data");
        // As root it wants to be told that this is meant; nobody else may say so.
        let user = (fs::metadata(root.path()).unwrap().uid() == 0).then_some("--user=root");
        let mut install = Command::new("mariadb-install-db");
        install.arg("--no-defaults").args(user).arg(format!("--datadir={}", data.display()));
        run(install.args(["--skip-test-db", "--skip-name-resolve", "--auth-root-authentication-method=normal"]));
        make_certificates(root.path());
        fs::write(root.path().join("init.sql"), INIT).unwrap();

        let port = free_port();
        let file = |name: &str| root.path().join(name).display().to_string();
        let mut command = Command::new("mariadbd");
        command
            .arg("--no-defaults")
            .args(user)
            .arg(format!("--datadir={}", data.display()))
            .arg(format!("--init-file={}", file("init.sql")))
            .arg(format!("--socket={}", file("socket")))
            .arg(format!("--pid-file={}", file("pid")))
            .args(["--bind-address=127.0.0.1", &format!("--port={port}"), "--skip-name-resolve"])
            .arg(format!("--ssl-ca={}", file("ca.pem")))
            .arg(format!("--ssl-cert={}", file("server.pem")))
            .arg(format!("--ssl-key={}", file("server.key")))
            .args(["--log-bin", "--server-id=1", "--character-set-server=utf8mb4"])
            .args(["--innodb-buffer-pool-size=64M", "--innodb-flush-log-at-trx-commit=0", "--max-allowed-packet=64M"]);
        let mut peer = Peer::start("mariadbd", tempfile::tempdir().unwrap(), &mut command, HINT);
        // It listens when the users are made.
        peer.wait_for_port(([127, 0, 0, 1], port).into());
        Self { peer, port, root }
    }

    /// The server that the tests running in this process share. Each test uses tables or a database of its own.
    ///
    /// # Panics
    /// As [`start`](Self::start).
    #[must_use]
    pub fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<MariaDb>> = Mutex::new(Weak::new());
        process::shared(&SHARED, Self::start)
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The URL of the user that may do everything, without TLS.
    #[must_use]
    pub fn admin(&self, database: &str) -> String {
        self.url(ADMIN, database)
    }

    /// The URL of the user that may only read the database `shop`, without parameters.
    #[must_use]
    pub fn reader(&self, database: &str) -> String {
        self.url(READER, database)
    }

    fn url(&self, (user, password): (&str, &str), database: &str) -> String {
        let password = password.replace(' ', "%20").replace('@', "%40").replace('/', "%2F");
        format!("mysql://{user}:{password}@127.0.0.1:{}/{database}", self.port)
    }

    /// The authority that has signed its certificate, as PEM.
    ///
    /// # Panics
    /// When it cannot be read.
    #[must_use]
    pub fn ca(&self) -> Vec<u8> {
        fs::read(self.root.path().join("ca.pem")).unwrap()
    }

    /// The end of what it said.
    #[must_use]
    pub fn log(&self) -> String {
        self.peer.log()
    }
}

/// An authority `ca.pem`, and `server.pem` with `server.key` for 127.0.0.1, signed by it.
fn make_certificates(folder: &Path) {
    let openssl = |arguments: &[&str]| {
        let mut command = Command::new("openssl");
        run(command.args(arguments).current_dir(folder));
    };
    let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
    let authority =
        ["req", "-x509", "-subj", "/CN=Millstream's tests", "-days", "2", "-keyout", "ca.key", "-out", "ca.pem"];
    openssl(&[&authority[..], &key].concat());
    openssl(&[&["req", "-subj", "/CN=mariadb", "-keyout", "server.key", "-out", "server.csr"][..], &key].concat());
    fs::write(folder.join("names"), "subjectAltName=IP:127.0.0.1\nbasicConstraints=CA:FALSE\n").unwrap();
    let files = ["-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-extfile", "names", "-out", "server.pem"];
    openssl(&[&["x509", "-req", "-days", "2", "-CAcreateserial"][..], &files].concat());
}

fn run(command: &mut Command) {
    let program = command.get_program().to_owned();
    let output = command.output().unwrap_or_else(|error| panic!("{program:?} cannot be started: {error}; {HINT}"));
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{program:?} failed:\n{}", String::from_utf8_lossy(&said));
}
