//! What is known of a job beside its object: that it was started, since when it runs, and how it ended.
//!
//! A record is a ConfigMap of the job's name. With it a job whose object is gone is told from one that never was, an end is
//! told the same way however often it is asked for, and an ended object may be cleaned up without being lost.

use std::collections::BTreeMap;

use chrono::{DateTime, SecondsFormat, Utc};
use k8s_openapi::{api::core::v1::ConfigMap, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::{
    Api, Client,
    api::{DeleteParams, PostParams, Preconditions},
};
use millstream_ports::{
    error::{PortError, PortResult},
    trainer::TrainingState,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    errors::{self, port_error},
    jobs,
    kind::Kind,
    names::{FIELD_MANAGER, MANAGED_BY},
};

/// How often a record that others write too is tried again.
const TRIES: usize = 5;

const KIND: &str = "kind";
const HASH: &str = "manifest-hash";
const OUTPUT: &str = "output";
const SINCE: &str = "since";
const END: &str = "end";
const ENDED: &str = "ended";
const LOG: &str = "log";

/// How a job ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub(crate) enum End {
    /// Well.
    Succeeded {
        /// How long it ran.
        milliseconds: u64,
    },
    /// Badly, by itself.
    Failed {
        /// Why.
        reason: String,
        /// The end of its log.
        log_tail: String,
    },
    /// By somebody's wish.
    Cancelled {
        /// The end of its log.
        log_tail: String,
    },
}

impl End {
    /// As the port says it.
    pub(crate) fn state(&self) -> TrainingState {
        match self {
            #[expect(clippy::cast_precision_loss, reason = "no job runs for millennia")]
            Self::Succeeded { milliseconds } => {
                TrainingState::Succeeded { seconds: *milliseconds as f64 / 1_000.0, log: None }
            }
            Self::Failed { reason, log_tail } => {
                TrainingState::Failed { reason: reason.clone(), log_tail: log_tail.clone(), log: None }
            }
            Self::Cancelled { log_tail } => {
                TrainingState::Failed { reason: "it was cancelled".to_owned(), log_tail: log_tail.clone(), log: None }
            }
        }
    }
}

/// A job's record.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Record {
    metadata: ObjectMeta,
    /// Which kind of object it is about.
    pub(crate) kind: Option<Kind>,
    /// The folder it writes to, which is one deployment's.
    pub(crate) output: Option<String>,
    /// When the job's first program began to run.
    pub(crate) since: Option<DateTime<Utc>>,
    /// How it ended; the first that is written stays.
    pub(crate) end: Option<End>,
    /// When it ended, by the cluster's clock.
    pub(crate) ended: Option<DateTime<Utc>>,
    /// The end of its log, kept where its pods were deleted.
    pub(crate) log: Option<String>,
    hash: String,
}

/// What is added to a record.
#[derive(Debug, Clone, Default)]
pub(crate) struct Addition {
    /// See [`Record::since`].
    pub(crate) since: Option<DateTime<Utc>>,
    /// See [`Record::end`].
    pub(crate) end: Option<End>,
    /// See [`Record::ended`].
    pub(crate) ended: Option<DateTime<Utc>>,
    /// See [`Record::log`].
    pub(crate) log: Option<String>,
}

impl Record {
    /// The first record of the job whose object is `object`.
    fn of(kind: Kind, object: &Value) -> Self {
        let labels: BTreeMap<String, String> = object
            .pointer("/metadata/labels")
            .and_then(Value::as_object)
            .map(|labels| {
                labels
                    .iter()
                    // A queue's label would make Kueue look at it.
                    .filter(|(key, _)| key.starts_with("millstream.dev/") || *key == MANAGED_BY.0)
                    .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
                    .collect()
            })
            .unwrap_or_default();
        Self {
            metadata: ObjectMeta {
                name: Some(jobs::text(object, "/metadata/name").to_owned()),
                labels: Some(labels),
                ..ObjectMeta::default()
            },
            kind: Some(kind),
            hash: jobs::manifest_hash(object).unwrap_or_default().to_owned(),
            output: jobs::output(object).map(str::to_owned),
            since: None,
            end: None,
            ended: None,
            log: None,
        }
    }

    fn add(&mut self, addition: &Addition) {
        self.since = self.since.or(addition.since);
        self.end = self.end.take().or_else(|| addition.end.clone());
        self.ended = self.ended.or(addition.ended);
        self.log = self.log.take().or_else(|| addition.log.clone());
    }

