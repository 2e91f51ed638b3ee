//! The port `Trainer` on a cluster.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use k8s_openapi::api::core::v1::Pod;
use kube::Client;
use millstream_ports::{
    error::{PortError, PortResult},
    trainer::{Trainer, TrainingJob, TrainingState},
};
use serde_json::Value;
use tracing::warn;

use crate::{
    KubernetesSettings, cleanup, connect,
    jobs::{self, Created, Jobs},
    kind::Kind,
    logs,
    manifest::{self, Manifest},
    names,
    record::{Addition, End, Record, Records},
    state::{self, Observed, Times},
};

/// How much of a failed job's log its state tells, in bytes.
const LOG_TAIL: usize = 4 << 10;

/// How much of a cancelled job's log is kept, in bytes; a ConfigMap takes a megabyte.
const KEPT_LOG: usize = 256 << 10;

/// How often an object that comes and goes is looked at.
const LOOKS: usize = 3;

/// Trains on Kubernetes: TrainJob, PyTorchJob or RayJob, as `compute.run_on` says.
#[derive(Debug)]
pub struct KubernetesTrainer {
    settings: KubernetesSettings,
    jobs: Jobs,
    records: Records,
}

impl KubernetesTrainer {
    /// On the cluster that the settings name. Reads the kubeconfig, and asks the cluster nothing yet.
    ///
    /// # Errors
    /// `Invalid` when there is no such kubeconfig, context or URL.
    pub async fn connect(settings: KubernetesSettings) -> PortResult<Self> {
        Ok(Self::new(connect::client(&settings).await?, settings))
    }

    /// On the cluster of this client; of the settings' `url`, `context`, `certificate_authority` and `token` nothing is used.
    #[must_use]
    pub fn new(client: Client, settings: KubernetesSettings) -> Self {
        Self {
            jobs: Jobs::new(client.clone(), settings.namespace.clone()),
            records: Records::new(client, &settings.namespace),
            settings,
        }
    }

    /// Creates the object, unless somebody else does at the same time.
    async fn start(&self, manifest: &Manifest, training: &TrainingJob) -> PortResult<TrainingState> {
        if let Some(queue) = &manifest.queue {
            self.jobs.check_queue(queue).await?;
        }
        for _ in 0..LOOKS {
            if let Created::New(object) = self.jobs.create(manifest).await? {
                self.records.write(manifest.kind, &manifest.object, &Addition::default()).await?;
                if let Some(now) = logs::creation(&object.metadata) {
                    cleanup::run(&self.jobs, &self.records, now, self.settings.keep_seconds).await;
                }
                return Ok(TrainingState::Running { since: None });
            }
            if let Some(object) = self.jobs.get(manifest.kind, &manifest.name).await? {
                return self.read(manifest, training, &object, None).await;
            }
        }
        let what = manifest.kind.as_str();
        Err(PortError::unavailable(format!("{what} {}: somebody creates and deletes it all the time", manifest.name)))
    }

    /// Reads the job of an object that exists.
    async fn read(
        &self,
        manifest: &Manifest,
        training: &TrainingJob,
        object: &Value,
        record: Option<Record>,
    ) -> PortResult<TrainingState> {
        let (kind, name) = (manifest.kind, &manifest.name);
        if !jobs::is_own(object) {
            return Err(PortError::conflict(format!(
                "{} {name}: one that Millstream did not make has this job's name; delete it, or rename it",
                kind.as_str()
            )));
        }
        check_deployment(manifest, training, jobs::output(object))?;
        if let Some(hash) = jobs::manifest_hash(object).filter(|hash| *hash != manifest.hash) {
            // The step's content is the same, or the name would not be: the platform's settings or version changed.
            warn!(job = name, kind = kind.as_str(), hash, now = manifest.hash, "a job runs that was made differently");
        }
        let observed = state::observe(kind, object, Some(training.wall_seconds));
        let record = match record {
            Some(record) => record,
            // Whoever created the object stopped before it wrote the record.
            None => self.records.write(kind, object, &Addition::default()).await?,
        };
        let nodes = kind.pods(name, object).nodes.filter(|_| observed != Observed::Going || record.since.is_none());
        let pods = match nodes {
            Some(selector) => self.jobs.pods_of(&selector).await?,
            None => Vec::new(),
        };
        let since = record.since.or_else(|| logs::started(kind, &pods));
        if observed == Observed::Going {
            if record.since.is_none() && since.is_some() {
                // Pods that are replaced take their beginning with them.
                self.records.write(kind, object, &Addition { since, ..Addition::default() }).await?;
            }
            return Ok(TrainingState::Running { since });
        }
        let record = self.end(kind, name, object, observed, since, &pods).await?;
        Ok(record.end.map_or(TrainingState::Running { since }, |end| end.state()))
    }

    /// Records how a job ended by itself, and gives what the record says: the first end counts.
    async fn end(
        &self,
        kind: Kind,
        name: &str,
        object: &Value,
        observed: Observed,
        since: Option<DateTime<Utc>>,
        pods: &[Pod],
    ) -> PortResult<Record> {
        let created = || DateTime::parse_from_rfc3339(jobs::text(object, "/metadata/creationTimestamp")).ok();
        let ran = |times: Times| {
            let ended = times.ended.or_else(|| logs::finished(kind, pods));
            let started = since.or(times.started).or_else(|| created().map(|time| time.with_timezone(&Utc)));
            let milliseconds = started.zip(ended).map_or(0, |(started, ended)| (ended - started).num_milliseconds());
            (ended, u64::try_from(milliseconds).unwrap_or(0))
        };
        let (end, ended) = match observed {
            Observed::Going => return Err(PortError::internal(format!("{} {name}: it has not ended", kind.as_str()))),
            Observed::Succeeded(times) => {
                let (ended, milliseconds) = ran(times);
                (End::Succeeded { milliseconds }, ended)
            }
            Observed::Failed { reason, times } => {
                let reason = match logs::exit(kind, pods) {
                    Some(exit) => format!("{reason} ({exit})"),
                    None => reason,
                };
                (End::Failed { reason, log_tail: self.last_words(kind, name, object, LOG_TAIL).await }, ran(times).0)
            }
        };
        self.records.write(kind, object, &Addition { since, end: Some(end), ended, log: None }).await
    }

