//! Model versions in Vertex AI's Model Registry.
//!
//! A version is a model's on Vertex AI: it has a number from there, the label `millstream_fingerprint`, and aliases. An upload
//! has no idempotency key: versions are looked up by that label first, and of two with one fingerprint the older one counts.
//! What labels are too small for is kept beside it, in the models bucket:
//!
//! ```text
//! vertex/registry/{model}/versions/{fingerprint}.json   what was registered, and the upload that is under way
//! vertex/registry/{model}/verdicts/{n}.json             how a version was judged, created once
//! ```

mod aliases;
mod evaluation;
mod upload;
mod version;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use millstream_events::{
    Fingerprint,
    names::{ModelName, ObjectPath},
};
use millstream_gcp_client::Connection;
use millstream_ports::{
    Clock, ErrorKind, ModelRegistry, ModelVersion, NewVersion, ObjectStore, PortError, PortResult, Precondition,
    Verdict, optional,
};

use self::{upload::Registration, version::Listed};
use crate::{
    api::{Api, Call},
    documents,
    names::{MANAGED_BY, last, with_label},
    operations::Patience,
    settings::VertexSettings,
    turns::Turns,
};

/// The label that finds a version.
const FINGERPRINT_LABEL: &str = "millstream_fingerprint";

/// A [`ModelRegistry`] in Vertex AI.
#[derive(Debug)]
pub struct VertexRegistry {
    api: Api,
    settings: VertexSettings,
    store: Arc<dyn ObjectStore>,
    clock: Arc<dyn Clock>,
    turns: Turns,
    /// What was registered never changes, so it is read once.
    known: Mutex<HashMap<(ModelName, Fingerprint), NewVersion>>,
}

impl VertexRegistry {
    /// The models of the connection's project and the settings' region; `store` has the settings' bucket.
    ///
    /// # Errors
    /// When a setting cannot be right. Whether Vertex AI answers is known at the first call.
    pub fn new(
        connection: Connection,
        settings: VertexSettings,
        store: Arc<dyn ObjectStore>,
        clock: Arc<dyn Clock>,
    ) -> PortResult<Self> {
        settings.check()?;
        let api = Api::new(connection, &settings);
        Ok(Self { api, settings, store, clock, turns: Turns::default(), known: Mutex::default() })
    }

    fn model(&self, model: &ModelName) -> String {
        format!("{}/models/{model}", self.api.parent())
    }

    /// A model's versions on Vertex AI, oldest first, those of other makers included; empty for an unknown model.
    async fn listed(&self, model: &ModelName, filter: &str) -> PortResult<Vec<Listed>> {
        let doing = format!("list the versions of model {model}");
        let path = format!("{}:listVersions", self.model(model));
        let listed = optional(self.api.list::<Listed>(&doing, "models", &path, filter).await)?;
        let mut listed = listed.unwrap_or_default();
        listed.sort_by_key(Listed::number);
        Ok(listed)
    }

    /// The version with a fingerprint: the oldest, should there be two.
    async fn find(&self, model: &ModelName, fingerprint: &Fingerprint) -> PortResult<Option<Listed>> {
        let filter = with_label(FINGERPRINT_LABEL, fingerprint.as_str());
        Ok(self.listed(model, &filter).await?.into_iter().find(|listed| listed.number().is_some()))
    }

    /// One version; `NotFound` for an unknown one.
    async fn get(&self, model: &ModelName, version: u64) -> PortResult<Listed> {
        let doing = format!("look up version {version} of model {model}");
        self.api.call(&doing, Call::get(format!("{}@{version}", self.model(model)))).await
    }

    fn record_path(&self, model: &ModelName, fingerprint: &Fingerprint) -> PortResult<ObjectPath> {
        documents::path(&self.settings.bucket, format!("vertex/registry/{model}/versions/{fingerprint}.json"))
    }

    fn verdict_path(&self, model: &ModelName, version: u64) -> PortResult<ObjectPath> {
        documents::path(&self.settings.bucket, format!("vertex/registry/{model}/verdicts/{version:06}.json"))
    }

