//! Endpoints and the way their traffic moves.

use std::collections::BTreeMap;

use millstream_events::Fingerprint;
use millstream_ports::{
    Deployed, EndpointState, Endpoints, ErrorKind, ModelRegistry, NewVersion, PortResult, contracts, optional,
};
use serde_json::{Value, json};

use crate::{
    failing_store::FailingStore,
    meanwhile_store::{MeanwhileStore, When},
    support::{Models, PARENT, artifact, asked_again, impatient, name},
};

/// Registers this many versions of `churn`.
pub(crate) async fn register(models: &Models, versions: u64) {
    for training in 1..=versions {
        let version = NewVersion {
            model: name("churn"),
            fingerprint: Fingerprint::of("test", [training.to_string().as_bytes()]),
            run: "shop".parse().unwrap(),
            data: "production.features".parse().unwrap(),
            sequence: 1,
            artifact: artifact(),
            metrics: BTreeMap::new(),
            cost: None,
        };
        assert_eq!(models.registry().ensure_version(&version).await.unwrap().version, training);
    }
}

/// The endpoint `churn` with these versions of the model `churn`.
pub(crate) fn state(shares: &[(u64, u8)]) -> EndpointState {
    let one = |(version, traffic): &(u64, u8)| Deployed { model: name("churn"), version: *version, traffic: *traffic };
    EndpointState {
        endpoint: name("churn"),
        deployed: shares.iter().map(one).collect(),
        since: chrono::DateTime::from_timestamp(1_790_000_000, 0).unwrap(),
        by: format!("{shares:?}"),
        previous: Vec::new(),
        moves: Vec::new(),
        revision: 0,
    }
}

/// The endpoint on Vertex AI.
fn there(models: &Models) -> Value {
    models.fake.seen()["endpoints"][format!("{PARENT}/endpoints/churn")].clone()
}

/// What is deployed, as `(version, share)`, oldest first.
pub(crate) fn deployments(models: &Models) -> Vec<(u64, i64)> {
    let endpoint = there(models);
    let share = |id: &Value| endpoint["trafficSplit"][id.as_str().unwrap()].as_i64().unwrap_or_default();
    let all = endpoint["deployedModels"].as_array().cloned().unwrap_or_default();
    all.iter().map(|one| (one["modelVersionId"].as_str().unwrap().parse().unwrap(), share(&one["id"]))).collect()
}

/// The ids of what is deployed, oldest first.
pub(crate) fn deployed_ids(models: &Models, endpoint: &str) -> Vec<String> {
    let seen = models.fake.seen();
    let deployed = seen["endpoints"][format!("{PARENT}/endpoints/{endpoint}")]["deployedModels"].clone();
    deployed.as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect()
}

/// What promote-model does at each delivery: it reads, decides and sets. A call that was cut off is one that nobody answers.
async fn move_to(models: &Models, wanted: &EndpointState) -> PortResult<EndpointState> {
    // Each delivery may come to another process.
    let endpoints = models.endpoints();
    let current = optional(endpoints.endpoint(&wanted.endpoint).await)?;
    match current {
        Some(current) if current.by == wanted.by => Ok(current),
        current => endpoints.set(wanted, current.map(|current| current.revision)).await,
    }
}

#[tokio::test]
async fn vertex_ai_keeps_the_contract_of_endpoints() {
    let models = Models::start();
    contracts::endpoints(&models.endpoints(), &models.registry(), &artifact()).await;
}

#[tokio::test]
async fn a_canary_goes_to_the_end_and_leaves_nothing_behind() {
    let models = Models::start();
    register(&models, 2).await;
    let steps: [&[(u64, u8)]; 4] = [&[(1, 100)], &[(1, 90), (2, 10)], &[(1, 50), (2, 50)], &[(2, 100)]];
    for shares in steps {
        let set = move_to(&models, &state(shares)).await.unwrap();
        assert_eq!(models.endpoints().endpoint(&name("churn")).await.unwrap(), set);
        let wanted: Vec<(u64, i64)> = shares.iter().map(|(version, share)| (*version, i64::from(*share))).collect();
        assert_eq!(deployments(&models), wanted);
    }
    assert_eq!((models.fake.asked("DeployModel"), models.fake.asked("UndeployModel")), (2, 1));
    assert_eq!(models.fake.asked("CreateEndpoint"), 1);
}

