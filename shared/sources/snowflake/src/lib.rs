//! Snowflake as a source.
