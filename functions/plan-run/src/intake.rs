//! Triggers: which runs an upload or a message belongs to.

use millstream_events::{
    Fingerprint,
    history::Record,
    names::{ObjectPath, RunId},
    probe,
    trigger::{MessagePublished, ObjectFinalized},
};
use millstream_pipeline::{Pipelines, pattern::run_key};
use millstream_ports::{ErrorKind, ObjectStoreExt, PortError, PortResult, Precondition};

use crate::{Asking, PlanRun};

/// The runs an object belongs to, each with the source that takes it.
pub(crate) fn runs_of(pipelines: &Pipelines, object: &ObjectPath) -> Vec<(RunId, String)> {
    // A probe is nobody's upload, whatever a pattern takes.
    if object.bucket() != pipelines.buckets.landing || probe::run_of(object.name()).is_some() {
        return Vec::new();
    }
    let mut runs = Vec::new();
    for pipeline in pipelines.by_name.values() {
        for source in &pipeline.sources {
            let Some(captures) = source.upload.matches(object.name()) else { continue };
            match run_key(&captures) {
                Some(key) => runs.push((RunId { pipeline: pipeline.name.clone(), key }, source.name.clone())),
                None => tracing::warn!(
                    %object,
                    pipeline = %pipeline.name,
                    "not taken: what {} captures from its name cannot be a run's key (letters, digits and . _ - only); rename it",
                    source.upload
                ),
            }
        }
    }
    runs
}

impl PlanRun {
    pub(crate) async fn take_upload(&self, object: &ObjectFinalized) -> PortResult<()> {
        let pipelines = self.pipelines();
        if object.object.bucket() == pipelines.buckets.landing
            && let Some(run) = probe::run_of(object.object.name())
        {
            return self.take_probe(&run, object).await;
        }
        let runs = runs_of(&pipelines, &object.object);
        if runs.is_empty() {
            tracing::info!(object = %object.object, "no pipeline takes this object; it stays where it is");
        }
        for (run, source) in runs {
            self.record_trigger(&run, Record::Uploaded { source, object: object.clone() }).await?;
            self.advance(&run, Asking::New).await?;
        }
        Ok(())
    }

    /// A message's rows land as an object, and go on as an upload: one way in, kept, and found again by the sweep.
    pub(crate) async fn take_message(&self, message: &MessagePublished) -> PortResult<()> {
        let pipelines = self.pipelines();
        let content = Fingerprint::of("message", [message.topic.as_bytes(), message.data.as_bytes()]);
        let has_source = pipelines
            .by_name
            .values()
            .flat_map(|pipeline| &pipeline.sources)
            .any(|source| source.topic.as_deref() == Some(message.topic.as_str()));
        if has_source {
            let name = format!("messages/{}/{content}.jsonl", message.topic);
            let path = ObjectPath::new(pipelines.buckets.landing.clone(), name)
                .map_err(|error| PortError::invalid(error.to_string()))?;
            let meta = match self.ports.store.put(&path, message.data.clone(), Precondition::Absent).await {
                Err(error) if error.kind() == ErrorKind::Conflict => self.ports.store.stat(&path).await?,
                other => other?,
            };
            self.take_upload(&uploaded(meta)).await?;
        }
        let woken: Vec<_> = pipelines
            .by_name
            .values()
            .filter(|pipeline| pipeline.message.as_deref() == Some(message.topic.as_str()))
            .map(|pipeline| pipeline.name.clone())
            .collect();
        if !has_source && woken.is_empty() {
            tracing::warn!(topic = message.topic, "no pipeline listens to this topic");
        }
        for pipeline in woken {
            let by = format!("a message on {}", message.topic);
            let started = Record::Started { by, extracts: None, full_refresh: false };
            self.start(&pipeline, &format!("message-{}", content.short()), started).await?;
        }
        Ok(())
    }
}

/// An object found in the landing bucket, as the trigger its notification would have been.
pub(crate) fn uploaded(meta: millstream_ports::ObjectMeta) -> ObjectFinalized {
    ObjectFinalized { object: meta.path, generation: meta.generation, size: meta.size, crc32c: meta.crc32c }
}
