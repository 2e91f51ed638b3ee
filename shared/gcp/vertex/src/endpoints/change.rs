//! Brings an endpoint to a state, one step after the other, each decided from what is seen.

use std::collections::BTreeMap;

use millstream_ports::{Deployed, EndpointState, ErrorKind, PortError, PortResult, Precondition};
use serde_json::{Value, json};

use super::{VertexEndpoints, changed_meanwhile, deployed::Endpoint, record::Record};
use crate::{
    api::Call,
    documents,
    names::MANAGED_BY,
    operations::{Ended, Operation, Patience, still_running},
};

/// The most steps of one change. A change has a handful; each may find that another writer came first.
const STEPS: usize = 64;

/// How often a change looks again at once after others came first. Past that they are still at it, and a later call comes
/// back.
const LOOKS: u32 = 4;

/// The key of the operation that creates the endpoint.
const CREATE: &str = "create";

/// What the keys of operations that deploy begin with; a version follows.
const DEPLOY: &str = "deploy ";

/// What the keys of operations that undeploy begin with; a deployment's id follows.
const UNDEPLOY: &str = "undeploy ";

/// A change of an endpoint that its record has as pending.
pub(super) struct Change<'a> {
    pub(super) endpoints: &'a VertexEndpoints,
    /// What is wanted.
    pub(super) state: &'a EndpointState,
    /// The record as this change has written it.
    pub(super) record: Record,
    /// The record's generation: while it is this one, the change is ours to make.
    pub(super) generation: u64,
    pub(super) patience: Patience,
    /// How often others came first.
    pub(super) overtaken: u32,
}

/// What is to be done next.
#[derive(Debug, PartialEq)]
enum Step {
    /// Create the endpoint.
    Create,
    /// Deploy a version, without traffic.
    Deploy(Deployed),
    /// Split the traffic so, by the deployments' ids.
    Shift(BTreeMap<String, i64>),
    /// Take a deployment away that nobody asks.
    Undeploy(String),
    /// See how an operation of this key went.
    Await(String),
    /// Nothing is owed.
    Done,
}

fn deploy_key(deployed: &Deployed) -> String {
    format!("{DEPLOY}{}@{}", deployed.model, deployed.version)
}

fn undeploy_key(id: &str) -> String {
    format!("{UNDEPLOY}{id}")
}

/// The next step from what is seen: pure. Traffic moves only when all that gets some is deployed; only then is anything taken
/// away.
fn next(endpoint: Option<&Endpoint>, wanted: &[Deployed], operations: &BTreeMap<String, String>) -> Step {
    let or_await = |key: String, step: Step| if operations.contains_key(&key) { Step::Await(key) } else { step };
    let Some(endpoint) = endpoint else { return or_await(CREATE.to_owned(), Step::Create) };
    let (mut split, mut kept) = (BTreeMap::new(), Vec::new());
    for deployed in wanted {
        let Some(found) = endpoint.deployment_of(&deployed.model, deployed.version) else {
            return or_await(deploy_key(deployed), Step::Deploy(deployed.clone()));
        };
        kept.push(&found.id);
        if deployed.traffic > 0 {
            split.insert(found.id.clone(), i64::from(deployed.traffic));
        }
    }
    if endpoint.split() != split {
        return Step::Shift(split);
    }
    if let Some(extra) = endpoint.deployments().into_iter().find(|deployed| !kept.contains(&&deployed.id)) {
        return or_await(undeploy_key(&extra.id), Step::Undeploy(extra.id.clone()));
    }
    match operations.keys().next() {
        // What an earlier change began may still add a deployment.
        Some(key) => Step::Await(key.clone()),
        None => Step::Done,
    }
}

