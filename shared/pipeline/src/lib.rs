//! Pipelines: what a user writes, checked, and what is owed for it. Pure: no I/O, no clock.
//!
//! [`spec`] reads files into [`model`]; [`decide`] looks at a run's history and returns the commands that are owed.

pub mod advice;
pub mod decide;
pub mod gate;
mod identity;
mod known;
pub mod model;
pub mod pattern;
pub mod plan;
pub mod spec;

pub use decide::decide;
pub use model::{Buckets, Pipeline, Pipelines};
