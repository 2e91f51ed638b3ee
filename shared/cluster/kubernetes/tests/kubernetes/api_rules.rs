//! The rules of the API that this crate builds on, on whichever server the tests run: the small one keeps them as the real one.

use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::{
    Api, Error,
    api::{DeleteParams, ListParams, LogParams, Patch, PatchParams, PostParams, Preconditions},
    core::Status,
};
use serde_json::{Value, json};

use crate::support::{Cluster, Kind, training};

fn map(value: Value) -> ConfigMap {
    serde_json::from_value(value).unwrap()
}

fn answered<T: std::fmt::Debug>(result: Result<T, Error>) -> Status {
    match result {
        Err(Error::Api(status)) => *status,
        other => panic!("{other:?}"),
    }
}

async fn create(cluster: &Cluster, name: &str) -> ConfigMap {
    let object = map(json!({"metadata": {"name": name, "labels": {"a": "b"}}, "data": {"one": "1"}}));
    let by = PostParams { field_manager: Some("creator".to_owned()), ..PostParams::default() };
    cluster.records().create(&by, &object).await.unwrap()
}

#[tokio::test]
async fn a_name_is_given_once() {
    let cluster = Cluster::start().await;
    let first = create(&cluster, "one").await;
    let again = cluster.records().create(&PostParams::default(), &map(json!({"metadata": {"name": "one"}}))).await;
    let status = answered(again);
    assert_eq!((status.code, status.reason.as_str()), (409, "AlreadyExists"));
    cluster.records().delete("one", &DeleteParams::default()).await.unwrap();
    assert_ne!(create(&cluster, "one").await.metadata.uid, first.metadata.uid);
}

#[tokio::test]
async fn what_was_changed_since_it_was_read_is_a_conflict() {
    let cluster = Cluster::start().await;
    let read = create(&cluster, "stale").await;
    let mut changed = read.clone();
    changed.data = Some([("one".to_owned(), "2".to_owned())].into());
    cluster.records().replace("stale", &PostParams::default(), &changed).await.unwrap();
    let status = answered(cluster.records().replace("stale", &PostParams::default(), &changed).await);
    assert_eq!((status.code, status.reason.as_str()), (409, "Conflict"));

    let version = read.metadata.resource_version.unwrap();
    let patch = map(json!({"metadata": {"name": "stale", "resourceVersion": version}, "data": {"two": "2"}}));
    let apply = PatchParams::apply("applier").force();
    let status = answered(cluster.records().patch("stale", &apply, &Patch::Apply(&patch)).await);
    assert_eq!((status.code, status.reason.as_str()), (409, "Conflict"));
}

/// Why records are replaced and not applied.
#[tokio::test]
async fn an_apply_creates_whatever_version_it_names_and_a_replace_does_not() {
    let cluster = Cluster::start().await;
    let gone = create(&cluster, "gone").await;
    cluster.records().delete("gone", &DeleteParams::default()).await.unwrap();
    let status = answered(cluster.records().replace("gone", &PostParams::default(), &gone).await);
    assert!(status.code == 404 || status.code == 409, "{status:?}");
    let patch = map(json!({"metadata": {"name": "gone", "resourceVersion": gone.metadata.resource_version}}));
    cluster.records().patch("gone", &PatchParams::apply("a"), &Patch::Apply(&patch)).await.unwrap();
    assert_ne!(cluster.records().get("gone").await.unwrap().metadata.uid, gone.metadata.uid);
}

#[tokio::test]
async fn an_apply_keeps_to_its_own_fields() {
    let cluster = Cluster::start().await;
    create(&cluster, "apply").await;
    let patch = |data: Value| map(json!({"metadata": {"name": "apply"}, "data": data}));
    let (mine, forced) = (PatchParams::apply("applier"), PatchParams::apply("applier").force());
    let status = answered(cluster.records().patch("apply", &mine, &Patch::Apply(&patch(json!({"one": "2"})))).await);
    assert_eq!(status.code, 409, "{status:?}");
    let both = Patch::Apply(patch(json!({"two": "2", "three": "3"})));
    cluster.records().patch("apply", &mine, &both).await.unwrap();
    let less = Patch::Apply(patch(json!({"one": "9", "two": "2"})));
    let map = cluster.records().patch("apply", &forced, &less).await.unwrap();
    let data: Vec<_> = map.data.unwrap().into_iter().collect();
    assert_eq!(data, [("one".to_owned(), "9".to_owned()), ("two".to_owned(), "2".to_owned())]);
}

#[tokio::test]
async fn a_delete_keeps_to_the_identity_it_names() {
    let cluster = Cluster::start().await;
    let object = create(&cluster, "only").await;
    let only =
        |uid: Option<String>| DeleteParams::background().preconditions(Preconditions { uid, resource_version: None });
    let other = Some("00000000-0000-4000-8000-ffffffffffff".to_owned());
    let status = answered(cluster.records().delete("only", &only(other)).await);
    assert_eq!((status.code, status.reason.as_str()), (409, "Conflict"));
    cluster.records().delete("only", &only(object.metadata.uid)).await.unwrap();
    let status = answered(cluster.records().delete("only", &DeleteParams::default()).await);
    assert_eq!((status.code, status.reason.as_str()), (404, "NotFound"));
}

