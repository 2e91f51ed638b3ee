//! The files themselves: where they are, what they are, how they change.
//!
//! Everything here blocks. A name is changed only under its lock, a `flock` on one of a few lock files: it excludes the
//! other threads of this process and other processes alike, and the kernel frees it when its holder dies.

use std::{
    collections::HashMap,
    fs::{self, File, OpenOptions},
    io,
    path::{Path, PathBuf},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use millstream_events::names::ObjectPath;
use millstream_ports::{ObjectMeta, PortError, PortResult, Precondition};

use super::{
    StoreOptions,
    errors::io_error,
    identity::{Identity, checksum, time_of},
    walk,
};

/// Files being written; a bucket's name cannot start with a dot.
const TEMPORARY: &str = ".tmp";
const LOCKS: &str = ".locks";

/// Names share this many lock files; two names on one only wait for each other.
const LOCK_FILES: u32 = 64;

/// A temporary file this old belongs to a process that died.
const ABANDONED_AFTER: Duration = Duration::from_hours(24);

/// Files whose state is remembered; past it everything is looked at afresh.
const REMEMBERED: usize = 65_536;

/// What a file was when its checksum was computed.
#[derive(Debug, Clone, Copy)]
struct Seen {
    identity: Identity,
    generation: u64,
    crc32c: u32,
}

pub(super) struct Disk {
    root: PathBuf,
    options: StoreOptions,
    seen: Mutex<HashMap<ObjectPath, Seen>>,
    next_temporary: AtomicU64,
}

impl Disk {
    pub(super) fn open(root: PathBuf, options: StoreOptions) -> PortResult<Self> {
        for folder in [TEMPORARY, LOCKS] {
            let folder = root.join(folder);
            fs::create_dir_all(&folder).map_err(|error| io_error(format!("creating {}", folder.display()), error))?;
        }
        // Absolute, because training programs get these paths and run in another folder.
        let root = root.canonicalize().map_err(|error| io_error(format!("opening {}", root.display()), error))?;
        let disk = Self { root, options, seen: Mutex::default(), next_temporary: AtomicU64::new(0) };
        disk.remove_abandoned();
        Ok(disk)
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn file(&self, path: &ObjectPath) -> PathBuf {
        self.root.join(path.bucket()).join(path.name())
    }

    pub(super) fn bucket_folder(&self, bucket: &str) -> PortResult<PathBuf> {
        // The bucket's rule is checked as part of a path's.
        ObjectPath::new(bucket, "any").map_err(|error| PortError::invalid(error.to_string()))?;
        let folder = self.root.join(bucket);
        fs::create_dir_all(&folder).map_err(|error| io_error(format!("creating {}", folder.display()), error))?;
        Ok(folder)
    }

    pub(super) fn names(&self, bucket: &str, prefix: &str) -> PortResult<Vec<ObjectPath>> {
        let folder = self.root.join(bucket);
        let found =
            walk::files(&folder, prefix).map_err(|error| io_error(format!("listing gs://{bucket}/{prefix}"), error))?;
        let mut names: Vec<ObjectPath> =
            found.into_iter().filter_map(|name| ObjectPath::new(bucket, name.into_string().ok()?).ok()).collect();
        names.sort_unstable();
        Ok(names)
    }

    /// What is known of an object.
    pub(super) fn stat(&self, path: &ObjectPath) -> PortResult<ObjectMeta> {
        let file = self.open_file(path)?;
        self.describe(path, &file)
    }

    /// Opens an object's file. A folder of other objects is no object.
    pub(super) fn open_file(&self, path: &ObjectPath) -> PortResult<File> {
        let file = File::open(self.file(path)).map_err(|error| io_error(format!("reading {path}"), error))?;
        let metadata = file.metadata().map_err(|error| io_error(format!("reading {path}"), error))?;
        if !metadata.is_file() || path.name().ends_with('/') {
            return Err(PortError::not_found(format!("reading {path}: it is a folder, not an object")));
        }
        Ok(file)
    }

    /// What is known of an open file; its checksum is computed where this state of it has not been seen yet.
    pub(super) fn describe(&self, path: &ObjectPath, file: &File) -> PortResult<ObjectMeta> {
        let failed = |error| io_error(format!("reading {path}"), error);
        let identity = Identity::of(&file.metadata().map_err(failed)?);
        if let Some(seen) = self.recall(path)
            && seen.identity == identity
        {
            return Ok(meta(path, seen.generation, identity.size, seen.crc32c));
        }
        let crc32c = checksum(file).map_err(failed)?;
        if Identity::of(&file.metadata().map_err(failed)?) != identity {
            return Err(PortError::unavailable(format!("reading {path}: it is being written at this moment")));
        }
        self.settle(path, file, identity, crc32c)
    }

    /// Gives a file that a person put in place its generation: its time, or the next one after what was there before.
    pub(super) fn settle(
        &self,
        path: &ObjectPath,
        file: &File,
        identity: Identity,
        crc32c: u32,
    ) -> PortResult<ObjectMeta> {
        let mut seen = Seen { identity, generation: identity.generation(), crc32c };
        let replaces = |last: &Seen| {
            let differs = last.crc32c != crc32c || last.identity.size != identity.size;
            seen.generation < last.generation || (seen.generation == last.generation && differs)
        };
        // `mv` and `cp -p` keep the time of a file: in the place of a younger one it would look older than that. Its time is
        // moved on, which keeps the generation for the next start as well.
        if self.recall(path).is_some_and(|last| replaces(&last)) {
            let _held = self.lock(path)?;
            let in_place = fs::metadata(self.file(path)).is_ok_and(|now| Identity::of(&now).is_same_file(&identity));
            let Some(last) = self.recall(path).filter(replaces) else {
                return Ok(meta(path, seen.generation, identity.size, crc32c));
            };
            // An older file that another has replaced since it was opened.
            if !in_place {
                return Ok(meta(path, seen.generation, identity.size, crc32c));
            }
            seen.generation = last.generation + 1;
            let moved = file.set_modified(time_of(seen.generation)).and_then(|()| file.metadata());
            match moved {
                Ok(metadata) => seen.identity = Identity::of(&metadata),
                // Another user's file: the new generation is known until the next start only.
                Err(error) => tracing::warn!(%path, %error, "the time of a file put in by hand cannot be moved on"),
            }
        }
        self.remember(path, seen);
        Ok(meta(path, seen.generation, identity.size, crc32c))
    }

    /// A new file beside the buckets, on the same file system.
    pub(super) fn temporary(&self) -> PortResult<Temporary> {
        loop {
            let number = self.next_temporary.fetch_add(1, Ordering::Relaxed);
            let path = self.root.join(TEMPORARY).join(format!("{}-{number}", std::process::id()));
            match OpenOptions::new().write(true).create_new(true).open(&path) {
                Ok(file) => return Ok(Temporary { path, file, moved: false }),
                // Left by a process that had the same id.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(io_error("writing a temporary file", error)),
            }
        }
    }

    /// Puts a complete temporary file in an object's place, if the precondition holds.
    pub(super) fn publish(
        &self,
        mut temporary: Temporary,
        path: &ObjectPath,
        when: Precondition,
        crc32c: u32,
    ) -> PortResult<ObjectMeta> {
        let failed = |error| io_error(format!("writing {path}"), error);
        if path.name().ends_with('/') {
            return Err(PortError::invalid(format!(
                "writing {path}: a name that ends in / is a folder on this machine"
            )));
        }
        let target = self.file(path);
        let _held = self.lock(path)?;
        let current = self.current(path, &target)?;
        check(path, when, current)?;
        let last = current.max(self.recall(path).map(|seen| seen.generation));
        let now = u64::try_from(self.options.clock.now().timestamp_micros()).unwrap_or(1);
        let generation = last.map_or(now, |last| now.max(last + 1));
        temporary.file.set_modified(time_of(generation)).map_err(failed)?;
        if self.options.durable {
            temporary.file.sync_all().map_err(failed)?;
        }
        self.move_into_place(&temporary, path, &target, when)?;
        temporary.moved = when != Precondition::Absent;
        let identity = Identity::of(&temporary.file.metadata().map_err(failed)?);
        // Small objects written once, the ledger's records, are cheaper to read again than to remember.
        if when != Precondition::Absent || identity.size > super::write::SMALL as u64 {
            self.remember(path, Seen { identity, generation, crc32c });
        }
        Ok(meta(path, generation, identity.size, crc32c))
    }

    pub(super) fn delete(&self, path: &ObjectPath, when: Precondition) -> PortResult<()> {
        let target = self.file(path);
        let _held = self.lock(path)?;
        let metadata = fs::metadata(&target).map_err(|error| io_error(format!("deleting {path}"), error))?;
        if metadata.is_dir() {
            return Err(PortError::not_found(format!("deleting {path}: it is a folder, not an object")));
        }
        check(path, when, Some(Identity::of(&metadata).generation()))?;
        fs::remove_file(&target).map_err(|error| io_error(format!("deleting {path}"), error))
    }

    /// The generation in an object's place, if there is one.
    fn current(&self, path: &ObjectPath, target: &Path) -> PortResult<Option<u64>> {
        match fs::metadata(target) {
            // What deletions leave behind does not stand in the way.
            Ok(metadata) if metadata.is_dir() => match walk::remove_empty_folders(target) {
                Ok(()) => Ok(None),
                Err(_) => Err(PortError::invalid(format!(
                    "writing {path}: it is the folder of other objects, and a file system cannot have both under one name"
                ))),
            },
            Ok(metadata) => Ok(Some(Identity::of(&metadata).generation())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => Err(below_an_object(path)),
            Err(error) => Err(io_error(format!("writing {path}"), error)),
        }
    }

    fn move_into_place(
        &self,
        temporary: &Temporary,
        path: &ObjectPath,
        target: &Path,
        when: Precondition,
    ) -> PortResult<()> {
        let folder = target.parent().unwrap_or(&self.root);
        let attempt = || match when {
            // Unlike a rename a link never replaces a file, not even one that a person just copied there.
            Precondition::Absent => fs::hard_link(&temporary.path, target),
            Precondition::None | Precondition::Generation(_) => fs::rename(&temporary.path, target),
        };
        let mut outcome = attempt();
        if outcome.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
            fs::create_dir_all(folder).map_err(|error| match error.kind() {
                io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => below_an_object(path),
                _ => io_error(format!("writing {path}"), error),
            })?;
            outcome = attempt();
        }
        outcome.map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => PortError::conflict(format!("{path} exists already")),
            _ => io_error(format!("writing {path}"), error),
        })?;
        if self.options.durable {
            // Up to the root: any of the folders may be new.
            for folder in folder.ancestors().take_while(|folder| folder.starts_with(&self.root)) {
                let synced = File::open(folder).and_then(|folder| folder.sync_all());
                synced.map_err(|error| io_error(format!("writing {path}"), error))?;
            }
        }
        Ok(())
    }

    /// Waits for a name's lock; it is held until the file is dropped.
    fn lock(&self, path: &ObjectPath) -> PortResult<File> {
        // A checksum, because every build of the program must come to the same number.
        let number = crc32c::crc32c(path.to_string().as_bytes()) % LOCK_FILES;
        let file = self.root.join(LOCKS).join(format!("{number:02x}"));
        let locked = OpenOptions::new().write(true).create(true).truncate(false).open(file).and_then(|file| {
            file.lock()?;
            Ok(file)
        });
        locked.map_err(|error| io_error(format!("locking {path}"), error))
    }

    fn recall(&self, path: &ObjectPath) -> Option<Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).get(path).copied()
    }

    fn remember(&self, path: &ObjectPath, seen: Seen) {
        let mut all = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= REMEMBERED {
            all.clear();
        }
        all.insert(path.clone(), seen);
    }

    fn remove_abandoned(&self) {
        let Ok(entries) = fs::read_dir(self.root.join(TEMPORARY)) else { return };
        for entry in entries.flatten() {
            let modified = entry.metadata().and_then(|metadata| metadata.modified());
            let age = modified.ok().and_then(|at| self.now().duration_since(at).ok());
            if age.is_some_and(|age| age > ABANDONED_AFTER) {
                // Another process may be cleaning up as well.
                let _ = fs::remove_file(entry.path());
            }
        }
    }

    pub(super) fn now(&self) -> std::time::SystemTime {
        self.options.clock.now().into()
    }
}

