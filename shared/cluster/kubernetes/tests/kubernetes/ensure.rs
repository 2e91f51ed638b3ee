//! What `ensure` finds, makes and refuses.

use futures::future::join_all;
use kube::api::{DeleteParams, DynamicObject, PostParams};
use millstream_cluster_kubernetes::KubernetesTrainer;
use millstream_events::work::Program;
use millstream_peers::kubernetes::ApiServer;
use millstream_ports::{
    ErrorKind,
    trainer::{Trainer, TrainingJob, TrainingState},
};
use serde_json::json;

use crate::support::{Cluster, KINDS, Kind, job_id, name_of, training};

const WAITING: TrainingState = TrainingState::Running { since: None };

#[tokio::test]
async fn a_job_is_created_once_and_recorded() {
    let cluster = Cluster::start().await;
    for kind in KINDS {
        let training = training(kind, &format!("once-{kind:?}"));
        let (job, name) = (job_id(&training), name_of(&training));
        assert_eq!(cluster.trainer().ensure(&job, &training).await.unwrap(), WAITING);
        let object = cluster.object(kind, &name).await.unwrap();
        assert_eq!(object["metadata"]["labels"]["millstream.dev/pipeline"], "fraud");
        assert_eq!(object["metadata"]["annotations"]["millstream.dev/run-id"], "fraud/date=2026-11-24");
        let record = cluster.records().get(&name).await.unwrap();
        assert_eq!(record.data.unwrap()["kind"], format!("{kind:?}"));
        assert_eq!(cluster.trainer().ensure(&job, &training).await.unwrap(), WAITING);
        let again = cluster.object(kind, &name).await.unwrap();
        assert_eq!(again["metadata"]["uid"], object["metadata"]["uid"]);
        assert_eq!(again["metadata"]["resourceVersion"], object["metadata"]["resourceVersion"]);
    }
}

#[tokio::test]
async fn eight_creators_make_one_object() {
    let cluster = Cluster::start().await;
    for kind in KINDS {
        let training = training(kind, &format!("race-{kind:?}"));
        let trainers: Vec<KubernetesTrainer> = (0..8).map(|_| cluster.trainer()).collect();
        let job = job_id(&training);
        let answers = join_all(trainers.iter().map(|trainer| trainer.ensure(&job, &training))).await;
        for answer in answers {
            assert_eq!(answer.unwrap(), WAITING);
        }
        let uid = cluster.object(kind, &name_of(&training)).await.unwrap()["metadata"]["uid"].clone();
        cluster.trainer().ensure(&job, &training).await.unwrap();
        assert_eq!(cluster.object(kind, &name_of(&training)).await.unwrap()["metadata"]["uid"], uid);
    }
}

#[tokio::test]
async fn an_object_made_by_other_settings_is_adopted() {
    let cluster = Cluster::start().await;
    for kind in KINDS {
        let training = training(kind, &format!("adopt-{kind:?}"));
        let (job, name) = (job_id(&training), name_of(&training));
        cluster.trainer().ensure(&job, &training).await.unwrap();
        let before = cluster.object(kind, &name).await.unwrap();
        let mut settings = cluster.settings();
        settings.service_account = "another".to_owned();
        let trainer = KubernetesTrainer::new(cluster.client.clone(), settings);
        assert_eq!(trainer.ensure(&job, &training).await.unwrap(), WAITING);
        assert_eq!(cluster.object(kind, &name).await.unwrap(), before);
    }
}

#[tokio::test]
async fn an_object_that_somebody_else_made_is_a_conflict() {
    let cluster = Cluster::start().await;
    for kind in KINDS {
        let training = training(kind, &format!("foreign-{kind:?}"));
        let (job, name) = (job_id(&training), name_of(&training));
        cluster.trainer().ensure(&job, &training).await.unwrap();
        let mut foreign = cluster.jobs(kind).get(&name).await.unwrap();
        cluster.delete(kind, &name).await;
        cluster.records().delete(&name, &DeleteParams::default()).await.unwrap();
        let metadata = std::mem::take(&mut foreign.metadata);
        foreign.metadata.name = metadata.name;
        cluster.jobs(kind).create(&PostParams::default(), &foreign).await.unwrap();

        let error = cluster.trainer().ensure(&job, &training).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
        assert!(error.to_string().contains(&name), "{error}");
        // Nor is it anybody's to end or to read.
        cluster.trainer().cancel(&job).await.unwrap();
        assert!(cluster.object(kind, &name).await.is_some());
        assert_eq!(cluster.trainer().log(&job, 100).await.unwrap_err().kind(), ErrorKind::NotFound);
    }
}

