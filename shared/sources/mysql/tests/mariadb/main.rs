//! The source on a real MariaDB.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

mod contract;
mod failures;
mod plans;
mod queries;
mod round_trip;
mod support;
mod types;
