//! The recipe `tabular`: gradient-boosted trees on a table.
//!
//! In: a table under Vertex AI's training contract ([`Environment`]) and [`Options`]. Out, in the model folder:
//! `model.onnx`, `signature.json`, `holdout.parquet` (the rows kept apart, with their target) and, last of all,
//! `metrics.json`. The same table and options give the same bytes, whatever the order of the rows.

pub mod boost;
mod environment;
mod error;
mod features;
mod onnx;
mod options;
mod read;
mod report;
mod split;
mod target;
mod train;

pub use environment::Environment;
pub use error::RecipeError;
pub use options::{Options, TaskChoice};
pub use report::{Dropped, Report, RowCounts};
pub use train::run;
