//! One version's upload, whatever was cut off in between.

use millstream_events::names::ModelName;
use millstream_ports::{ErrorKind, NewVersion, PortError, PortResult, Precondition, optional};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{FINGERPRINT_LABEL, VertexRegistry, version::Listed};
use crate::{
    api::Call,
    documents,
    names::{MANAGED_BY, label},
    operations::{Ended, Operation, Patience, still_running},
};

/// How often an upload is decided anew after another one came first.
const TRIES: usize = 8;

/// A registration as it is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Registration {
    /// What is registered. It is written before the upload and never changes.
    pub(super) registered: NewVersion,
    /// The upload that is under way or was last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    operation: Option<String>,
    /// Whether its metrics are with the version as an evaluation.
    #[serde(default)]
    pub(super) evaluated: bool,
}

/// A registration with the generation it was read at.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) registration: Registration,
    generation: u64,
}

impl VertexRegistry {
    /// The registration of a training: the one that is kept, or this one, kept from now on.
    pub(super) async fn record(&self, version: &NewVersion) -> PortResult<Record> {
        let path = self.record_path(&version.model, &version.fingerprint)?;
        let read = async || documents::read::<Registration>(&*self.store, &path).await;
        if let Some((registration, generation)) = read().await? {
            return Ok(Record { registration, generation });
        }
        let registration = Registration { registered: version.clone(), operation: None, evaluated: false };
        match documents::write(&*self.store, &path, &registration, Precondition::Absent).await {
            Ok(generation) => Ok(Record { registration, generation }),
            Err(error) if error.kind() == ErrorKind::Conflict => match read().await? {
                Some((registration, generation)) => Ok(Record { registration, generation }),
                None => Err(error),
            },
            Err(error) => Err(error),
        }
    }

    /// Keeps a changed registration. Where another process has changed it meanwhile, that one's stays: both are about the same
    /// version, and what is really there is looked up on Vertex AI.
    pub(super) async fn keep(&self, record: &mut Record) -> PortResult<()> {
        let registered = &record.registration.registered;
        let path = self.record_path(&registered.model, &registered.fingerprint)?;
        let when = Precondition::Generation(record.generation);
        match documents::write(&*self.store, &path, &record.registration, when).await {
            Ok(generation) => {
                record.generation = generation;
                Ok(())
            }
            Err(error) if error.kind() == ErrorKind::Conflict => {
                if let Some((registration, generation)) = documents::read(&*self.store, &path).await? {
                    *record = Record { registration, generation };
                }
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Uploads the version, or goes on with an upload that was begun.
    pub(super) async fn upload(&self, record: &mut Record, patience: Patience) -> PortResult<Listed> {
        let version = record.registration.registered.clone();
        let doing = format!("upload a version of model {}", version.model);
        for _ in 0..TRIES {
            let Some(operation) = record.registration.operation.clone() else {
                self.start(&doing, record).await?;
                continue;
            };
            match self.api.wait(&doing, &operation, patience).await? {
                Ended::Running => return Err(still_running(&doing)),
                Ended::Well(response) => {
                    let found = self.find(&version.model, &version.fingerprint).await?;
                    return match (found, uploaded(&response)) {
                        (Some(found), _) => Ok(found),
                        (None, Some(number)) => self.get(&version.model, number).await,
                        (None, None) => Err(PortError::unavailable(format!("cannot {doing}: it is not listed yet"))),
                    };
                }
                Ended::Badly(error) if error.kind() != ErrorKind::Conflict => {
                    record.registration.operation = None;
                    self.keep(record).await?;
                    return Err(error);
                }
                // Another upload made the model first, or nobody knows how this one went.
                Ended::Badly(_) | Ended::Forgotten => record.registration.operation = None,
            }
            if let Some(found) = self.find(&version.model, &version.fingerprint).await? {
                return Ok(found);
            }
        }
        Err(PortError::unavailable(format!("cannot {doing}: the model is being changed by many at once")))
    }

    /// Starts an upload and keeps its operation; nothing where the model came up meanwhile.
    async fn start(&self, doing: &str, record: &mut Record) -> PortResult<()> {
        let version = &record.registration.registered;
        let look = Call::get(self.model(&version.model));
        let is_first = optional(self.api.call::<Value>(doing, look).await)?.is_none();
        let body = self.body(version, is_first);
        let call = Call::post(format!("{}/models:upload", self.api.parent()), body);
        match self.api.call::<Operation>(doing, call).await {
            Ok(operation) => {
                record.registration.operation = Some(operation.name);
                self.keep(record).await
            }
            // Another upload made the model a moment ago: this one is its next version.
            Err(error) if error.kind() == ErrorKind::Conflict && is_first => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn body(&self, version: &NewVersion, is_first: bool) -> Value {
        let settings = &self.settings;
        let NewVersion { model, fingerprint, run, data, artifact, .. } = version;
        let labels = json!({
            MANAGED_BY.0: MANAGED_BY.1,
            FINGERPRINT_LABEL: fingerprint,
            "millstream_pipeline": label(run.pipeline.as_str()),
            "millstream_run": label(run.key.as_str()),
        });
        let container = json!({
            "imageUri": settings.serving_image,
            "predictRoute": settings.predict_route,
            "healthRoute": settings.health_route,
            "ports": [{"containerPort": settings.serving_port}],
        });
        let uploaded = json!({
            "displayName": model,
            "versionDescription": format!("run {run}, learned from {data}"),
            "labels": labels,
            "artifactUri": artifact.to_string().trim_end_matches('/'),
            "containerSpec": container,
        });
        match is_first {
            true => json!({"modelId": model, "model": uploaded}),
            false => json!({"parentModel": self.model(model), "model": uploaded}),
        }
    }
}

/// The number in the answer of an upload.
fn uploaded(response: &Value) -> Option<u64> {
    response.get("modelVersionId").and_then(Value::as_str)?.parse().ok()
}

/// The name of a version as a parent, such as `projects/p/locations/r/models/churn@2`.
pub(super) fn version_name(model: String, version: u64) -> String {
    format!("{model}@{version}")
}

impl Record {
    /// Which model it is of.
    pub(super) fn model(&self) -> &ModelName {
        &self.registration.registered.model
    }
}
