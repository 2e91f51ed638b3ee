//! A project on disk: its folder, its settings, its pipeline files and the checks that this build's engines make of them.

#[cfg(any(feature = "embedded", feature = "cloud"))]
use std::collections::BTreeMap;
use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context;
use millstream_events::contract::Column;
#[cfg(any(feature = "embedded", feature = "cloud"))]
use millstream_events::names::PipelineName;
use millstream_pipeline::{
    Buckets, Pipelines,
    spec::{self, Checks, Diagnostics, Files, Problem},
};
use millstream_runtime::{Settings, settings::FILE_NAME};
use millstream_sql::Select;
use millstream_tabular::expect;

/// Where pipeline files are, as the specification sees a project.
const PIPELINES: &str = "pipelines";

/// A project's folder and settings.
#[derive(Debug, Clone)]
pub(crate) struct Project {
    pub(crate) folder: PathBuf,
    pub(crate) settings: Settings,
}

impl Project {
    /// The project in `folder`, or the nearest one at or above the working directory.
    pub(crate) fn find(folder: Option<&Path>, environment: Option<&str>) -> anyhow::Result<Self> {
        let folder = match folder {
            Some(folder) => folder.to_owned(),
            None => nearest(&std::env::current_dir().context("the working directory cannot be read")?)?,
        };
        Self::open(&folder, environment, &[])
    }

    /// As [`Project::find`]; where there is no project, this folder is one: a service may have all its settings from its
    /// environment.
    #[cfg(feature = "cloud")]
    pub(crate) fn find_or_here(folder: Option<&Path>, environment: Option<&str>) -> anyhow::Result<Self> {
        let folder = match folder {
            Some(folder) => folder.to_owned(),
            None => {
                let here = std::env::current_dir().context("the working directory cannot be read")?;
                nearest(&here).unwrap_or(here)
            }
        };
        Self::open(&folder, environment, &[])
    }

    /// The project in `folder` for an environment of its settings, with settings from the command line.
    pub(crate) fn open(folder: &Path, environment: Option<&str>, overrides: &[(&str, String)]) -> anyhow::Result<Self> {
        let folder = folder
            .canonicalize()
            .with_context(|| format!("there is no folder {}; `millstream init` makes a project", folder.display()))?;
        let settings = Settings::load(&folder, environment, overrides)?;
        Ok(Self { folder, settings })
    }

    /// Where buckets are folders.
    #[cfg(feature = "embedded")]
    pub(crate) fn buckets_folder(&self) -> PathBuf {
        self.settings.data_dir.join("buckets")
    }

    /// Where people drop files.
    #[cfg(feature = "embedded")]
    pub(crate) fn landing_folder(&self) -> PathBuf {
        self.buckets_folder().join(&self.settings.buckets.landing)
    }

    /// Reads every pipeline, or every mistake.
    pub(crate) fn load_pipelines(&self) -> Result<Pipelines, Diagnostics> {
        self.load(self)
    }

    /// Checks a pipeline that is in no file yet, as if it were the project's only one.
    #[cfg(any(feature = "embedded", feature = "cloud"))]
    pub(crate) fn check_alone(&self, pipeline: &PipelineName, yaml: &str) -> Result<(), Diagnostics> {
        let files = BTreeMap::from([(format!("{PIPELINES}/{pipeline}.yaml"), yaml)]);
        self.load(&files).map(drop)
    }

    fn load(&self, files: &dyn Files) -> Result<Pipelines, Diagnostics> {
        let named = &self.settings.buckets;
        let buckets =
            Buckets { landing: named.landing.clone(), lake: named.lake.clone(), models: named.models.clone() };
        spec::load(&spec::Project { files, buckets, checks: &Engines })
    }

    /// A path of the specification's project as a file of this one.
    fn file(&self, path: &str) -> PathBuf {
        match path.strip_prefix(PIPELINES).and_then(|rest| rest.strip_prefix('/')) {
            Some(rest) => self.settings.pipelines_dir.join(rest),
            None => self.folder.join(path),
        }
    }
}

fn nearest(from: &Path) -> anyhow::Result<PathBuf> {
    from.ancestors()
        .find(|folder| folder.join(FILE_NAME).is_file() || folder.join(PIPELINES).is_dir())
        .map(Path::to_owned)
        .with_context(|| {
            format!(
                "{} is in no project: neither it nor a folder above it has a {FILE_NAME} or a folder {PIPELINES}. \
                 Make one with `millstream init`, or name one with --project",
                from.display()
            )
        })
}

impl Files for Project {
    /// The pipelines' folder, whatever its name, as `pipelines/`; training programs elsewhere are read by name.
    fn list(&self) -> Vec<String> {
        let mut found = Vec::new();
        walk(&self.settings.pipelines_dir, PIPELINES, &mut found);
        found.sort();
        found
    }

    fn read(&self, path: &str) -> Option<Vec<u8>> {
        fs::read(self.file(path)).ok()
    }
}

fn walk(folder: &Path, name: &str, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let Ok(entry_name) = entry.file_name().into_string() else { continue };
        // Editors keep swap and lock files beside what they edit, hidden.
        if entry_name.starts_with('.') {
            continue;
        }
        let name = format!("{name}/{entry_name}");
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => walk(&entry.path(), &name, found),
            Ok(_) => found.push(name),
            Err(_) => {}
        }
    }
}

/// What this build can check before anything runs: expectations by the ingester, SELECTs by the embedded warehouse.
struct Engines;

impl Checks for Engines {
    fn expectation(&self, text: &str, columns: &[Column]) -> Result<(), Problem> {
        expect::parse(text).and_then(|expectation| expectation.check(columns)).map_err(|error| Problem {
            message: error.message,
            offset: Some(error.offset),
            hint: None,
        })
    }

    fn translatable(&self, select: &Select) -> Result<(), Problem> {
        millstream_sql::to_duckdb(&select.text).map(drop).map_err(Problem::from)
    }
}
