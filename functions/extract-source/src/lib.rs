//! Ensures the rows that a source has are Parquet batches.