#[tokio::test]
async fn another_deployments_job_of_the_same_content_is_a_conflict_while_it_runs_and_after() {
    let cluster = Cluster::start().await;
    for kind in KINDS {
        let theirs = training(kind, &format!("theirs-{kind:?}"));
        let ours = TrainingJob { output: "gs://our-models/churn/1".parse().unwrap(), ..theirs.clone() };
        let (job, name) = (job_id(&theirs), name_of(&theirs));
        cluster.trainer().ensure(&job, &theirs).await.unwrap();
        let refused = async || {
            let error = cluster.trainer().ensure(&job, &ours).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
            assert!(error.to_string().contains(&theirs.output.to_string()), "{error}");
        };
        refused().await;
        cluster.delete(kind, &name).await;
        // Its record alone says so too.
        refused().await;
    }
}

#[tokio::test]
async fn a_config_map_that_somebody_else_made_is_a_conflict() {
    let cluster = Cluster::start().await;
    let training = training(Kind::TrainJob, "foreign-record");
    let map =
        serde_json::from_value(json!({"metadata": {"name": name_of(&training)}, "data": {"end": "mine"}})).unwrap();
    cluster.records().create(&PostParams::default(), &map).await.unwrap();
    let error = cluster.trainer().ensure(&job_id(&training), &training).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    assert!(cluster.object(Kind::TrainJob, &name_of(&training)).await.is_none());
}

#[tokio::test]
async fn an_object_whose_creator_stopped_before_the_record_gets_one() {
    let cluster = Cluster::start().await;
    let training = training(Kind::TrainJob, "no-record");
    let (job, name) = (job_id(&training), name_of(&training));
    cluster.trainer().ensure(&job, &training).await.unwrap();
    cluster.records().delete(&name, &DeleteParams::default()).await.unwrap();
    assert_eq!(cluster.trainer().ensure(&job, &training).await.unwrap(), WAITING);
    cluster.delete(Kind::TrainJob, &name).await;
    assert_eq!(cluster.trainer().ensure(&job, &training).await.unwrap(), TrainingState::Lost);
}

#[tokio::test]
async fn a_vanished_object_is_lost_and_then_started_again() {
    let cluster = Cluster::start().await;
    for kind in KINDS {
        let training = training(kind, &format!("vanish-{kind:?}"));
        let (job, name) = (job_id(&training), name_of(&training));
        cluster.trainer().ensure(&job, &training).await.unwrap();
        cluster.set_status(kind, &name, kind.running(&name)).await;
        cluster.delete(kind, &name).await;
        assert_eq!(cluster.trainer().ensure(&job, &training).await.unwrap(), TrainingState::Lost);
        assert!(cluster.object(kind, &name).await.is_none());
        assert_eq!(cluster.trainer().ensure(&job, &training).await.unwrap(), WAITING);
        assert!(cluster.object(kind, &name).await.is_some());
    }
}

#[tokio::test]
async fn an_end_that_was_seen_is_told_after_its_object_is_gone() {
    let cluster = Cluster::start().await;
    for kind in KINDS {
        let training = training(kind, &format!("gone-{kind:?}"));
        let (job, name) = (job_id(&training), name_of(&training));
        cluster.trainer().ensure(&job, &training).await.unwrap();
        cluster.set_status(kind, &name, kind.succeeded(&name, "2026-11-28T12:00:00Z")).await;
        let end = cluster.trainer().ensure(&job, &training).await.unwrap();
        assert!(matches!(end, TrainingState::Succeeded { .. }), "{end:?}");
        cluster.delete(kind, &name).await;
        assert_eq!(cluster.trainer().ensure(&job, &training).await.unwrap(), end);
        assert!(cluster.object(kind, &name).await.is_none());
    }
}

