//! The registry: versions, verdicts and aliases as objects.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use millstream_events::names::{ModelName, ObjectPath};
use millstream_ports::{
    Clock, ErrorKind, ModelRegistry, ModelVersion, NewVersion, ObjectStore, PortError, PortResult, Precondition,
    Verdict,
};
use serde::{Deserialize, Serialize};

use super::{BUCKET, TRIES, contended, object, read, write};

/// A [`ModelRegistry`] in an object store.
#[derive(Debug, Clone)]
pub struct FileRegistry {
    store: Arc<dyn ObjectStore>,
    clock: Arc<dyn Clock>,
    /// Versions never change, so they are read once.
    known: Arc<Mutex<HashMap<ObjectPath, ModelVersion>>>,
}

/// A version's object; its number is its name.
#[derive(Debug, Serialize, Deserialize)]
struct VersionFile {
    #[serde(flatten)]
    registered: NewVersion,
    at: DateTime<Utc>,
}

impl FileRegistry {
    /// A registry in the store's bucket `models`.
    pub fn new(store: Arc<dyn ObjectStore>, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock, known: Arc::default() }
    }

    /// One version; `NotFound` for an unknown one.
    pub async fn version(&self, model: &ModelName, version: u64) -> PortResult<ModelVersion> {
        let found = self.read_version(&version_path(model, version)?, version).await?;
        found.ok_or_else(|| PortError::not_found(format!("there is no version {version} of model {model}")))
    }

    async fn read_version(&self, path: &ObjectPath, version: u64) -> PortResult<Option<ModelVersion>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(path).cloned();
        if known.is_some() {
            return Ok(known);
        }
        let Some((VersionFile { registered, at }, _)) = read(&*self.store, path).await? else { return Ok(None) };
        let found = ModelVersion { version, registered, at, verdict: None };
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(path.clone(), found.clone());
        Ok(Some(found))
    }

    async fn judged(&self, mut version: ModelVersion) -> PortResult<ModelVersion> {
        let path = verdict_path(&version.registered.model, version.version)?;
        version.verdict = read(&*self.store, &path).await?.map(|(verdict, _)| verdict);
        Ok(version)
    }

    /// A model's versions without their verdicts, oldest first.
    async fn registered(&self, model: &ModelName) -> PortResult<Vec<ModelVersion>> {
        let prefix = format!("registry/{model}/versions/");
        let mut versions = Vec::new();
        for path in self.store.names(BUCKET, &prefix).await? {
            let number = path.name().strip_prefix(&prefix).and_then(|name| name.strip_suffix(".json")?.parse().ok());
            let Some(number) = number else { continue };
            versions.extend(self.read_version(&path, number).await?);
        }
        versions.sort_by_key(|version| version.version);
        Ok(versions)
    }
}

fn version_path(model: &ModelName, version: u64) -> PortResult<ObjectPath> {
    object(format!("registry/{model}/versions/{version:06}.json"))
}

fn verdict_path(model: &ModelName, version: u64) -> PortResult<ObjectPath> {
    object(format!("registry/{model}/verdicts/{version:06}.json"))
}

fn aliases_path(model: &ModelName) -> PortResult<ObjectPath> {
    object(format!("registry/{model}/aliases.json"))
}

#[async_trait]
impl ModelRegistry for FileRegistry {
    async fn ensure_version(&self, version: &NewVersion) -> PortResult<ModelVersion> {
        for _ in 0..TRIES {
            let known = self.registered(&version.model).await?;
            if let Some(same) = known.iter().find(|known| known.registered.fingerprint == version.fingerprint) {
                return self.judged(same.clone()).await;
            }
            let number = known.last().map_or(1, |last| last.version + 1);
            let file = VersionFile { registered: version.clone(), at: self.clock.now() };
            match write(&self.store, &version_path(&version.model, number)?, &file, Precondition::Absent).await {
                Ok(_) => {
                    return Ok(ModelVersion {
                        version: number,
                        registered: file.registered,
                        at: file.at,
                        verdict: None,
                    });
                }
                // Another registration took the number; it may even be of this training.
                Err(error) if error.kind() == ErrorKind::Conflict => {}
                Err(error) => return Err(error),
            }
        }
        Err(contended(&format!("the registry of model {}", version.model)))
    }

    async fn judge(&self, model: &ModelName, version: u64, verdict: &Verdict) -> PortResult<Verdict> {
        self.version(model, version).await?;
        let path = verdict_path(model, version)?;
        match write(&self.store, &path, verdict, Precondition::Absent).await {
            Ok(_) => Ok(verdict.clone()),
            Err(error) if error.kind() == ErrorKind::Conflict => match read(&*self.store, &path).await? {
                Some((first, _)) => Ok(first),
                None => Err(error),
            },
            Err(error) => Err(error),
        }
    }

    async fn models(&self) -> PortResult<Vec<ModelName>> {
        let mut models: Vec<ModelName> = Vec::new();
        for path in self.store.names(BUCKET, "registry/").await? {
            let mut parts = path.name().split('/').skip(1);
            if let (Some(Ok(model)), Some("versions")) = (parts.next().map(str::parse), parts.next())
                && models.last() != Some(&model)
            {
                models.push(model);
            }
        }
        Ok(models)
    }

    async fn versions(&self, model: &ModelName) -> PortResult<Vec<ModelVersion>> {
        let mut versions = Vec::new();
        for version in self.registered(model).await? {
            versions.push(self.judged(version).await?);
        }
        Ok(versions)
    }

    async fn aliases(&self, model: &ModelName) -> PortResult<BTreeMap<String, u64>> {
        Ok(read(&*self.store, &aliases_path(model)?).await?.map(|(aliases, _)| aliases).unwrap_or_default())
    }

    async fn set_alias(&self, model: &ModelName, alias: &str, version: u64) -> PortResult<()> {
        self.version(model, version).await?;
        let path = aliases_path(model)?;
        for _ in 0..TRIES {
            let (mut aliases, when) = match read::<BTreeMap<String, u64>>(&*self.store, &path).await? {
                Some((aliases, meta)) => (aliases, Precondition::Generation(meta.generation)),
                None => (BTreeMap::new(), Precondition::Absent),
            };
            if aliases.insert(alias.to_owned(), version) == Some(version) {
                return Ok(());
            }
            match write(&self.store, &path, &aliases, when).await {
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Conflict => {}
                Err(error) => return Err(error),
            }
        }
        Err(contended(&format!("the aliases of model {model}")))
    }
}
