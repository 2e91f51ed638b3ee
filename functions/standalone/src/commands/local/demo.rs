//! `millstream demo`: the example pipelines from uploads to predictions, on a platform that runs as `millstream up` does.
//!
//! What it prints is read back from the platform: nothing here knows a number. Said again on the same folder, the platform finds
//! everything up to date.

use std::{
    collections::HashSet,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context;
use chrono::{DateTime, Utc};
use futures::StreamExt;
use millstream_events::names::{ObjectPath, RunId};
use millstream_ports::{Clock, ObjectStore, ObjectStoreExt, Precondition, SystemClock, optional};
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinSet};

use super::{Ended, init, wait};
use crate::{
    api::{
        Operations, http,
        local::Local,
        views::{RunDetails, RunStatus},
    },
    platform::{
        Background, Platform,
        lock::{self, Address, Claim},
    },
    project::Project,
    render::{self, Progress, demo::Summary},
};

/// The project's files.
const FILES: &[(&str, &str)] = &[
    ("pipelines/iris/iris.yaml", include_str!("../../../demo/pipelines/iris/iris.yaml")),
    ("pipelines/iris/staging/iris.sql", include_str!("../../../demo/pipelines/iris/staging/iris.sql")),
    (
        "pipelines/iris/production/iris_features.sql",
        include_str!("../../../demo/pipelines/iris/production/iris_features.sql"),
    ),
    ("pipelines/products/products.yaml", include_str!("../../../demo/pipelines/products/products.yaml")),
    (
        "pipelines/products/staging/stg_product.sql",
        include_str!("../../../demo/pipelines/products/staging/stg_product.sql"),
    ),
    (
        "pipelines/products/staging/stg_product_subcategory.sql",
        include_str!("../../../demo/pipelines/products/staging/stg_product_subcategory.sql"),
    ),
    (
        "pipelines/products/staging/stg_product_category.sql",
        include_str!("../../../demo/pipelines/products/staging/stg_product_category.sql"),
    ),
    (
        "pipelines/products/production/products.sql",
        include_str!("../../../demo/pipelines/products/production/products.sql"),
    ),
];

/// The uploads, each with the run that it moves on. The join of the products comes last to a full set: it is seen to wait.
const UPLOADS: &[(&str, &[u8], &str)] = &[
    ("DimProduct.csv", include_bytes!("../../../demo/uploads/DimProduct.csv"), "products/latest"),
    ("iris.csv", include_bytes!("../../../demo/uploads/iris.csv"), "iris/latest"),
    ("DimProductSubcategory.csv", include_bytes!("../../../demo/uploads/DimProductSubcategory.csv"), "products/latest"),
    ("DimProductCategory.csv", include_bytes!("../../../demo/uploads/DimProductCategory.csv"), "products/latest"),
];

/// The endpoint that is asked, and the row of its training table that it is asked about.
const ENDPOINT: &str = "iris";
const QUESTION: &str =
    "SELECT * FROM production.iris_features ORDER BY petal_length, sepal_length, sepal_width LIMIT 1";
const TARGET: &str = "species";

/// Far above what the demo takes; a machine that needs longer has another problem.
const PATIENCE: Duration = Duration::from_secs(120);

pub(super) async fn run(folder: &Path, as_json: bool) -> anyhow::Result<Ended> {
    let began = (SystemClock.now(), Instant::now());
    write_project(folder)?;
    // Any free port: the demo must not mind what else runs.
    let project = Project::open(folder, None, &[("http.address", "127.0.0.1:0".to_owned())])?;
    let demo = Demo::start(project, as_json).await?;
    let summary = tokio::time::timeout(PATIENCE, demo.play(began.0)).await;
    let stopped = demo.stop().await;
    let summary =
        summary.context("the pipelines did not end in two minutes; `millstream runs` says where they are")??;
    stopped?;
    if as_json {
        render::json(&summary);
    } else {
        render::demo::summary(&summary, folder, began.1.elapsed());
    }
    Ok(Ended::by(summary.is_well()))
}

/// Writes what is not there: a file that was changed since is the reader's own experiment.
fn write_project(folder: &Path) -> anyhow::Result<()> {
    let schema = init::schema()?;
    let files = FILES.iter().copied().chain([(init::SCHEMA_FILE, schema.as_str())]);
    for (name, text) in files {
        if !folder.join(name).exists() {
            init::write(folder, name, text)?;
        }
    }
    Ok(())
}

/// A running platform, with its listener.
struct Demo {
    platform: Arc<Platform>,
    address: Address,
    tasks: JoinSet<()>,
    server: JoinSet<()>,
    as_json: bool,
}

