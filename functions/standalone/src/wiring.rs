//! From a project's settings to what functions are made from, wherever they run.

use std::{ffi::OsString, path::PathBuf};

use anyhow::Context;
use millstream_embedded::trainer::TrainerSettings;
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
