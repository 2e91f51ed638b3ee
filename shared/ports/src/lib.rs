//! millstream-ports
