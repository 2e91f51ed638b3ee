//! What Millstream needs of the world, as traits: one capability each, dyn-safe, one error.
//!
//! Every port has an in-memory version in [`memory`] and a contract suite in `contracts` (a feature) that each adapter runs.

pub mod bus;
pub mod clock;
#[cfg(feature = "contracts")]
pub mod contracts;
pub mod error;
pub mod ledger;
pub mod memory;
pub mod models;
pub mod object_ledger;
pub mod object_store;
pub mod secrets;
#[cfg(feature = "sources")]
pub mod source;
pub mod trainer;
pub mod warehouse;

pub use bus::EventBus;
pub use clock::{Clock, SystemClock};
pub use error::{ErrorKind, PortError, PortResult, optional};
pub use ledger::{Ledger, OpenMark, Recorded, Snapshot, TurnHolder, TurnMark};
pub use models::{
    Deployed, EndpointState, Endpoints, ModelRegistry, ModelVersion, NewVersion, PredictError, Scorer, ServingStats,
    Verdict,
};
pub use object_ledger::ObjectLedger;
pub use object_store::{ByteStream, ObjectMeta, ObjectRead, ObjectStore, ObjectStoreExt, Precondition};
pub use secrets::{Secret, SecretName, SecretNameError, Secrets};
#[cfg(feature = "sources")]
pub use source::{
    BatchSize, CellFault, CellFaultKind, KeyRange, OpenSource, Read, ReadPlan, RowStream, Rows, Shape, Source,
    SourceColumn, Sources, TableSummary, Ties,
};
pub use trainer::{Trainer, TrainingJob, TrainingState};
pub use warehouse::{ExportJob, ExportWrite, JobState, QueryAnswer, TableFacts, TableWrite, Warehouse};
