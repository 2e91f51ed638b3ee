//! In-memory versions of the ports, for tests and for the simulation.

mod bus;
mod clock;
mod models;
mod object_store;
mod secrets;
#[cfg(feature = "sources")]
mod source;
#[cfg(feature = "sources")]
mod source_table;
mod trainer;
mod warehouse;

pub use bus::MemoryBus;
pub use clock::ManualClock;
pub use models::MemoryModels;
pub use object_store::MemoryObjectStore;
pub use secrets::MemorySecrets;
#[cfg(feature = "sources")]
pub use source::{MemoryCell, MemorySource, MemorySources, MemoryTable};
pub use trainer::{MemoryTrainer, TrainingEnd};
pub use warehouse::MemoryWarehouse;
