//! For `extract-source`: which rows of which database are wanted, and how far an extraction has come.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{contract::Contract, fingerprint::Fingerprint, names::ObjectPath, secret_name::SecretName};

/// A kind of source, as `from` writes it in a pipeline file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SourceKind {
    /// PostgreSQL, also as Cloud SQL, AlloyDB, Amazon RDS and Aurora.
    Postgres,
    /// MySQL and MariaDB, also as Cloud SQL, Amazon RDS and Aurora.
    #[serde(alias = "mariadb")]
    Mysql,
    /// Microsoft SQL Server and Azure SQL.
    Sqlserver,
    /// MongoDB.
    Mongodb,
    /// Apache Cassandra and ScyllaDB.
    Cassandra,
    /// Snowflake.
    Snowflake,
    /// IBM DB2, through its ODBC driver.
    Db2,
    /// An Excel or OpenDocument workbook of the object store.
    Excel,
}

impl SourceKind {
    /// Every kind.
    pub const ALL: [Self; 8] = [
        Self::Postgres,
        Self::Mysql,
        Self::Sqlserver,
        Self::Mongodb,
        Self::Cassandra,
        Self::Snowflake,
        Self::Db2,
        Self::Excel,
    ];

    /// As a pipeline file writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Mysql => "mysql",
            Self::Sqlserver => "sqlserver",
            Self::Mongodb => "mongodb",
            Self::Cassandra => "cassandra",
            Self::Snowflake => "snowflake",
            Self::Db2 => "db2",
            Self::Excel => "excel",
        }
    }
}

impl std::fmt::Display for SourceKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for SourceKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let lower = text.to_ascii_lowercase();
        let known = if lower == "mariadb" { "mysql" } else { lower.as_str() };
        let names = Self::ALL.map(Self::as_str).join(", ");
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == known)
            .ok_or_else(|| format!("{text:?} is no kind of source; the kinds are {names}"))
    }
}

/// How a source is reached. It carries names of secrets, never their values.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Connection {
    /// The kind of source.
    pub from: SourceKind,
    /// The secret that holds the database's URL, user and password included (for DB2 an ODBC connection string). Absent for
    /// workbooks, which are read as the function's own account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<SecretName>,
    /// The secret that holds the certificates (PEM) which the server's must be signed by; by default those of the web.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<SecretName>,
}

/// What is read of a source.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Selection {
    /// A table, view or collection by its name as the source writes it, `schema.table` where it has schemas.
    Table(String),
    /// What a query gives, in the source's own language.
    Query(String),
    /// A sheet of a workbook.
    Sheet(Sheet),
}

/// A part of a workbook.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Sheet {
    /// The workbook.
    pub object: ObjectPath,
    /// Which cells.
    #[serde(default)]
    pub cells: Cells,
}

/// Which cells of a workbook are the table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Cells {
    /// The sheet's name; by default the first one that is not hidden.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sheet: Option<String>,
    /// The cells, such as `B3:F200`, or columns alone, such as `B:F`; by default all that are used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<String>,
    /// The row of the header, from 1 within the range (without one: within the sheet); 0 when there is none and the contract's
    /// order counts. By default the first row with a value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header_row: Option<u32>,
}

/// How far back an extraction looks for rows that were committed late.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Lookback {
    /// For a cursor that is a time: seconds.
    Seconds(u64),
    /// For a cursor that is a number: how many.
    Count(u64),
}

/// A column that grows with every change of a row.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Cursor {
    /// The column.
    pub column: String,
    /// How far back to read again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lookback: Option<Lookback>,
    /// A column that marks a row as deleted where it is neither NULL nor false nor 0; the row is then taken from the table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted: Option<String>,
}

/// The log of a database's changes (PostgreSQL's logical replication).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct ChangeLog {
    /// The publication that the table is in.
    pub publication: String,
    /// The replication slot; made when it is not there. One for each table that is read so.
    pub slot: String,
}

/// How an extraction finds what changed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Changes {
    /// Not at all: everything is read each time.
    #[default]
    Everything,
    /// By a column.
    Cursor(Cursor),
    /// From the database's log.
    Log(ChangeLog),
}

/// How far a source has been extracted and loaded. A fact once its batch is in the table.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Bookmark {
    /// The source's columns and their types as they were read, hashed: other columns mean that everything is read again.
    pub shape: Fingerprint,
    /// The cursor's last value or the log's position, as the source writes it; absent where everything is read each time,
    /// and while no row has had a value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<String>,
}

/// What an extraction may take.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ExtractLimits {
    /// Rows, at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    /// Bytes of rows in memory's form, at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// The longest one statement may take, in seconds.
    pub statement_seconds: u64,
    /// Ranges of the key that are read at once.
    pub parallel: u16,
}

impl Default for ExtractLimits {
    fn default() -> Self {
        Self { rows: None, bytes: None, statement_seconds: 3_600, parallel: 4 }
    }
}

/// For `extract-source`: turn the rows a source has, or those that changed, into validated Parquet batches.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ExtractSource {
    /// How the source is reached.
    pub connection: Connection,
    /// What is read.
    pub select: Selection,
    /// The columns to read; all of them where it is empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub only: Vec<String>,
    /// The column whose ranges are read at once; by default the table's key where that is one column.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split_by: Option<String>,
    /// What its rows must be. Without columns they are what the source's own are mapped to.
    #[serde(default)]
    pub contract: Contract,
    /// Columns that identify a row (a merge's key): implicitly required, never NaN.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<String>,
    /// How what changed is found.
    #[serde(default)]
    pub changes: Changes,
    /// Where the last extraction that was loaded had come to; absent when everything is wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Bookmark>,
    /// Whether rows are added to those that are there, so that a row which is read twice would be there twice.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub appends: bool,
    /// What it may take.
    #[serde(default)]
    pub limits: ExtractLimits,
    /// The folder for the batches: `range-00000.parquet` and on.
    pub batches: ObjectPath,
    /// The folder for the bad rows, as JSON Lines.
    pub quarantine: ObjectPath,
}

/// The column of a batch that says whether a row was deleted at its source. No table has it.
pub const DELETED_COLUMN: &str = "_millstream_deleted";
