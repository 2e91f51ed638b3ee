//! Serves a trained model: Vertex AI's prediction contract over HTTP.
//!
//! In: a model folder (ONNX and its signature) and requests `{"instances": [..], "parameters": ..}`. Out: a router with
//! the health, predict and metrics routes. The platform answers its own endpoints with the same [`predict_json`], in
//! process, so a model gives the same answers on a laptop and in its container.

mod http;
mod metrics;
mod predict;
mod settings;

pub use http::{ModelState, router};
pub use predict::{PredictError, ServedModel, predict_json};
pub use settings::{Settings, SettingsError};