impl Change<'_> {
    /// Makes the change; gives the revision of its end.
    pub(super) async fn make(mut self) -> PortResult<u64> {
        for _ in 0..STEPS {
            let endpoint = self.endpoints.look(&self.state.endpoint).await?;
            match next(endpoint.as_ref(), &self.state.deployed, &self.record.operations) {
                Step::Create => self.create().await?,
                Step::Deploy(deployed) => self.deploy(&deployed).await?,
                Step::Shift(split) => self.shift(endpoint.map(|endpoint| endpoint.etag), &split).await?,
                Step::Undeploy(id) => self.undeploy(&id).await?,
                Step::Await(key) => self.settle(&key).await?,
                Step::Done => return self.finish().await,
            }
        }
        Err(PortError::unavailable(format!("endpoint {} is being changed by many at once", self.state.endpoint)))
    }

    async fn create(&mut self) -> PortResult<()> {
        let name = &self.state.endpoint;
        let doing = format!("create the endpoint {name}");
        let body = json!({"displayName": name, "labels": {MANAGED_BY.0: MANAGED_BY.1}});
        let path = format!("{}/endpoints", self.endpoints.api.parent());
        let call = Call::post(path, body).with("endpointId", name.as_str());
        self.begin(CREATE.to_owned(), &doing, call).await
    }

    async fn deploy(&mut self, deployed: &Deployed) -> PortResult<()> {
        let name = &self.state.endpoint;
        let doing = format!("deploy version {} of model {} to the endpoint {name}", deployed.version, deployed.model);
        let settings = &self.endpoints.settings;
        let mut model = json!({
            "model": self.endpoints.model_version(&deployed.model, deployed.version),
            "displayName": format!("{}@{}", deployed.model, deployed.version),
            "dedicatedResources": {
                "machineSpec": {"machineType": settings.serving_machine},
                "minReplicaCount": settings.min_replicas,
                "maxReplicaCount": settings.max_replicas,
            },
        });
        if let Some(account) = &settings.service_account {
            model["serviceAccount"] = json!(account);
        }
        // Without a split: the new deployment gets traffic together with all the others, in one guarded step.
        let path = format!("{}:deployModel", self.endpoints.resource(name));
        self.begin(deploy_key(deployed), &doing, Call::post(path, json!({"deployedModel": model}))).await
    }

    async fn undeploy(&mut self, id: &str) -> PortResult<()> {
        let name = &self.state.endpoint;
        let doing = format!("undeploy {id} from the endpoint {name}");
        let path = format!("{}:undeployModel", self.endpoints.resource(name));
        self.begin(undeploy_key(id), &doing, Call::post(path, json!({"deployedModelId": id}))).await
    }

    /// Starts an operation and keeps its name before it is waited for. A change that was overtaken starts nothing more.
    async fn begin(&mut self, key: String, doing: &str, call: Call<'_>) -> PortResult<()> {
        self.check_ours().await?;
        match self.endpoints.api.call::<Operation>(doing, call).await {
            Ok(operation) => {
                self.record.operations.insert(key, operation.name);
                self.keep().await
            }
            // It is there, or gone, already: the next look shows it.
            Err(error) if error.kind() == ErrorKind::Conflict => self.look_again(error),
            Err(error) if error.kind() == ErrorKind::NotFound && key.starts_with(UNDEPLOY) => self.look_again(error),
            Err(error) => Err(self.failed(&key, error).await),
        }
    }

    /// Whether no other writer has come since this change was written down.
    async fn check_ours(&self) -> PortResult<()> {
        let name = &self.state.endpoint;
        let (_, generation) = self.endpoints.record(name).await?;
        if generation == Some(self.generation) { Ok(()) } else { Err(changed_meanwhile(name)) }
    }

    fn look_again(&mut self, error: PortError) -> PortResult<()> {
        self.overtaken += 1;
        if self.overtaken < LOOKS {
            return Ok(());
        }
        let name = &self.state.endpoint;
        Err(PortError::unavailable(format!("endpoint {name} is being changed by others, too ({error})")))
    }

    /// Looks at an operation and forgets it once it is done.
    async fn settle(&mut self, key: &str) -> PortResult<()> {
        let Some(operation) = self.record.operations.get(key).cloned() else { return Ok(()) };
        let doing = format!("{key} at the endpoint {}", self.state.endpoint);
        let ended = self.endpoints.api.wait(&doing, &operation, self.patience).await?;
        if matches!(ended, Ended::Running) {
            return Err(still_running(&doing));
        }
        self.record.operations.remove(key);
        match ended {
            // A version that is wanted no more and could not be deployed is none too many.
            Ended::Badly(error) if error.kind() != ErrorKind::Conflict && self.is_wanted(key) => {
                Err(self.failed(key, error).await)
            }
            _ => Ok(()),
        }
    }

    fn is_wanted(&self, key: &str) -> bool {
        !key.starts_with(DEPLOY) || self.state.deployed.iter().any(|deployed| deploy_key(deployed) == key)
    }

    /// A change that would fail again is no longer pending, as long as it has moved no traffic. The error comes back, or that
    /// of writing so.
    async fn failed(&mut self, what: &str, error: PortError) -> PortError {
        let has_moved = what.starts_with(UNDEPLOY);
        if !has_moved && !error.is_retryable() {
            self.record.pending = None;
        }
        match self.keep().await {
            Err(other) if other.kind() != ErrorKind::Conflict => other,
            // Only what is left to clean up is in the way: that may pass.
            _ if has_moved && error.kind() == ErrorKind::Invalid => PortError::unavailable(error.to_string()),
            _ => error,
        }
    }

    /// Moves the traffic, if the record and the endpoint are still those that were looked at.
    async fn shift(&mut self, etag: Option<String>, split: &BTreeMap<String, i64>) -> PortResult<()> {
        let name = &self.state.endpoint;
        // After the look and before the move: another writer's move comes either before this, and is seen here, or after the
        // look, and changes the etag.
        self.check_ours().await?;
        let doing = format!("move the traffic of the endpoint {name}");
        let mut body = json!({"trafficSplit": split});
        if let Some(etag) = etag.filter(|etag| !etag.is_empty()) {
            body["etag"] = json!(etag);
        }
        let call = Call::patch(self.endpoints.resource(name), "trafficSplit", body);
        let answer = self.endpoints.api.ask::<Value>(&doing, call).await?;
        match answer {
            Ok(_) => Ok(()),
            // An old etag, or an operation on it: the next look decides again.
            Err(problem) if problem.is_stale() => self.look_again(problem.into_error(&doing)),
            Err(problem) => Err(self.failed(&doing, problem.into_error(&doing)).await),
        }
    }

    async fn finish(mut self) -> PortResult<u64> {
        self.record.settled = self.record.pending.take();
        self.record.operations.clear();
        self.keep().await?;
        Ok(self.generation)
    }

    async fn keep(&mut self) -> PortResult<()> {
        let path = self.endpoints.record_path(&self.state.endpoint)?;
        let when = Precondition::Generation(self.generation);
        let written = documents::write(&*self.endpoints.store, &path, &self.record, when).await;
        self.generation = written.map_err(|error| match error.kind() {
            ErrorKind::Conflict => changed_meanwhile(&self.state.endpoint),
            _ => error,
        })?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(shares: &[(u64, u8)]) -> Vec<Deployed> {
        let model: millstream_events::names::ModelName = "churn".parse().unwrap();
        let one =
            |(version, traffic): &(u64, u8)| Deployed { model: model.clone(), version: *version, traffic: *traffic };
        shares.iter().map(one).collect()
    }

    /// Deployments as `(id, version, share)`.
    fn endpoint(deployed: &[(&str, u64, i64)]) -> Endpoint {
        let models: Vec<Value> = deployed
            .iter()
            .map(|(id, version, _)| json!({"id": id, "model": format!("p/models/churn@{version}")}))
            .collect();
        let split: BTreeMap<_, _> = deployed.iter().map(|(id, _, share)| (*id, *share)).collect();
        serde_json::from_value(json!({"deployedModels": models, "trafficSplit": split})).unwrap()
    }

    fn operations(keys: &[&str]) -> BTreeMap<String, String> {
        keys.iter().map(|key| ((*key).to_owned(), "operations/1".to_owned())).collect()
    }

    fn split(shares: &[(&str, i64)]) -> BTreeMap<String, i64> {
        shares.iter().map(|(id, share)| ((*id).to_owned(), *share)).collect()
    }

    #[test]
    fn everything_is_deployed_before_traffic_moves_and_taken_away_after() {
        let wanted = wanted(&[(1, 90), (2, 10)]);
        let none = operations(&[]);
        assert_eq!(next(None, &wanted, &none), Step::Create);
        assert_eq!(next(Some(&endpoint(&[])), &wanted, &none), Step::Deploy(wanted[0].clone()));
        assert_eq!(next(Some(&endpoint(&[("7", 1, 100)])), &wanted, &none), Step::Deploy(wanted[1].clone()));
        let seen = endpoint(&[("7", 1, 100), ("8", 2, 0), ("6", 3, 0)]);
        assert_eq!(next(Some(&seen), &wanted, &none), Step::Shift(split(&[("7", 90), ("8", 10)])));
        let seen = endpoint(&[("7", 1, 90), ("8", 2, 10), ("6", 3, 0)]);
        assert_eq!(next(Some(&seen), &wanted, &none), Step::Undeploy("6".to_owned()));
        assert_eq!(next(Some(&endpoint(&[("7", 1, 90), ("8", 2, 10)])), &wanted, &none), Step::Done);
    }

    #[test]
    fn what_is_under_way_is_not_begun_again() {
        let wanted = wanted(&[(1, 100)]);
        let awaited = |key: &str| Step::Await(key.to_owned());
        assert_eq!(next(None, &wanted, &operations(&["create"])), awaited("create"));
        let deploying = operations(&["deploy churn@1"]);
        assert_eq!(next(Some(&endpoint(&[])), &wanted, &deploying), awaited("deploy churn@1"));
        let leaving = operations(&["undeploy 9"]);
        let seen = endpoint(&[("7", 1, 100), ("9", 2, 0)]);
        assert_eq!(next(Some(&seen), &wanted, &leaving), awaited("undeploy 9"));
        // What an earlier change has begun is waited for, so that it is not left behind.
        assert_eq!(
            next(Some(&endpoint(&[("7", 1, 100)])), &wanted, &operations(&["deploy churn@2"])),
            awaited("deploy churn@2")
        );
    }

    #[test]
    fn of_a_version_that_was_deployed_twice_the_older_stays() {
        let seen = endpoint(&[("10", 1, 0), ("9", 1, 100)]);
        assert_eq!(next(Some(&seen), &wanted(&[(1, 100)]), &operations(&[])), Step::Undeploy("10".to_owned()));
    }
}
