//! Vertex AI: custom jobs, the model registry and endpoints.
//!
//! In: trainings, versions and endpoint states as the ports have them. Out: the same on Vertex AI, each made once, however
//! often and by whomever it is asked for. Nothing there takes an idempotency key: everything is looked up by a label or a
//! name of ours before it is made, and of two that were made at the same moment the older one counts.
//!
//! [`VertexTrainer`] is the port `Trainer`, [`VertexRegistry`] `ModelRegistry`, [`VertexEndpoints`] `Endpoints`.
//! `VERTEX_EMULATOR_HOST` names another server for Vertex AI, Cloud Logging and Cloud Monitoring.

mod api;
mod documents;
mod endpoints;
mod errors;
mod names;
mod operations;
mod registry;
mod settings;
mod trainer;
mod turns;

pub use self::{
    endpoints::VertexEndpoints, registry::VertexRegistry, settings::VertexSettings, trainer::VertexTrainer,
};
