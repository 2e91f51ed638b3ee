//! What a reading reads.

use millstream_events::extract::Changes;
use millstream_ports::{PortError, PortResult, Read, ReadPlan, SourceColumn};
use millstream_source_columns::batch_schema;

use crate::{
    catalog::{self, Described},
    ranges::{self, Split},
    session::Session,
    sql_type::SqlType,
    statement::Conditions,
    window::Window,
};

impl Described {
    /// A column by its name.
    ///
    /// # Errors
    /// `Invalid`, with the columns there are.
    pub(crate) fn column(&self, name: &str, what: &str) -> PortResult<&SourceColumn> {
        self.shape.columns.iter().find(|column| column.name == name).ok_or_else(|| {
            let names: Vec<&str> = self.shape.columns.iter().map(|column| column.name.as_str()).collect();
            PortError::invalid(format!("{what} {name} is not there; the columns are {}", names.join(", ")))
        })
    }

    /// A column's type.
    ///
    /// # Errors
    /// As [`column`](Self::column).
    pub(crate) fn kind_of(&self, name: &str, what: &str) -> PortResult<SqlType> {
        self.column(name, what).map(|column| SqlType::read(&column.source_type))
    }
}

/// Plans a reading.
pub(crate) async fn plan(session: &mut Session, read: &Read) -> PortResult<ReadPlan> {
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
        Some(window) => window.newest(session, &described.from, read.since.as_deref()).await?,
        None => None,
    };
    let mut conditions = Conditions::default();
    if let Some(window) = &window {
        window.restrict(&mut conditions, read, position.as_deref())?;
    }
    let split = match (&read.split_by, &described.shape.key[..]) {
        (Some(name), _) => Split::of(name, &described)?,
        (None, [name]) => Split::of(name, &described)?,
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
