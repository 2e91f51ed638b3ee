//! `extract-source` on a source and ports in memory: the same batches, however often it is asked and wherever it is cut off.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

mod changes;
mod failures;
mod interleavings;
mod log;
mod reading;
mod resuming;
mod world;
