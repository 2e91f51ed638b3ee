//! Tells of the files that people put into a bucket's folder, as soon as they are complete.
//!
//! On Linux a file is complete when its writer closes it or when it is moved in whole. Where the operating system does not say
//! (macOS, a file linked in), it is complete when its size and time are the same in two looks. Events may be lost: a full
//! queue ends in a scan of the whole bucket, and the platform's own sweep scans from time to time. So an object may be told
//! of twice, which its generation shows.

use std::{
    collections::HashMap,
    ffi::OsString,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

use millstream_ports::{ObjectMeta, PortError, PortResult};
use notify::{
    Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _,
    event::{AccessKind, AccessMode, CreateKind, ModifyKind, RenameMode},
};
use tokio::sync::mpsc;

use super::{
    LocalObjectStore,
    disk::Disk,
    scan::{Look, Refused, is_ignored, look},
    walk,
};
use crate::blocking::blocking;

/// Events and arrivals that wait; more of them end in a scan.
const QUEUE: usize = 1_024;

/// Something arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Arrival {
    /// A complete object.
    Object(ObjectMeta),
    /// A file that cannot be one.
    Refused(Refused),
}

/// Watches one bucket until it is dropped.
#[derive(Debug)]
pub struct Watcher {
    arrivals: mpsc::Receiver<Arrival>,
    _events: RecommendedWatcher,
}

impl Watcher {
    /// Watches `bucket`, whose folder is created where it is not there. `quiet` is the time between the two looks. Must be
    /// called within a Tokio runtime.
    pub async fn start(store: &LocalObjectStore, bucket: &str, quiet: Duration) -> PortResult<Self> {
        let folder = store.bucket_folder(bucket).await?;
        let (told, events) = mpsc::channel(QUEUE);
        let missed = Arc::new(AtomicBool::new(false));
        let cannot = |error| PortError::unavailable(format!("cannot watch gs://{bucket}")).caused_by(error);
        let handler = {
            let missed = missed.clone();
            move |event: notify::Result<Event>| {
                let is_told = match event {
                    Ok(event) if event.need_rescan() => false,
                    Ok(event) => told.try_send(event).is_ok(),
                    Err(_) => false,
                };
                if !is_told {
                    missed.store(true, Ordering::Release);
                }
            }
        };
        let mut watcher = notify::recommended_watcher(handler).map_err(cannot)?;
        watcher.watch(&folder, RecursiveMode::Recursive).map_err(cannot)?;
        let (sender, arrivals) = mpsc::channel(QUEUE);
        let sorter = Sorter {
            disk: store.disk.clone(),
            bucket: bucket.to_owned(),
            folder,
            waiting: HashMap::new(),
            new_folders: Vec::new(),
        };
        tokio::spawn(sorter.run(events, missed, quiet, sender));
        Ok(Self { arrivals, _events: watcher })
    }

    /// The next arrival; `None` never comes while the runtime lives.
    pub async fn next(&mut self) -> Option<Arrival> {
        self.arrivals.recv().await
    }
}

/// What a waiting file looked like last; `None` before the first look.
type LastLook = Option<(u64, SystemTime)>;

/// Turns events into arrivals.
struct Sorter {
    disk: Arc<Disk>,
    bucket: String,
    folder: PathBuf,
    waiting: HashMap<OsString, LastLook>,
    /// Folders that came, and how many looks they are still walked at.
    new_folders: Vec<(OsString, u8)>,
}

/// What an event says of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Says {
    Complete,
    Changed,
    FolderCame,
    Nothing,
}

