//! What a reading reads.

use millstream_events::extract::Changes;
use millstream_ports::{PortResult, Read, ReadPlan, SourceColumn};
use millstream_source_columns::batch_schema;

use crate::{
    catalog,
    ranges::{self, Split},
    session::Session,
    statement::Conditions,
    window::Window,
};

/// Plans a reading.
pub(crate) fn plan(session: &Session, read: &Read) -> PortResult<ReadPlan> {
    let described = catalog::describe(session, &read.select)?;
    let columns: Vec<SourceColumn> = if read.only.is_empty() {
        described.columns.iter().map(|(column, _)| column.clone()).collect()
    } else {
        let chosen = read.only.iter().map(|name| Ok(described.column(name, "the column")?.0.clone()));
        chosen.collect::<PortResult<_>>()?
    };
    // What cannot be mapped is said before anything is read.
    batch_schema(&columns)?;
    let window = Window::of(session, read, &described)?;
    let position = match &window {
        Some(window) => window.newest(session, &described.from, read.since.as_deref())?,
        None => None,
    };
    let mut conditions = Conditions::default();
    if let Some(window) = &window {
        window.restrict(&mut conditions, read, position.as_deref())?;
    }
    let split = match (&read.split_by, &described.key[..]) {
        (Some(name), _) => Split::of(session, name, &described)?,
        (None, [name]) => Split::of(session, name, &described)?,
        (None, _) => None,
    };
    let (ranges, rows) = ranges::plan(session, &described, &conditions, split.as_ref(), read.range_rows)?;
    Ok(ReadPlan {
        columns,
        everything: read.since.is_none() || read.changes == Changes::Everything,
        split_by: split.filter(|_| ranges.len() > 1).map(|split| split.name),
        ranges,
        position,
        rows,
    })
}
