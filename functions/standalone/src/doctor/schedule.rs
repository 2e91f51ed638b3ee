//! The sweep: Cloud Scheduler's job that asks `plan-run` to look again.

use super::{
    Patient, Report,
    google::Api,
    subscriptions::{Endpoint, text},
};
use crate::serve::Role;

/// The job's name in `infra/`.
const JOB: &str = "millstream-sweep";
const LINK: &str = "sweep";

pub(super) async fn examine(patient: &Patient<'_>, endpoints: &[Endpoint], report: &mut Report) {
    if patient.google.is_local() {
        return report.unchecked(LINK, JOB, "Cloud Scheduler has no emulator");
    }
    let plan_run = endpoints.iter().find(|endpoint| endpoint.role == Role::PlanRun);
    let audience = plan_run.and_then(|endpoint| endpoint.token.as_ref()).map(|(audience, _)| audience.as_str());
    // As the audience of plan-run says: https://NAME-NUMBER.REGION.run.app.
    let region = audience.and_then(|audience| audience.strip_suffix(".run.app")?.rsplit('.').next());
    let Some(region) = region else {
        return report.unchecked(LINK, JOB, "which region it is in cannot be told from plan-run's audience");
    };
    let resource = format!("projects/{}/locations/{region}/jobs/{JOB}", patient.gcp.project);
    let answer = patient.google.get(Api::Scheduler, &resource).await;
    let missing = || {
        let detail = "nothing asks again for what is owed: a lost event stays lost".to_owned();
        (detail, "terraform apply".to_owned())
    };
    let Some(job) = answer.or_tell(report, LINK, JOB, missing) else { return };
    let sent = text(&job["httpTarget"]["oidcToken"]["audience"]);
    if job["state"] != "ENABLED" {
        let todo = format!("gcloud scheduler jobs resume {JOB} --location={region}");
        report.broken(LINK, JOB, format!("it is {}", text(&job["state"])), todo);
    } else if Some(sent) != audience {
        let detail = format!("its token is for {sent:?}, which is not plan-run's audience");
        report.broken(LINK, JOB, detail, "terraform apply");
    } else {
        report.ok(LINK, JOB, format!("`{}`", text(&job["schedule"])));
    }
}
