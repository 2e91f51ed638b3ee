//! MongoDB as a source, on SecantusDB: a server that MongoDB's own driver takes for one.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

mod contract;
mod discovery;
mod failures;
mod round_trip;
mod snapshots;
mod support;
mod types;
mod unknown_fields;
