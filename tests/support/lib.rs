//! What whole-chain tests and benchmarks share: a pipeline to run, the platform wired from given ports, and the platform as
//! the real process.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

pub mod example;
pub mod figures;
pub mod http;
pub mod program;
pub mod up;
