//! Which columns, in which ranges, up to which position.

use millstream_events::extract::{Changes, Cursor};
use millstream_ports::{ErrorKind, KeyRange, PortError, PortResult, Read, ReadPlan, SourceColumn};
use millstream_source_columns::batch_schema;

use crate::{
    catalog,
    cursor::CursorColumn,
    described::{Column, Described},
    session::Session,
    split::SplitColumn,
};

/// Plans a reading of a table or query as it is, or of what a cursor says has changed.
pub(crate) async fn plan(session: &Session, described: &Described, read: &Read) -> PortResult<ReadPlan> {
    let columns = columns(session, described, &read.only)?;
    let (cursor, position) = match &read.changes {
        Changes::Cursor(cursor) => {
            let column = CursorColumn::new(described, cursor)?;
            (Some(cursor), column.newest(session, described, read.since.as_deref()).await?)
        }
        Changes::Everything | Changes::Log(_) => (None, None),
    };
    let condition = condition(described, read, cursor, position.as_deref())?;
    let filter = condition.as_ref().map(|condition| format!(" WHERE {condition}")).unwrap_or_default();
    let select = format!("SELECT 1 FROM {}{filter}", described.from);
    let rows = catalog::estimated_rows(session, &select, &described.name).await?;
    let (split_by, ranges) = match split_column(described, read)? {
        Some((name, column)) => {
            let ranges = column
                .ranges(session, described, condition.as_deref(), rows.unwrap_or_default(), read.range_rows)
                .await?;
            ((ranges.len() > 1).then_some(name), ranges)
        }
        None => (None, vec![KeyRange::whole()]),
    };
    Ok(ReadPlan { columns, everything: cursor.is_none() || read.since.is_none(), split_by, ranges, position, rows })
}

/// The columns of a reading.
///
/// # Errors
/// `Invalid` for one that is mapped to nothing, `Denied` for one that may not be read.
pub(crate) fn columns(session: &Session, described: &Described, only: &[String]) -> PortResult<Vec<SourceColumn>> {
    let columns: Vec<_> = chosen(described, only, session)?.iter().map(|column| column.source_column()).collect();
    batch_schema(&columns)?;
    Ok(columns)
}

/// The condition of all rows of a reading; `None` where it is of everything.
pub(crate) fn condition(
    described: &Described,
    read: &Read,
    cursor: Option<&Cursor>,
    position: Option<&str>,
) -> PortResult<Option<String>> {
    let Some(cursor) = cursor else { return Ok(None) };
    let column = CursorColumn::new(described, cursor)?;
    column.condition(cursor, read.since.as_deref(), position, read.ties).map(Some)
}

/// The columns asked for, in that order.
fn chosen<'a>(described: &'a Described, only: &[String], session: &Session) -> PortResult<Vec<&'a Column>> {
    let columns: Vec<&Column> = if only.is_empty() {
        described.columns.iter().collect()
    } else {
        only.iter().map(|name| described.column(name)).collect::<PortResult<_>>()?
    };
    if let Some(Column { name, .. }) = columns.iter().find(|column| !column.readable) {
        let (user, table) = (session.target().user(), &described.name);
        return Err(PortError::new(
            ErrorKind::Denied,
            format!(
                "{user} may not read the column {name} of {table}: GRANT SELECT on it, or leave it out of `extract.columns`"
            ),
        ));
    }
    if columns.is_empty() {
        return Err(PortError::invalid(format!("{} has no columns", described.name)));
    }
    Ok(columns)
}

/// The column that is named to split by, or the key's only one, where its type has an order.
fn split_column(described: &Described, read: &Read) -> PortResult<Option<(String, SplitColumn)>> {
    let name = match (&read.split_by, described.relation.as_ref().map(|relation| relation.key.as_slice())) {
        (Some(name), _) => name,
        (None, Some([name])) => name,
        (None, _) => return Ok(None),
    };
    let column = described.column(name)?;
    Ok(SplitColumn::new(described, column).map(|split| (name.clone(), split)))
}
