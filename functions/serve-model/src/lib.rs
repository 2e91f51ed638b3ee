//! millstream-serve-model
