//! The trainer on a service that does what the `v2beta1` API's documentation says.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

mod contract;
mod duplicates;
mod lifecycle;
mod refusals;
mod stub;
mod support;
