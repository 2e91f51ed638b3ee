//! Serves a trained model: Vertex AI's prediction contract over HTTP.
//!
//! In: a model's files (ONNX and its signature) and requests `{"instances": [..], "parameters": ..}`. Out: a router with
//! the health, predict and metrics routes, and log lines with the mean score. The platform answers its own endpoints with the same
//! [`predict_json`], in process, so a model gives the same answers on a laptop and in its container.

#[cfg(feature = "cloud")]
mod bucket;
mod http;
mod lines;
mod load;
mod metrics;
mod predict;
mod settings;

pub use http::{ModelState, router};
pub use lines::Lines;
pub use load::{LoadError, load};
pub use predict::{PredictError, ServedModel, predict_json};
pub use settings::{BucketFolder, Location, Settings, SettingsError};
