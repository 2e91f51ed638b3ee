//! PostgreSQL as a source, against a real server.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

mod changes;
mod contract;
mod faults;
mod round_trip;
mod sessions;
mod shapes;
mod splits;
mod support;
mod types;