    /// What was registered under a fingerprint.
    async fn registered(&self, model: &ModelName, fingerprint: &Fingerprint) -> PortResult<Option<NewVersion>> {
        let key = (model.clone(), fingerprint.clone());
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        if known.is_some() {
            return Ok(known);
        }
        let path = self.record_path(model, fingerprint)?;
        let Some((record, _)) = documents::read::<Registration>(&*self.store, &path).await? else { return Ok(None) };
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(key, record.registered.clone());
        Ok(Some(record.registered))
    }

    /// A listed version with what is kept beside it; `None` for one that nobody registered here.
    async fn whole(&self, model: &ModelName, listed: &Listed) -> PortResult<Option<ModelVersion>> {
        let (Some(version), Some(fingerprint)) = (listed.number(), listed.fingerprint()) else { return Ok(None) };
        let Some(registered) = self.registered(model, &fingerprint).await? else {
            tracing::warn!(%model, version, "a version's record is not in the bucket: it is left out");
            return Ok(None);
        };
        let path = self.verdict_path(model, version)?;
        let verdict = documents::read(&*self.store, &path).await?.map(|(verdict, _)| verdict);
        let at = listed.created().unwrap_or_else(|| self.clock.now());
        Ok(Some(ModelVersion { version, registered, at, verdict }))
    }
}

#[async_trait]
impl ModelRegistry for VertexRegistry {
    async fn ensure_version(&self, version: &NewVersion) -> PortResult<ModelVersion> {
        let model = &version.model;
        let _turn = self.turns.take(model.as_str()).await;
        let patience = Patience::of(&self.settings);
        let mut record = self.record(version).await?;
        let found = match self.find(model, &version.fingerprint).await? {
            Some(found) => found,
            None => self.upload(&mut record, patience).await?,
        };
        self.evaluate(&found, &mut record).await;
        self.whole(model, &found).await?.ok_or_else(|| {
            PortError::internal(format!("model {model} has a version of this training without a number or its record"))
        })
    }

    async fn judge(&self, model: &ModelName, version: u64, verdict: &Verdict) -> PortResult<Verdict> {
        self.get(model, version).await?;
        let path = self.verdict_path(model, version)?;
        match documents::write(&*self.store, &path, verdict, Precondition::Absent).await {
            Ok(_) => Ok(verdict.clone()),
            Err(error) if error.kind() == ErrorKind::Conflict => match documents::read(&*self.store, &path).await? {
                Some((first, _)) => Ok(first),
                None => Err(error),
            },
            Err(error) => Err(error),
        }
    }

    async fn models(&self) -> PortResult<Vec<ModelName>> {
        let path = format!("{}/models", self.api.parent());
        let filter = with_label(MANAGED_BY.0, MANAGED_BY.1);
        let listed: Vec<Listed> = self.api.list("list the models", "models", &path, &filter).await?;
        let mut names: Vec<ModelName> = listed.iter().filter_map(|model| last(&model.name).parse().ok()).collect();
        names.sort();
        names.dedup();
        Ok(names)
    }

    async fn versions(&self, model: &ModelName) -> PortResult<Vec<ModelVersion>> {
        let (mut versions, mut seen) = (Vec::new(), Vec::new());
        for listed in self.listed(model, "").await? {
            let Some(fingerprint) = listed.fingerprint() else { continue };
            // A second upload of one training is no version.
            if seen.contains(&fingerprint) {
                continue;
            }
            versions.extend(self.whole(model, &listed).await?);
            seen.push(fingerprint);
        }
        Ok(versions)
    }

    async fn aliases(&self, model: &ModelName) -> PortResult<BTreeMap<String, u64>> {
        Ok(aliases::of(&self.listed(model, "").await?))
    }

    async fn set_alias(&self, model: &ModelName, alias: &str, version: u64) -> PortResult<()> {
        aliases::check(alias)?;
        let _turn = self.turns.take(model.as_str()).await;
        self.move_alias(model, alias, version).await
    }
}
