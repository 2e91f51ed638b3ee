//! millstream-ingest-file
