//! PostgreSQL: a server of one's own, of the machine's installation.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, chown},
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::{Arc, Mutex, Weak},
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tempfile::TempDir;

use crate::{Peer, free_port, process};

const HINT: &str = "run `make databases`, which installs Debian's `postgresql`";

/// The superuser and the password that it has.
const SUPERUSER: &str = "postgres";
const PASSWORD: &str = "the superuser's own";

/// The user and group that a server runs as where the tests run as root, as which it would not: nobody and nogroup.
const NOBODY: u32 = 65_534;

/// How long a server may take to end before it is killed.
const ENDING: Duration = Duration::from_secs(10);

/// How a server is set up.
#[derive(Debug, Clone, Default)]
pub struct PostgresSettings {
    /// Whether its log tells changes (`wal_level = logical`).
    pub logical: bool,
    /// Whether it has TLS, with a certificate for `localhost` and 127.0.0.1 that [`Postgres::ca`] has signed.
    pub tls: bool,
    /// More settings, as `postgresql.conf` names them.
    pub more: Vec<(&'static str, String)>,
}

/// A running server, ended with this value. Users come over TCP with their password (SCRAM).
#[derive(Debug)]
pub struct Postgres {
    /// `None` only while it is started again.
    peer: Option<Peer>,
    port: u16,
    root: TempDir,
    settings: PostgresSettings,
}

impl Postgres {
    /// Makes a cluster in an empty folder and starts a server on a free port.
    ///
    /// # Panics
    /// When PostgreSQL is not installed or the server does not come up.
    #[must_use]
    pub fn start(settings: PostgresSettings) -> Self {
        let root = tempfile::tempdir().unwrap();
        let password = root.path().join("password");
        fs::write(&password, PASSWORD).unwrap();
        give_away(root.path());
        give_away(&password);
        let data = root.path().join("data");
        let mut initdb = as_server(&program("initdb"));
        initdb
            .args(["--username", SUPERUSER, "--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C.UTF-8"])
            .args(["--no-sync", "--no-instructions"])
            .arg("--pwfile")
            .arg(&password)
            .arg("--pgdata")
            .arg(&data)
            .current_dir(root.path());
        succeeded("initdb", initdb.output());
        if settings.tls {
            make_certificates(root.path());
        }
        let mut server = Self { peer: None, port: free_port(), root, settings };
        server.run();
        server
    }

    /// The server that the tests running in this process share: with TLS and a logical log. Each test uses a database of its
    /// own.
    ///
    /// # Panics
    /// As [`start`](Self::start).
    #[must_use]
    pub fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<Postgres>> = Mutex::new(Weak::new());
        let settings = PostgresSettings { logical: true, tls: true, more: Vec::new() };
        process::shared(&SHARED, || Self::start(settings))
    }

    /// Ends the server at once, without telling its clients, and starts it again at the same address.
    ///
    /// # Panics
    /// As [`start`](Self::start).
    pub fn restart(&mut self) {
        self.end();
        self.run();
    }

    fn run(&mut self) {
        let folder = tempfile::tempdir().unwrap();
        give_away(folder.path());
        let mut command = as_server(&program("postgres"));
        let mut set = |name: &str, value: &str| {
            command.arg("-c").arg(format!("{name}={value}"));
        };
        set("listen_addresses", "127.0.0.1");
        set("port", &self.port.to_string());
        set("unix_socket_directories", "");
        set("fsync", "off");
        set("full_page_writes", "off");
        set("max_connections", "200");
        set("timezone", "America/New_York");
        if self.settings.logical {
            set("wal_level", "logical");
            set("max_replication_slots", "50");
            set("max_wal_senders", "50");
        }
        if self.settings.tls {
            set("ssl", "on");
            set("ssl_cert_file", &self.root.path().join("server.crt").display().to_string());
            set("ssl_key_file", &self.root.path().join("server.key").display().to_string());
        }
        for (name, value) in &self.settings.more {
            set(name, value);
        }
        command.arg("-D").arg(self.data()).current_dir(self.root.path());
        let mut peer = Peer::start("PostgreSQL", folder, &mut command, HINT);
        // It listens before it lets anybody in.
        peer.wait_until(|| self.psql("postgres", "SELECT 1").is_ok_and(|output| output.status.success()));
        self.peer = Some(peer);
    }

