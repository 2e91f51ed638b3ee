//! A peer as a child process: started, waited for, ended.

use std::{
    fs::{self, File},
    io::Read,
    net::{SocketAddr, TcpListener, TcpStream},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};

/// What is not up by then never will be: far more than a busy machine needs.
const DEADLINE: Duration = Duration::from_secs(120);

/// The pause between two looks.
const PAUSE: Duration = Duration::from_millis(20);

/// Where peers listen.
const PORTS: std::ops::Range<u16> = 18_000..32_000;

/// How much of a peer's log a failure shows, in bytes.
const SHOWN: usize = 4_000;

/// A running peer. It ends, with every process it started, when this is dropped.
#[derive(Debug)]
pub struct Peer {
    name: &'static str,
    child: Child,
    folder: tempfile::TempDir,
}

impl Peer {
    /// Starts `command` in a process group and a folder of its own; what it says goes into a file there.
    ///
    /// # Panics
    /// When the program cannot be started; `hint` says what would help.
    #[must_use]
    pub fn start(name: &'static str, folder: tempfile::TempDir, command: &mut Command, hint: &str) -> Self {
        let log = File::create(folder.path().join("log")).unwrap();
        let child = command
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("{name} cannot be started: {error}; {hint}"));
        Self { name, child, folder }
    }

    /// Its folder, removed in the end.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The end of what it said, for the message of a failure.
    #[must_use]
    pub fn log(&self) -> String {
        let mut text = Vec::new();
        let _ = File::open(self.folder.path().join("log")).and_then(|mut file| file.read_to_end(&mut text));
        String::from_utf8_lossy(&text[text.len().saturating_sub(SHOWN)..]).into_owned()
    }

    /// Looks until `ready` says so.
    ///
    /// # Panics
    /// When it ends instead, or is not ready in two minutes: with what it said.
    pub fn wait_until(&mut self, mut ready: impl FnMut() -> bool) {
        let deadline = Instant::now() + DEADLINE;
        while !ready() {
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("{} ended with {status} instead of being ready:\n{}", self.name, self.log());
            }
            assert!(Instant::now() < deadline, "{} is not ready after {DEADLINE:?}:\n{}", self.name, self.log());
            std::thread::sleep(PAUSE);
        }
    }

    /// Asks it to end, and waits until it has: what it holds in memory is on disk then.
    ///
    /// # Panics
    /// When it has not ended after two minutes.
    pub fn stop(mut self) {
        if let Ok(group) = i32::try_from(self.child.id()) {
            let _ = killpg(Pid::from_raw(group), Signal::SIGTERM);
        }
        let deadline = Instant::now() + DEADLINE;
        while self.child.try_wait().unwrap().is_none() {
            assert!(Instant::now() < deadline, "{} has not ended after {DEADLINE:?}:\n{}", self.name, self.log());
            std::thread::sleep(PAUSE);
        }
    }

    /// Waits until something listens at the address.
    pub fn wait_for_port(&mut self, address: SocketAddr) {
        self.wait_until(|| TcpStream::connect_timeout(&address, PAUSE).is_ok());
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        if let Ok(group) = i32::try_from(self.child.id()) {
            // A group that has ended is as good.
            let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
        }
        let _ = self.child.wait();
    }
}

/// A port of 127.0.0.1 that is free now, and that no other call in this process gives.
///
/// Below the ports that the system gives to outgoing connections: one of those could be in use before the peer listens.
///
/// # Panics
/// When none is free.
#[must_use]
pub fn free_port() -> u16 {
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    // Test programs that run at the same time begin far from each other.
    let first = std::process::id().wrapping_mul(97);
    (0..PORTS.len())
        .find_map(|_| {
            let at = first.wrapping_add(GIVEN.fetch_add(1, Ordering::Relaxed)) as usize % PORTS.len();
            let port = PORTS.start + u16::try_from(at).unwrap();
            TcpListener::bind(("127.0.0.1", port)).is_ok().then_some(port)
        })
        .expect("a port of this machine is free")
}

/// The one value that the tests running in this process share: made by the first, dropped by the last.
pub(crate) fn shared<T>(slot: &Mutex<Weak<T>>, start: impl FnOnce() -> T) -> Arc<T> {
    // Another test's panic while it started one leaves nothing half done.
    let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
    slot.upgrade().unwrap_or_else(|| {
        let started = Arc::new(start());
        *slot = Arc::downgrade(&started);
        started
    })
}

/// A program of the Python peers that `make test` installs.
///
/// # Panics
/// When it is not installed.
#[must_use]
pub fn peers_bin(program: &str) -> PathBuf {
    installed("venv-peers", program)
}

/// A program of a virtual environment in `target`.
///
/// # Panics
/// When it is not installed.
pub(crate) fn installed(venv: &str, program: &str) -> PathBuf {
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target").join(venv).join("bin").join(program);
    fs::canonicalize(&target)
        .map(|_| target.clone())
        .unwrap_or_else(|error| panic!("{} is not there ({error}): run `make peers`", target.display()))
}
