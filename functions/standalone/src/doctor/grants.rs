//! Pub/Sub's own account, and what it needs to forward dead letters.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{
    Patient, Report,
    google::{Answer, Api},
};

/// Who may do what, read once each.
pub(super) struct Grants {
    project_number: Option<String>,
    /// The project's own policy, which everything in it inherits; an error where it cannot be seen.
    project: Option<Result<Value, String>>,
    /// Topics that were looked at: several subscriptions share one.
    seen: BTreeSet<String>,
}

impl Grants {
    pub(super) fn new(project_number: Option<String>) -> Self {
        Self { project_number, project: None, seen: BTreeSet::new() }
    }

    /// Whether a resource is looked at for the first time.
    pub(super) fn is_new(&mut self, resource: &str) -> bool {
        self.seen.insert(resource.to_owned())
    }

    /// Tells whether Pub/Sub's own account has the role on the resource.
    pub(super) async fn examine(&mut self, patient: &Patient<'_>, report: &mut Report, resource: &str, role: &str) {
        const LINK: &str = "dead-letter grant";
        let subject = resource.rsplit('/').next().unwrap_or(resource).to_owned();
        let policy = match patient.google.policy(Api::PubSub, resource).await {
            Answer::Found(policy) => policy,
            Answer::Hidden(why) => return report.unchecked(LINK, subject, why),
            Answer::Missing => return report.unchecked(LINK, subject, "it is not there"),
            Answer::Failed(why) => return report.unchecked(LINK, subject, format!("who may do what {why}")),
        };
        if self.has(&policy, role) {
            return report.ok(LINK, subject, role);
        }
        match self.project(patient).await {
            Ok(project) if self.has(&project, role) => report.ok(LINK, subject, format!("{role}, on the project")),
            Ok(_) => {
                let member = self.member().unwrap_or_else(|| "Pub/Sub's service agent".to_owned());
                let kind = if resource.contains("/topics/") { "topics" } else { "subscriptions" };
                let todo = format!(
                    "terraform apply; by hand: gcloud pubsub {kind} add-iam-policy-binding {subject} --member={member} --role={role}"
                );
                report.broken(
                    LINK,
                    subject,
                    format!("Pub/Sub's service agent lacks {role}: dead letters are lost"),
                    todo,
                );
            }
            Err(why) => {
                report.unchecked(
                    LINK,
                    subject,
                    format!("the role is not given there, and whether on the project: {why}"),
                );
            }
        }
    }

    async fn project(&mut self, patient: &Patient<'_>) -> Result<Value, String> {
        if self.project.is_none() {
            let resource = format!("projects/{}", patient.gcp.project);
            self.project = Some(match patient.google.policy(Api::Projects, &resource).await {
                Answer::Found(policy) => Ok(policy),
                Answer::Hidden(why) | Answer::Failed(why) => Err(why),
                Answer::Missing => Err("there is no such project".to_owned()),
            });
        }
        self.project.clone().unwrap_or_else(|| Err("it was not read".to_owned()))
    }

    fn member(&self) -> Option<String> {
        let number = self.project_number.as_ref()?;
        Some(format!("serviceAccount:service-{number}@gcp-sa-pubsub.iam.gserviceaccount.com"))
    }

    fn has(&self, policy: &Value, role: &str) -> bool {
        let is_agent = |member: &Value| {
            let member = member.as_str().unwrap_or_default();
            match self.member() {
                Some(agent) => member == agent,
                // Without the project's number: an account of that kind.
                None => {
                    member.starts_with("serviceAccount:service-")
                        && member.ends_with("@gcp-sa-pubsub.iam.gserviceaccount.com")
                }
            }
        };
        let bindings = policy["bindings"].as_array().into_iter().flatten();
        let mut of_role = bindings.filter(|binding| binding["role"] == role && binding["condition"].is_null());
        of_role.any(|binding| binding["members"].as_array().into_iter().flatten().any(is_agent))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_grant_is_the_agents_own_and_without_a_condition() {
        let grants = Grants::new(Some("42".to_owned()));
        let binding = |member: &str, condition: Value| json!({"bindings": [{"role": "roles/pubsub.publisher", "members": ["user:a@b.c", member], "condition": condition}]});
        let agent = "serviceAccount:service-42@gcp-sa-pubsub.iam.gserviceaccount.com";
        let other = "serviceAccount:service-43@gcp-sa-pubsub.iam.gserviceaccount.com";
        assert!(grants.has(&binding(agent, Value::Null), "roles/pubsub.publisher"));
        assert!(!grants.has(&binding(other, Value::Null), "roles/pubsub.publisher"));
        assert!(!grants.has(&binding(agent, json!({"expression": "false"})), "roles/pubsub.publisher"));
        assert!(!grants.has(&binding(agent, Value::Null), "roles/pubsub.subscriber"));
        assert!(Grants::new(None).has(&binding(other, Value::Null), "roles/pubsub.publisher"));
        assert!(!grants.has(&json!({}), "roles/pubsub.publisher"));
    }
}
