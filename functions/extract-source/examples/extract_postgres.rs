//! Extracts a table of PostgreSQL into Parquet files: `extract_postgres postgres://USER:PASSWORD@HOST:5432/DATABASE SCHEMA.TABLE FOLDER`
//!
//! For measuring: the benchmarks proper are in `tests/bench`.
#![allow(clippy::print_stdout, reason = "a command line program")]

use std::{path::PathBuf, sync::Arc, time::Instant};

use async_trait::async_trait;
use futures::{TryStreamExt, stream::BoxStream};
use millstream_events::{
    Command, StepRef,
    contract::Contract,
    extract::{Changes, Connection, ExtractLimits, Selection, SourceKind},
    fingerprint::Fingerprint,
    names::ObjectPath,
    work,
};
use millstream_extract_source::ExtractSource;
use millstream_ports::{
    ByteStream, ObjectMeta, ObjectRead, ObjectStore, PortError, PortResult, Precondition, Secret, Source, Sources,
    memory::MemoryObjectStore,
};
use millstream_runtime::Function;
use millstream_source_postgres::PostgresSource;
use millstream_tabular::Limits;
use tokio::{fs::File, io::AsyncWriteExt};

/// The one database there is.
#[derive(Debug)]
struct Database(Secret);

#[async_trait]
impl Sources for Database {
    async fn connect(&self, _connection: &Connection) -> PortResult<Arc<dyn Source>> {
        Ok(Arc::new(PostgresSource::connect(&self.0, None).await?))
    }

    fn kinds(&self) -> Vec<SourceKind> {
        vec![SourceKind::Postgres]
    }
}

/// Batches are files of a folder, all else is kept in memory.
#[derive(Debug)]
struct Folder {
    path: PathBuf,
    memory: MemoryObjectStore,
}

#[async_trait]
impl ObjectStore for Folder {
    async fn get(&self, path: &ObjectPath, generation: Option<u64>) -> PortResult<ObjectRead> {
        self.memory.get(path, generation).await
    }

    async fn put_stream(&self, path: &ObjectPath, mut body: ByteStream, when: Precondition) -> PortResult<ObjectMeta> {
        if !path.name().ends_with(".parquet") {
            return self.memory.put_stream(path, body, when).await;
        }
        let failed = |error| PortError::unavailable(format!("{path} could not be written")).caused_by(error);
        let name = path.name().replace('/', "-");
        let mut file = File::create(self.path.join(name)).await.map_err(failed)?;
        let mut size = 0;
        while let Some(chunk) = body.try_next().await? {
            file.write_all(&chunk).await.map_err(failed)?;
            size += chunk.len() as u64;
        }
        file.flush().await.map_err(failed)?;
        Ok(ObjectMeta { path: path.clone(), generation: 1, size, crc32c: 0 })
    }

    async fn stat(&self, path: &ObjectPath) -> PortResult<ObjectMeta> {
        self.memory.stat(path).await
    }

    fn list(&self, bucket: &str, prefix: &str) -> BoxStream<'static, PortResult<ObjectMeta>> {
        self.memory.list(bucket, prefix)
    }

    async fn delete(&self, path: &ObjectPath, when: Precondition) -> PortResult<()> {
        self.memory.delete(path, when).await
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, table, folder] = arguments.as_slice() else {
        return Err("usage: extract_postgres URL SCHEMA.TABLE FOLDER".into());
    };
    let store = Folder { path: folder.into(), memory: MemoryObjectStore::new() };
    let scratch = tempfile::tempdir_in(folder)?;
    let function = ExtractSource::new(
        Arc::new(Database(Secret::new(url.as_str()))),
        Arc::new(store),
        Limits::default(),
        scratch.path(),
    );
    let step = StepRef {
        run: "measured/one".parse()?,
        step: "extract/rows/turn-1".parse()?,
        fingerprint: Fingerprint::of("extract", []),
        attempt: 1,
    };
    let work = work::ExtractSource {
        connection: Connection { from: SourceKind::Postgres, secret: None, ca: None },
        select: Selection::Table(table.clone()),
        only: Vec::new(),
        split_by: None,
        contract: Contract::default(),
        keys: Vec::new(),
        changes: Changes::Everything,
        since: None,
        appends: false,
        limits: ExtractLimits::default(),
        batches: ObjectPath::new("lake", "batches")?,
        quarantine: ObjectPath::new("lake", "quarantine")?,
    };
    let started = Instant::now();
    let progress = function.ensure(&Command { step, work }).await.map_err(|failure| format!("{failure:?}"))?;
    println!("{progress:?} after {:.2} s", started.elapsed().as_secs_f64());
    Ok(())
}
