//! PostgreSQL as a source.

mod decode;
mod failure;
mod session;
mod target;
mod temporal;
mod types;
