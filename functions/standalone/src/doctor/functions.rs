//! The functions themselves: whether each is up where its subscription pushes, and takes the token that comes with it.

use std::collections::BTreeSet;

use reqwest::Url;
use serde_json::Value;

use super::{
    Patient, Report,
    buckets::{Found, reaches},
    google::{Answer, Api},
    subscriptions::{Endpoint, text},
};

/// Where a service of Cloud Run is, as its own address says: `https://NAME-NUMBER.REGION.run.app`.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    service: String,
    region: String,
}

pub(super) async fn examine(patient: &Patient<'_>, found: &Found, endpoints: &[Endpoint], report: &mut Report) {
    let mut regions = BTreeSet::new();
    let mut seen = BTreeSet::new();
    for endpoint in endpoints {
        let name = endpoint.role.declaration().name;
        let Ok(url) = Url::parse(&endpoint.url) else {
            let detail = format!("{} pushes to {:?}, which is no address", endpoint.subscription, endpoint.url);
            report.broken("function", name, detail, "terraform apply");
            continue;
        };
        // Several subscriptions push to one function.
        let is_new = seen.insert(name);
        if !url.host_str().is_some_and(|host| host.ends_with(".run.app")) {
            if is_new {
                is_ready(patient, report, name, &url).await;
            }
            report.unchecked("audience", &endpoint.subscription, "only Cloud Run says which tokens it takes");
            continue;
        }
        let place =
            endpoint.token.iter().map(|(audience, _)| audience.as_str()).chain([endpoint.url.as_str()]).find_map(place);
        let Some(place) = place.or_else(|| fallback(patient, name)) else {
            report.unchecked("function", name, format!("which region {url} is in cannot be told from its address"));
            continue;
        };
        let resource =
            format!("projects/{}/locations/{}/services/{}", patient.gcp.project, place.region, place.service);
        let answer = patient.google.get(Api::Run, &resource).await;
        let missing =
            || (format!("there is no service {} in {}", place.service, place.region), "terraform apply".to_owned());
        let Some(service) = answer.or_tell(report, "function", name, missing) else { continue };
        if is_new {
            is_up(report, name, &service);
        }
        takes_token(report, endpoint, &service);
        regions.insert(place.region);
    }
    for region in regions {
        let data = found.locations.get("landing").unwrap_or(&patient.gcp.location);
        if reaches(data, &region) {
            report.ok("region", "functions", format!("{region}; data is in {data}"));
        } else {
            let detail = format!("functions run in {region}, data is in {data}: every byte crosses regions");
            report.broken(
                "region",
                "functions",
                detail,
                "set region to one within data_location, then terraform apply",
            );
        }
    }
}

/// Outside of Cloud Run a function says itself whether it is ready.
async fn is_ready(patient: &Patient<'_>, report: &mut Report, name: &str, url: &Url) {
    let Ok(ready) = url.join("/readyz") else { return };
    match patient.google.ask(ready.as_str(), None).await {
        Answer::Found(_) => report.ok("function", name, format!("ready at {}", url.origin().ascii_serialization())),
        Answer::Hidden(why) => report.unchecked("function", name, why),
        Answer::Missing => {
            let detail = format!("{url} is not a function of Millstream's");
            report.broken("function", name, detail, "push to the function's own address");
        }
        Answer::Failed(why) => {
            let detail = format!("{url} {why}");
            report.broken(
                "function",
                name,
                detail,
                format!("start it (`millstream serve {name}`); its log says why it ended"),
            );
        }
    }
}

fn is_up(report: &mut Report, name: &str, service: &Value) {
    let condition = &service["terminalCondition"];
    if condition["state"] == "CONDITION_SUCCEEDED" {
        report.ok("function", name, text(&service["uri"]));
    } else {
        let detail = format!("its newest revision is not ready: {}", text(&condition["message"]));
        let todo = format!("gcloud run services logs read {name}, then deploy a digest that starts");
        report.broken("function", name, detail, todo);
    }
}