#[tokio::test]
async fn an_object_that_is_being_deleted_still_runs() {
    let cluster = Cluster::start().await;
    let training = training(Kind::RayJob, "finalizer");
    let (job, name) = (job_id(&training), name_of(&training));
    cluster.trainer().ensure(&job, &training).await.unwrap();
    let mut object = cluster.jobs(Kind::RayJob).get(&name).await.unwrap();
    object.metadata.finalizers = Some(vec!["ray.io/rayjob-finalizer".to_owned()]);
    cluster.jobs(Kind::RayJob).replace(&name, &PostParams::default(), &object).await.unwrap();
    cluster.delete(Kind::RayJob, &name).await;
    assert_eq!(cluster.trainer().ensure(&job, &training).await.unwrap(), WAITING);

    let mut object: DynamicObject = cluster.jobs(Kind::RayJob).get(&name).await.unwrap();
    object.metadata.finalizers = None;
    cluster.jobs(Kind::RayJob).replace(&name, &PostParams::default(), &object).await.unwrap();
    assert_eq!(cluster.trainer().ensure(&job, &training).await.unwrap(), TrainingState::Lost);
}

#[tokio::test]
async fn a_queue_that_is_not_there_is_refused_before_anything_is_created() {
    let cluster = Cluster::start().await;
    for kind in KINDS {
        let mut training = training(kind, &format!("queue-{kind:?}"));
        let (job, name) = (job_id(&training), name_of(&training));
        let queue = format!("gpus-{}", kind.resource().plural);
        training.compute.queue = Some(queue.clone());
        let error = cluster.trainer().ensure(&job, &training).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
        assert!(error.to_string().starts_with(&format!("compute.queue: there is no LocalQueue `{queue}`")), "{error}");
        assert!(cluster.object(kind, &name).await.is_none());
        assert!(cluster.records().get_opt(&name).await.unwrap().is_none());

        cluster.create_queue(&queue).await;
        assert_eq!(cluster.trainer().ensure(&job, &training).await.unwrap(), WAITING);
        let object = cluster.object(kind, &name).await.unwrap();
        assert_eq!(object["metadata"]["labels"]["kueue.x-k8s.io/queue-name"], queue.as_str());
    }
}

#[tokio::test]
async fn what_no_kind_takes_is_refused_before_anything_is_asked() {
    let cluster = Cluster::small().await;
    let asked = cluster.server().requests().len();
    let mut training = training(Kind::TrainJob, "no-image");
    training.program = Program::Command(vec!["train.py".to_owned()]);
    let error = cluster.trainer().ensure(&job_id(&training), &training).await.unwrap_err();
    assert!(error.kind() == ErrorKind::Invalid && error.to_string().starts_with("image: "), "{error}");
    let error = cluster.trainer().ensure("No/Name", &training).await.unwrap_err();
    assert!(error.kind() == ErrorKind::Invalid && error.to_string().starts_with("job: "), "{error}");
    assert_eq!(cluster.server().requests().len(), asked);
}

