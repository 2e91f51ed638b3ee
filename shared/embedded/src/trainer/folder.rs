//! A job's folder: every file in it and what it means. All calls block.
//!
//! ```text
//! lock            held by the supervisor while it lives
//! job.json        what is run
//! supervisor.json the supervisor's process id, valid while the lock is held
//! supervisor.txt  what the supervisor itself had to complain about
//! log.txt         the program's output
//! data/           links to the rows, where they are several files
//! model/          AIP_MODEL_DIR
//! checkpoints/    AIP_CHECKPOINT_DIR: stays over a lost job's new start
//! logs/           AIP_TENSORBOARD_LOG_DIR
//! cancelled       there once the job was cancelled
//! exit.json       how the program ended
//! done.json       the job's state, once the model's files are kept
//! ```

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use chrono::{DateTime, Utc};
use millstream_ports::{PortError, PortResult};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::state::{Ended, Exit, ProgramFile};
use crate::objects::io_error;

const PROGRAM: &str = "job.json";
const SUPERVISOR: &str = "supervisor.json";
const EXIT: &str = "exit.json";
const DONE: &str = "done.json";
const CANCELLED: &str = "cancelled";

/// A job's folder, which may not be there yet.
#[derive(Debug, Clone)]
pub(super) struct JobFolder {
    path: PathBuf,
}

/// An attempt at a job's lock.
pub(super) enum Hold {
    /// It is held until the file is dropped.
    Ours(File),
    /// A supervisor has it.
    Taken,
}

#[derive(Debug, Serialize, Deserialize)]
struct SupervisorFile {
    pid: i32,
}

impl JobFolder {
    pub(super) fn new(jobs: &Path, job: &str) -> PortResult<Self> {
        let is_plain = (1..=200).contains(&job.len())
            && !job.starts_with('.')
            && job.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
        if !is_plain {
            return Err(PortError::invalid(format!(
                "{job:?} is not a job id: use 1 to 200 of letters, digits and . _ -, not starting with a dot"
            )));
        }
        Ok(Self { path: jobs.join(job) })
    }