/// The ways in which the moves below are cut off.
const MOVES: [&[(u64, u8)]; 3] = [&[(1, 100)], &[(1, 90), (2, 10)], &[(2, 100)]];

/// Makes the moves, each delivery in another process, asked again where one is cut off. The end is the same as without.
async fn make_moves(models: &Models, cut_off: &str) {
    for shares in MOVES {
        let wanted = state(shares);
        let set = asked_again(async || move_to(models, &wanted).await).await;
        let told = EndpointState { revision: set.revision, ..wanted };
        assert_eq!(set, told, "{cut_off}");
        let seen = asked_again(async || models.endpoints().endpoint(&name("churn")).await).await;
        assert_eq!(seen, told, "{cut_off}");
        let shares: Vec<(u64, i64)> = shares.iter().map(|(version, share)| (*version, i64::from(*share))).collect();
        assert_eq!(deployments(models), shares, "{cut_off}");
    }
}

/// The n-th request is lost, or its answer is, for every n.
#[tokio::test]
async fn a_move_that_is_cut_off_between_any_two_requests_ends_the_same() {
    let mut models = Models::start();
    for after in [false, true] {
        for n in 1.. {
            models.begin();
            register(&models, 2).await;
            models.fake.control(&json!({"failAt": {"n": n, "after": after}}));
            make_moves(&models, &format!("request {n}, after its effect: {after}")).await;
            if !models.fake.seen()["failAt"].is_null() {
                break;
            }
        }
    }
}

/// The same with the n-th read or write of the record.
#[tokio::test]
async fn a_move_that_is_cut_off_at_any_use_of_its_record_ends_the_same() {
    let mut models = Models::start();
    for after in [false, true] {
        for n in 1.. {
            models.begin();
            // What is registered is read from Vertex AI, so that the record's store may be another.
            register(&models, 2).await;
            let store = FailingStore::new(n, after);
            models.store = store.clone();
            make_moves(&models, &format!("use {n} of the store, after its effect: {after}")).await;
            if !store.has_failed() {
                break;
            }
        }
    }
}

/// A deployment takes a quarter of an hour: no call waits so long, and none begins it again.
#[tokio::test]
async fn a_deployment_that_takes_longer_than_a_call_is_gone_on_with() {
    let models = Models::start();
    register(&models, 2).await;
    models.fake.control(&json!({"operationTicks": 9}));
    for shares in [&[(1, 100)][..], &[(1, 90), (2, 10)], &[(2, 100)]] {
        let wanted = state(shares);
        let mut waited = 0;
        loop {
            let endpoints = models.endpoints_with(impatient());
            let current = optional(endpoints.endpoint(&name("churn")).await).unwrap();
            // While it is under way, the endpoint is as it was.
            assert!(current.as_ref().is_none_or(|current| current.by != wanted.by));
            match endpoints.set(&wanted, current.map(|current| current.revision)).await {
                Ok(_) => break,
                Err(error) => assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}"),
            }
            waited += 1;
            assert!(waited < 50);
        }
        assert!(waited > 0);
    }
    assert_eq!(deployments(&models), [(2, 100)]);
    let asked = ["CreateEndpoint", "DeployModel", "UndeployModel"].map(|method| models.fake.asked(method));
    assert_eq!(asked, [1, 2, 1]);
}

#[tokio::test]
async fn an_endpoint_that_is_there_already_is_taken_whether_that_is_said_at_once_or_later() {
    for inside in [false, true] {
        let models = Models::start();
        register(&models, 1).await;
        models.fake.control(&json!({"alreadyExistsInside": inside, "operationTicks": 3}));
        // Two processes find none and create it.
        let (one, other) = (models.endpoints(), models.endpoints());
        let wanted = state(&[(1, 100)]);
        let (a, b) = tokio::join!(one.set(&wanted, None), other.set(&wanted, None));
        let won = [&a, &b].into_iter().filter(|answer| answer.is_ok()).count();
        assert_eq!(won, 1, "{a:?} {b:?}");
        assert_eq!(deployments(&models), [(1, 100)], "inside: {inside}");
    }
}

