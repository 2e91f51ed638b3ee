//! What is done to a platform: uploads at odd moments, and the end of its process, alone or with its training programs.

use std::{
    fs,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use millstream_tests::up::{Project, Up};

use crate::random::Random;

/// The longest life of a process in milliseconds: an undisturbed platform is done with everything in about twice that.
const LONGEST_LIFE: usize = 1_500;

/// A kill counted in records waits for them no longer than this: there may be nothing left to record.
const PATIENCE: Duration = Duration::from_secs(2);

/// When a process is killed. Counted in milliseconds the moment is anywhere, most often in a start or a training; counted in
/// the ledger's records it is close to an effect, however fast the machine is.
#[derive(Debug, Clone, Copy)]
enum Moment {
    Milliseconds(usize),
    Records(usize),
}

impl Moment {
    fn any(random: &mut Random) -> Self {
        if random.happens(500) {
            Self::Milliseconds(random.below(LONGEST_LIFE))
        } else {
            Self::Records(1 + random.below(25))
        }
    }
}

/// Lets the platform live and die one to four times with uploads meanwhile, then makes the uploads that are left. Returns
/// all of them.
pub(crate) fn disturb(
    project: &Project,
    mut uploads: Vec<(String, Vec<u8>)>,
    random: &mut Random,
) -> Vec<(String, Vec<u8>)> {
    shuffle(&mut uploads, random);
    let lives = 1 + random.below(4);
    let mut left = uploads.as_slice();
    for _ in 0..lives {
        // At least one while there are some: without an upload nothing happens that a kill could interrupt.
        let share = (1 + random.below(uploads.len())).min(left.len());
        let (now, later) = left.split_at(share);
        left = later;
        live(project, now, random);
    }
    for (name, content) in left {
        put(project, name, content, random);
    }
    uploads
}

/// One life of a process.
fn live(project: &Project, uploads: &[(String, Vec<u8>)], random: &mut Random) {
    let moment = Moment::any(random);
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
            for (name, content) in uploads {
                put(project, name, content, random);
            }
            while records(project) < recorded + more && started.elapsed() < PATIENCE {
                std::thread::sleep(Duration::from_micros(500));
            }
        }
    }
    let with_training = random.happens(300);
    up.kill();
    if with_training {
        kill_training(project.path());
    }
}

fn pause_until(moment: Instant) {
    std::thread::sleep(moment.saturating_duration_since(Instant::now()));
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
    fn files(folder: &Path) -> usize {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        entries.map(|entry| if entry.path().is_dir() { files(&entry.path()) } else { 1 }).sum()
    }
    files(&project.bucket("ledger").join("runs"))
}

/// Kills what the platform has started and left behind: supervisors first, for one that sees its program killed records that
/// as the program's failure, which it then is. Without `/proc` none is found, and the round goes on without this kill.
fn kill_training(project: &Path) {
    let mark = project.as_os_str().as_encoded_bytes();
    let mentions = |file: String| {
        let text = fs::read(file).unwrap_or_default();
        text.windows(mark.len()).any(|window| window == mark).then_some(text)
    };
    let (mut supervisors, mut programs) = (Vec::new(), Vec::new());
    let ids = fs::read_dir("/proc").into_iter().flatten().flatten();
    for id in ids.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok()) {
        match mentions(format!("/proc/{id}/cmdline")) {
            Some(_) => supervisors.push(id),
            None if mentions(format!("/proc/{id}/environ")).is_some() => programs.push(id),
            None => {}
        }
    }
    for id in supervisors.into_iter().chain(programs) {
        // It may have ended by itself.
        let _ = Command::new("kill").args(["-9", &id.to_string()]).output();
    }
}

fn shuffle<T>(items: &mut [T], random: &mut Random) {
    for at in (1..items.len()).rev() {
        items.swap(at, random.below(at + 1));
    }
}
