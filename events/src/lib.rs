//! The event contracts: what travels between Millstream's functions.
pub mod contract;