#[tokio::test]
async fn a_version_that_does_not_come_up_fails_the_move_and_nothing_changes() {
    let models = Models::start();
    register(&models, 2).await;
    let first = move_to(&models, &state(&[(1, 100)])).await.unwrap();
    let words = "Model server exited unexpectedly.";
    for (inside, status, kind) in [
        (true, "FAILED_PRECONDITION", ErrorKind::Invalid),
        (true, "INVALID_ARGUMENT", ErrorKind::Invalid),
        (false, "PERMISSION_DENIED", ErrorKind::Denied),
        (true, "INTERNAL", ErrorKind::Unavailable),
        (false, "FAILED_PRECONDITION", ErrorKind::Unavailable),
    ] {
        let failure = json!({"method": "DeployModel", "status": status, "message": words, "inside": inside});
        models.fake.control(&json!({"failures": [failure]}));
        let error = move_to(&models, &state(&[(1, 90), (2, 10)])).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains("exited unexpectedly"), "{error}");
        let now = models.endpoints().endpoint(&name("churn")).await.unwrap();
        assert_eq!(now, EndpointState { revision: now.revision, ..first.clone() });
        assert_eq!(deployments(&models), [(1, 100)]);
    }
    move_to(&models, &state(&[(1, 90), (2, 10)])).await.unwrap();
    assert_eq!(deployments(&models), [(1, 90), (2, 10)]);
}

