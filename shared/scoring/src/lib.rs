//! millstream-scoring
