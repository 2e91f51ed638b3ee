//! From settings to a cluster.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, Config, api::PostParams};
use millstream_cluster_kubernetes::{KubernetesSettings, KubernetesTrainer, TokenSource};
use millstream_peers::kubernetes::ApiServer;
use millstream_ports::{ErrorKind, PortError, trainer::Trainer};
use serde_json::json;

use crate::support::{Kind, client, job_id, training};

async fn server() -> (ApiServer, KubernetesSettings) {
    let server = ApiServer::start();
    let client = client(Config::new(server.url().parse().unwrap()));
    let settings = KubernetesSettings { url: Some(server.url()), ..KubernetesSettings::default() };
    let namespace: Namespace = serde_json::from_value(json!({"metadata": {"name": settings.namespace}})).unwrap();
    Api::all(client).create(&PostParams::default(), &namespace).await.unwrap();
    (server, settings)
}

#[tokio::test]
async fn a_url_alone_is_enough() {
    let (_server, settings) = server().await;
    let trainer = KubernetesTrainer::connect(settings).await.unwrap();
    let training = training(Kind::TrainJob, "url");
    trainer.ensure(&job_id(&training), &training).await.unwrap();
}

#[tokio::test]
async fn every_request_brings_the_token_of_its_time() {
    let (server, mut settings) = server().await;
    let asked = Arc::new(AtomicU32::new(0));
    let number = Arc::clone(&asked);
    settings.token = Some(TokenSource::new(move || {
        let number = number.load(Ordering::SeqCst);
        async move { Ok(format!("token-{number}")) }
    }));
    let trainer = KubernetesTrainer::connect(settings).await.unwrap();
    let training = training(Kind::TrainJob, "token");
    for number in 0..3 {
        server.require_token(&format!("token-{number}"));
        asked.store(number, Ordering::SeqCst);
        trainer.ensure(&job_id(&training), &training).await.unwrap();
    }
    server.require_token("another");
    let error = trainer.ensure(&job_id(&training), &training).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
    assert!(!format!("{error} {error:?}").contains("token-"), "{error:?}");
}

#[tokio::test]
async fn a_token_that_cannot_be_had_fails_one_call_and_not_the_next() {
    let (server, mut settings) = server().await;
    server.require_token("good");
    let asked = Arc::new(AtomicU32::new(0));
    settings.token = Some(TokenSource::new(move || {
        let first = asked.fetch_add(1, Ordering::SeqCst) == 0;
        async move { if first { Err(PortError::unavailable("no token now")) } else { Ok("good".to_owned()) } }
    }));
    let trainer = KubernetesTrainer::connect(settings).await.unwrap();
    let training = training(Kind::TrainJob, "no-token");
    let error = trainer.ensure(&job_id(&training), &training).await.unwrap_err();
    assert!(error.kind() == ErrorKind::Unavailable && error.to_string().contains("no token now"), "{error}");
    trainer.ensure(&job_id(&training), &training).await.unwrap();
}

#[tokio::test]
async fn a_url_that_is_none_is_refused() {
    let settings = KubernetesSettings { url: Some("not a url".to_owned()), ..KubernetesSettings::default() };
    assert_eq!(KubernetesTrainer::connect(settings).await.unwrap_err().kind(), ErrorKind::Invalid);
}

#[tokio::test]
async fn a_cluster_that_is_not_there_is_unavailable() {
    let (server, settings) = server().await;
    drop(server);
    let trainer = KubernetesTrainer::connect(settings).await.unwrap();
    let training = training(Kind::TrainJob, "nobody");
    let error = trainer.ensure(&job_id(&training), &training).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
}
