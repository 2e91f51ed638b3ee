//! Whole chains whose rows are extracted from a real PostgreSQL: rows change and go between ticks, and the warehouse is what
//! the source is after each; the platform is killed in the middle, and nothing is missed or doubled.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

mod chain;
mod kill;
mod shop;
