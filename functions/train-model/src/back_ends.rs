//! The trainers of a deployment, by what they train on.

use std::{collections::BTreeMap, sync::Arc};

use millstream_events::compute::RunOn;
use millstream_ports::{PortError, PortResult, Trainer};
use millstream_runtime::Failure;

/// What trains on which back-end.
#[derive(Debug, Clone, Default)]
pub struct BackEnds {
    trainers: BTreeMap<RunOn, Arc<dyn Trainer>>,
    stands_in: bool,
}

impl BackEnds {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// `trainer` trains on `run_on`.
    #[must_use]
    pub fn with(mut self, run_on: RunOn, trainer: Arc<dyn Trainer>) -> Self {
        self.trainers.insert(run_on, trainer);
        self
    }

    /// [`RunOn::Local`] stands in for the back-ends that are not here: on a laptop every pipeline trains.
    #[must_use]
    pub fn or_local(mut self) -> Self {
        self.stands_in = true;
        self
    }

    /// The end of a job's log, at most `limit` bytes, from where it trains.
    ///
    /// # Errors
    /// `NotFound` for an unknown job, and where nothing trains on `run_on`.
    pub async fn log(&self, run_on: RunOn, job: &str, limit: usize) -> PortResult<String> {
        match self.find(run_on) {
            Some((_, trainer)) => trainer.log(job, limit).await,
            None => Err(PortError::not_found(format!("nothing here trains on {run_on}"))),
        }
    }

    fn find(&self, run_on: RunOn) -> Option<(RunOn, &dyn Trainer)> {
        let here = |run_on| self.trainers.get(&run_on).map(|trainer| (run_on, &**trainer));
        here(run_on).or_else(|| if self.stands_in { here(RunOn::Local) } else { None })
    }

    /// The trainer for `run_on`, and where it trains.
    pub(crate) fn get(&self, run_on: RunOn) -> Result<(RunOn, &dyn Trainer), Failure> {
        self.find(run_on).ok_or_else(|| {
            let known: Vec<_> = self.trainers.keys().map(|known| known.as_str()).collect();
            Failure::permanent(format!(
                "run_on: nothing here trains on {run_on}; set it up in millstream.toml, or use {}",
                known.join(", ")
            ))
        })
    }
}
