//! Ensures a copy of a table is in the lake.
//!
//! Consumes `dev.millstream.export.requested.v1`; emits `dev.millstream.table.exported.v1`.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use millstream_events::{
    Command,
    fact::{Outcome, TableExported},
    work::{self, DataFormat, WorkKind},
};
use millstream_ports::{ErrorKind, ExportJob, JobState, Warehouse};
use millstream_runtime::{
    Failure, Function, Progress,
    declaration::{Bucket, Dataset, Declaration, Size, Touch},
};

/// A warehouse's export takes seconds; one on this machine is done at the first ask.
const CHECK_AFTER: Duration = Duration::from_secs(2);

/// The table comes when its own step is done, whose fact asks for this one again: this only catches a lost fact.
const CHECK_FOR_TABLE_AFTER: Duration = Duration::from_secs(5);

/// What a deployment derives from.
pub const DECLARATION: Declaration = Declaration {
    name: <ExportTable as Function>::NAME,
    consumes: &[<work::ExportTable as WorkKind>::TYPE],
    emits: &["dev.millstream.table.exported.v1", "dev.millstream.step.failed.v1", "dev.millstream.step.deferred.v1"],
    touches: &[
        Touch::Queries(Dataset::Source),
        Touch::Queries(Dataset::Staging),
        Touch::Queries(Dataset::Production),
        Touch::Writes(Bucket::Lake),
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

/// `export-table`: the warehouse's job, named by the step, is all its state.
#[derive(Debug)]
pub struct ExportTable {
    warehouse: Arc<dyn Warehouse>,
}

impl ExportTable {
    /// Exports from this warehouse.
    pub fn new(warehouse: Arc<dyn Warehouse>) -> Self {
        Self { warehouse }
    }
}

#[async_trait]
impl Function for ExportTable {
    const NAME: &'static str = "export-table";

    type Work = work::ExportTable;

    async fn ensure(&self, command: &Command<Self::Work>) -> Result<Progress, Failure> {
        let work::ExportTable { table, to } = &command.work;
        // The lake keeps types and compresses well: Parquet, always.
        let job = ExportJob { table: table.clone(), to: to.clone(), format: DataFormat::Parquet };
        match self.warehouse.ensure_export(&command.step.job_id(), &job).await {
            Ok(JobState::Running) => Ok(Progress::pending(format!("{table} is being exported"), CHECK_AFTER)),
            Ok(JobState::Done(write)) => Ok(Progress::Done(Outcome::TableExported(TableExported {
                table: table.clone(),
                files: write.files,
                rows: write.rows,
                bytes: write.bytes,
            }))),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                Ok(Progress::pending(format!("waits for {table}"), CHECK_FOR_TABLE_AFTER))
            }
            Err(error) => Err(error.into()),
        }
    }
}
