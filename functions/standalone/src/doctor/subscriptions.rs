//! The topic of events: a subscription for each function, with the filter that it declares, and somewhere to go for what it
//! refuses.

use serde_json::Value;

use super::{
    Patient, Report,
    google::{Answer, Api},
    grants::Grants,
};
use crate::serve::{Role, map};

/// Where a subscription pushes, and as whom.
#[derive(Debug, Clone)]
pub(super) struct Endpoint {
    pub(super) role: Role,
    pub(super) url: String,
    /// What the token that it sends is for, and whose it is.
    pub(super) token: Option<(String, String)>,
    /// The subscription's id.
    pub(super) subscription: String,
}

pub(super) async fn examine(patient: &Patient<'_>, grants: &mut Grants, report: &mut Report) -> Vec<Endpoint> {
    let topic = format!("projects/{}/topics/{}", patient.gcp.project, patient.gcp.events_topic);
    let Some(subscriptions) = of_topic(patient, report, &topic).await else { return Vec::new() };
    let mut endpoints = Vec::new();
    for role in Role::ALL {
        let (name, wanted) = (role.declaration().name, map::filter(role.declaration()));
        let takes = |subscription: &&Value| text(&subscription["filter"]) == wanted;
        let named = |subscription: &&Value| id(subscription).contains(name);
        let both = |subscription: &&Value| takes(subscription) && named(subscription);
        let fitting = subscriptions.iter().find(both).or_else(|| subscriptions.iter().find(takes));
        match (fitting, subscriptions.iter().find(named)) {
            (Some(subscription), _) => {
                report.ok("subscription", name, id(subscription));
                endpoints.extend(delivery(patient, grants, report, subscription, role).await);
            }
            (None, Some(subscription)) => {
                let (id, filter) = (id(subscription), text(&subscription["filter"]));
                let detail = match filter {
                    "" => format!("{id} has no filter: every event is a request; the function declares `{wanted}`"),
                    filter => format!("{id} takes `{filter}`; the function declares `{wanted}`"),
                };
                let todo = "terraform apply: a filter cannot be changed, so the subscription is replaced";
                report.broken("subscription", name, detail, todo);
                endpoints.extend(delivery(patient, grants, report, subscription, role).await);
            }
            (None, None) => {
                let detail = format!("{} has no subscription for it: it is never asked", patient.gcp.events_topic);
                report.broken("subscription", name, detail, "terraform apply");
            }
        }
    }
    endpoints
}

/// The subscriptions of a topic, each as it is; `None` where the topic is not there or cannot be seen, which is told.
pub(super) async fn of_topic(patient: &Patient<'_>, report: &mut Report, topic: &str) -> Option<Vec<Value>> {
    let name = topic.rsplit('/').next().unwrap_or(topic);
    let answer = patient.google.get(Api::PubSub, topic).await;
    let missing =
        || (format!("there is no topic {topic}"), "terraform apply; gcp.events_topic names another".to_owned());
    answer.or_tell(report, "topic", name, missing)?;
    report.ok("topic", name, topic);
    let listed = match patient.google.list(Api::PubSub, &format!("{topic}/subscriptions"), "subscriptions").await {
        Ok(listed) => listed,
        Err(answer) => {
            answer.or_tell(report, "subscription", name, || {
                (format!("there is no topic {topic}"), "terraform apply".into())
            });
            return None;
        }
    };
    let mut all = Vec::new();
    for resource in listed.iter().filter_map(Value::as_str) {
        let id = resource.rsplit('/').next().unwrap_or(resource);
        // One that goes away in between is as good as one that was never there.
        match patient.google.get(Api::PubSub, resource).await {
            Answer::Found(subscription) => all.push(subscription),
            Answer::Missing => {}
            Answer::Hidden(why) => report.unchecked("subscription", id, why),
            Answer::Failed(why) => report.broken("subscription", id, why, "see that Pub/Sub is reachable from here"),
        }
    }
    Some(all)
}

