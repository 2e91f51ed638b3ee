//! MongoDB as a source.
//!
//! Documents come off the wire as BSON and go into Arrow columns without a tree in between. What the columns are is inferred
//! from a sample; see the README for the policy, the types and the parameters of the URL.

mod database;
mod documents;
mod errors;
mod extended_json;
mod open;
mod plan;
mod selection;
mod shape;
mod source;
mod url;

pub use crate::source::MongodbSource;
