//! How runs ended that a command waited for.

use chrono::{DateTime, Utc};

use super::Ended;
use crate::{
    api::views::{RunDetails, RunStatus},
    render,
};

/// Prints how they ended; well if all of them succeeded. `began` is when the command did.
pub(super) fn runs(ended: &[RunDetails], began: DateTime<Utc>, as_json: bool) -> Ended {
    if as_json {
        render::json(&ended);
    } else {
        for details in ended {
            render::run_summary(details, began);
        }
    }
    outcome(ended)
}

/// Well if all of them succeeded.
pub(super) fn outcome(ended: &[RunDetails]) -> Ended {
    Ended::by(ended.iter().all(|details| details.summary.state == RunStatus::Succeeded))
}
