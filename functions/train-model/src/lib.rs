//! millstream-train-model