impl Demo {
    async fn start(project: Project, as_json: bool) -> anyhow::Result<Self> {
        let pipelines = project.load_pipelines()?;
        let data = project.settings.data_dir.clone();
        let lock = match lock::claim(&data)? {
            Claim::Ours(lock) => lock,
            Claim::Running(other) => anyhow::bail!("process {} works in that folder already; stop it first", other.pid),
        };
        let listener =
            TcpListener::bind(project.settings.http.address).await.context("cannot listen on this machine")?;
        let address = Address { address: listener.local_addr()?, pid: std::process::id(), token: lock::new_token()? };
        if !as_json {
            render::line(&format!("Landing folder  {}", project.landing_folder().display()));
            render::line(&format!("Listening on    http://{}", address.address));
            render::line("");
        }
        let platform = Arc::new(Platform::open(project, pipelines, lock).await?);
        let router = http::router(&platform, address.address, &address.token);
        let mut server = JoinSet::new();
        server.spawn(async move {
            // An error would show in the prediction, which is asked over this listener.
            let _ = millstream_runtime::host::serve(listener, router, std::future::pending(), Duration::ZERO).await;
        });
        let mut events = Local(platform.clone()).events().await?;
        if !as_json {
            server.spawn(async move {
                let first = Instant::now();
                // The sweep and the watcher may tell of one thing both: it is delivered again, and shown once.
                let mut shown = HashSet::new();
                while let Some(event) = events.next().await {
                    if shown.insert((event.run.clone(), event.step.clone(), event.says.clone())) {
                        render::demo::event(&event, first.elapsed());
                    }
                }
            });
        }
        let tasks = platform.start(Background::Everything).await?;
        lock::announce(&data, &address)?;
        Ok(Self { platform, address, tasks, server, as_json })
    }

    /// Uploads what is not there yet, waits for both pipelines, and looks at what came of it.
    async fn play(&self, began: DateTime<Utc>) -> anyhow::Result<Summary> {
        let operations = Local(self.platform.clone());
        let mut uploaded = Vec::new();
        for (name, bytes, run) in UPLOADS {
            if self.upload(name, bytes).await? {
                uploaded.push((*name).to_owned());
                if *run == "products/latest" {
                    self.settle(&operations, run, Some(name)).await?;
                }
            }
        }
        operations.sweep().await?;
        let mut runs = Vec::new();
        for run in ["iris/latest", "products/latest"] {
            let last = UPLOADS.iter().rfind(|(_, _, taken_by)| *taken_by == run).map(|(name, ..)| *name);
            runs.push(self.settle(&operations, run, last).await?);
        }
        let ran =
            runs.iter().flat_map(|run| &run.steps).filter(|step| step.ended_at.is_some_and(|at| at >= began)).count();
        let (question, expected, answer) = self.predict(&operations).await?;
        Ok(Summary {
            uploaded,
            steps_run: ran,
            tables: operations.tables().await?,
            lake: self.lake_files().await?,
            quarantine: operations.quarantine().await?,
            models: operations.models().await?,
            runs,
            endpoint: format!("http://{}/v1/endpoints/{ENDPOINT}:predict", self.address.address),
            question,
            expected,
            answer,
        })
    }

    /// Puts a file into the landing bucket unless those bytes are there; returns whether it did. From there it is the watcher's to
    /// find.
    async fn upload(&self, name: &str, bytes: &'static [u8]) -> anyhow::Result<bool> {
        let landing = &self.platform.project.settings.buckets.landing;
        let object = ObjectPath::new(landing.clone(), name)?;
        let store = &self.platform.store;
        let there = optional(store.read(&object, u64::MAX).await)?;
        if there.is_some_and(|there| there == bytes) {
            return Ok(false);
        }
        store.put(&object, bytes, Precondition::None).await?;
        Ok(true)
    }

    /// Waits until a run has taken an upload and goes no further by itself, and says what it waits for.
    async fn settle(&self, operations: &Local, run: &str, upload: Option<&str>) -> anyhow::Result<RunDetails> {
        let run: RunId = run.parse()?;
        // The events are shown as they happen: progress in steps would say everything twice.
        let has_taken_it =
            |details: &RunDetails| upload.is_none_or(|upload| details.started_by.iter().any(|name| name == upload));
        let ended = wait::until(operations, &[run], &mut Progress::silent(), &has_taken_it).await?;
        let details = ended.into_iter().next().context("a run was waited for")?;
        if details.summary.state == RunStatus::Waiting && !self.as_json {
            render::demo::waits(&details);
        }
        Ok(details)
    }

    /// Asks about a row of the training table, over HTTP as any program would; returns the row, what it is, and the answer.
    async fn predict(&self, operations: &Local) -> anyhow::Result<(Value, Value, Value)> {
        let rows = render::by_name(&operations.query(QUESTION, 1).await?);
        let mut instance = rows["rows"][0].clone();
        let fields = instance.as_object_mut().context("the training table has no rows")?;
        let expected = fields.remove(TARGET).unwrap_or_default();
        let url = format!("http://{}/v1/endpoints/{ENDPOINT}:predict", self.address.address);
        let request = reqwest::Client::new().post(url).json(&json!({"instances": [instance]}));
        let answer = request.send().await?.json().await?;
        Ok((instance, expected, answer))
    }

    /// The exports: what is in the lake besides batches and quarantine.
    async fn lake_files(&self) -> anyhow::Result<Vec<ObjectPath>> {
        let mut files = self.platform.store.names(&self.platform.project.settings.buckets.lake, "").await?;
        files.retain(|file| !file.name().starts_with("batches/") && !file.name().starts_with("quarantine/"));
        Ok(files)
    }

    async fn stop(self) -> anyhow::Result<()> {
        let Self { platform, tasks, mut server, .. } = self;
        server.shutdown().await;
        lock::forget(&platform.project.settings.data_dir)?;
        platform.stop(tasks).await
    }
}
