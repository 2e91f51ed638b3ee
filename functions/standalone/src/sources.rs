//! Databases and workbooks by their connections: each kind that this build reads, behind its cargo feature.

use std::{path::PathBuf, sync::Arc};

use async_trait::async_trait;
use millstream_events::{
    extract::{Connection, SourceKind},
    secret_name::SecretName,
};
use millstream_ports::{
    ObjectStore, PortError, PortResult, Secret, Secrets,
    source::{Source, Sources},
};

/// [`Sources`] by the adapters of this build.
#[derive(Debug, Clone)]
pub(crate) struct AdapterSources {
    secrets: Arc<dyn Secrets>,
    /// Where workbooks are.
    #[cfg_attr(not(feature = "excel"), expect(dead_code, reason = "only workbooks are objects"))]
    store: Arc<dyn ObjectStore>,
    /// Where workbooks are put to be read.
    #[cfg_attr(not(feature = "excel"), expect(dead_code, reason = "only workbooks need files"))]
    scratch: PathBuf,
}

/// What opens a database.
struct Login {
    url: Secret,
    ca: Option<Secret>,
}

impl AdapterSources {
    /// Reads logins from `secrets` and workbooks from `store`, by way of files in the folder `scratch`.
    pub(crate) fn new(secrets: Arc<dyn Secrets>, store: Arc<dyn ObjectStore>, scratch: PathBuf) -> Self {
        Self { secrets, store, scratch }
    }

    async fn login(&self, connection: &Connection) -> PortResult<Login> {
        let Some(secret) = &connection.secret else {
            return Err(PortError::invalid(format!(
                "{} is reached by a URL in a secret: name it as `connection: secret:NAME`",
                named(connection.from)
            )));
        };
        let ca = match &connection.ca {
            Some(ca) => Some(self.secret(ca).await?),
            None => None,
        };
        Ok(Login { url: self.secret(secret).await?, ca })
    }

    async fn secret(&self, name: &SecretName) -> PortResult<Secret> {
        let secret = self.secrets.get(name).await?;
        if secret.expose().is_empty() {
            return Err(PortError::invalid(format!("the secret {name} is empty: put the database's URL into it")));
        }
        Ok(secret)
    }
}

#[async_trait]
impl Sources for AdapterSources {
    async fn connect(&self, connection: &Connection) -> PortResult<Arc<dyn Source>> {
        let kind = connection.from;
        if !is_built(kind) {
            return Err(PortError::invalid(format!(
                "this build reads no {}: build with `--features {}`",
                named(kind),
                feature(kind)
            )));
        }
        #[cfg(feature = "excel")]
        if kind == SourceKind::Excel {
            let (store, scratch) = (self.store.clone(), self.scratch.clone());
            return Ok(Arc::new(millstream_source_excel::ExcelSource::new(store, scratch)));
        }
        database(kind, self.login(connection).await?).await
    }

    fn kinds(&self) -> Vec<SourceKind> {
        SourceKind::ALL.into_iter().filter(|kind| is_built(*kind)).collect()
    }
}

async fn database(kind: SourceKind, login: Login) -> PortResult<Arc<dyn Source>> {
    let Login { url, ca } = &login;
    match kind {
        #[cfg(feature = "postgres")]
        SourceKind::Postgres => {
            Ok(Arc::new(millstream_source_postgres::PostgresSource::connect(url, ca.as_ref()).await?))
        }
        #[cfg(feature = "mysql")]
        SourceKind::Mysql => Ok(Arc::new(millstream_source_mysql::MysqlSource::connect(url, ca.as_ref()).await?)),
        #[cfg(feature = "sqlserver")]
        SourceKind::Sqlserver => {
            Ok(Arc::new(millstream_source_sqlserver::SqlServerSource::connect(url, ca.as_ref()).await?))
        }
        #[cfg(feature = "mongodb")]
        SourceKind::Mongodb => Ok(Arc::new(millstream_source_mongodb::MongodbSource::connect(url, ca.as_ref()).await?)),
        #[cfg(feature = "cassandra")]
        SourceKind::Cassandra => {
            Ok(Arc::new(millstream_source_cassandra::CassandraSource::connect(url, ca.as_ref()).await?))
        }
        #[cfg(feature = "snowflake")]
        SourceKind::Snowflake => {
            Ok(Arc::new(millstream_source_snowflake::SnowflakeSource::connect(url, ca.as_ref()).await?))
        }
        #[cfg(feature = "odbc")]
        SourceKind::Db2 => Ok(Arc::new(millstream_source_odbc::OdbcSource::connect(url, ca.as_ref()).await?)),
        other => {
            // What is built has an arm of its own.
            let _ = (url, ca);
            Err(PortError::internal(format!("{} has no adapter", named(other))))
        }
    }
}

/// A kind as people call it.
pub(crate) const fn named(kind: SourceKind) -> &'static str {
    match kind {
        SourceKind::Postgres => "PostgreSQL",
        SourceKind::Mysql => "MySQL",
        SourceKind::Sqlserver => "SQL Server",
        SourceKind::Mongodb => "MongoDB",
        SourceKind::Cassandra => "Cassandra",
        SourceKind::Snowflake => "Snowflake",
        SourceKind::Db2 => "DB2",
        SourceKind::Excel => "Excel workbooks",
    }
}

/// The cargo feature that brings a kind.
const fn feature(kind: SourceKind) -> &'static str {
    match kind {
        SourceKind::Db2 => "odbc",
        other => other.as_str(),
    }
}

/// Whether this build has a kind.
const fn is_built(kind: SourceKind) -> bool {
    match kind {
        SourceKind::Postgres => cfg!(feature = "postgres"),
        SourceKind::Mysql => cfg!(feature = "mysql"),
        SourceKind::Sqlserver => cfg!(feature = "sqlserver"),
        SourceKind::Mongodb => cfg!(feature = "mongodb"),
        SourceKind::Cassandra => cfg!(feature = "cassandra"),
        SourceKind::Snowflake => cfg!(feature = "snowflake"),
        SourceKind::Db2 => cfg!(feature = "odbc"),
        SourceKind::Excel => cfg!(feature = "excel"),
    }
}
