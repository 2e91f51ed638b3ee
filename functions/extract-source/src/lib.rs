//! Ensures that a source's rows, or those that changed, are Parquet batches and its bad rows are in quarantine.
//!
//! Consumes `dev.millstream.extraction.requested.v1`; emits `dev.millstream.source.extracted.v1`.

mod account;
mod arrange;
mod extractor;
mod files;
mod planning;
mod range;
mod running;
mod shape;

use std::{path::PathBuf, sync::Arc, time::Duration};

use async_trait::async_trait;
use millstream_events::{
    Command,
    fact::Outcome,
    work::{self, WorkKind},
};
use millstream_ports::{ObjectStore, PortError, Sources};
use millstream_runtime::{
    Failure, Function, Progress,
    declaration::{Bucket, Declaration, Size, Touch},
};
use millstream_tabular::Limits;

use crate::{
    account::Account,
    extractor::Extractor,
    running::{Running, Waited},
};

/// When an extraction that is under way is worth asking for again.
const CHECK_AFTER: Duration = Duration::from_secs(10);

/// How long a delivery waits for the end of an extraction. Pub/Sub takes one for lost after 600 s.
const PATIENCE: Duration = Duration::from_secs(540);

/// What a deployment derives from.
///
/// One instance for all: a request more than the one that waits for an extraction has to reach the instance that is at it, not
/// another one which would read the source beside it. What it does is wait for databases, and it goes on between requests.
pub const DECLARATION: Declaration = Declaration {
    name: <ExtractSource as Function>::NAME,
    consumes: &[<work::ExtractSource as WorkKind>::TYPE],
    emits: &["dev.millstream.source.extracted.v1", "dev.millstream.step.failed.v1", "dev.millstream.step.deferred.v1"],
    touches: &[Touch::Reads(Bucket::Landing), Touch::Writes(Bucket::Lake), Touch::Publishes],
    size: Size {
        cpu: "2",
        memory: "4Gi",
        concurrency: 64,
        timeout_seconds: 600,
        max_instances: 1,
        between_requests: true,
    },
};

/// `extract-source`: the account beside the batches says that it is done, the plan and the ranges' accounts how far it is.
#[derive(Debug)]
pub struct ExtractSource {
    extractor: Arc<Extractor>,
    running: Running<Result<Account, Failure>>,
}

impl ExtractSource {
    /// Reads from `sources` and writes to `store`. Batches grow in the folder `scratch` until they are whole: have room there
    /// for as many ranges of a table as are read at once.
    pub fn new(
        sources: Arc<dyn Sources>,
        store: Arc<dyn ObjectStore>,
        limits: Limits,
        scratch: impl Into<PathBuf>,
    ) -> Self {
        let extractor = Arc::new(Extractor { sources, store, limits, scratch: scratch.into() });
        Self { extractor, running: Running::default() }
    }
}

#[async_trait]
impl Function for ExtractSource {
    const NAME: &'static str = "extract-source";

    type Work = work::ExtractSource;

    /// An extraction may outlast the request that asked for it: it runs as a task of its own, which goes on when the request
    /// is given up, and ends with this value.
    async fn ensure(&self, command: &Command<Self::Work>) -> Result<Progress, Failure> {
        let ended = loop {
            let (work, extractor) = (command.work.clone(), Arc::clone(&self.extractor));
            let task = self
                .running
                .task(command.work.batches.clone(), |task| async move { extractor.extract(&work, task.tally()).await });
            match task.wait(PATIENCE).await {
                Waited::Ended(ended) => break ended,
                Waited::UnderWay => return Ok(Progress::pending(task.tally().to_string(), CHECK_AFTER)),
                // It has left the list by now: the next one reads what it has kept.
                Waited::Over => {}
            }
        };
        match ended {
            Ok(account) => match account? {
                Account::Extracted(extracted) => Ok(Progress::Done(Outcome::SourceExtracted(extracted))),
                Account::Rejected(reason) => Err(Failure::Permanent(reason)),
            },
            Err(error) if error.is_cancelled() => {
                Err(PortError::unavailable("the extraction was ended with its process").into())
            }
            Err(error) => Err(PortError::internal("an extraction ended in a panic").caused_by(error).into()),
        }
    }
}
