//! Several runs of one name.

use chrono::{TimeDelta, Utc};
use futures::future::join_all;
use millstream_ports::{Clock, SystemClock, Trainer, TrainingState};
use serde_json::{Value, json};

use crate::{
    stub::written,
    support::{JOB, Site, behaving},
};

fn states(site: &Site) -> Vec<String> {
    site.stub.runs().iter().map(|run| run["state"].as_str().unwrap().to_owned()).collect()
}

/// The same run as another process would have made it, `seconds` later.
fn twin(run: &Value, seconds: i64) -> Value {
    let mut twin = run.clone();
    let at: chrono::DateTime<Utc> = run["created_at"].as_str().unwrap().parse().unwrap();
    twin["run_id"] = format!("twin{seconds}").replace('-', "m").into();
    twin["created_at"] = written(at + TimeDelta::seconds(seconds)).into();
    twin
}

#[tokio::test]
async fn a_run_is_made_once_however_often_it_is_asked_for() {
    let site = Site::new().await;
    let training = behaving("succeeds");
    for answer in join_all((0..8).map(|_| site.trainer.ensure(JOB, &training))).await {
        answer.unwrap();
    }
    let state = site.end(&training).await;
    assert_eq!(site.ensure(&training).await, state);
    assert_eq!(site.other_trainer().ensure(JOB, &training).await.unwrap(), state);
    assert_eq!(site.stub.only_run()["display_name"], JOB);
    assert_eq!(site.stub.experiments().len(), 1);
}

#[tokio::test]
async fn processes_that_race_agree_on_one_run_and_end_the_others() {
    let site = Site::new().await;
    let training = behaving("hangs");
    let trainers: Vec<_> = (0..8).map(|_| site.other_trainer()).collect();
    for answer in join_all(trainers.iter().map(|trainer| trainer.ensure(JOB, &training))).await {
        answer.unwrap();
    }
    for _ in 0..3 {
        site.ensure(&training).await;
    }
    let states = states(&site);
    assert_eq!(states.iter().filter(|state| *state == "RUNNING").count(), 1, "{states:?}");
    assert!(states.iter().all(|state| state == "RUNNING" || state == "CANCELED"), "{states:?}");
    let running = site.stub.runs().into_iter().position(|run| run["state"] == "RUNNING").unwrap();
    site.stub.change(running, |run| run["runtime_config"]["parameters"]["behaviour"] = "succeeds".into());
    for trainer in &trainers {
        let state = trainer.ensure(JOB, &training).await.unwrap();
        assert!(matches!(state, TrainingState::Succeeded { .. }), "{state:?}");
    }
}

#[tokio::test]
async fn the_oldest_counts_whoever_made_it() {
    let site = Site::new().await;
    let training = behaving("hangs");
    site.ensure(&training).await;
    let run = site.stub.only_run();
    site.stub.insert(twin(&run, 5));
    site.stub.insert(twin(&run, -5));
    site.ensure(&training).await;
    site.ensure(&training).await;
    assert_eq!(states(&site), ["CANCELED", "CANCELED", "RUNNING"]);
    // The others' end is not the training's.
    assert!(site.ensure(&training).await.is_running());
}

/// More than fit on a page, and all of them older.
#[tokio::test]
async fn runs_that_were_not_made_here_do_not_count_and_are_left_alone() {
    let site = Site::new().await;
    let training = behaving("succeeds");
    site.trainer.ensure("other", &training).await.unwrap();
    let experiment = site.stub.experiments()[0]["experiment_id"].clone();
    for number in 0..10 {
        site.stub.insert(json!({
            "run_id": format!("foreign{number}"), "display_name": JOB, "description": "nightly", "experiment_id": experiment,
            "state": "RUNNING", "created_at": written(SystemClock.now() - TimeDelta::hours(1)), "state_history": [],
            "runtime_config": {"parameters": {}},
        }));
    }
    let state = site.end(&training).await;
    assert!(matches!(state, TrainingState::Succeeded { .. }), "{state:?}");
    let ours: Vec<Value> = site.stub.runs().into_iter().filter(|run| run["description"] != "nightly").collect();
    assert_eq!(ours.len(), 2, "{ours:#?}");
    site.trainer.cancel(JOB).await.unwrap();
    assert_eq!(states(&site).iter().filter(|state| *state == "RUNNING").count(), 10);
    assert!(site.stub.requests().iter().any(|request| request.contains("page_token=")));
}

#[tokio::test]
async fn cancelling_ends_every_run_of_the_job() {
    let site = Site::new().await;
    let training = behaving("hangs");
    site.ensure(&training).await;
    site.stub.insert(twin(&site.stub.only_run(), 5));
    site.trainer.cancel(JOB).await.unwrap();
    assert_eq!(states(&site), ["CANCELED", "CANCELED"]);
    let state = site.ensure(&training).await;
    assert!(matches!(&state, TrainingState::Failed { reason, .. } if reason == "it was cancelled"), "{state:?}");
}

#[tokio::test]
async fn an_experiment_that_somebody_else_just_made_is_used() {
    let site = Site::new().await;
    site.stub.let_experiment_appear();
    site.ensure(&behaving("hangs")).await;
    assert_eq!(site.stub.only_run()["experiment_id"], "appeared");
}
