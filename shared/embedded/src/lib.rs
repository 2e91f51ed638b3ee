//! The ports on one machine, with no service beside the process: buckets as folders, training as child processes, the model
//! registry as files and predictions in process.

mod blocking;
mod copied;
pub mod models;
pub mod objects;
pub mod trainer;
#[cfg(feature = "warehouse")]
pub mod warehouse;
