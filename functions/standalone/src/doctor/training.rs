//! Where trainings run, as far as the settings name a place: whether it answers and has what is needed.

use millstream_gcp_client::Service;
use reqwest::Url;

use super::{
    Patient, Report,
    buckets::{Found, reaches},
    google::{Answer, Api},
};

const LINK: &str = "training";

pub(super) async fn examine(patient: &Patient<'_>, found: &Found, report: &mut Report) {
    kubernetes(patient, report).await;
    if let Some(address) = &patient.settings.ray.address {
        reachable(patient, report, "Ray", address, "api/version").await;
    }
    if let Some(url) = &patient.settings.kubeflow_pipelines.url {
        reachable(patient, report, "Kubeflow Pipelines", url, "apis/v2beta1/healthz").await;
    }
    vertex(patient, found, report);
}

async fn kubernetes(patient: &Patient<'_>, report: &mut Report) {
    let named = &patient.settings.kubernetes;
    if named.context.is_some() {
        let why = "it is a context of a kubeconfig, which is read by train-model: kubectl says whether it works";
        return report.unchecked(LINK, "Kubernetes", why);
    }
    let Some(url) = &named.url else { return };
    if named.certificate_authority.is_some() {
        return report.unchecked(LINK, "Kubernetes", "it has an authority of its own: kubectl says whether it works");
    }
    let Some(base) = based(report, "Kubernetes", url) else { return };
    // One token for the whole look; a cluster that knows none of Google's answers without.
    let token = patient.google.token(Service::Kubernetes).await;
    let at = |path: &str| format!("{base}{path}");
    let version = patient.google.ask(&at("version"), token.clone()).await;
    let missing = || (format!("{base} is no API server"), "set kubernetes.url to the cluster's address".to_owned());
    let Some(version) = version.or_tell(report, LINK, "Kubernetes", missing) else { return };
    report.ok(
        LINK,
        "Kubernetes",
        format!("{base} answers: {}", version["gitVersion"].as_str().unwrap_or("no version")),
    );
    let install = "infra/kubernetes/install.sh";
    for (what, path) in [("Kubeflow Trainer", "apis/trainer.kubeflow.org/v1alpha1"), ("KubeRay", "apis/ray.io/v1")] {
        let answer = patient.google.ask(&at(path), token.clone()).await;
        let missing = || (format!("the cluster does not know {path}"), format!("run {install}"));
        if answer.or_tell(report, LINK, what, missing).is_some() {
            report.ok(LINK, what, path);
        }
    }
    let namespace = &named.namespace;
    let answer = patient.google.ask(&at(&format!("api/v1/namespaces/{namespace}")), token).await;
    let missing = || (format!("there is no namespace {namespace}"), format!("run {install}"));
    if answer.or_tell(report, LINK, "namespace", missing).is_some() {
        report.ok(LINK, "namespace", namespace);
    }
}

async fn reachable(patient: &Patient<'_>, report: &mut Report, what: &str, address: &str, path: &str) {
    let Some(base) = based(report, what, address) else { return };
    match patient.google.ask(&format!("{base}{path}"), None).await {
        Answer::Found(_) => report.ok(LINK, what, format!("{base} answers")),
        // It is there; whether train-model's token is good is shown by the first training.
        Answer::Hidden(_) => report.unchecked(LINK, what, format!("{base} answers, and asks for train-model's token")),
        Answer::Missing => {
            let detail = format!("{base} answers, but does not know {path}");
            report.broken(LINK, what, detail, "set the address of the service itself");
        }
        Answer::Failed(why) => {
            let todo = "start it, or make it reachable from here and from train-model";
            report.broken(LINK, what, format!("{base} {why}"), todo);
        }
    }
}

/// An address with a `/` at its end, without a name and password.
fn based(report: &mut Report, what: &str, address: &str) -> Option<Url> {
    let with_slash = if address.ends_with('/') { address.to_owned() } else { format!("{address}/") };
    match Url::parse(&with_slash) {
        Ok(url) if url.username().is_empty() && url.password().is_none() && url.has_host() => Some(url),
        _ => {
            let todo = "write https://HOST, without a name or password in it";
            report.broken(LINK, what, "its address in the settings is none", todo);
            None
        }
    }
}

fn vertex(patient: &Patient<'_>, found: &Found, report: &mut Report) {
    let Some(region) = &patient.settings.vertex.location else { return };
    let Some(models) = found.locations.get("models") else {
        return report.unchecked("region", "Vertex AI", "where the models bucket is, is not known");
    };
    if patient.google.is_emulated(Api::Storage) {
        return report.unchecked("region", "Vertex AI", "an emulator is nowhere");
    }
    if reaches(models, region) && !models.eq_ignore_ascii_case("US") || models.eq_ignore_ascii_case(region) {
        report.ok("region", "Vertex AI", format!("{region}; models are in {models}"));
    } else {
        let detail = format!("it trains in {region} and models are in {models}: a model is not registered from there");
        report.broken("region", "Vertex AI", detail, "set vertex.location to the region of the models bucket");
    }
}
