//! millstream-events