/// Whether the service expects what the subscription sends.
fn takes_token(report: &mut Report, endpoint: &Endpoint, service: &Value) {
    let Endpoint { subscription, token, url, .. } = endpoint;
    let Some((audience, account)) = token else {
        let detail = format!("it pushes to {url} without a token: Cloud Run answers 403");
        return report.broken("audience", subscription, detail, "terraform apply");
    };
    let environment = |name: &str| {
        let containers = service["template"]["containers"].as_array().into_iter().flatten();
        let mut variables = containers.flat_map(|container| container["env"].as_array().into_iter().flatten());
        variables.find(|variable| variable["name"] == name).map(|variable| text(&variable["value"]).to_owned())
    };
    let lists = |name: &str, wanted: &str| {
        environment(name)
            .is_some_and(|list| list.split(',').any(|item| item.trim().trim_matches(['[', ']', '"', ' ']) == wanted))
    };
    let custom = service["customAudiences"].as_array().into_iter().flatten();
    let own = service["urls"].as_array().into_iter().flatten().chain([&service["uri"]]);
    let known = custom.chain(own).any(|known| text(known) == audience);
    let detail = if !known {
        format!("the token is for {audience}, which Cloud Run does not know of the service")
    } else if !lists("MILLSTREAM_AUTH__AUDIENCES", audience) {
        format!(
            "the token is for {audience}, which is not in the function's MILLSTREAM_AUTH__AUDIENCES: it answers 401"
        )
    } else if !lists("MILLSTREAM_AUTH__ACCOUNTS", account) {
        format!("the token is {account}'s, which is not in the function's MILLSTREAM_AUTH__ACCOUNTS: it answers 401")
    } else {
        return report.ok("audience", subscription, audience);
    };
    report.broken("audience", subscription, detail, "terraform apply");
}

fn place(url: &str) -> Option<Place> {
    let host = url.strip_prefix("https://")?.split('/').next()?.strip_suffix(".run.app")?;
    let (service, region) = host.split_once('.')?;
    let (service, number) = service.rsplit_once('-')?;
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| Place { service: service.to_owned(), region: region.to_owned() })
}

/// A service of the function's name where the data is, if that is a region.
fn fallback(patient: &Patient<'_>, name: &str) -> Option<Place> {
    let location = patient.gcp.location.to_lowercase();
    location.contains('-').then(|| Place { service: name.to_owned(), region: location })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{doctor::State, serve::Role};

    #[test]
    fn a_services_address_says_where_it_is() {
        let found = place("https://plan-run-12345.europe-west4.run.app/").unwrap();
        assert_eq!((&*found.service, &*found.region), ("plan-run", "europe-west4"));
        for other in ["https://plan-run-abcdef-ez.a.run.app", "https://plan-run.example", "plan-run"] {
            assert_eq!(place(other), None, "{other}");
        }
    }

    #[test]
    fn a_token_has_to_be_for_the_service_and_of_an_account_that_it_takes() {
        let audience = "https://plan-run-1.europe-west4.run.app";
        let service = |audiences: &str, accounts: &str| {
            json!({"customAudiences": [audience], "template": {"containers": [{"env": [
                {"name": "MILLSTREAM_AUTH__AUDIENCES", "value": audiences},
                {"name": "MILLSTREAM_AUTH__ACCOUNTS", "value": accounts},
            ]}]}})
        };
        let state = |audience: Option<&str>, service: &Value| {
            let token = audience.map(|audience| (audience.to_owned(), "push@p.iam".to_owned()));
            let endpoint = Endpoint { role: Role::PlanRun, url: "https://x".into(), token, subscription: "s".into() };
            let mut report = Report::new("prod", "p");
            takes_token(&mut report, &endpoint, service);
            report.findings[0].state
        };
        let good = service(&json!([audience, "other"]).to_string(), "[\"push@p.iam\"]");
        assert_eq!(state(Some(audience), &good), State::Ok);
        assert_eq!(state(Some(audience), &service(audience, "scheduler@p.iam, push@p.iam")), State::Ok);
        assert_eq!(state(None, &good), State::Broken);
        assert_eq!(state(Some("https://else"), &good), State::Broken);
        assert_eq!(state(Some(audience), &service("https://else", "push@p.iam")), State::Broken);
        assert_eq!(state(Some(audience), &service(audience, "other@p.iam")), State::Broken);
    }
}
