//! What changed, by a cursor.

use std::{fmt, time::Duration};

use futures::{StreamExt, TryStreamExt, stream};
use millstream_events::extract::{Changes, Cursor};
use millstream_ports::{KeyRange, PortError, PortResult, Read, Ties};
use scylla::{
    client::session::Session,
    cluster::metadata::ColumnType as CqlType,
    deserialize::{DeserializationError, FrameSlice, row::ColumnIterator},
    response::PagingState,
};

use crate::{
    catalog::{Keys, Part},
    cursor::{CursorKind, Position},
    names::{TableName, quoted},
    plan::{Statement, Window, select},
    source::{AT_ONCE, CassandraSource, Selected},
};

impl CassandraSource {
    /// The column that a reading goes by, and what of its values is read.
    pub(crate) async fn window(
        &self,
        session: &Session,
        read: &Read,
        selected: &Selected,
        position: impl AsyncFnOnce(CursorKind, &TableName, &Keys) -> PortResult<Option<Position>>,
    ) -> PortResult<Option<(String, Window)>> {
        let cursor = match &read.changes {
            Changes::Everything => return Ok(None),
            Changes::Cursor(cursor) => cursor,
            Changes::Log(_) => {
                return Err(PortError::invalid(
                    "of Cassandra no log of changes is read: name a `cursor` that grows with every change, or read everything",
                ));
            }
        };
        let Selected::Table(name, keys) = selected else {
            return Err(PortError::invalid(
                "a query of Cassandra has no cursor: name the table, and the cursor's column",
            ));
        };
        let kind = self.cursor_kind(session, cursor, selected, keys).await?;
        let since = read.since.as_deref().map(|since| kind.read(since)).transpose()?;
        let from = since.map(|since| match read.ties {
            Ties::Again => kind.earlier(since, cursor.lookback),
            Ties::Once => Ok(since),
        });
        let position = position(kind, name, keys).await?;
        Ok(Some((cursor.column.clone(), Window::new(kind, from.transpose()?, position, read.ties))))
    }

    async fn cursor_kind(
        &self,
        session: &Session,
        cursor: &Cursor,
        selected: &Selected,
        keys: &Keys,
    ) -> PortResult<CursorKind> {
        let name = &cursor.column;
        let columns = self.columns(session, selected).await?;
        let Some(found) = columns.iter().find(|described| described.column.name == *name) else {
            return Err(PortError::invalid(format!(
                "there is no column {name} to be a cursor: check its name, also its case"
            )));
        };
        if keys.parts.get(name) == Some(&Part::PartitionKey) {
            return Err(PortError::invalid(format!(
                "the column {name} is of the partition key, which Cassandra cannot compare with a value: take a clustering or \
                 regular column as the cursor, or read everything"
            )));
        }
        CursorKind::of(&found.cql).ok_or_else(|| {
            PortError::invalid(format!(
                "the column {name} of type {} cannot be a cursor: take an integer, a timestamp, a date or a timeuuid",
                found.column.source_type
            ))
        })
    }

    /// The newest value of a cursor, or `since` where none is newer. Each part of the ring is asked by itself: the whole
    /// table in one statement takes longer than a node waits.
    pub(crate) async fn newest(
        &self,
        session: &Session,
        read: &Read,
        cursor: (&str, CursorKind),
        table: (&TableName, &Keys),
        ranges: &[KeyRange],
    ) -> PortResult<Option<Position>> {
        let (column, kind) = cursor;
        let (name, keys) = table;
        let since = read.since.as_deref().map(|since| kind.read(since)).transpose()?;
        let window = Window { kind, from: since, position: None, waits: false };
        let what = format!("max({})", quoted(column));
        let newest_of = async |range: &KeyRange| {
            let statement = select(&what, name, &keys.partition_key, range, Some((column, &window)))?;
            self.one_value(session, read.statement_timeout, &statement, |cql, value| kind.decode(cql, value)).await
        };
        let found: Vec<Option<Position>> =
            stream::iter(ranges).map(newest_of).buffer_unordered(AT_ONCE).try_collect().await?;
        let newer = |one: Option<Position>, other: Option<Position>| match (one, other) {
            (Some(one), Some(other)) => Some(if other > one { other } else { one }),
            (one, other) => one.or(other),
        };
        Ok(found.into_iter().fold(since, newer))
    }

    /// The first value of a statement's answer.
    async fn one_value<T>(
        &self,
        session: &Session,
        timeout: Duration,
        statement: &Statement,
        decode: impl for<'a, 'm> Fn(&'m CqlType<'m>, Option<FrameSlice<'a>>) -> Result<Option<T>, DeserializationError>,
    ) -> PortResult<Option<T>> {
        let doing = "the newest value of the cursor cannot be read";
        let prepared = self.statements(timeout).prepare(session, &statement.text).await;
        let prepared = prepared.map_err(|error| self.place.error(doing, error))?;
        let answer = session.execute_single_page(&prepared, &statement.parameters, PagingState::start()).await;
        let (answer, _) = answer.map_err(|error| self.place.error(doing, error))?;
        let unreadable = |error: &dyn fmt::Display| {
            PortError::internal(format!("{doing}: the driver cannot read the answer: {error}"))
        };
        let rows = answer.into_rows_result().map_err(|error| unreadable(&error))?;
        let row = rows.maybe_first_row::<ColumnIterator<'_, '_>>().map_err(|error| unreadable(&error))?;
        let Some(value) = row.and_then(|mut row| row.next()) else { return Ok(None) };
        let value = value.map_err(|error| unreadable(&error))?;
        decode(value.spec.typ(), value.slice).map_err(|error| unreadable(&error))
    }
}
