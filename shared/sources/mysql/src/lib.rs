//! MySQL and MariaDB as a source.
//!
//! Rows come over the binary protocol, one by one, and become batches as they come. All sessions are read-only. See this
//! crate's README for the types, the URL and the grants.

mod catalog;
mod cells;
mod failure;
mod kind;
mod names;
mod point;
mod reading;
mod session;
mod snapshot;
mod split;
mod target;

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use millstream_events::extract::Selection;
use millstream_ports::{
    KeyRange, OpenSource, PortError, PortResult, Read, ReadPlan, Secret, Shape, Source, TableSummary,
};
use mysql_async::Value;

use crate::{
    catalog::value,
    names::{Relation, quoted},
    point::Point,
    reading::{Condition, Reading},
    session::{CATALOG_TIMEOUT, Session},
    snapshot::Snapshot,
    split::split,
    target::Target,
};

/// A MySQL or MariaDB server, as one user sees it.
#[derive(Clone)]
pub struct MysqlSource {
    target: Arc<Target>,
}

impl fmt::Debug for MysqlSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MysqlSource").field(&self.target).finish()
    }
}

impl MysqlSource {
    /// Reads the URL, `mysql://USER:PASSWORD@HOST:3306/DATABASE`, and the certificates that the server's must be signed by.
    /// Connections are made when they are needed.
    ///
    /// # Errors
    /// `Invalid` for a URL or certificates that cannot be used; no part of either is said.
    pub async fn connect(url: &Secret, ca: Option<&Secret>) -> PortResult<Self> {
        Ok(Self { target: Arc::new(Target::new(url, ca)?) })
    }

    /// What changed since the last reading: the newest position, and how many rows there are to read where that is known.
    async fn newest(
        session: &mut Session,
        reading: &Reading,
        read: &Read,
    ) -> PortResult<(Option<String>, Option<u64>)> {
        let Some(cursor) = &reading.cursor else { return Ok((None, None)) };
        let (name, from) = (quoted(&cursor.name), reading.relation.sql());
        let doing = format!("looking for the newest {} in {}", cursor.name, reading.relation);
        let (sql, values) = match &read.since {
            None => (format!("SELECT MAX({name}) FROM {from}"), Vec::new()),
            Some(since) => {
                // Rows of the lookback are counted, but the position does not go back to them.
                let mut values = Vec::new();
                let since = Point::parse(cursor.scale, since)?.sql(&mut values);
                let after = reading.after(read)?;
                values.extend(after.values());
                (
                    format!("SELECT MAX(IF({name} >= {since}, {name}, NULL)), COUNT(*) FROM {from}{}", after.sql()),
                    values,
                )
            }
        };
        let rows = session.rows(&sql, values, &doing).await?;
        let counted = rows.first().and_then(|row| value(row, 1));
        let position = match rows.first().and_then(|row| row.as_ref(0)) {
            None | Some(Value::NULL) => read.since.clone(),
            Some(newest) => match Point::of(cursor.scale, newest) {
                Some(newest) => Some(newest.to_string()),
                None => {
                    return Err(PortError::invalid(format!(
                        "{doing}: it is no date, so that nothing is newer than it; take another cursor, or mend the rows"
                    )));
                }
            },
        };
        Ok((position, counted))
    }
}

#[async_trait]
impl Source for MysqlSource {
    async fn tables(&self) -> PortResult<Vec<TableSummary>> {
        catalog::tables(&mut Session::connect(&self.target, CATALOG_TIMEOUT).await?).await
    }

    async fn describe(&self, select: &Selection) -> PortResult<Shape> {
        let relation = Relation::of(select, self.target.database())?;
        let mut session = Session::connect(&self.target, CATALOG_TIMEOUT).await?;
        Ok(catalog::describe(&mut session, &relation).await?.shape())
    }

    async fn plan(&self, read: &Read) -> PortResult<ReadPlan> {
        let mut session = Session::connect(&self.target, read.statement_timeout).await?;
        let reading = Reading::of(&mut session, read).await?;
        let columns = reading.columns(&read.only)?.into_iter().map(catalog::Described::to_port).collect();
        let (position, counted) = Self::newest(&mut session, &reading, read).await?;
        // The first reading is of nearly every row, whatever comes after its position.
        let filter = if read.since.is_some() { reading.after(read)? } else { Condition::default() };
        let split = split(&mut session, &reading, read, &filter, counted).await?;
        Ok(ReadPlan {
            columns,
            everything: reading.cursor.is_none() || read.since.is_none(),
            split_by: split.column,
            ranges: KeyRange::between(split.points.iter().map(ToString::to_string).collect()),
            position,
            rows: split.rows,
        })
    }

    async fn open(&self, read: &Read, plan: &ReadPlan) -> PortResult<Arc<dyn OpenSource>> {
        let mut session = Session::connect(&self.target, read.statement_timeout).await?;
        let reading = Reading::of(&mut session, read).await?;
        reading.planned(&plan.columns)?;
        let window = reading.window(read, plan.position.as_deref())?;
        let snapshot = Snapshot::take(session, reading, window, plan, read.statement_timeout, read.batch).await?;
        Ok(Arc::new(snapshot))
    }
}
