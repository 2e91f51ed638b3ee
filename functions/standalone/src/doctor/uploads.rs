//! How `plan-run` hears of uploads: Cloud Storage's notification and its topic, or an Eventarc trigger.

use serde_json::Value;

use super::{
    Patient, Report,
    buckets::Found,
    google::{Answer, Api},
    grants::Grants,
    subscriptions::{Endpoint, delivery, id, of_topic, text},
};
use crate::serve::Role;

/// The topic that `infra/` gives the notification.
const TOPIC: &str = "millstream-uploads";
const LINK: &str = "uploads";
const FINALIZED: &str = "OBJECT_FINALIZE";

pub(super) async fn examine(
    patient: &Patient<'_>,
    found: &Found,
    grants: &mut Grants,
    report: &mut Report,
) -> Vec<Endpoint> {
    let landing = &patient.settings.buckets.landing;
    let subject = format!("gs://{landing}");
    let notifications = patient.google.list(Api::Storage, &format!("b/{landing}/notificationConfigs"), "items").await;
    let topic = match notifications {
        Ok(notifications) => match fitting(&notifications) {
            Some(topic) => {
                report.ok(
                    LINK,
                    &subject,
                    format!("its notification goes to {}", topic.rsplit('/').next().unwrap_or_default()),
                );
                topic
            }
            None if by_eventarc(patient, found, report, &subject).await => return Vec::new(),
            None => {
                let detail = match notifications.first() {
                    None => {
                        "nothing tells of an upload: only the sweep finds it, a quarter of an hour later".to_owned()
                    }
                    Some(_) => {
                        format!("its notifications leave out {FINALIZED}, a part of the names, or the object's data")
                    }
                };
                let todo = format!(
                    "terraform apply; by hand: gcloud storage buckets notifications create {subject} --topic={TOPIC} \
                     --event-types={FINALIZED} --payload-format=json"
                );
                report.broken(LINK, &subject, detail, todo);
                return Vec::new();
            }
        },
        // The bucket itself is told of already.
        Err(Answer::Missing) => return Vec::new(),
        Err(answer) => {
            answer.or_tell(report, LINK, &subject, || (String::new(), String::new()));
            format!("projects/{}/topics/{TOPIC}", patient.gcp.project)
        }
    };
    let Some(subscriptions) = of_topic(patient, report, &topic).await else { return Vec::new() };
    match subscriptions.iter().find(|subscription| id(subscription).contains(Role::PlanRun.declaration().name)) {
        Some(subscription) => {
            report.ok(LINK, "plan-run", id(subscription));
            delivery(patient, grants, report, subscription, Role::PlanRun).await.into_iter().collect()
        }
        None => {
            let detail = format!("{} has no subscription for it", topic.rsplit('/').next().unwrap_or_default());
            report.broken(LINK, "plan-run", detail, "terraform apply");
            Vec::new()
        }
    }
}

/// The topic of a notification that tells of every finished upload, with what it is.
fn fitting(notifications: &[Value]) -> Option<String> {
    let fits = |notification: &&Value| {
        // No types are all types.
        let types = notification["event_types"].as_array();
        types.is_none_or(|types| types.is_empty() || types.iter().any(|kind| kind == FINALIZED))
            && notification["payload_format"] == "JSON_API_V1"
            && text(&notification["object_name_prefix"]).is_empty()
    };
    let topic = text(&notifications.iter().find(fits)?["topic"]);
    Some(topic.trim_start_matches("//pubsub.googleapis.com/").to_owned())
}

/// Whether an Eventarc trigger tells of uploads.
async fn by_eventarc(patient: &Patient<'_>, found: &Found, report: &mut Report, subject: &str) -> bool {
    let Some(location) = found.locations.get("landing") else { return false };
    let resource = format!("projects/{}/locations/{}/triggers", patient.gcp.project, location.to_lowercase());
    let Ok(triggers) = patient.google.list(Api::Eventarc, &resource, "triggers").await else { return false };
    let landing = &patient.settings.buckets.landing;
    let tells = |trigger: &&Value| {
        let criteria = trigger["eventFilters"].as_array().into_iter().flatten();
        let says =
            |name: &str, value: &str| criteria.clone().any(|one| one["attribute"] == name && one["value"] == value);
        says("type", "google.cloud.storage.object.v1.finalized") && says("bucket", landing)
    };
    match triggers.iter().find(tells) {
        Some(trigger) => {
            report.ok(LINK, subject, format!("the Eventarc trigger {}", id(trigger)));
            true
        }
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_notification_fits_that_tells_of_every_finished_upload_and_what_it_is() {
        let good = json!({"topic": "//pubsub.googleapis.com/projects/p/topics/t", "payload_format": "JSON_API_V1",
            "event_types": [FINALIZED, "OBJECT_DELETE"]});
        assert_eq!(fitting(&[json!({}), good.clone()]).as_deref(), Some("projects/p/topics/t"));
        for (field, value) in [
            ("event_types", json!(["OBJECT_DELETE"])),
            ("payload_format", json!("NONE")),
            ("object_name_prefix", json!("sales/")),
        ] {
            let mut bad = good.clone();
            bad[field] = value;
            assert_eq!(fitting(&[bad]), None, "{field}");
        }
        assert_eq!(fitting(&[]), None);
    }
}
