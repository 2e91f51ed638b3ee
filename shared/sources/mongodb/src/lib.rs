//! MongoDB as a source.
