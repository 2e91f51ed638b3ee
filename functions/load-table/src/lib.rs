//! millstream-load-table
