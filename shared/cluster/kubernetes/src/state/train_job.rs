//! TrainJob: conditions Suspended, Complete and Failed.

use serde_json::Value;

use super::{Observed, Times, condition, time, words};

pub(super) fn observe(status: &Value) -> Observed {
    let times = |condition| Times { started: None, ended: time(condition, "lastTransitionTime") };
    if let Some(failed) = condition(status, "Failed") {
        return Observed::Failed { reason: words(failed, "the TrainJob failed"), times: times(failed) };
    }
    condition(status, "Complete").map_or(Observed::Going, |complete| Observed::Succeeded(times(complete)))
}
