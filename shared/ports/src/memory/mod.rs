//! In-memory versions of the ports, for tests and for the simulation.

mod bus;
mod clock;
mod models;
mod object_store;
mod secrets;
mod trainer;
mod warehouse;

pub use bus::MemoryBus;
pub use clock::ManualClock;
pub use models::MemoryModels;
pub use object_store::MemoryObjectStore;
pub use secrets::MemorySecrets;
pub use trainer::{MemoryTrainer, TrainingEnd};
pub use warehouse::MemoryWarehouse;