    fn read(map: ConfigMap) -> PortResult<Self> {
        let name = map.metadata.name.clone().unwrap_or_default();
        let is_own = map
            .metadata
            .labels
            .as_ref()
            .and_then(|labels| labels.get(MANAGED_BY.0))
            .is_some_and(|by| by == MANAGED_BY.1);
        if !is_own {
            return Err(PortError::conflict(format!(
                "the ConfigMap `{name}` is not Millstream's and has the name of a record; delete or rename it"
            )));
        }
        let mut data = map.data.unwrap_or_default();
        let time = |text: String| DateTime::parse_from_rfc3339(&text).ok().map(|time| time.with_timezone(&Utc));
        let end = data.remove(END).map(|end| serde_json::from_str(&end)).transpose().map_err(|error| {
            PortError::internal(format!("the ConfigMap `{name}` says in no known way how its job ended"))
                .caused_by(error)
        })?;
        Ok(Self {
            metadata: map.metadata,
            kind: data.remove(KIND).as_deref().and_then(Kind::named),
            hash: data.remove(HASH).unwrap_or_default(),
            output: data.remove(OUTPUT),
            since: data.remove(SINCE).and_then(time),
            end,
            ended: data.remove(ENDED).and_then(time),
            log: data.remove(LOG),
        })
    }

    /// With the version that was read: whoever writes on another one is told.
    fn config_map(&self) -> PortResult<ConfigMap> {
        let time = |time: DateTime<Utc>| time.to_rfc3339_opts(SecondsFormat::Millis, true);
        let end = self.end.as_ref().map(serde_json::to_string).transpose();
        let end = end.map_err(|error| PortError::internal("the end of a job is no JSON").caused_by(error))?;
        let data = [
            (KIND, self.kind.map(|kind| kind.as_str().to_owned())),
            (HASH, Some(self.hash.clone())),
            (OUTPUT, self.output.clone()),
            (SINCE, self.since.map(time)),
            (END, end),
            (ENDED, self.ended.map(time)),
            (LOG, self.log.clone()),
        ];
        Ok(ConfigMap {
            metadata: ObjectMeta {
                name: self.metadata.name.clone(),
                labels: self.metadata.labels.clone(),
                resource_version: self.metadata.resource_version.clone(),
                ..ObjectMeta::default()
            },
            data: Some(data.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect()),
            ..ConfigMap::default()
        })
    }
}

/// The records of one namespace.
#[derive(Debug, Clone)]
pub(crate) struct Records {
    api: Api<ConfigMap>,
}

impl Records {
    /// Those of `namespace`.
    pub(crate) fn new(client: Client, namespace: &str) -> Self {
        Self { api: Api::namespaced(client, namespace) }
    }

    /// The records' collection.
    pub(crate) fn api(&self) -> &Api<ConfigMap> {
        &self.api
    }

    /// The record of this name.
    pub(crate) async fn get(&self, name: &str) -> PortResult<Option<Record>> {
        let map =
            self.api.get_opt(name).await.map_err(|error| port_error(&format!("ConfigMap {name}: read"), error))?;
        map.map(Record::read).transpose()
    }

    /// Makes sure that the job of `object` has a record that holds `addition`, and gives what it holds now: what was there
    /// before stays.
    pub(crate) async fn write(&self, kind: Kind, object: &Value, addition: &Addition) -> PortResult<Record> {
        let name = jobs::text(object, "/metadata/name");
        let what = format!("ConfigMap {name}: write");
        let mut found = None;
        for _ in 0..TRIES {
            let is_new = found.is_none();
            let mut record: Record = found.unwrap_or_else(|| Record::of(kind, object));
            let before = record.clone();
            record.add(addition);
            if !is_new && record == before {
                return Ok(record);
            }
            let map = record.config_map()?;
            let by = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
            // Not by server-side apply: that creates what is not there, whatever version it names.
            let written = match is_new {
                true => self.api.create(&by, &map).await,
                false => self.api.replace(name, &by, &map).await,
            };
            match written {
                Ok(map) => return Record::read(map),
                // Somebody else was faster, or has deleted it: look again.
                Err(error) if errors::is_conflict(&error) || (!is_new && errors::is_not_found(&error)) => {
                    found = self.get(name).await?;
                }
                Err(error) => return Err(port_error(&what, error)),
            }
        }
        Err(PortError::unavailable(format!("{what}: others write it all the time")))
    }

    /// Deletes this very record.
    pub(crate) async fn forget(&self, record: &Record) -> PortResult<()> {
        let name = record.metadata.name.as_deref().unwrap_or_default();
        let only = Preconditions { uid: record.metadata.uid.clone(), resource_version: None };
        match self.api.delete(name, &DeleteParams::default().preconditions(only)).await {
            Ok(_) => Ok(()),
            Err(error) if errors::is_not_found(&error) || errors::is_conflict(&error) => Ok(()),
            Err(error) => Err(port_error(&format!("ConfigMap {name}: delete"), error)),
        }
    }
}
