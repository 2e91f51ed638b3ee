//! The supervisor: a process that runs one training program and writes down how it ended.
//!
//! In: a job's folder with its `job.json`, and the job's lock as the standard input. Out: `log.txt` and `exit.json`; no
//! `exit.json` when it was told to stop for the platform's own end, since the job is then lost and not over.

use std::{
    fs::{File, OpenOptions},
    io::{self, PipeReader, Read, Write},
    os::unix::{fs::MetadataExt, process::ExitStatusExt},
    path::Path,
    process::{ExitCode, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use millstream_ports::{PortError, PortResult};
use nix::{
    sys::signal::{Signal, killpg},
    unistd::{Pid, setsid},
};
use tokio::{
    process::{Child, Command},
    signal::unix::{SignalKind, signal},
    sync::oneshot,
};

use super::{
    GRACE,
    folder::{Hold, JobFolder},
    processes::kill_all_of,
    state::{Exit, How, ProgramFile},
};
use crate::objects::io_error;

/// More of a program's output is not kept.
const LOG_LIMIT: u64 = 64 << 20;

/// How long the last output of a program that has ended is waited for.
const LAST_OUTPUT: Duration = Duration::from_secs(5);

/// Supervises the job in `job_dir` to its end. The hidden subcommand `supervise` of the program is this call and no more.
#[must_use]
pub fn supervise(job_dir: &Path) -> ExitCode {
    match try_supervise(job_dir) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Its standard error is the job's supervisor.txt; there is nobody to tell if that cannot be written.
            let _ = writeln!(io::stderr(), "cannot supervise {}: {error}", job_dir.display());
            ExitCode::FAILURE
        }
    }
}

fn try_supervise(job_dir: &Path) -> PortResult<()> {
    // Out of the terminal's session: neither its Ctrl-C nor its end is meant for a training. It fails where this process
    // leads one already, which is as good.
    let _ = setsid();
    let folder = JobFolder::at(job_dir).map_err(|error| io_error("opening the job's folder", error))?;
    let _lock = lock(&folder)?;
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| io_error("starting the runtime", error))?
        .block_on(run(&folder))
}

/// Makes sure that the lock is held: as the standard input, or else by a file of our own.
fn lock(folder: &JobFolder) -> PortResult<Option<File>> {
    let failed = |error| io_error("opening the job's lock", error);
    let inode = |file: &File| file.metadata().map(|metadata| (metadata.dev(), metadata.ino()));
    let expected = inode(&folder.open_lock().map_err(failed)?).map_err(failed)?;
    let handed_over = std::os::fd::AsFd::as_fd(&io::stdin()).try_clone_to_owned().map(File::from);
    if handed_over.and_then(|file| inode(&file)).is_ok_and(|found| found == expected) {
        return Ok(None);
    }
    match folder.hold()? {
        Hold::Ours(file) => Ok(Some(file)),
        Hold::Taken => Err(PortError::conflict("the job has a supervisor already")),
    }
}

async fn run(folder: &JobFolder) -> PortResult<()> {
    // Listen, then say who listens, then look for what was said before.
    let mut told_to_stop = signal(SignalKind::terminate()).map_err(|error| io_error("listening", error))?;
    folder.write_supervisor(i32::try_from(std::process::id()).unwrap_or(i32::MAX))?;
    let program = folder.program()?;
    let started = Instant::now();
    let how = if folder.is_cancelled() {
        Some(How::Cancelled)
    } else {
        run_program(folder, &program, async move {
            told_to_stop.recv().await;
        })
        .await?
    };
    match how {
        Some(how) => folder.write_exit(&Exit { how, seconds: started.elapsed().as_secs_f64() }),
        None => Ok(()),
    }
}

/// Runs the program to its end; `None` when that came because the platform stops.
async fn run_program(
    folder: &JobFolder,
    program: &ProgramFile,
    told_to_stop: impl Future<Output = ()>,
) -> PortResult<Option<How>> {
    let (reader, writer) = io::pipe().map_err(|error| io_error("opening a pipe", error))?;
    let output = keep_output(reader, folder)?;
    let mut child = match spawn(program, writer) {
        Ok(child) => child,
        Err(error) => {
            let name = program.argv.first().map_or("", String::as_str);
            let folder = program.folder.display();
            return Ok(Some(How::NotStarted(format!(
                "cannot start {name:?} in {folder}: {error}; check that it is installed, executable and found on PATH"
            ))));
        }
    };
    let group = child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw);
    let wall = Duration::from_secs(program.wall_seconds);
    let how = tokio::select! {
        status = child.wait() => Some(ended(status.map_err(|error| io_error("waiting for the program", error))?)),
        () = tokio::time::sleep(wall) => {
            stop(&mut child, group).await;
            Some(How::Wall(program.wall_seconds))
        }
        () = told_to_stop => {
            stop(&mut child, group).await;
            folder.is_cancelled().then_some(How::Cancelled)
        }
    };
    // The job is over with its main process: what that left running would write into a folder that is no longer its own.
    if let Some(group) = group {
        let _ = killpg(group, Signal::SIGKILL);
    }
    kill_all_of(folder);
    let _ = tokio::time::timeout(LAST_OUTPUT, output).await;
    Ok(how)
}

fn spawn(program: &ProgramFile, output: io::PipeWriter) -> io::Result<Child> {
    let [name, arguments @ ..] = program.argv.as_slice() else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the command is empty"));
    };
    let secrets = program.secrets.iter().filter_map(|variable| Some((variable, std::env::var_os(variable)?)));
    Command::new(name)
        .args(arguments)
        .env_clear()
        .envs(&program.env)
        .envs(secrets)
        .current_dir(&program.folder)
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output)
        .spawn()
}

/// Asks the program's process group to end, then makes it.
async fn stop(child: &mut Child, group: Option<Pid>) {
    if let Some(group) = group {
        let _ = killpg(group, Signal::SIGTERM);
    }
    if tokio::time::timeout(GRACE, child.wait()).await.is_err() {
        if let Some(group) = group {
            let _ = killpg(group, Signal::SIGKILL);
        }
        let _ = child.wait().await;
    }
}

fn ended(status: ExitStatus) -> How {
    match (status.code(), status.signal()) {
        (Some(code), _) => How::Code(code),
        (None, signal) => How::Signal(signal.unwrap_or_default()),
    }
}

/// Copies the program's output to the log on a thread of its own; the receiver hears when all writers are gone.
fn keep_output(mut output: PipeReader, folder: &JobFolder) -> PortResult<oneshot::Receiver<()>> {
    let failed = |error| io_error("writing the job's log", error);
    let path = folder.log();
    let mut log = OpenOptions::new().create(true).append(true).open(&path).map_err(failed)?;
    let mut kept = log.metadata().map_err(failed)?.len();
    if kept > 0 {
        log.write_all(b"--- the job was lost and starts again ---\n").map_err(failed)?;
    }
    let (done, receiver) = oneshot::channel();
    std::thread::spawn(move || {
        let mut buffer = vec![0; 64 << 10];
        // Read to the end even when nothing more is kept: a full pipe would stop the program.
        while let Ok(read @ 1..) = output.read(&mut buffer) {
            if kept >= LOG_LIMIT {
                continue;
            }
            kept += read as u64;
            let written = log.write_all(&buffer[..read]);
            if written.is_ok() && kept >= LOG_LIMIT {
                let _ = writeln!(log, "\n--- the log is cut here: it has {} MiB ---", LOG_LIMIT >> 20);
            }
        }
        let _ = done.send(());
    });
    Ok(receiver)
}
