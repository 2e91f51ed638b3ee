//! The event contracts: what travels between Millstream's functions, and what the ledger keeps of it.
//!
//! Three kinds of event: a [`trigger`] comes from outside, a command ([`work`]) asks one function to ensure one step,
//! a [`fact`] says what is now true. Ids are derived from content, so that a repetition is recognised as one.

pub mod cell_range;
pub mod compute;
pub mod contract;
pub mod event;
pub mod extract;
pub mod fact;
mod files;
pub mod fingerprint;
pub mod history;
pub mod names;
pub mod probe;
pub mod secret_name;
pub mod trigger;
pub mod work;

pub use event::{Command, DecodeError, Envelope, Event, StepFact, StepRef};
pub use fingerprint::Fingerprint;
