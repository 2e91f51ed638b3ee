//! millstream-plan-run
