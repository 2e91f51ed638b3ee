//! What is done to a platform: uploads at odd moments, and the end of its process, alone or with its training programs.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use millstream_tests::up::{Project, Up};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::random::Random;

/// The longest life of a process in milliseconds: an undisturbed platform is done with everything in about twice that.
const LONGEST_LIFE: usize = 1_500;

/// A kill that waits for something to happen waits no longer than this: there may be nothing left to happen.
const PATIENCE: Duration = Duration::from_secs(5);

/// When a process is killed.
#[derive(Debug, Clone, Copy)]
enum Moment {
    /// Anywhere, most often in a start or a training.
    Milliseconds(usize),
    /// Close to an effect, however fast the machine is: when the ledger has so many records more.
    Records(usize),
    /// So many milliseconds after a training has begun.
    Training(usize),
}

impl Moment {
    fn any(random: &mut Random) -> Self {
        match random.below(5) {
            0 | 1 => Self::Milliseconds(random.below(LONGEST_LIFE)),
            2 | 3 => Self::Records(1 + random.below(25)),
            _ => Self::Training(random.below(60)),
        }
    }
}

/// How a platform was killed.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Kills {
    /// How often.
    pub(crate) all: usize,
    /// How often while a run was open.
    pub(crate) at_work: usize,
    /// How often training programs went with it.
    pub(crate) with_training: usize,
}

/// Lets the platform live and die one to four times with uploads meanwhile, then makes the uploads that are left.
pub(crate) fn disturb(project: &Project, uploads: &mut [(String, Vec<u8>)], random: &mut Random) -> Kills {
    shuffle(uploads, random);
    let mut kills = Kills::default();
    let lives = 1 + random.below(4);
    let mut left = &*uploads;
    for _ in 0..lives {
        // At least one while there are some: without an upload nothing happens that a kill could interrupt.
        let share = (1 + random.below(uploads.len())).min(left.len());
        let (now, later) = left.split_at(share);
        left = later;
        live(project, now, random, &mut kills);
    }
    put_all(project, left, random);
    kills
}

/// One life of a process.
fn live(project: &Project, uploads: &[(String, Vec<u8>)], random: &mut Random, kills: &mut Kills) {
    let moment = Moment::any(random);
    let with_training = random.happens(500);
    let recorded = records(project);
    let up = Up::start(project);
    let started = Instant::now();
    match moment {
        Moment::Milliseconds(life) => {
            let mut moments: Vec<usize> = uploads.iter().map(|_| random.below(life)).collect();
            moments.sort_unstable();
            let mut waiting = moments.into_iter().zip(uploads);
            // Random moments are what these pauses are for; nothing is expected to have happened after them.
            for (at, (name, content)) in &mut waiting {
                pause_until(started + Duration::from_millis(at as u64));
                put(project, name, content, random);
            }
            pause_until(started + Duration::from_millis(life as u64));
        }
        Moment::Records(more) => {
            put_all(project, uploads, random);
            wait_until(started, || records(project) >= recorded + more);
        }
        Moment::Training(later) => {
            put_all(project, uploads, random);
            // Where no upload leads to a training yet, or it has ended, there is none to wait for.
            let is_to_come = project.bucket("landing").join("iris.csv").exists() && !has_trained(project);
            wait_until(started, || !is_to_come || is_training(project));
            pause_until(Instant::now() + Duration::from_millis(later as u64));
        }
    }
    up.kill();
    kills.all += 1;
    kills.at_work += usize::from(files(&project.bucket("ledger").join("open")) > 0);
    if with_training {
        kills.with_training += usize::from(kill_training(project.path()));
    }
}

fn pause_until(moment: Instant) {
    std::thread::sleep(moment.saturating_duration_since(Instant::now()));
}

fn wait_until(started: Instant, is_so: impl Fn() -> bool) {
    while !is_so() && started.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_micros(500));
    }
}

fn put_all(project: &Project, uploads: &[(String, Vec<u8>)], random: &mut Random) {
    for (name, content) in uploads {
        put(project, name, content, random);
    }
}

/// An upload as programs make it: moved in whole, or written in place.
fn put(project: &Project, name: &str, content: &[u8], random: &mut Random) {
    if random.happens(500) {
        project.upload(name, content);
    } else {
        let object = project.bucket("landing").join(name);
        fs::create_dir_all(object.parent().unwrap()).unwrap();
        fs::write(object, content).unwrap();
    }
}

/// How many records the ledger has.
fn records(project: &Project) -> usize {
    files(&project.bucket("ledger").join("runs"))
}

/// Whether a training's supervisor was started and has not written down an end.
fn is_training(project: &Project) -> bool {
    jobs(project).any(|job| job.join("supervisor.json").exists() && !job.join("exit.json").exists())
}

fn has_trained(project: &Project) -> bool {
    jobs(project).any(|job| job.join("exit.json").exists())
}

fn jobs(project: &Project) -> impl Iterator<Item = PathBuf> {
    fs::read_dir(project.path().join("data/jobs")).into_iter().flatten().flatten().map(|job| job.path())
}

/// How many files are below a folder, which may not be there yet.
fn files(folder: &Path) -> usize {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| if entry.path().is_dir() { files(&entry.path()) } else { 1 }).sum()
}

/// Kills what the platform has started and left behind: supervisors first, for one that sees its program killed records that
/// as the program's failure, which it then is. Says whether there was anything; without `/proc` nothing is found.
fn kill_training(project: &Path) -> bool {
    let mark = project.as_os_str().as_encoded_bytes();
    let mentions = |file: String| {
        let text = fs::read(file).unwrap_or_default();
        text.windows(mark.len()).any(|window| window == mark).then_some(text)
    };
    let (mut supervisors, mut programs) = (Vec::new(), Vec::new());
    let ids = fs::read_dir("/proc").into_iter().flatten().flatten();
    for id in ids.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok()) {
        match mentions(format!("/proc/{id}/cmdline")) {
            Some(_) => supervisors.push(id),
            None if mentions(format!("/proc/{id}/environ")).is_some() => programs.push(id),
            None => {}
        }
    }
    let found = !supervisors.is_empty();
    for id in supervisors.into_iter().chain(programs) {
        // It may have ended by itself.
        let _ = kill(Pid::from_raw(id), Signal::SIGKILL);
    }
    found
}

fn shuffle<T>(items: &mut [T], random: &mut Random) {
    for at in (1..items.len()).rev() {
        items.swap(at, random.below(at + 1));
    }
}