    /// The folder at a path, as the supervisor is given it.
    pub(super) fn at(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.canonicalize()? })
    }

    /// Every job's folder.
    pub(super) fn all(jobs: &Path) -> PortResult<Vec<Self>> {
        let failed = |error| io_error(format!("reading {}", jobs.display()), error);
        let mut all = Vec::new();
        for entry in fs::read_dir(jobs).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            if entry.file_type().map_err(failed)?.is_dir() {
                all.push(Self { path: entry.path() });
            }
        }
        Ok(all)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    pub(super) fn model(&self) -> PathBuf {
        self.join("model")
    }

    pub(super) fn log(&self) -> PathBuf {
        self.join("log.txt")
    }

    pub(super) fn exists(&self) -> bool {
        self.path.is_dir()
    }

    /// When what runs was started: its description is written just before.
    pub(super) fn started(&self) -> Option<DateTime<Utc>> {
        let written = fs::metadata(self.join(PROGRAM)).and_then(|file| file.modified());
        written.ok().map(DateTime::from)
    }

    pub(super) fn create(&self) -> PortResult<()> {
        fs::create_dir_all(&self.path).map_err(|error| self.failed(error))
    }

    /// Tries for the lock.
    pub(super) fn hold(&self) -> PortResult<Hold> {
        let file = self.open_lock().map_err(|error| self.failed(error))?;
        match file.try_lock() {
            Ok(()) => Ok(Hold::Ours(file)),
            Err(TryLockError::WouldBlock) => Ok(Hold::Taken),
            Err(TryLockError::Error(error)) => Err(self.failed(error)),
        }
    }

    pub(super) fn open_lock(&self) -> io::Result<File> {
        OpenOptions::new().write(true).create(true).truncate(false).open(self.join("lock"))
    }

    /// Whether a supervisor lives. The look shares the lock, so that two looks do not take each other for a supervisor.
    pub(super) fn is_running(&self) -> PortResult<bool> {
        if self.join(EXIT).exists() || !self.join("lock").exists() {
            return Ok(false);
        }
        let file = self.open_lock().map_err(|error| self.failed(error))?;
        match file.try_lock_shared() {
            Ok(()) => Ok(false),
            Err(TryLockError::WouldBlock) => Ok(true),
            Err(TryLockError::Error(error)) => Err(self.failed(error)),
        }
    }

    /// Tells the supervisor to end its program. Its process id is trusted only while the lock is held: a supervisor that is
    /// gone has freed it, so the id cannot be another process's by now.
    pub(super) fn terminate(&self) -> PortResult<()> {
        match self.read::<SupervisorFile>(SUPERVISOR)? {
            Some(supervisor) if self.is_running()? => match kill(Pid::from_raw(supervisor.pid), Signal::SIGTERM) {
                Ok(()) | Err(nix::Error::ESRCH) => Ok(()),
                Err(error) => Err(self.failed(error.into())),
            },
            _ => Ok(()),
        }
    }

    /// Takes away what a lost start left behind, and ends what it left running. Checkpoints stay: that is what they are for.
    pub(super) fn clear_for_start(&self) -> PortResult<()> {
        super::processes::kill_all_of(self);
        for folder in ["copies", "data", "model", "logs"] {
            remove(&self.join(folder)).map_err(|error| self.failed(error))?;
        }
        remove(&self.join(SUPERVISOR)).map_err(|error| self.failed(error))?;
        for folder in ["model", "checkpoints", "logs"] {
            fs::create_dir_all(self.join(folder)).map_err(|error| self.failed(error))?;
        }
        Ok(())
    }

    pub(super) fn supervisor_log(&self) -> PortResult<File> {
        File::create(self.join("supervisor.txt")).map_err(|error| self.failed(error))
    }

    pub(super) fn write_program(&self, program: &ProgramFile) -> PortResult<()> {
        self.write(PROGRAM, program)
    }

    pub(super) fn program(&self) -> PortResult<ProgramFile> {
        self.read(PROGRAM)?.ok_or_else(|| {
            PortError::not_found(format!("{} has no {PROGRAM}: it is not a job's folder", self.path.display()))
        })
    }

    pub(super) fn write_supervisor(&self, pid: i32) -> PortResult<()> {
        self.write(SUPERVISOR, &SupervisorFile { pid })
    }

    pub(super) fn write_exit(&self, exit: &Exit) -> PortResult<()> {
        self.write(EXIT, exit)
    }

    pub(super) fn exit(&self) -> PortResult<Option<Exit>> {
        self.read(EXIT)
    }

    pub(super) fn closed(&self) -> PortResult<Option<Ended>> {
        self.read(DONE)
    }

    /// Keeps a job's last state. A model that is kept needs its scratch files no more; those of a failure are left for a
    /// closer look.
    pub(super) fn close(&self, ended: &Ended) -> PortResult<()> {
        self.write(DONE, ended)?;
        if matches!(ended, Ended::Succeeded { .. }) {
            for folder in ["data", "model", "checkpoints", "logs"] {
                remove(&self.join(folder)).map_err(|error| self.failed(error))?;
            }
        }
        Ok(())
    }

    pub(super) fn mark_cancelled(&self) -> PortResult<()> {
        File::create(self.join(CANCELLED)).map(drop).map_err(|error| self.failed(error))
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.join(CANCELLED).exists()
    }

    /// At most the last `limit` bytes of the log; empty before the program has started.
    pub(super) fn log_tail(&self, limit: usize) -> PortResult<String> {
        let read = || -> io::Result<Vec<u8>> {
            let mut file = File::open(self.log())?;
            let from = file.metadata()?.len().saturating_sub(limit as u64);
            file.seek(SeekFrom::Start(from))?;
            let mut bytes = Vec::new();
            // The log may grow meanwhile.
            file.take(limit as u64).read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        match read() {
            Ok(bytes) => Ok(last_text(&bytes, limit)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
            Err(error) => Err(self.failed(error)),
        }
    }

    /// Writes a file whole or not at all.
    fn write(&self, name: &str, value: &impl Serialize) -> PortResult<()> {
        let json = serde_json::to_vec_pretty(value)
            .map_err(|error| PortError::internal(format!("{name} cannot be written as JSON")).caused_by(error))?;
        let temporary = self.join(&format!(".{name}"));
        let written = fs::write(&temporary, json).and_then(|()| fs::rename(&temporary, self.join(name)));
        written.map_err(|error| self.failed(error))
    }

    fn read<T: DeserializeOwned>(&self, name: &str) -> PortResult<Option<T>> {
        match fs::read(self.join(name)) {
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|error| {
                let file = self.join(name);
                PortError::internal(format!("{} is damaged; remove it and the job starts again", file.display()))
                    .caused_by(error)
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.failed(error)),
        }
    }

    fn failed(&self, error: io::Error) -> PortError {
        io_error(format!("the training job's folder {}", self.path.display()), error)
    }
}

fn remove(path: &Path) -> io::Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// The end of `bytes` as text of at most `limit` bytes; a program's output need not be UTF-8.
fn last_text(bytes: &[u8], limit: usize) -> String {
    // A cut in the middle of a character leaves up to three of its bytes at the start.
    let cut = bytes.iter().take(3).take_while(|byte| (0x80..0xC0).contains(*byte)).count();
    let text = String::from_utf8_lossy(&bytes[cut..]);
    // Bytes that are no text grow when they are replaced.
    let from = (text.len().saturating_sub(limit)..=text.len()).find(|at| text.is_char_boundary(*at));
    text[from.unwrap_or_default()..].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_log_is_text_of_at_most_the_limit() {
        assert_eq!(last_text("aé".as_bytes(), 10), "aé");
        assert_eq!(last_text(&"aé".as_bytes()[2..], 1), "");
        let replaced = last_text(&[0xFF; 10], 10);
        assert!(replaced.len() <= 10 && replaced.starts_with('\u{FFFD}'), "{replaced:?}");
    }

    #[test]
    fn job_ids_that_leave_the_folder_are_refused() {
        for job in ["", ".", "..", "../x", "a/b", ".lock"] {
            assert!(JobFolder::new(Path::new("jobs"), job).is_err(), "{job:?}");
        }
        assert!(JobFolder::new(Path::new("jobs"), "5f1d0c9a-1").is_ok());
    }
}
