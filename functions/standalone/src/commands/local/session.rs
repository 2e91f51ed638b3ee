//! A command's way to the operations: the running platform's, or a platform of the command's own for as long as it takes.

use std::{ops::Deref, sync::Arc};

use millstream_pipeline::{Pipelines, spec::Diagnostics};
use tokio::task::JoinSet;

use crate::{
    api::{Operations, client::Client, local::Local},
    platform::{
        Background, Platform,
        lock::{self, Claim},
    },
    project::Project,
    render,
};

/// The operations, however they are reached.
pub(crate) struct Session {
    operations: Box<dyn Operations>,
    own: Option<Own>,
}

struct Own {
    platform: Arc<Platform>,
    /// What goes on by itself; absent where questions are all that is asked.
    work: Option<JoinSet<()>>,
}

impl Deref for Session {
    type Target = dyn Operations;

    fn deref(&self) -> &Self::Target {
        &*self.operations
    }
}

impl Session {
    /// For questions: nothing is started by them. Pipelines with mistakes do not stand in their way.
    pub(crate) async fn to_read(project: Project) -> anyhow::Result<Self> {
        Self::open(project, |pipelines| {
            Ok(pipelines.unwrap_or_else(|mistakes| {
                render::note(&format!("the pipelines have {mistakes}; `millstream check` shows them"));
                Pipelines::default()
            }))
        })
        .await
    }

    /// For work: without a running platform it is done here, until [`Session::close`].
    pub(crate) async fn to_work(project: Project) -> anyhow::Result<Self> {
        let mut session = Self::open(project, |pipelines| Ok(pipelines?)).await?;
        if let Some(own) = &mut session.own {
            own.work = Some(own.platform.start(Background::Sweep).await?);
        }
        Ok(session)
    }

    async fn open(
        project: Project,
        usable: impl FnOnce(Result<Pipelines, Diagnostics>) -> anyhow::Result<Pipelines>,
    ) -> anyhow::Result<Self> {
        match lock::claim(&project.settings.data_dir)? {
            Claim::Running(address) => Ok(Self { operations: Box::new(Client::new(address)), own: None }),
            Claim::Ours(lock) => {
                let pipelines = usable(project.load_pipelines())?;
                let platform = Arc::new(Platform::open(project, pipelines, lock).await?);
                let operations = Box::new(Local(platform.clone()));
                Ok(Self { operations, own: Some(Own { platform, work: None }) })
            }
        }
    }

    /// Whether the work is done in this process: when it ends, nobody goes on with it.
    pub(crate) fn works_here(&self) -> bool {
        self.own.is_some()
    }

    /// Ends a platform of the command's own. One that did not work has nothing to end: a training that a killed platform left
    /// goes on.
    pub(crate) async fn close(self) -> anyhow::Result<()> {
        match self.own {
            Some(Own { platform, work: Some(tasks) }) => platform.stop(tasks).await,
            _ => Ok(()),
        }
    }
}
