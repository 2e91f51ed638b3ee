//! millstream-export-table