/// How a subscription delivers, and what becomes of what it cannot deliver.
pub(super) async fn delivery(
    patient: &Patient<'_>,
    grants: &mut Grants,
    report: &mut Report,
    subscription: &Value,
    role: Role,
) -> Option<Endpoint> {
    dead_letters(patient, grants, report, subscription).await;
    let (id, limit) = (id(subscription), role.declaration().size.timeout_seconds);
    let deadline = subscription["ackDeadlineSeconds"].as_u64().unwrap_or(10);
    let url = text(&subscription["pushConfig"]["pushEndpoint"]);
    let apply = "terraform apply";
    if url.is_empty() {
        report.broken("push", id, "it pushes nowhere: messages wait until somebody pulls them", apply);
        return None;
    }
    if subscription["detached"] == true || subscription["state"] == "RESOURCE_ERROR" {
        report.broken("push", id, "it is detached or in error: it delivers nothing", "delete it, then terraform apply");
    } else if deadline < u64::from(limit) {
        let detail = format!("sent again after {deadline} s, while {} may take {limit} s", role.declaration().name);
        report.broken("push", id, detail, apply);
    } else {
        report.ok("push", id, url);
    }
    let token = &subscription["pushConfig"]["oidcToken"];
    let account = text(&token["serviceAccountEmail"]).to_owned();
    // Without one it is the endpoint.
    let audience = Some(text(&token["audience"])).filter(|audience| !audience.is_empty()).unwrap_or(url).to_owned();
    Some(Endpoint {
        role,
        url: url.to_owned(),
        token: (!account.is_empty()).then_some((audience, account)),
        subscription: id.to_owned(),
    })
}

async fn dead_letters(patient: &Patient<'_>, grants: &mut Grants, report: &mut Report, subscription: &Value) {
    const LINK: &str = "dead letters";
    let id = id(subscription);
    let topic = text(&subscription["deadLetterPolicy"]["deadLetterTopic"]);
    if topic.is_empty() {
        let detail = "it has no dead-letter topic: what is refused is sent again for a week, then lost";
        let todo = format!(
            "terraform apply; by hand: gcloud pubsub subscriptions update {id} --dead-letter-topic=TOPIC --max-delivery-attempts=20"
        );
        return report.broken(LINK, id, detail, todo);
    }
    let name = topic.rsplit('/').next().unwrap_or(topic).to_owned();
    report.ok(
        LINK,
        id,
        format!("to {name} after {} deliveries", subscription["deadLetterPolicy"]["maxDeliveryAttempts"]),
    );
    grants.examine(patient, report, text(&subscription["name"]), "roles/pubsub.subscriber").await;
    if !grants.is_new(topic) {
        return;
    }
    let answer = patient.google.get(Api::PubSub, topic).await;
    let missing = || (format!("there is no topic {name}: dead letters are lost"), "terraform apply".to_owned());
    if answer.or_tell(report, LINK, &name, missing).is_none() {
        return;
    }
    match patient.google.list(Api::PubSub, &format!("{topic}/subscriptions"), "subscriptions").await {
        Ok(listed) if listed.is_empty() => {
            let todo = format!(
                "terraform apply; by hand: gcloud pubsub subscriptions create {name} --topic={name} --expiration-period=never"
            );
            report.broken(LINK, &name, "nothing subscribes to it: dead letters are lost", todo);
        }
        Ok(listed) => {
            let waiting = listed.iter().filter_map(Value::as_str).filter_map(|name| name.rsplit('/').next());
            report.ok(LINK, &name, format!("they wait in {}", waiting.collect::<Vec<_>>().join(", ")));
        }
        Err(answer) => {
            answer.or_tell(report, LINK, &name, || (format!("there is no topic {name}"), "terraform apply".to_owned()));
        }
    }
    grants.examine(patient, report, topic, "roles/pubsub.publisher").await;
}

pub(super) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The last part of a resource's name.
pub(super) fn id(resource: &Value) -> &str {
    text(&resource["name"]).rsplit('/').next().unwrap_or_default()
}
