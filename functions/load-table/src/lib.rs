//! Ensures that batches, or an upload as it is, are in their warehouse table.
//!
//! Consumes `dev.millstream.load.requested.v1`; emits `dev.millstream.table.updated.v1`.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use millstream_events::{
    Command,
    fact::{Outcome, TableUpdated},
    work::{self, WorkKind},
};
use millstream_ports::{JobState, TableWrite, Warehouse};
use millstream_runtime::{
    Failure, Function, Progress,
    declaration::{Bucket, Dataset, Declaration, Size, Touch},
};

/// A warehouse's load takes seconds; one on this machine is done at the first ask.
const CHECK_AFTER: Duration = Duration::from_secs(2);

/// What a deployment derives from.
pub const DECLARATION: Declaration = Declaration {
    name: <LoadTable as Function>::NAME,
    consumes: &[<work::LoadTable as WorkKind>::TYPE],
    emits: &["dev.millstream.table.updated.v1", "dev.millstream.step.failed.v1", "dev.millstream.step.deferred.v1"],
    touches: &[
        Touch::Reads(Bucket::Landing),
        Touch::Reads(Bucket::Lake),
        Touch::Fills(Dataset::Source),
        Touch::RunsJobs,
        Touch::Publishes,
    ],
    size: Size {
        cpu: "1",
        memory: "512Mi",
        concurrency: 16,
        timeout_seconds: 60,
        max_instances: 20,
        between_requests: false,
    },
};

/// `load-table`: the warehouse's job, named by the step, is all its state.
#[derive(Debug)]
pub struct LoadTable {
    warehouse: Arc<dyn Warehouse>,
}

impl LoadTable {
    /// Loads into this warehouse.
    pub fn new(warehouse: Arc<dyn Warehouse>) -> Self {
        Self { warehouse }
    }
}

#[async_trait]
impl Function for LoadTable {
    const NAME: &'static str = "load-table";

    type Work = work::LoadTable;

    async fn ensure(&self, command: &Command<Self::Work>) -> Result<Progress, Failure> {
        let load = &command.work;
        match self.warehouse.ensure_load(&command.step.job_id(), load).await? {
            JobState::Running => Ok(Progress::pending(format!("{} is being loaded", load.table), CHECK_AFTER)),
            JobState::Done(write) => Ok(Progress::Done(Outcome::TableUpdated(table_updated(load, write)))),
        }
    }
}

fn table_updated(load: &work::LoadTable, write: TableWrite) -> TableUpdated {
    TableUpdated {
        table: load.table.clone(),
        rows: write.rows,
        total_rows: write.total_rows,
        version: write.version,
        superseded: write.superseded,
    }
}
