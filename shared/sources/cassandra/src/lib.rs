//! Cassandra as a source.
