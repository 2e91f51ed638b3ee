//! The warehouse in one DuckDB file.
//!
//! Loads, transforms and exports go in as jobs; a job's effect and its row in `_millstream.jobs` are one transaction, so a
//! process killed at any point has either both or neither. Writers take turns on one connection; every reader has its own
//! and sees the last commit.
//!
//! SQL comes in as BigQuery's and is translated by `millstream-sql`, which lets only SELECTs with known functions through:
//! that, not a setting, is what keeps a query from reading files or writing (DuckDB's `enable_external_access` is one
//! switch for the whole database, and loads need it).

mod catalog;
mod errors;
mod expectations;
mod export;
mod load;
mod query;
mod transform;
mod types;
mod write;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use duckdb::{Config, Connection, Transaction};
use millstream_events::{
    names::TableName,
    work::{LoadTable, TransformTable},
};
use millstream_ports::{
    ExportJob, ExportWrite, JobState, ObjectStore, PortError, PortResult, QueryAnswer, TableFacts, TableWrite,
    Warehouse,
};
use serde::{Serialize, de::DeserializeOwned};

use self::errors::Mapped;
use crate::blocking::blocking;

/// How much of the machine the warehouse may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WarehouseSettings {
    /// The most memory DuckDB takes before it spills to disk, such as `2GB`; four fifths of the machine's when absent.
    pub memory_limit: Option<String>,
    /// Threads a query runs on; one a core when absent.
    pub threads: Option<u16>,
    /// A folder of the warehouse's own for spilled data and files on their way in or out; emptied when it opens.
    pub scratch: PathBuf,
}

/// Tables and SQL in one DuckDB file, over batches and exports in an object store.
#[derive(Debug, Clone)]
pub struct DuckDbWarehouse {
    /// Taken by one job at a time, from its first statement to its commit.
    writer: Arc<Mutex<Connection>>,
    /// Where every reader's connection is cloned from.
    reader: Arc<Mutex<Connection>>,
    /// An export's upload is awaited, so its turn is taken with a lock that may be held meanwhile.
    exports: Arc<tokio::sync::Mutex<()>>,
    store: Arc<dyn ObjectStore>,
    scratch: Arc<Path>,
}

impl DuckDbWarehouse {
    /// Opens the file, creating it when it is not there; what a killed process left in the write-ahead log is replayed.
    pub fn open(path: &Path, store: Arc<dyn ObjectStore>, settings: &WarehouseSettings) -> PortResult<Self> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)
                .map_err(|error| PortError::internal(format!("cannot create {}", folder.display())).caused_by(error))?;
        }
        let connection = config(settings)
            .and_then(|config| Connection::open_with_flags(path, config))
            .map_err(|error| errors::opening(path, error))?;
        Self::over(connection, store, settings)
    }

    /// A warehouse that is gone with the process, for tests.
    pub fn in_memory(store: Arc<dyn ObjectStore>, settings: &WarehouseSettings) -> PortResult<Self> {
        let connection =
            config(settings).and_then(Connection::open_in_memory_with_flags).mapped("open a warehouse in memory")?;
        Self::over(connection, store, settings)
    }

    fn over(connection: Connection, store: Arc<dyn ObjectStore>, settings: &WarehouseSettings) -> PortResult<Self> {
        let scratch = &settings.scratch;
        // The database's lock is ours by now, so nobody else works in the folder.
        let emptied = if scratch.exists() { std::fs::remove_dir_all(scratch) } else { Ok(()) };
        emptied
            .and_then(|()| std::fs::create_dir_all(scratch))
            .map_err(|error| PortError::internal(format!("cannot empty {}", scratch.display())).caused_by(error))?;
        // BigQuery knows no session zone; this is every connection's from here on.
        connection.execute_batch("SET GLOBAL TimeZone = 'UTC'").mapped("set the time zone")?;
        catalog::prepare(&connection)?;
        let reader = connection.try_clone().mapped("open a connection")?;
        Ok(Self {
            reader: Arc::new(Mutex::new(reader)),
            writer: Arc::new(Mutex::new(connection)),
            exports: Arc::default(),
            store,
            scratch: scratch.clone().into(),
        })
    }

    /// Runs a job on the writing connection: its effect and its result are committed together.
    async fn job<T, F>(&self, job: &str, kind: &'static str, effect: F) -> PortResult<JobState<T>>
    where
        T: Serialize + DeserializeOwned + Send + 'static,
        F: FnOnce(&Transaction<'_>) -> PortResult<T> + Send + 'static,
    {
        let (writer, job) = (Arc::clone(&self.writer), job.to_owned());
        blocking(move || {
            // A panic in a job rolled its transaction back: the connection is fit for the next one.
            let mut connection = writer.lock().unwrap_or_else(PoisonError::into_inner);
            let transaction = connection.transaction().mapped("begin a transaction")?;
            if let Some(known) = catalog::known_job(&transaction, &job, kind)? {
                return Ok(JobState::Done(known));
            }
            let result = effect(&transaction)?;
            catalog::remember_job(&transaction, &job, kind, &result)?;
            transaction.commit().mapped("commit")?;
            Ok(JobState::Done(result))
        })
        .await
    }

    /// Runs `work` on a connection of its own, which sees the last commit.
    async fn read<T, F>(&self, work: F) -> PortResult<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> PortResult<T> + Send + 'static,
    {
        let reader = Arc::clone(&self.reader);
        blocking(move || {
            let connection = reader.lock().unwrap_or_else(PoisonError::into_inner).try_clone();
            let mut connection = connection.mapped("open a connection")?;
            // One snapshot for all of it.
            let transaction = connection.transaction().mapped("begin a transaction")?;
            work(&transaction)
        })
        .await
    }
}

fn config(settings: &WarehouseSettings) -> duckdb::Result<Config> {
    let mut config = Config::default()
        // Nothing is fetched from the network, whatever a statement names.
        .with("autoinstall_known_extensions", "false")?
        .with("autoload_known_extensions", "false")?
        .with("temp_directory", settings.scratch.to_string_lossy())?;
    if let Some(limit) = &settings.memory_limit {
        config = config.max_memory(limit)?;
    }
    if let Some(threads) = settings.threads {
        config = config.threads(threads.into())?;
    }
    Ok(config)
}

#[async_trait]
impl Warehouse for DuckDbWarehouse {
    async fn ensure_load(&self, job: &str, load: &LoadTable) -> PortResult<JobState<TableWrite>> {
        load::ensure(self, job, load).await
    }

    async fn ensure_transform(&self, job: &str, transform: &TransformTable) -> PortResult<JobState<TableWrite>> {
        let transform = transform.clone();
        self.job(job, "transform", move |transaction| transform::run(transaction, &transform)).await
    }

    async fn ensure_export(&self, job: &str, export: &ExportJob) -> PortResult<JobState<ExportWrite>> {
        export::ensure(self, job, export).await
    }

    async fn table(&self, table: &TableName) -> PortResult<TableFacts> {
        let table = table.clone();
        self.read(move |connection| catalog::facts(connection, &table)).await
    }

    async fn tables(&self) -> PortResult<Vec<TableFacts>> {
        self.read(catalog::all_facts).await
    }

    async fn query(&self, sql: &str, limit: usize) -> PortResult<QueryAnswer> {
        let sql = sql.to_owned();
        self.read(move |connection| query::answer(connection, &sql, limit)).await
    }
}
