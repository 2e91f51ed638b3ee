//! What outlives the process.

use std::{collections::BTreeMap, sync::Arc};

use chrono::DateTime;
use millstream_ports::memory::{
    ManualClock, MemoryBus, MemoryModels, MemoryObjectStore, MemoryTrainer, MemoryWarehouse, TrainingEnd,
};

/// Buckets, tables, jobs, models, messages under way and the time.
pub(crate) struct Durable {
    pub(crate) store: Arc<MemoryObjectStore>,
    pub(crate) warehouse: Arc<MemoryWarehouse>,
    pub(crate) trainer: Arc<MemoryTrainer>,
    pub(crate) models: Arc<MemoryModels>,
    pub(crate) bus: Arc<MemoryBus>,
    pub(crate) clock: Arc<ManualClock>,
}

impl Durable {
    pub(crate) fn new() -> Self {
        let clock = Arc::new(ManualClock::new(DateTime::UNIX_EPOCH));
        let store = Arc::new(MemoryObjectStore::new());
        Self {
            warehouse: Arc::new(MemoryWarehouse::new(store.clone()).slow(1)),
            trainer: Arc::new(MemoryTrainer::new(store.clone(), clock.clone()).slow(2).scripted(|job, _, start| {
                match start {
                    1 if is_preempted(job) => TrainingEnd::IsLost,
                    _ => TrainingEnd::with_metrics(&BTreeMap::new()),
                }
            })),
            models: Arc::new(MemoryModels::new(clock.clone())),
            bus: Arc::new(MemoryBus::new()),
            store,
            clock,
        }
    }
}

/// Whether the machine of a training's first start is taken back: every third one's, whatever the seed.
pub(crate) fn is_preempted(job: &str) -> bool {
    job.bytes().map(u32::from).sum::<u32>() % 3 == 0
}
