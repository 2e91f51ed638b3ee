//! The trainers of a deployment, by what they train on.

use std::{collections::BTreeMap, sync::Arc};

use millstream_events::compute::RunOn;
use millstream_ports::Trainer;
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

    /// The trainer for `run_on`, and where it trains.
    pub(crate) fn get(&self, run_on: RunOn) -> Result<(RunOn, &dyn Trainer), Failure> {
        let here = |run_on| self.trainers.get(&run_on).map(|trainer| (run_on, &**trainer));
        let stand_in = if self.stands_in { here(RunOn::Local) } else { None };
        here(run_on).or(stand_in).ok_or_else(|| {
            let known: Vec<_> = self.trainers.keys().map(|known| known.as_str()).collect();
            Failure::permanent(format!(
                "run_on: nothing here trains on {run_on}; set it up under [training] in millstream.toml, or use {}",
                known.join(", ")
            ))
        })
    }
}
