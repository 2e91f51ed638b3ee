//! millstream-embedded