#[tokio::test]
async fn a_first_version_that_does_not_come_up_leaves_an_endpoint_that_is_not_there_yet() {
    let models = Models::start();
    register(&models, 1).await;
    let failure = json!({"method": "DeployModel", "status": "FAILED_PRECONDITION", "inside": true});
    models.fake.control(&json!({"failures": [failure]}));
    assert_eq!(move_to(&models, &state(&[(1, 100)])).await.unwrap_err().kind(), ErrorKind::Invalid);
    let error = models.endpoints().endpoint(&name("churn")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(models.endpoints().endpoints().await.unwrap(), []);
    move_to(&models, &state(&[(1, 100)])).await.unwrap();
    assert_eq!(models.endpoints().endpoints().await.unwrap().len(), 1);
}

/// The traffic has moved: only the old version is left to be taken away.
#[tokio::test]
async fn an_old_version_that_does_not_go_away_at_first_is_taken_away_later() {
    let models = Models::start();
    register(&models, 2).await;
    let first = move_to(&models, &state(&[(1, 100)])).await.unwrap();
    for inside in [false, true] {
        let failure = json!({"method": "UndeployModel", "status": "FAILED_PRECONDITION", "inside": inside});
        models.fake.control(&json!({"failures": [failure]}));
        let error = move_to(&models, &state(&[(2, 100)])).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        assert_eq!(deployments(&models), [(1, 0), (2, 100)]);
        let now = models.endpoints().endpoint(&name("churn")).await.unwrap();
        assert_eq!(now, EndpointState { revision: now.revision, ..first.clone() }, "it is decided again");
    }
    move_to(&models, &state(&[(2, 100)])).await.unwrap();
    assert_eq!(deployments(&models), [(2, 100)]);
}

#[tokio::test]
async fn traffic_that_a_person_moved_is_what_there_is_and_is_not_written_over() {
    let models = Models::start();
    register(&models, 2).await;
    let set = move_to(&models, &state(&[(1, 90), (2, 10)])).await.unwrap();
    let resource = format!("{PARENT}/endpoints/churn");
    models.fake.control(&json!({"endpoints": {&resource: {"traffic": {"1": 20, "2": 80}}}}));
    let seen = models.endpoints().endpoint(&name("churn")).await.unwrap();
    assert_eq!(seen.deployed, state(&[(1, 20), (2, 80)]).deployed);
    assert_eq!(seen.by, "changed outside Millstream");
    assert!(seen.since > set.since);
    assert_eq!(models.endpoints().endpoints().await.unwrap(), std::slice::from_ref(&seen));
    // Who decides on what there is now may go on from it.
    let next = models.endpoints().set(&state(&[(2, 100)]), Some(seen.revision)).await.unwrap();
    assert_eq!(deployments(&models), [(2, 100)]);
    assert_eq!(models.endpoints().endpoint(&name("churn")).await.unwrap(), next);
}

/// Both have decided on what there was; the one that comes later finds the record changed, or the traffic's etag.
#[tokio::test]
async fn of_two_processes_that_move_the_traffic_at_once_one_wins_and_its_traffic_stays() {
    let models = Models::start();
    register(&models, 3).await;
    let first = move_to(&models, &state(&[(1, 100)])).await.unwrap();
    let wanted = [state(&[(2, 100)]), state(&[(3, 100)])];
    let (one, other) = (models.endpoints(), models.endpoints());
    let revision = Some(first.revision);
    let (a, b) = tokio::join!(one.set(&wanted[0], revision), other.set(&wanted[1], revision));
    let winner = match (a, b) {
        (Ok(won), Err(lost)) | (Err(lost), Ok(won)) => {
            assert_eq!(lost.kind(), ErrorKind::Conflict);
            won
        }
        both => panic!("{both:?}"),
    };
    assert_eq!(models.endpoints().endpoint(&name("churn")).await.unwrap(), winner);
    assert_eq!(deployments(&models), [(winner.deployed[0].version, 100)]);
}

/// Another process makes its whole change in the middle of the first one's: before that one looks at the traffic, between its
/// look and the question whether the change is still its own, or after that and before it moves the traffic.
#[tokio::test]
async fn a_change_that_was_overtaken_does_not_move_the_traffic_back() {
    let mut models = Models::start();
    for when in [When::Written, When::Looking, When::Read] {
        models.begin();
        register(&models, 2).await;
        let first = move_to(&models, &state(&[(1, 90), (2, 10)])).await.unwrap();
        let other = models.endpoints();
        let meanwhile = async move {
            let current = other.endpoint(&name("churn")).await.unwrap();
            other.set(&state(&[(1, 20), (2, 80)]), Some(current.revision)).await.unwrap();
        };
        let whole = models.store.clone();
        models.store = MeanwhileStore::new(whole.clone(), when, meanwhile);
        let wanted = state(&[(1, 50), (2, 50)]);
        let overtaken = models.endpoints().set(&wanted, Some(first.revision)).await.unwrap_err();
        assert_eq!(overtaken.kind(), ErrorKind::Conflict, "{when:?}: {overtaken}");
        models.store = whole;
        let now = models.endpoints().endpoint(&name("churn")).await.unwrap();
        assert_eq!(now, EndpointState { revision: now.revision, ..state(&[(1, 20), (2, 80)]) }, "{when:?}");
        assert_eq!(deployments(&models), [(1, 20), (2, 80)], "{when:?}");
    }
}

/// One has begun to deploy when another, that read the endpoint meanwhile, wants something else: the last word counts, and what
/// was begun does not stay.
#[tokio::test]
async fn a_change_that_takes_the_place_of_an_unfinished_one_cleans_up_after_it() {
    let models = Models::start();
    register(&models, 3).await;
    move_to(&models, &state(&[(1, 100)])).await.unwrap();
    models.fake.control(&json!({"operationTicks": 12}));
    let slow = models.endpoints_with(impatient());
    let current = slow.endpoint(&name("churn")).await.unwrap();
    let error = slow.set(&state(&[(1, 90), (2, 10)]), Some(current.revision)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    move_to(&models, &state(&[(3, 100)])).await.unwrap();
    assert_eq!(deployments(&models), [(3, 100)]);
    let stale = slow.set(&state(&[(1, 90), (2, 10)]), Some(current.revision)).await.unwrap_err();
    assert_eq!(stale.kind(), ErrorKind::Conflict);
    assert_eq!(deployments(&models), [(3, 100)]);
}

#[tokio::test]
async fn a_person_who_moves_the_traffic_during_a_change_does_not_stop_it() {
    let models = Models::start();
    register(&models, 2).await;
    move_to(&models, &state(&[(1, 90), (2, 10)])).await.unwrap();
    // An etag is an old one, once.
    let failure = json!({"method": "UpdateEndpoint", "status": "ABORTED"});
    models.fake.control(&json!({"failures": [failure]}));
    move_to(&models, &state(&[(2, 100)])).await.unwrap();
    assert_eq!(deployments(&models), [(2, 100)]);
    assert_eq!(models.fake.asked("UpdateEndpoint"), 3);
}
