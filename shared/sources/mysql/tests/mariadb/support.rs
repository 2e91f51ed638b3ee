//! A database of a test's own, and readings of it.

use std::{sync::Arc, time::Duration};

use arrow::{
    array::{Array, RecordBatch},
    compute::cast,
    datatypes::DataType,
    util::display::{ArrayFormatter, FormatOptions},
};
use futures::TryStreamExt;
use millstream_events::extract::{Changes, Selection};
use millstream_peers::mariadb::MariaDb;
use millstream_ports::{
    BatchSize, CellFault, CellFaultKind, KeyRange, PortResult, Read, ReadPlan, Rows, Secret, Source, Ties,
};
use millstream_source_mysql::MysqlSource;
use mysql_async::{Conn, Opts, prelude::Queryable};

/// A database of a name of its own on the shared server, and who may write to it.
pub(crate) struct Database {
    pub(crate) server: Arc<MariaDb>,
    pub(crate) name: String,
    pub(crate) admin: Conn,
}

impl Database {
    /// Makes it anew; the reader may read it.
    pub(crate) async fn new(name: &str) -> Self {
        let server = MariaDb::shared();
        let mut admin = Conn::new(Opts::from_url(&server.admin("")).unwrap()).await.unwrap();
        admin.query_drop(format!("CREATE DATABASE {name}")).await.unwrap();
        admin.query_drop(format!("GRANT SELECT ON {name}.* TO 'reader'@'127.0.0.1'")).await.unwrap();
        admin.query_drop(format!("USE {name}")).await.unwrap();
        // Dates such as 0000-00-00 are to be written, and every text as it is.
        admin.query_drop("SET NAMES utf8mb4, sql_mode = 'NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES'").await.unwrap();
        admin.query_drop("SET time_zone = '+02:00'").await.unwrap();
        Self { server, name: name.into(), admin }
    }

    /// Runs statements.
    pub(crate) async fn run(&mut self, statements: &[&str]) {
        for statement in statements {
            self.admin.query_drop(*statement).await.unwrap_or_else(|error| panic!("{statement}: {error}"));
        }
    }

    /// The reader's source, over TLS, with parameters such as `&tinyint1=int64`.
    pub(crate) async fn source_with(&self, parameters: &str) -> MysqlSource {
        let url = format!("{}?tls=on{parameters}", self.server.reader(&self.name));
        MysqlSource::connect(&Secret::new(url), Some(&Secret::new(self.server.ca()))).await.unwrap()
    }

    /// The reader's source, over TLS.
    pub(crate) async fn source(&self) -> MysqlSource {
        self.source_with("").await
    }
}

/// Everything of a selection, in one range.
pub(crate) fn everything(select: Selection) -> Read {
    Read {
        select,
        only: Vec::new(),
        changes: Changes::Everything,
        since: None,
        ties: Ties::Again,
        split_by: None,
        range_rows: 1_000_000,
        statement_timeout: Duration::from_secs(60),
        batch: BatchSize::default(),
    }
}

pub(crate) fn table(name: &str) -> Read {
    everything(Selection::Table(name.into()))
}

pub(crate) fn query(sql: &str) -> Read {
    everything(Selection::Query(sql.into()))
}

/// All rows of a range.
pub(crate) async fn read_range(
    source: &dyn Source,
    read: &Read,
    plan: &ReadPlan,
    range: &KeyRange,
) -> PortResult<Vec<Rows>> {
    source.open(read, plan).await?.read(range).await?.try_collect().await
}

/// Plans and reads everything, as one batch and its faults.
pub(crate) async fn extract(source: &dyn Source, read: &Read) -> PortResult<Vec<Rows>> {
    let plan = source.plan(read).await?;
    let open = source.open(read, &plan).await?;
    let mut rows = Vec::new();
    for range in &plan.ranges {
        rows.extend(open.read(range).await?.try_collect::<Vec<_>>().await?);
    }
    Ok(rows)
}

/// The only batch of a reading.
pub(crate) async fn batch(source: &dyn Source, read: &Read) -> Rows {
    let mut rows = extract(source, read).await.unwrap();
    assert_eq!(rows.len(), 1, "one batch");
    rows.remove(0)
}

/// A column's values as Arrow writes them; `NULL` for NULL.
pub(crate) fn shown(batch: &RecordBatch, column: &str) -> Vec<String> {
    let array = batch.column_by_name(column).unwrap();
    // Arrow's formatter knows no zones by name.
    let (array, zone) = match array.data_type() {
        DataType::Timestamp(unit, Some(zone)) if &**zone == "UTC" => {
            (cast(array, &DataType::Timestamp(*unit, None)).unwrap(), "Z")
        }
        _ => (array.clone(), ""),
    };
    let format = ArrayFormatter::try_new(&array, &FormatOptions::default()).unwrap();
    let value = |row| match array.is_null(row) {
        true => "NULL".to_owned(),
        false => format!("{}{zone}", format.value(row)),
    };
    (0..array.len()).map(value).collect()
}

/// The faults of a column: row, kind and value.
pub(crate) fn faults(rows: &Rows, column: &str) -> Vec<(usize, CellFaultKind, String)> {
    let index = rows.batch.schema().index_of(column).unwrap();
    let of_column = |fault: &&CellFault| fault.column == index;
    rows.faults.iter().filter(of_column).map(|fault| (fault.row, fault.kind, fault.value.clone())).collect()
}
