//! The three datasets.

use super::{Patient, Report, google::Api};

/// What `infra/` makes, and what the functions declare.
const DATASETS: [&str; 3] = ["source", "staging", "production"];

pub(super) async fn examine(patient: &Patient<'_>, report: &mut Report) {
    let (project, wanted) = (&patient.gcp.project, &patient.gcp.location);
    for name in DATASETS {
        let answer = patient.google.get(Api::BigQuery, &format!("projects/{project}/datasets/{name}")).await;
        let missing = || {
            let todo = format!("terraform apply; by hand: bq --location={wanted} mk --dataset {project}:{name}");
            (format!("there is no dataset {name} in {project}"), todo)
        };
        let Some(dataset) = answer.or_tell(report, "dataset", name, missing) else { continue };
        report.ok("dataset", name, format!("{project}.{name}"));
        let location = dataset["location"].as_str().unwrap_or_default();
        let subject = format!("dataset {name}");
        if patient.google.is_emulated(Api::BigQuery) {
            report.unchecked("region", subject, "an emulator is nowhere");
        } else if location.eq_ignore_ascii_case(wanted) {
            report.ok("region", subject, location);
        } else {
            let detail = format!("it is in {location} and gcp.location is {wanted}: every job fails");
            report.broken("region", subject, detail, "set gcp.location (data_location) to where the datasets are");
        }
    }
}
