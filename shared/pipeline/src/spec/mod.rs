//! Reading pipeline files.
