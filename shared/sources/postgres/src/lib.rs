//! PostgreSQL as a source.

mod failure;
mod session;
mod target;
