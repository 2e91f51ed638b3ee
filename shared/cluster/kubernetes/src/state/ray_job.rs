//! RayJob: `jobStatus` is the program's, `jobDeploymentStatus` the cluster's around it.

use serde_json::Value;

use super::{Observed, Times, time, words};

pub(super) fn observe(status: &Value) -> Observed {
    let text = |field: &str| status.get(field).and_then(Value::as_str).unwrap_or_default();
    let info = status.get("rayJobInfo").unwrap_or(&Value::Null);
    let either = |field: &str| time(info, field).or_else(|| time(status, field));
    let times = Times { started: either("startTime"), ended: either("endTime") };
    let failed = |otherwise: &str| Observed::Failed { reason: words(status, otherwise), times };
    match (text("jobStatus"), text("jobDeploymentStatus")) {
        // A try that failed is one of several.
        (_, "Retrying") => Observed::Going,
        ("SUCCEEDED", "Complete") => Observed::Succeeded(times),
        (_, "Failed" | "ValidationFailed") => failed("the RayJob failed"),
        ("FAILED", _) => failed("the program on Ray failed"),
        ("STOPPED", _) => failed("the program on Ray was stopped"),
        _ => Observed::Going,
    }
}
