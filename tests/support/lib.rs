//! What whole-chain tests and benchmarks share: a pipeline to run, and the platform wired from given ports.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

pub mod example;