#[tokio::test]
async fn a_status_is_written_by_itself() {
    let cluster = Cluster::start().await;
    let job = training(Kind::TrainJob, "status");
    let name = crate::support::name_of(&job);
    millstream_ports::trainer::Trainer::ensure(&cluster.trainer(), &job.step.job_id(), &job).await.unwrap();
    cluster.set_status(Kind::TrainJob, &name, Kind::TrainJob.running(&name)).await;
    let before = cluster.object(Kind::TrainJob, &name).await.unwrap();
    assert_eq!(before["status"]["jobsStatus"][0]["active"], 1);
    // By way of the object itself the status stays, by way of the status the rest.
    let patch = json!({"metadata": {"labels": {"x": "y"}}, "status": {"jobsStatus": []}});
    cluster.jobs(Kind::TrainJob).patch(&name, &PatchParams::default(), &Patch::Merge(&patch)).await.unwrap();
    let patch = json!({"metadata": {"labels": {"x": "z"}}, "spec": {"suspend": true}, "status": {"conditions": []}});
    cluster.jobs(Kind::TrainJob).patch_status(&name, &PatchParams::default(), &Patch::Merge(&patch)).await.unwrap();
    let after = cluster.object(Kind::TrainJob, &name).await.unwrap();
    assert_eq!(after["status"]["jobsStatus"], before["status"]["jobsStatus"]);
    assert_eq!(after["metadata"]["labels"]["x"], "y");
    assert_ne!(after["spec"]["suspend"], true);
}

#[tokio::test]
async fn lists_are_selected_paged_and_expire() {
    let cluster = Cluster::start().await;
    for number in 0..5 {
        create(&cluster, &format!("page-{number}")).await;
    }
    let all = ListParams::default().labels("a=b,!c");
    assert_eq!(cluster.records().list(&all).await.unwrap().items.len(), 5);
    assert_eq!(cluster.records().list(&ListParams::default().labels("a in (c)")).await.unwrap().items.len(), 0);
    let metadata = cluster.records().list_metadata(&all.clone().limit(2)).await.unwrap();
    assert_eq!(metadata.items.len(), 2);
    assert!(metadata.items[0].metadata.uid.is_some());
    let token = metadata.metadata.continue_.unwrap();
    let next = cluster.records().list(&all.clone().limit(2).continue_token(&token)).await.unwrap();
    assert_eq!(next.items[0].metadata.name.as_deref(), Some("page-2"));
    let token = next.metadata.continue_.unwrap();
    cluster.expire_next_page();
    let status = answered(cluster.records().list(&all.limit(2).continue_token(&token)).await);
    assert_eq!((status.code, status.reason.as_str()), (410, "Expired"));
}

#[tokio::test]
async fn what_is_not_there_says_what_it_is() {
    let cluster = Cluster::start().await;
    let status = answered(cluster.records().get("nothing").await);
    assert_eq!((status.code, status.reason.as_str()), (404, "NotFound"));
    let elsewhere: Api<ConfigMap> = Api::namespaced(cluster.client.clone(), "no-such-namespace");
    let object = map(json!({"metadata": {"name": "x"}}));
    let status = answered(elsewhere.create(&PostParams::default(), &object).await);
    assert_eq!((status.code, status.details.unwrap().kind.as_str()), (404, "namespaces"));
    let odd = map(json!({"metadata": {"name": "x", "labels": {"a": "no/value"}}}));
    assert_eq!(answered(cluster.records().create(&PostParams::default(), &odd).await).code, 422);
    let odd = map(json!({"metadata": {"name": "No_Name"}}));
    assert_eq!(answered(cluster.records().create(&PostParams::default(), &odd).await).code, 422);
}

#[tokio::test]
async fn the_small_server_reads_a_log_from_its_end() {
    let cluster = Cluster::small().await;
    let pod = Kind::TrainJob.chief("log");
    let pods: Api<Pod> = cluster.pods();
    let from = |lines| LogParams { container: Some("node".to_owned()), tail_lines: lines, ..LogParams::default() };
    assert_eq!(answered(pods.logs(&pod.name, &from(None)).await).code, 404);
    cluster.create_pod(&pod, json!({"waiting": {}})).await;
    assert_eq!(answered(pods.logs(&pod.name, &from(None)).await).code, 400);
    cluster.set_log(&pod, "a\nb\nc");
    assert_eq!(pods.logs(&pod.name, &from(Some(2))).await.unwrap(), "b\nc");
    let other = LogParams { container: Some("other".to_owned()), ..LogParams::default() };
    assert_eq!(answered(pods.logs(&pod.name, &other).await).code, 400);
}
