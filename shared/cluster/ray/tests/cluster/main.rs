//! The trainer, and the recipes on Ray, on a real Ray that the tests share.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

mod contract;
mod lifecycle;
mod loss;
mod primes;
mod resources;
mod support;
mod tune;