/// A file being written; it goes away with this value unless it was moved into an object's place.
pub(super) struct Temporary {
    path: PathBuf,
    pub(super) file: File,
    moved: bool,
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.moved {
            // What cannot be removed now is abandoned, and removed as such at a later start.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn meta(path: &ObjectPath, generation: u64, size: u64, crc32c: u32) -> ObjectMeta {
    ObjectMeta { path: path.clone(), generation, size, crc32c }
}

fn check(path: &ObjectPath, when: Precondition, current: Option<u64>) -> PortResult<()> {
    match (when, current) {
        (Precondition::None, _) | (Precondition::Absent, None) => Ok(()),
        (Precondition::Generation(wanted), Some(current)) if wanted == current => Ok(()),
        (Precondition::Absent, Some(_)) => Err(PortError::conflict(format!("{path} exists already"))),
        (Precondition::Generation(wanted), Some(current)) => {
            Err(PortError::conflict(format!("{path} has generation {current}, not {wanted}")))
        }
        (Precondition::Generation(wanted), None) => {
            Err(PortError::conflict(format!("{path} is not there, so not in generation {wanted}")))
        }
    }
}

fn below_an_object(path: &ObjectPath) -> PortError {
    PortError::invalid(format!(
        "writing {path}: a part of its name is an object already, and a file system cannot have objects below an object"
    ))
}
