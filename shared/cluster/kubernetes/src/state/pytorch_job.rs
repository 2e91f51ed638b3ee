//! PyTorchJob: conditions Created, Running, Restarting, Suspended, Succeeded and Failed; their reasons differ by release.

use serde_json::Value;

use super::{Observed, Times, condition, time, words};

pub(super) fn observe(status: &Value) -> Observed {
    let times = |condition| Times {
        started: time(status, "startTime"),
        ended: time(status, "completionTime").or_else(|| time(condition, "lastTransitionTime")),
    };
    if let Some(failed) = condition(status, "Failed") {
        return Observed::Failed { reason: words(failed, "the PyTorchJob failed"), times: times(failed) };
    }
    condition(status, "Succeeded").map_or(Observed::Going, |succeeded| Observed::Succeeded(times(succeeded)))
}
