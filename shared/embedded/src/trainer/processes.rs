//! Finding and ending every process of a job, also those that left its process group.

use std::os::unix::ffi::OsStrExt;

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use super::folder::JobFolder;

/// A process may start another while it is looked for; that one is found in the next round.
const ROUNDS: usize = 20;

/// Kills every process that has the job's model folder in its environment: the program, and whatever it started. Where the
/// operating system has no `/proc` nothing is found, and only the process group is ended.
pub(super) fn kill_all_of(folder: &JobFolder) {
    for _ in 0..ROUNDS {
        let processes = find(folder);
        if processes.is_empty() {
            return;
        }
        for process in processes {
            // It may have ended by itself.
            let _ = kill(process, Signal::SIGKILL);
        }
    }
}

fn find(folder: &JobFolder) -> Vec<Pid> {
    let model = folder.model();
    let mark = [b"AIP_MODEL_DIR=", model.as_os_str().as_bytes()].concat();
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let ids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    ids.filter(|id| {
        // Other users' processes cannot be read, and are not ours.
        let environment = std::fs::read(format!("/proc/{id}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|variable| variable == mark)
    })
    .map(Pid::from_raw)
    .collect()
}
