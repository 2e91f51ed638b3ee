//! Ensures an uploaded object's good rows are a Parquet batch and its bad rows are in quarantine.
//!
//! Consumes `dev.millstream.ingest.requested.v1`; emits `dev.millstream.batch.ingested.v1`.

mod account;
mod files;

use std::{io, path::PathBuf, sync::Arc};

use async_trait::async_trait;
use millstream_events::{
    Command,
    fact::Outcome,
    names::ObjectPath,
    work::{self, WorkKind},
};
use millstream_ports::{ErrorKind, ObjectStore, ObjectStoreExt, PortError, PortResult, Precondition, optional};
use millstream_runtime::{
    Failure, Function, Progress,
    declaration::{Bucket, Declaration, Size, Touch},
};
use millstream_tabular::{IngestError, IngestRequest, Input, Limits, Report};

use crate::{account::Account, files::Scratch};

/// An account is a list of columns and of reasons: thousands of columns fit.
const ACCOUNT_LIMIT: u64 = 16 << 20;

/// What a deployment derives from.
pub const DECLARATION: Declaration = Declaration {
    name: <IngestFile as Function>::NAME,
    consumes: &[<work::IngestFile as WorkKind>::TYPE],
    emits: &["dev.millstream.batch.ingested.v1", "dev.millstream.step.failed.v1", "dev.millstream.step.deferred.v1"],
    touches: &[Touch::Reads(Bucket::Landing), Touch::Writes(Bucket::Lake), Touch::Publishes],
    size: Size {
        cpu: "2",
        memory: "2Gi",
        concurrency: 2,
        timeout_seconds: 60,
        max_instances: 40,
        between_requests: false,
    },
};

/// `ingest-file`: the account beside the batch says that it is done.
#[derive(Debug)]
pub struct IngestFile {
    store: Arc<dyn ObjectStore>,
    limits: Limits,
    scratch: PathBuf,
}

impl IngestFile {
    /// Reads from and writes to `store`. A batch grows in the folder `scratch` until it is whole: have room there for the
    /// largest upload's batch and quarantine.
    pub fn new(store: Arc<dyn ObjectStore>, limits: Limits, scratch: impl Into<PathBuf>) -> Self {
        Self { store, limits, scratch: scratch.into() }
    }

    async fn known(&self, account: &ObjectPath) -> Result<Option<Account>, Failure> {
        let Some(json) = optional(self.store.read(account, ACCOUNT_LIMIT).await)? else { return Ok(None) };
        let known = serde_json::from_slice(&json)
            .map_err(|error| PortError::internal(format!("{account} is no ingest's account")).caused_by(error))?;
        Ok(Some(known))
    }

    /// The generation under which the content that the command is about stands: its own, or that of the same bytes uploaded
    /// again.
    async fn generation(&self, work: &work::IngestFile) -> Result<u64, Failure> {
        match optional(self.store.stat(&work.object).await)? {
            Some(meta) if (meta.size, meta.crc32c) == (work.size, work.crc32c) => Ok(meta.generation),
            Some(_) => Err(Failure::permanent(format!(
                "{} was replaced before it was read; the newer upload has a step of its own",
                work.object
            ))),
            None => Err(Failure::permanent(format!("{} was deleted before it was read; upload it again", work.object))),
        }
    }

    async fn ingest(&self, work: &work::IngestFile) -> Result<Account, Failure> {
        let generation = self.generation(work).await?;
        let input = match files::open(&*self.store, &work.object, generation).await {
            // Replaced or deleted since the check; the next delivery's check says which.
            Err(error) if error.kind() == ErrorKind::NotFound => return Err(changed(work).into()),
            input => input?,
        };
        let (ingested, scratch) = self.convert(work.clone(), input).await?;
        // A file that was written over while it was read may be half of each.
        match self.generation(work).await {
            Ok(now) if now == generation => {}
            Ok(_) | Err(Failure::Permanent(_)) => return Err(changed(work).into()),
            Err(failure) => return Err(failure),
        }
        let has_bad_rows = scratch.quarantine.as_file().metadata().is_ok_and(|file| file.len() > 0);
        if has_bad_rows {
            files::put(&*self.store, &scratch.quarantine, &work.quarantine).await?;
        }
        match ingested {
            Ok(report) => {
                files::put(&*self.store, &scratch.batch, &work.batch).await?;
                Ok(Account::of_report(work, report))
            }
            Err(IngestError::Rejected(rejection)) => {
                let kept = has_bad_rows.then(|| work.quarantine.clone());
                Ok(Account::of_rejection(work, &rejection, kept))
            }
            Err(IngestError::Io(error)) => {
                Err(PortError::unavailable(format!("{} could not be read to its end", work.object))
                    .caused_by(error)
                    .into())
            }
        }
    }

    /// Reads the upload into scratch files, on a thread that may block.
    async fn convert(
        &self,
        work: work::IngestFile,
        input: Input,
    ) -> PortResult<(Result<Report, IngestError>, Scratch)> {
        let (limits, folder) = (self.limits.clone(), self.scratch.clone());
        let converted = tokio::task::spawn_blocking(move || {
            let scratch = Scratch::in_folder(&folder)?;
            let request = IngestRequest {
                object_name: work.object.name(),
                contract: &work.contract,
                options: &work.options,
                keys: &work.keys,
                limits,
            };
            let ingested =
                millstream_tabular::ingest(&request, input, scratch.batch.as_file(), scratch.quarantine.as_file());
            Ok::<_, io::Error>((ingested, scratch))
        });
        match converted.await {
            Ok(converted) => converted.map_err(|error| {
                let folder = self.scratch.display();
                PortError::unavailable(format!("the scratch folder {folder} could not be written to")).caused_by(error)
            }),
            Err(error) => Err(PortError::internal("reading a file ended in a panic").caused_by(error)),
        }
    }

    /// Keeps the account, unless another delivery of the command was faster: then that one stands.
    async fn keep(&self, path: &ObjectPath, account: Account) -> Result<Account, Failure> {
        let json = serde_json::to_vec(&account)
            .map_err(|error| PortError::internal("an account cannot be written as JSON").caused_by(error))?;
        match self.store.put(path, json, Precondition::Absent).await {
            Ok(_) => Ok(account),
            Err(error) if error.kind() == ErrorKind::Conflict => Ok(self.known(path).await?.unwrap_or(account)),
            Err(error) => Err(error.into()),
        }
    }
}

fn changed(work: &work::IngestFile) -> PortError {
    PortError::unavailable(format!("{} changed while it was read", work.object))
}

#[async_trait]
impl Function for IngestFile {
    const NAME: &'static str = "ingest-file";

    type Work = work::IngestFile;

    async fn ensure(&self, command: &Command<Self::Work>) -> Result<Progress, Failure> {
        let work = &command.work;
        let path = Account::path(&work.batch).map_err(|error| Failure::permanent(error.to_string()))?;
        let account = match self.known(&path).await? {
            Some(account) => account,
            None => self.keep(&path, self.ingest(work).await?).await?,
        };
        match account {
            Account::Ingested(batch) => Ok(Progress::Done(Outcome::BatchIngested(batch))),
            Account::Rejected(reason) => Err(Failure::Permanent(reason)),
        }
    }
}
