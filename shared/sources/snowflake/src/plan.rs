//! What a reading reads.

use millstream_events::extract::Changes;
use millstream_ports::{PortResult, Read, ReadPlan};
use millstream_source_columns::batch_schema;

use crate::{
    catalog,
    client::Session,
    ranges::{self, Split},
    statement::Conditions,
    window::Window,
};

/// Plans a reading.
pub(crate) async fn plan(session: &Session, read: &Read) -> PortResult<ReadPlan> {
    let described = catalog::describe(session, &read.select).await?;
    let columns = if read.only.is_empty() {
        described.shape.columns.clone()
    } else {
        let chosen = read.only.iter().map(|name| described.column(name, "the column").cloned());
        chosen.collect::<PortResult<Vec<_>>>()?
    };
    // What cannot be mapped is said before anything is read.
    batch_schema(&columns)?;
    let window = Window::of(read, &described)?;
    let position = match &window {
        Some(window) => window.newest(session, &described.from).await?,
        None => None,
    };
    let mut conditions = Conditions::default();
    if let Some(window) = &window {
        window.restrict(&mut conditions, position.as_deref());
    }
    let split = match (&read.split_by, &described.shape.key[..]) {
        (Some(name), _) | (None, [name]) => Split::of(name, &described)?,
        (None, _) => None,
    };
    let (ranges, rows) = ranges::plan(session, &described, &conditions, split.as_ref(), read.range_rows).await?;
    Ok(ReadPlan {
        columns,
        everything: read.since.is_none() || read.changes == Changes::Everything,
        split_by: split.filter(|_| ranges.len() > 1).map(|split| split.name),
        ranges,
        position,
        rows,
    })
}
