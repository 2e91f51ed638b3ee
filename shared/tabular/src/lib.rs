//! millstream-tabular
