//! `promote-model` on memory ports.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

mod by_hand;
mod crashes;
mod rollout;
mod world;