#[tokio::test]
async fn a_secret_is_named_in_the_object_and_never_read() {
    let cluster = Cluster::small().await;
    for kind in KINDS {
        let mut training = training(kind, &format!("secret-{kind:?}"));
        training.env.insert("CRM".to_owned(), "secret:crm-password".to_owned());
        cluster.trainer().ensure(&job_id(&training), &training).await.unwrap();
        let object = cluster.object(kind, &name_of(&training)).await.unwrap().to_string();
        assert!(object.contains(r#""secretKeyRef""#) && object.contains(r#""crm-password""#), "{object}");
        assert!(!object.contains("secret:"), "{object}");
    }
    let requests = cluster.server().requests();
    assert!(requests.iter().all(|request| !request.contains("/secrets")), "{requests:?}");
}

#[tokio::test]
async fn a_cluster_without_the_kind_says_what_to_install() {
    for kind in KINDS {
        let cluster = Cluster::on(ApiServer::start_without(&[kind.resource().plural.as_str()])).await;
        let training = training(kind, "missing");
        let error = cluster.trainer().ensure(&job_id(&training), &training).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
        assert!(error.to_string().starts_with(&format!("compute.run_on: the cluster has no {kind:?}")), "{error}");
        // A cluster with only some of the kinds is one all the same.
        cluster.trainer().cancel(&job_id(&training)).await.unwrap();
        let error = cluster.trainer().log(&job_id(&training), 100).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    }
}

#[tokio::test]
async fn a_namespace_that_is_not_there_is_named() {
    let cluster = Cluster::start().await;
    let mut settings = cluster.settings();
    settings.namespace = format!("{}-not", cluster.namespace);
    let training = training(Kind::TrainJob, "no-namespace");
    let trainer = KubernetesTrainer::new(cluster.client.clone(), settings.clone());
    let error = trainer.ensure(&job_id(&training), &training).await.unwrap_err();
    assert!(error.to_string().contains(&format!("no namespace `{}`", settings.namespace)), "{error}");
}

#[tokio::test]
async fn the_beginning_of_a_job_outlives_its_pods() {
    let cluster = Cluster::start().await;
    for kind in KINDS {
        let training = training(kind, &format!("since-{kind:?}"));
        let (job, name) = (job_id(&training), name_of(&training));
        cluster.trainer().ensure(&job, &training).await.unwrap();
        cluster.set_status(kind, &name, kind.running(&name)).await;
        let node = kind.node(&name, 0);
        cluster.create_pod(&node, json!({"running": {"startedAt": "2026-11-28T10:02:00Z"}})).await;
        let since = TrainingState::Running { since: Some("2026-11-28T10:02:00Z".parse().unwrap()) };
        assert_eq!(cluster.trainer().ensure(&job, &training).await.unwrap(), since);
        // A machine is taken back, and the job goes on on another one.
        cluster.delete_pod(&node.name).await;
        cluster.create_pod(&node, json!({"running": {"startedAt": "2026-11-28T11:00:00Z"}})).await;
        assert_eq!(cluster.trainer().ensure(&job, &training).await.unwrap(), since);
        cluster.set_status(kind, &name, kind.succeeded(&name, "2026-11-28T12:02:00Z")).await;
        let end = cluster.trainer().ensure(&job, &training).await.unwrap();
        assert_eq!(end, TrainingState::Succeeded { seconds: 7_200.0, log: None });
    }
}

#[tokio::test]
async fn a_list_that_expires_between_its_pages_is_begun_again() {
    let cluster = Cluster::start().await;
    let training = training(Kind::TrainJob, "pages");
    let (job, name) = (job_id(&training), name_of(&training));
    cluster.trainer().ensure(&job, &training).await.unwrap();
    cluster.set_status(Kind::TrainJob, &name, Kind::TrainJob.running(&name)).await;
    // More than one page, and the one that began first is in the last.
    for number in 0..=200 {
        let mut pod = Kind::TrainJob.node(&name, number);
        pod.name = format!("{name}-{number:04}");
        let minute = 59 - number % 60;
        let started =
            if number == 200 { "2026-11-28T09:00:00Z".to_owned() } else { format!("2026-11-28T10:{minute:02}:00Z") };
        cluster.create_pod(&pod, json!({"running": {"startedAt": started}})).await;
    }
    cluster.expire_next_page();
    let state = cluster.trainer().ensure(&job, &training).await.unwrap();
    assert_eq!(state, TrainingState::Running { since: Some("2026-11-28T09:00:00Z".parse().unwrap()) });
}

#[tokio::test]
async fn an_identity_without_rights_is_denied() {
    let cluster = Cluster::small().await;
    cluster.server().require_token("secret");
    let training = training(Kind::TrainJob, "denied");
    let error = cluster.trainer().ensure(&job_id(&training), &training).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
}
