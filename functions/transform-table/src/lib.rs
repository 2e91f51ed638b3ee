//! millstream-transform-table