    /// Tells the server to end without ado; its processes are in groups of their own.
    fn end(&mut self) {
        let lock = self.data().join("postmaster.pid");
        let process = fs::read_to_string(&lock).ok().and_then(|text| text.lines().next()?.trim().parse().ok());
        if let (Some(process), Some(_)) = (process, &self.peer) {
            let _ = kill(Pid::from_raw(process), Signal::SIGQUIT);
            let deadline = Instant::now() + ENDING;
            while lock.exists() && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        self.peer = None;
        // What is left when it was killed would keep the next one from starting.
        let _ = fs::remove_file(lock);
    }

    fn data(&self) -> PathBuf {
        self.root.path().join("data")
    }

    /// The port of 127.0.0.1 that it listens at.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The certificate (PEM) that has signed the server's.
    ///
    /// # Panics
    /// Where it has no TLS.
    #[must_use]
    pub fn ca(&self) -> String {
        fs::read_to_string(self.root.path().join("ca.crt")).unwrap()
    }

    /// The URL of a database for the superuser, without parameters.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        self.url_of(SUPERUSER, PASSWORD, database)
    }

    /// The URL of a database for a user, without parameters.
    #[must_use]
    pub fn url_of(&self, user: &str, password: &str, database: &str) -> String {
        let password = password.replace('%', "%25").replace(' ', "%20").replace('\'', "%27").replace('@', "%40");
        format!("postgres://{user}:{password}@localhost:{}/{database}", self.port)
    }

    /// Makes a database without tables.
    pub fn create_database(&self, name: &str) {
        self.execute("postgres", &format!("CREATE DATABASE \"{name}\""));
    }

    /// Runs SQL as the superuser.
    ///
    /// # Panics
    /// When it fails: with what the server said.
    pub fn execute(&self, database: &str, sql: &str) {
        succeeded(sql, self.psql(database, sql));
    }

    /// Runs a query as the superuser: a line for each row, a tab between its values.
    ///
    /// # Panics
    /// When it fails: with what the server said.
    #[must_use]
    pub fn query(&self, database: &str, sql: &str) -> String {
        let output = succeeded(sql, self.psql(database, sql));
        String::from_utf8(output.stdout).unwrap().trim_end_matches('\n').to_owned()
    }

    fn psql(&self, database: &str, sql: &str) -> std::io::Result<Output> {
        Command::new(program("psql"))
            .env("PGPASSWORD", PASSWORD)
            .env("PGCONNECT_TIMEOUT", "5")
            .env("PGSSLMODE", "prefer")
            .args(["--no-psqlrc", "--quiet", "--no-align", "--tuples-only", "--field-separator", "\t"])
            .args(["--set", "ON_ERROR_STOP=1", "--host", "127.0.0.1", "--username", SUPERUSER])
            .arg(format!("--port={}", self.port))
            .arg(format!("--dbname={database}"))
            .args(["--command", sql])
            .output()
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.end();
    }
}

/// A program of PostgreSQL: on the path, or where Debian keeps its versions, the newest first.
fn program(name: &str) -> PathBuf {
    let on_path =
        std::env::var_os("PATH").into_iter().flat_map(|path| std::env::split_paths(&path).collect::<Vec<_>>());
    let mut versions: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|version| Some((version.file_name().to_str()?.parse().ok()?, version.path().join("bin"))))
        .collect();
    versions.sort();
    // Debian's own psql on the path is a script that asks for a cluster.
    versions
        .into_iter()
        .rev()
        .map(|(_, folder)| folder)
        .chain(on_path)
        .map(|folder| folder.join(name))
        .find(|program| program.is_file())
        .unwrap_or_else(|| panic!("PostgreSQL's {name} is not there; {HINT}"))
}

/// A program of the server, as a user that it is willing to run as.
fn as_server(program: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command
        .arg(format!("--reuid={NOBODY}"))
        .arg(format!("--regid={NOBODY}"))
        .args(["--clear-groups", "--"])
        .arg(program);
    command
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

/// Makes a file or folder one of the server's user.
fn give_away(path: &Path) {
    if is_root() {
        chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
    }
}

/// An authority of its own (`ca.crt`) and a certificate that it signed (`server.crt`, `server.key`).
fn make_certificates(folder: &Path) {
    let openssl = |arguments: &str| {
        let output = Command::new("openssl").args(arguments.split(' ')).current_dir(folder).output();
        succeeded("openssl", output);
    };
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    openssl(&format!("req -x509 {key} -keyout ca.key -out ca.crt -days 7 -subj /CN=millstream-tests"));
    openssl(&format!("req {key} -keyout server.key -out server.csr -subj /CN=localhost"));
    fs::write(folder.join("extensions"), "subjectAltName=DNS:localhost,IP:127.0.0.1\nbasicConstraints=CA:FALSE\n")
        .unwrap();
    openssl(
        "x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -out server.crt -days 7 -extfile extensions",
    );
    let key = folder.join("server.key");
    // The server refuses a key that others may read.
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    give_away(&key);
}

fn succeeded(what: &str, output: std::io::Result<Output>) -> Output {
    let output = output.unwrap_or_else(|error| panic!("{what} cannot be run: {error}; {HINT}"));
    assert!(
        output.status.success(),
        "{what} failed: {}{}",
        String::from_utf8_lossy(&output.stderr),
        String::from_utf8_lossy(&output.stdout)
    );
    output
}