    /// The end of a log that is a help where it can be had.
    async fn last_words(&self, kind: Kind, name: &str, object: &Value, limit: usize) -> String {
        logs::tail(&self.jobs, kind, name, object, limit).await.unwrap_or_else(|error| {
            warn!(%error, job = name, "the log of an ended job cannot be read");
            String::new()
        })
    }

    /// The platform's own object of this name, of whichever kind.
    async fn find(&self, name: &str, record: Option<&Record>) -> PortResult<Option<(Kind, Value)>> {
        let kinds = match record.and_then(|record| record.kind) {
            Some(kind) => vec![kind],
            None => Kind::ALL.to_vec(),
        };
        let mut failure = None;
        for kind in kinds {
            match self.jobs.get(kind, name).await {
                Ok(Some(object)) if jobs::is_own(&object) => return Ok(Some((kind, object))),
                Ok(_) => {}
                // A kind that this identity may not read is only missed where no other has the job.
                Err(error) => failure = Some(error),
            }
        }
        failure.map_or(Ok(None), Err)
    }

    /// Ends what runs of a job whose end is recorded.
    async fn delete_rest(&self, kind: Kind, name: &str) -> PortResult<()> {
        match self.jobs.get(kind, name).await? {
            Some(object) if jobs::is_own(&object) && object.pointer("/metadata/deletionTimestamp").is_none() => {
                self.jobs.delete(kind, &object).await
            }
            _ => Ok(()),
        }
    }
}

/// The same content is the same job's name in every deployment: `output` says whose the one is that was found.
fn check_deployment(manifest: &Manifest, training: &TrainingJob, output: Option<&str>) -> PortResult<()> {
    match output.filter(|output| *output != training.output.to_string()) {
        None => Ok(()),
        Some(output) => Err(PortError::conflict(format!(
            "{} {}: it is another deployment's, which writes to {output}; give each deployment a namespace of its own, or delete it",
            manifest.kind.as_str(),
            manifest.name
        ))),
    }
}

#[async_trait]
impl Trainer for KubernetesTrainer {
    async fn ensure(&self, job: &str, training: &TrainingJob) -> PortResult<TrainingState> {
        let name = names::object_name(job)?;
        let manifest = manifest::build(&self.settings, &name, training)?;
        // The record is looked at first: where there is one, the object was there before.
        let record = self.records.get(&name).await?;
        check_deployment(&manifest, training, record.as_ref().and_then(|record| record.output.as_deref()))?;
        if let Some(end) = record.as_ref().and_then(|record| record.end.clone()) {
            if matches!(end, End::Cancelled { .. }) {
                // Whoever cancelled it may have stopped between the record and the object.
                self.delete_rest(manifest.kind, &name).await?;
            }
            return Ok(end.state());
        }
        match (self.jobs.get(manifest.kind, &name).await?, record) {
            (Some(object), record) => self.read(&manifest, training, &object, record).await,
            (None, None) => self.start(&manifest, training).await,
            (None, Some(record)) => {
                self.records.forget(&record).await?;
                Ok(TrainingState::Lost)
            }
        }
    }

    async fn cancel(&self, job: &str) -> PortResult<()> {
        let name = names::object_name(job)?;
        let record = self.records.get(&name).await?;
        if let Some(End::Succeeded { .. } | End::Failed { .. }) = record.as_ref().and_then(|record| record.end.as_ref())
        {
            return Ok(());
        }
        let Some((kind, object)) = self.find(&name, record.as_ref()).await? else { return Ok(()) };
        if state::observe(kind, &object, None) != Observed::Going {
            // It has ended; `ensure` will say how.
            return Ok(());
        }
        let log = self.last_words(kind, &name, &object, KEPT_LOG).await;
        let end = End::Cancelled { log_tail: logs::cut(&log, LOG_TAIL) };
        let addition = Addition { end: Some(end), log: Some(log), ..Addition::default() };
        // Recorded before it is deleted: the other way round it would be lost, and started again.
        let record = self.records.write(kind, &object, &addition).await?;
        if matches!(record.end, Some(End::Cancelled { .. })) {
            self.jobs.delete(kind, &object).await?;
        }
        Ok(())
    }

    async fn log(&self, job: &str, limit: usize) -> PortResult<String> {
        let name = names::object_name(job)?;
        let record = self.records.get(&name).await?;
        let found = self.find(&name, record.as_ref()).await?;
        if found.is_none() && record.is_none() {
            return Err(PortError::not_found(format!("there is no job {job}")));
        }
        if let Some((kind, object)) = &found {
            let text = logs::tail(&self.jobs, *kind, &name, object, limit).await?;
            if !text.is_empty() {
                return Ok(text);
            }
        }
        let kept = record.and_then(|record| match (record.log, record.end) {
            (Some(log), _) => Some(log),
            (None, Some(End::Failed { log_tail, .. })) => Some(log_tail),
            _ => None,
        });
        Ok(logs::cut(&kept.unwrap_or_default(), limit))
    }
}
