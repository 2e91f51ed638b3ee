//! `millstream init`: an example project.

use std::{fs, path::Path};

use anyhow::Context;
use millstream_runtime::{Settings, settings::FILE_NAME};
use serde_json::json;

use super::Ended;
use crate::render;

/// The example's files.
const FILES: &[(&str, &str)] = &[
    ("README.md", include_str!("../../init/README.md")),
    ("pipelines/example/example.yaml", include_str!("../../init/pipelines/example/example.yaml")),
    ("pipelines/example/staging/sales.sql", include_str!("../../init/pipelines/example/staging/sales.sql")),
    ("pipelines/example/production/revenue.sql", include_str!("../../init/pipelines/example/production/revenue.sql")),
    ("uploads/sales.csv", include_str!("../../init/uploads/sales.csv")),
    (".gitignore", "/data/\n"),
];

/// Where editors look for the pipeline files' schema.
pub(super) const SCHEMA_FILE: &str = "pipelines/pipeline.schema.json";

pub(super) fn run(folder: &Path, as_json: bool) -> anyhow::Result<Ended> {
    let schema = schema()?;
    let mut files = vec![(FILE_NAME, Settings::commented_default()), (SCHEMA_FILE, schema.as_str())];
    files.extend(FILES);
    // All or nothing: a project that is there keeps every file.
    if let Some((taken, _)) = files.iter().find(|(name, _)| folder.join(name).exists()) {
        anyhow::bail!("{} is there already; choose an empty folder", folder.join(taken).display());
    }
    for (name, text) in &files {
        write(folder, name, text)?;
    }
    if as_json {
        render::json(&json!({"folder": folder, "files": files.iter().map(|(name, _)| name).collect::<Vec<_>>()}));
    } else {
        for (name, _) in &files {
            render::line(&format!("  {}", folder.join(name).display()));
        }
        let enter = if folder == Path::new(".") { String::new() } else { format!("cd {} && ", folder.display()) };
        render::line(&format!("\nNext: {enter}millstream check"));
    }
    Ok(Ended::Well)
}

/// The pipeline files' JSON Schema.
pub(super) fn schema() -> anyhow::Result<String> {
    Ok(serde_json::to_string_pretty(&millstream_pipeline::spec::schema())? + "\n")
}

/// Writes a file below `folder`, and the folders that it needs.
pub(super) fn write(folder: &Path, name: &str, text: &str) -> anyhow::Result<()> {
    let file = folder.join(name);
    let parent = file.parent().unwrap_or(folder);
    fs::create_dir_all(parent)
        .and_then(|()| fs::write(&file, text))
        .with_context(|| format!("cannot write {}", file.display()))
}
