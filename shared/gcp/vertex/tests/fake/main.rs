//! The adapters against a fake Vertex AI that reads every request by Google's own definitions.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

mod endpoints;
mod failing_store;
mod meanwhile_store;
mod metrics;
mod promotion;
mod registry;
mod support;
mod trainer;