impl Sorter {
    async fn run(
        mut self,
        mut events: mpsc::Receiver<Event>,
        missed: Arc<AtomicBool>,
        quiet: Duration,
        arrivals: mpsc::Sender<Arrival>,
    ) {
        let mut looks = tokio::time::interval(quiet.max(Duration::from_millis(1)));
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let complete = tokio::select! {
                event = events.recv() => match event {
                    Some(event) => self.hear(&event).await,
                    None => return,
                },
                _ = looks.tick() => {
                    if missed.swap(false, Ordering::AcqRel) {
                        self.wait_for_all_below(OsString::new()).await;
                    }
                    // A folder is watched a moment after it is told of, and what came in between is told of by nothing. Two
                    // looks, because the first may come at once.
                    for (folder, looks) in std::mem::take(&mut self.new_folders) {
                        if looks > 1 {
                            self.new_folders.push((folder.clone(), looks - 1));
                        }
                        self.wait_for_all_below(folder).await;
                    }
                    self.look_again().await
                }
            };
            for arrival in self.describe(complete).await {
                if arrivals.send(arrival).await.is_err() {
                    return;
                }
            }
        }
    }

    /// Notes what an event says; returns the files that are complete by it.
    async fn hear(&mut self, event: &Event) -> Vec<OsString> {
        let mut complete = Vec::new();
        for path in &event.paths {
            let Some(name) = name_in(&self.folder, path) else { continue };
            match meaning(&event.kind, path) {
                Says::Complete => {
                    self.waiting.remove(&name);
                    complete.push(name);
                }
                Says::Changed => {
                    self.waiting.entry(name).or_default();
                }
                // Files may have got into it before it was watched.
                Says::FolderCame => {
                    self.wait_for_all_below(name.clone()).await;
                    self.new_folders.push((name, 2));
                }
                Says::Nothing => {}
            }
        }
        complete
    }

    async fn wait_for_all_below(&mut self, folder: OsString) {
        let bucket = self.folder.clone();
        let prefix = match folder.into_string() {
            Ok(folder) if folder.is_empty() => folder,
            Ok(folder) => folder + "/",
            Err(_) => String::new(),
        };
        // What cannot be read now is found by the sweep.
        let names = blocking(move || Ok(walk::files(&bucket, &prefix).unwrap_or_default())).await.unwrap_or_default();
        for name in names {
            if !is_ignored(&name.to_string_lossy()) {
                self.waiting.entry(name).or_default();
            }
        }
    }

    /// Looks at the waiting files; returns those that have not changed since the last look.
    async fn look_again(&mut self) -> Vec<OsString> {
        if self.waiting.is_empty() {
            return Vec::new();
        }
        let (folder, waiting) = (self.folder.clone(), std::mem::take(&mut self.waiting));
        let looked = blocking(move || {
            let state = |name: &OsString| {
                let metadata = std::fs::metadata(folder.join(name)).ok().filter(std::fs::Metadata::is_file)?;
                Some((metadata.len(), metadata.modified().ok()?))
            };
            Ok(waiting.into_iter().filter_map(|(name, last)| Some((state(&name)?, name, last))).collect::<Vec<_>>())
        })
        .await
        .unwrap_or_default();
        let mut complete = Vec::new();
        for (now, name, last) in looked {
            if last == Some(now) {
                complete.push(name);
            } else {
                self.waiting.insert(name, Some(now));
            }
        }
        complete
    }

    async fn describe(&self, names: Vec<OsString>) -> Vec<Arrival> {
        if names.is_empty() {
            return Vec::new();
        }
        let (disk, bucket, folder) = (self.disk.clone(), self.bucket.clone(), self.folder.clone());
        let describe = move || {
            let arrivals = names.into_iter().filter_map(|name| match look(&disk, &bucket, &name) {
                Look::Object(meta) => Some(Arrival::Object(meta)),
                Look::Refused(reason) => Some(Arrival::Refused(Refused { file: folder.join(name), reason })),
                Look::NotNow => None,
            });
            Ok(arrivals.collect())
        };
        blocking(describe).await.unwrap_or_default()
    }
}

fn name_in(folder: &Path, path: &Path) -> Option<OsString> {
    let name = path.strip_prefix(folder).ok()?;
    (!name.as_os_str().is_empty() && !is_ignored(&name.to_string_lossy())).then(|| name.as_os_str().to_owned())
}

fn meaning(kind: &EventKind, path: &Path) -> Says {
    match kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => Says::Complete,
        EventKind::Modify(ModifyKind::Name(RenameMode::To | RenameMode::Both | RenameMode::Any)) if path.is_dir() => {
            Says::FolderCame
        }
        EventKind::Modify(ModifyKind::Name(RenameMode::To)) => Says::Complete,
        EventKind::Create(CreateKind::Folder) => Says::FolderCame,
        EventKind::Create(_) | EventKind::Modify(ModifyKind::Data(_) | ModifyKind::Any | ModifyKind::Name(_)) => {
            Says::Changed
        }
        // A new mode, owner or time is no new content; a removed file is no arrival.
        _ => Says::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_complete_when_its_writer_closes_it_and_not_before() {
        let path = Path::new("/data/landing/a.csv");
        assert_eq!(meaning(&EventKind::Create(CreateKind::File), path), Says::Changed);
        assert_eq!(meaning(&EventKind::Access(AccessKind::Close(AccessMode::Read)), path), Says::Nothing);
        assert_eq!(meaning(&EventKind::Access(AccessKind::Close(AccessMode::Write)), path), Says::Complete);
        assert_eq!(meaning(&EventKind::Modify(ModifyKind::Name(RenameMode::To)), path), Says::Complete);
    }

    #[test]
    fn hidden_and_unfinished_files_are_not_told_of() {
        let folder = Path::new("/data/landing");
        for name in [".a.csv.Xy12", "fraud/.git/config", "a.csv.part", "a.csv~", "b.tmp"] {
            assert_eq!(name_in(folder, &folder.join(name)), None, "{name}");
        }
        assert_eq!(name_in(folder, &folder.join("fraud/a.csv")), Some("fraud/a.csv".into()));
    }
}
