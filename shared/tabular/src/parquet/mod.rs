//! Parquet files: their columns cast to the contract's types, where nothing is lost.

pub(crate) mod decode;

pub(crate) use decode::open;
