//! Ensures a table holds what its SELECT gives.
//!
//! Consumes `dev.millstream.transform.requested.v1`; emits `dev.millstream.table.updated.v1`.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use millstream_events::{
    Command,
    fact::{Outcome, TableUpdated},
    names::TableName,
    work::{self, WorkKind},
};
use millstream_ports::{ErrorKind, JobState, PortError, PortResult, Warehouse, optional};
use millstream_runtime::{
    Failure, Function, Progress,
    declaration::{Dataset, Declaration, Size, Touch},
};

/// A warehouse's query takes seconds; one on this machine is done at the first ask.
const CHECK_AFTER: Duration = Duration::from_secs(2);

/// An input comes when its own step is done, whose fact asks for this one again: this only catches a lost fact.
const CHECK_FOR_INPUTS_AFTER: Duration = Duration::from_secs(5);

/// What a deployment derives from.
pub const DECLARATION: Declaration = Declaration {
    name: <TransformTable as Function>::NAME,
    consumes: &[<work::TransformTable as WorkKind>::TYPE],
    emits: &["dev.millstream.table.updated.v1", "dev.millstream.step.failed.v1", "dev.millstream.step.deferred.v1"],
    touches: &[
        Touch::Queries(Dataset::Source),
        Touch::Fills(Dataset::Staging),
        Touch::Fills(Dataset::Production),
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

/// `transform-table`: the warehouse's job, named by the step, is all its state.
#[derive(Debug)]
pub struct TransformTable {
    warehouse: Arc<dyn Warehouse>,
}

impl TransformTable {
    /// Transforms in this warehouse.
    pub fn new(warehouse: Arc<dyn Warehouse>) -> Self {
        Self { warehouse }
    }

    /// Why the transform found something missing: an input that is not there yet is waited for, anything else is an error.
    async fn wait_for_inputs(&self, inputs: &[TableName], error: PortError) -> Result<Progress, Failure> {
        let missing = self.missing(inputs).await?;
        if missing.is_empty() {
            return Err(error.into());
        }
        Ok(Progress::pending(format!("waits for {}", missing.join(", ")), CHECK_FOR_INPUTS_AFTER))
    }

    async fn missing(&self, inputs: &[TableName]) -> PortResult<Vec<String>> {
        let mut missing = Vec::new();
        for input in inputs {
            if optional(self.warehouse.table(input).await)?.is_none() {
                missing.push(input.to_string());
            }
        }
        Ok(missing)
    }
}

#[async_trait]
impl Function for TransformTable {
    const NAME: &'static str = "transform-table";

    type Work = work::TransformTable;

    async fn ensure(&self, command: &Command<Self::Work>) -> Result<Progress, Failure> {
        let transform = &command.work;
        match self.warehouse.ensure_transform(&command.step.job_id(), transform).await {
            Ok(JobState::Running) => Ok(Progress::pending(format!("{} is being filled", transform.table), CHECK_AFTER)),
            Ok(JobState::Done(write)) => Ok(Progress::Done(Outcome::TableUpdated(TableUpdated {
                table: transform.table.clone(),
                rows: write.rows,
                total_rows: write.total_rows,
                version: write.version,
                superseded: write.superseded,
            }))),
            Err(error) if error.kind() == ErrorKind::NotFound => self.wait_for_inputs(&transform.inputs, error).await,
            Err(error) => Err(error.into()),
        }
    }
}
