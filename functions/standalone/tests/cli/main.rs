//! The `millstream` command as people and scripts use it: the real program, in folders of its own.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

mod cost;
mod demo;
mod manifests;
mod project;
mod running;
mod sources;
mod support;
