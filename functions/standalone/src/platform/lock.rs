//! One process at a time on a data folder, and how others find it.
//!
//! `data/lock` is held with flock for as long as the process lives, so a killed one never blocks the next. `data/up.json` says
//! where a long-running one answers and what it asks for as proof of being this user; only the user can read it.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    net::SocketAddr,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::Context;
use nix::fcntl::{Flock, FlockArg};
use serde::{Deserialize, Serialize};

/// How long a command waits for another one that works on the data in its own process.
const PATIENCE: Duration = Duration::from_secs(10);

/// The pause between two tries for the lock.
const PAUSE: Duration = Duration::from_millis(25);

/// Where a running platform answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Address {
    /// Its listener.
    pub(crate) address: SocketAddr,
    /// Its process.
    pub(crate) pid: u32,
    /// What the API asks for as a bearer token.
    pub(crate) token: String,
}

/// Sole use of a data folder, until dropped.
#[derive(Debug)]
pub(crate) struct DataLock {
    _lock: Flock<File>,
}

/// Who may work on the data folder.
#[derive(Debug)]
pub(crate) enum Claim {
    /// This process.
    Ours(DataLock),
    /// A running platform has it and answers there.
    Running(Address),
}

/// Takes the data folder, or finds the platform that has it. Another command's use is waited for.
pub(crate) fn claim(data: &Path) -> anyhow::Result<Claim> {
    fs::create_dir_all(data).with_context(|| format!("cannot make the data folder {}", data.display()))?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        match try_lock(data)? {
            Ok(lock) => {
                // Left by a platform that was killed.
                forget(data)?;
                return Ok(Claim::Ours(lock));
            }
            Err(holder) => {
                if let Some(address) = read_address(data) {
                    return Ok(Claim::Running(address));
                }
                if Instant::now() >= deadline {
                    anyhow::bail!(
                        "the data folder {} is in use by process {holder}; wait for it to end, or stop it",
                        data.display()
                    );
                }
                std::thread::sleep(PAUSE);
            }
        }
    }
}

/// The lock, or the process that has it.
fn try_lock(data: &Path) -> anyhow::Result<Result<DataLock, String>> {
    let path = data.join("lock");
    let open = || OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
    let file = open().with_context(|| format!("cannot open {}", path.display()))?;
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(mut lock) => {
            lock.set_len(0)?;
            write!(lock, "{}", std::process::id())?;
            Ok(Ok(DataLock { _lock: lock }))
        }
        Err((mut file, nix::errno::Errno::EWOULDBLOCK)) => {
            let mut pid = String::new();
            file.read_to_string(&mut pid)?;
            Ok(Err(pid))
        }
        Err((_, error)) => Err(error).with_context(|| format!("cannot lock {}", path.display())),
    }
}

fn address_path(data: &Path) -> PathBuf {
    data.join("up.json")
}

fn read_address(data: &Path) -> Option<Address> {
    serde_json::from_slice(&fs::read(address_path(data)).ok()?).ok()
}

/// Says where this process answers; for the eyes of its user alone, and never half written.
pub(crate) fn announce(data: &Path, address: &Address) -> anyhow::Result<()> {
    let path = address_path(data);
    let write = || {
        let partial = path.with_extension("json.partial");
        let _ = fs::remove_file(&partial);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&partial)?;
        file.write_all(&serde_json::to_vec_pretty(address)?)?;
        fs::rename(&partial, &path)
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

/// Takes the announcement away.
pub(crate) fn forget(data: &Path) -> io::Result<()> {
    match fs::remove_file(address_path(data)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// A secret that nobody can guess.
pub(crate) fn new_token() -> io::Result<String> {
    let mut bytes = [0; 24];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_claim_finds_where_the_first_answers() {
        let data = tempfile::tempdir().unwrap();
        let Claim::Ours(lock) = claim(data.path()).unwrap() else { panic!("nobody else has it") };
        let address = Address { address: "127.0.0.1:9".parse().unwrap(), pid: 1, token: new_token().unwrap() };
        announce(data.path(), &address).unwrap();
        let Claim::Running(found) = claim(data.path()).unwrap() else { panic!("the first has it") };
        assert_eq!(found, address);
        drop(lock);
        // The announcement of one that is gone is not believed.
        assert!(matches!(claim(data.path()).unwrap(), Claim::Ours(_)));
        assert!(read_address(data.path()).is_none());
    }

    #[test]
    fn the_announcement_is_for_its_user_alone() {
        use std::os::unix::fs::PermissionsExt;
        let data = tempfile::tempdir().unwrap();
        let address = Address { address: "127.0.0.1:9".parse().unwrap(), pid: 1, token: "secret".into() };
        announce(data.path(), &address).unwrap();
        let mode = fs::metadata(address_path(data.path())).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
