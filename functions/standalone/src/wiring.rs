//! From a project's settings to what functions are made from, wherever they run.

use std::{ffi::OsString, path::PathBuf};

use anyhow::Context;
use millstream_embedded::trainer::TrainerSettings;
use millstream_pipeline::{Pipelines, spec::Diagnostics};
use millstream_plan_run::PlanRun;
use millstream_tabular::Limits;

use crate::project::Project;

/// Training programs run under this very program: its hidden commands `supervise` and `recipe tabular`.
pub(crate) fn trainer_settings(project: &Project) -> anyhow::Result<TrainerSettings> {
    let this: PathBuf = std::env::current_exe().context("this program's own file cannot be found")?;
    let arguments = |words: &[&str]| -> Vec<OsString> {
        std::iter::once(this.clone().into_os_string()).chain(words.iter().map(OsString::from)).collect()
    };
    Ok(TrainerSettings {
        supervisor: arguments(&["supervise"]),
        tabular: arguments(&["recipe", "tabular"]),
        project_dir: project.folder.clone(),
        jobs_dir: project.settings.data_dir.join("jobs"),
        max_running: usize::try_from(project.settings.training.max_running.get()).unwrap_or(usize::MAX),
    })
}

/// What one file may cost.
pub(crate) fn ingest_limits(project: &Project) -> Limits {
    let ingest = &project.settings.ingest;
    let record_bytes = ingest.max_record_mib.get().saturating_mul(1 << 20);
    Limits {
        threads: ingest.threads,
        record_bytes: usize::try_from(record_bytes).unwrap_or(usize::MAX),
        decompressed_bytes: ingest.max_decompressed_gib.get().saturating_mul(1 << 30),
        decompression_ratio: ingest.max_decompression_ratio.get(),
        ..Limits::default()
    }
}

/// Reads the pipelines again and puts them in force where they changed; whether they did. Mistakes leave the earlier ones in
/// force: what runs goes on.
pub(crate) async fn reload(
    planner: &PlanRun,
    load: impl FnOnce() -> Result<Pipelines, Diagnostics> + Send + 'static,
) -> bool {
    match tokio::task::spawn_blocking(load).await {
        Ok(Ok(pipelines)) if pipelines == *planner.pipelines() => false,
        Ok(Ok(pipelines)) => {
            tracing::info!(pipelines = pipelines.by_name.len(), "the pipelines changed and are in force");
            planner.replace_pipelines(pipelines);
            true
        }
        Ok(Err(mistakes)) => {
            let shown = mistakes.render(100);
            tracing::error!("the changed pipelines have {mistakes}; the earlier ones stay in force\n{shown}");
            false
        }
        Err(error) => {
            tracing::error!(%error, "the changed pipelines could not be read");
            false
        }
    }
}
