//! Training as child processes.
//!
//! In: [`TrainingJob`]s. Out: their states, and the files of the models in the object store. Each job has a folder of its own
//! and a small supervisor process, the same program again, which outlives this one: it runs the training program, keeps its
//! log, ends it at its wall limit and writes down how it ended. Whoever calls [`Trainer::ensure`] next reads that, so the
//! end of the platform's process at any point loses no training.
//!
//! The supervisor holds a lock on the job's folder, taken before it is started and inherited by it. A free lock without a
//! written end therefore means exactly one thing: the supervisor is gone and the job is lost.

mod environment;
mod folder;
mod processes;
mod publish;
mod state;
mod supervisor;

use std::{
    collections::HashMap,
    ffi::OsString,
    fs::{self, File},
    path::PathBuf,
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use millstream_ports::{ObjectStore, PortError, PortResult, Secrets, Trainer, TrainingJob, TrainingState};

pub use self::supervisor::supervise;
use self::{
    folder::{Hold, JobFolder},
    state::{Ended, Exit},
};
use crate::{blocking::blocking, objects::io_error};

/// How long a program that is told to end has before it is killed.
const GRACE: Duration = Duration::from_secs(10);

/// The pause between two looks at programs that are ending.
const PAUSE: Duration = Duration::from_millis(50);

/// How training programs are run.
#[derive(Debug, Clone)]
pub struct TrainerSettings {
    /// The supervisor's program and first arguments; the job's folder is added. It has to call [`supervise`].
    pub supervisor: Vec<OsString>,
    /// The built-in recipe's program and first arguments.
    pub tabular: Vec<OsString>,
    /// The folder that programs run in: the project's.
    pub project_dir: PathBuf,
    /// Where the jobs' folders are.
    pub jobs_dir: PathBuf,
    /// How many jobs run at once; others wait and are started by a later `ensure`.
    pub max_running: usize,
}

/// A [`Trainer`] that runs programs on this machine.
#[derive(Debug, Clone)]
pub struct ProcessTrainer {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    store: Arc<dyn ObjectStore>,
    secrets: Arc<dyn Secrets>,
    settings: TrainerSettings,
    /// One lock a job, so that calls for one job come one after the other.
    jobs: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
    /// Counting what runs and starting one more is one step.
    starting: tokio::sync::Mutex<()>,
}

impl ProcessTrainer {
    /// A trainer that reads its rows from `store`, keeps models there, and finds in `secrets` what jobs refer to.
    pub fn new(
        store: Arc<dyn ObjectStore>,
        secrets: Arc<dyn Secrets>,
        mut settings: TrainerSettings,
    ) -> PortResult<Self> {
        for folder in [&mut settings.jobs_dir, &mut settings.project_dir] {
            let opened = fs::create_dir_all(&*folder).and_then(|()| folder.canonicalize());
            *folder = opened.map_err(|error| io_error(format!("opening {}", folder.display()), error))?;
        }
        let shared =
            Shared { store, secrets, settings, jobs: Mutex::default(), starting: tokio::sync::Mutex::default() };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Ends what runs, for a clean stop. The jobs are lost, not failed: the next `ensure` starts them again.
    pub async fn shutdown(&self) -> PortResult<()> {
        let folders = JobFolder::all(&self.shared.settings.jobs_dir)?;
        let mut running = Vec::new();
        for folder in folders {
            if folder.is_running()? {
                folder.terminate()?;
                running.push(folder);
            }
        }
        // A supervisor waits as long for its program; past that it is stuck itself.
        let patience = GRACE + Duration::from_secs(5);
        let all_gone = async {
            while running.iter().any(|folder| folder.is_running().unwrap_or(false)) {
                tokio::time::sleep(PAUSE).await;
            }
        };
        tokio::time::timeout(patience, all_gone)
            .await
            .map_err(|_| PortError::unavailable("some training programs do not end; look for them with `ps`"))
    }

    fn folder(&self, job: &str) -> PortResult<JobFolder> {
        JobFolder::new(&self.shared.settings.jobs_dir, job)
    }

    async fn exclusive(&self, job: &str) -> tokio::sync::OwnedMutexGuard<()> {
        let lock = {
            let mut jobs = self.shared.jobs.lock().unwrap_or_else(PoisonError::into_inner);
            // A lock that nobody else has is not needed any more.
            jobs.retain(|_, lock| Arc::strong_count(lock) > 1);
            jobs.entry(job.to_owned()).or_default().clone()
        };
        lock.lock_owned().await
    }

    /// Starts a job whose lock is `hold`, unless enough others run; when it was started.
    async fn start(
        &self,
        job: &str,
        training: &TrainingJob,
        folder: JobFolder,
        hold: File,
    ) -> PortResult<Option<DateTime<Utc>>> {
        let _one_at_a_time = self.shared.starting.lock().await;
        let this = self.clone();
        let cleared = blocking(move || {
            let settings = &this.shared.settings;
            let others = JobFolder::all(&settings.jobs_dir)?.into_iter().filter(|other| other.path() != folder.path());
            let mut running = 0;
            for other in others {
                running += usize::from(other.is_running()?);
            }
            if running >= settings.max_running {
                return Ok(None);
            }
            folder.clear_for_start()?;
            Ok(Some(folder))
        })
        .await?;
        let Some(folder) = cleared else { return Ok(None) };
        let rows = environment::rows(&*self.shared.store, training, &folder).await?;
        let secrets = environment::secrets(&*self.shared.secrets, training).await?;
        let this = self.clone();
        let (job, training) = (job.to_owned(), training.clone());
        let folder = blocking(move || {
            let program = environment::program(&this.shared.settings, &training, &rows, &folder)?;
            folder.write_program(&program)?;
            tracing::info!(job, model = %training.model, program = ?program.argv.first(), "training starts");
            Ok(folder)
        })
        .await?;
        let [program, arguments @ ..] = self.shared.settings.supervisor.as_slice() else {
            return Err(PortError::invalid("the trainer's settings name no supervisor program"));
        };
        let mut command = tokio::process::Command::new(program);
        command.args(arguments).arg(folder.path());
        command.env_clear().envs(environment::inherited()).envs(secrets);
        // The lock goes over as the standard input: it is never free in between, and free as soon as the supervisor is gone.
        command.stdin(Stdio::from(hold)).stdout(Stdio::null()).stderr(Stdio::from(folder.supervisor_log()?));
        // Tokio reaps the process when it ends, also after this handle is gone.
        let spawned = command.spawn().map(drop);
        spawned.map_err(|error| io_error(format!("starting the supervisor {}", program.display()), error))?;
        Ok(folder.started())
    }

    async fn finish(&self, training: &TrainingJob, folder: JobFolder, exit: Exit) -> PortResult<TrainingState> {
        let ended = publish::finish(self.shared.store.clone(), training, &folder, exit).await?;
        let state = ended.clone().into();
        blocking(move || folder.close(&ended)).await?;
        Ok(state)
    }
}

/// What a look into a job's folder shows.
enum Found {
    Closed(Ended),
    Ended(Exit),
    /// Since then.
    Running(Option<DateTime<Utc>>),
    /// Not started yet, or lost: the lock is ours.
    Free(File),
}

fn look(folder: &JobFolder) -> PortResult<Found> {
    if let Some(ended) = folder.closed()? {
        return Ok(Found::Closed(ended));
    }
    folder.create()?;
    match folder.hold()? {
        Hold::Taken => Ok(Found::Running(folder.started())),
        Hold::Ours(lock) => match folder.exit()? {
            Some(exit) => Ok(Found::Ended(exit)),
            None if folder.is_cancelled() => Ok(Found::Ended(Exit::cancelled())),
            None => Ok(Found::Free(lock)),
        },
    }
}

#[async_trait]
impl Trainer for ProcessTrainer {
    async fn ensure(&self, job: &str, training: &TrainingJob) -> PortResult<TrainingState> {
        let folder = self.folder(job)?;
        let _exclusive = self.exclusive(job).await;
        let (folder, found) = blocking(move || look(&folder).map(|found| (folder, found))).await?;
        match found {
            Found::Closed(ended) => Ok(ended.into()),
            Found::Ended(exit) => self.finish(training, folder, exit).await,
            Found::Running(since) => Ok(TrainingState::Running { since }),
            Found::Free(hold) => {
                let since = self.start(job, training, folder, hold).await?;
                Ok(TrainingState::Running { since })
            }
        }
    }

    async fn cancel(&self, job: &str) -> PortResult<()> {
        let folder = self.folder(job)?;
        let _exclusive = self.exclusive(job).await;
        blocking(move || {
            if !folder.exists() || folder.closed()?.is_some() || folder.exit()?.is_some() {
                return Ok(());
            }
            // The mark first: a supervisor that has not come to listen yet reads it, and so does the next ensure.
            folder.mark_cancelled()?;
            if folder.is_running()? { folder.terminate() } else { Ok(()) }
        })
        .await
    }

    async fn log(&self, job: &str, limit: usize) -> PortResult<String> {
        let folder = self.folder(job)?;
        let job = job.to_owned();
        blocking(move || {
            if !folder.exists() {
                return Err(PortError::not_found(format!("there is no training job {job}")));
            }
            folder.log_tail(limit)
        })
        .await
    }
}
