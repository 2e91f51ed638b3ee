//! Cassandra as a source, on a small server of the tests' own that speaks its protocol (see `server`).

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

mod contract;
mod cursors;
mod discovery;
mod failures;
mod round_trip;
mod server;
mod support;
mod types;
