//! Rows of a range as a stream of batches.

use std::{collections::VecDeque, sync::Arc};

use async_trait::async_trait;
use futures::{StreamExt, stream};
use millstream_ports::{BatchSize, KeyRange, OpenSource, PortError, PortResult, RowStream, Rows, SourceColumn};
use millstream_source_columns::Columns;
use scylla::{
    client::session::Session,
    deserialize::row::ColumnIterator,
    response::{PagingState, PagingStateResponse, query_result::QueryRowsResult},
    statement::prepared::PreparedStatement,
    value::CqlValue,
};

use crate::{
    errors::Place,
    names::{TableName, list},
    plan::{Statement, Window, select},
    source::Statements,
    values,
};

/// What is read.
#[derive(Debug, Clone)]
pub(crate) enum What {
    /// Columns of a table, and of which rows.
    Table { name: TableName, partition_key: Vec<String>, cursor: Option<(String, Window)> },
    /// What a query gives.
    Query(String),
}

/// A table or query that is open for reading.
pub(crate) struct OpenCassandra {
    pub(crate) session: Arc<Session>,
    pub(crate) place: Place,
    pub(crate) statements: Statements,
    pub(crate) what: What,
    pub(crate) columns: Vec<SourceColumn>,
    pub(crate) batch: BatchSize,
}

impl std::fmt::Debug for OpenCassandra {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpenCassandra").field("place", &self.place).field("what", &self.what).finish_non_exhaustive()
    }
}

impl What {
    /// For messages.
    pub(crate) fn doing(&self) -> String {
        match self {
            Self::Table { name, .. } => format!("the table {name} cannot be read"),
            Self::Query(_) => "the query cannot be answered".to_owned(),
        }
    }
}

#[async_trait]
impl OpenSource for OpenCassandra {
    async fn read(&self, range: &KeyRange) -> PortResult<RowStream> {
        let Statement { text, parameters } = self.statement(range)?;
        let doing = self.what.doing();
        let prepared = self.statements.prepare(&self.session, &text).await;
        let prepared = prepared.map_err(|error| self.place.error(&doing, error))?;
        let window = match &self.what {
            What::Table { cursor: Some((_, window)), .. } => Some(*window),
            _ => None,
        };
        let reading = Reading {
            session: Arc::clone(&self.session),
            place: self.place.clone(),
            targets: self.targets(&prepared, window.is_some())?,
            prepared,
            parameters,
            doing,
            window,
            columns: Columns::new(&self.columns, self.batch)?,
            page: Some(PagingState::start()),
            ready: VecDeque::new(),
        };
        // Dropping the stream drops the request, and with it the answer of the page that is on its way.
        Ok(stream::try_unfold(reading, async |mut reading| Ok(reading.next().await?.map(|rows| (rows, reading))))
            .boxed())
    }
}

impl OpenCassandra {
    fn statement(&self, range: &KeyRange) -> PortResult<Statement> {
        match &self.what {
            What::Query(text) => Ok(Statement { text: text.clone(), parameters: Vec::new() }),
            What::Table { name, partition_key, cursor } => {
                let names = self.columns.iter().map(|column| &column.name);
                // The cursor comes first: it decides about the row before its values are taken.
                let what = list(cursor.iter().map(|(column, _)| column).chain(names));
                let cursor = cursor.as_ref().map(|(column, window)| (column.as_str(), window));
                select(&what, name, partition_key, range, cursor)
            }
        }
    }

    /// Which column of the batch each column of the answer goes into.
    fn targets(&self, prepared: &PreparedStatement, by_cursor: bool) -> PortResult<Vec<Option<usize>>> {
        let specs = prepared.get_current_result_set_col_specs();
        let targets: Vec<Option<usize>> = match self.what {
            What::Table { .. } => {
                by_cursor.then_some(None).into_iter().chain((0..self.columns.len()).map(Some)).collect()
            }
            What::Query(_) => {
                let at = |name: &str| self.columns.iter().position(|column| column.name == name);
                specs.get().iter().map(|spec| at(spec.name())).collect()
            }
        };
        let changed = |name: &str| {
            PortError::invalid(format!(
                "the column {name} is not what it was when the reading was planned: plan it again to read the new columns"
            ))
        };
        for (target, spec) in targets.iter().zip(specs.get().iter()) {
            let Some(column) = target.map(|index| &self.columns[index]) else { continue };
            if crate::types::column_type(spec.typ()) != column.kind {
                return Err(changed(&column.name));
            }
        }
        let missing = (0..self.columns.len()).find(|index| !targets.contains(&Some(*index)));
        missing.map_or(Ok(targets), |index| Err(changed(&self.columns[index].name)))
    }
}

struct Reading {
    session: Arc<Session>,
    place: Place,
    prepared: PreparedStatement,
    parameters: Vec<CqlValue>,
    doing: String,
    window: Option<Window>,
    targets: Vec<Option<usize>>,
    columns: Columns,
    /// The next page; `None` after the last one.
    page: Option<PagingState>,
    /// Batches of the pages so far.
    ready: VecDeque<Rows>,
}

impl Reading {
    async fn next(&mut self) -> PortResult<Option<Rows>> {
        loop {
            if let Some(rows) = self.ready.pop_front() {
                return Ok(Some(rows));
            }
            let Some(page) = self.page.take() else { return self.columns.take() };
            let answer = self.session.execute_single_page(&self.prepared, &self.parameters, page).await;
            let (answer, next) = answer.map_err(|error| self.place.error(&self.doing, error))?;
            if let PagingStateResponse::HasMorePages { state } = next {
                self.page = Some(state);
            }
            let page = answer.into_rows_result().map_err(|error| self.unreadable(&error))?;
            self.take(&page)?;
        }
    }

    /// Takes the rows of a page.
    fn take(&mut self, page: &QueryRowsResult) -> PortResult<()> {
        for row in page.rows::<ColumnIterator<'_, '_>>().map_err(|error| self.unreadable(&error))? {
            let mut row = row.map_err(|error| self.unreadable(&error))?;
            if let Some(window) = self.window {
                let cursor = row.next().ok_or_else(|| self.unreadable(&"a row without its cursor"))?;
                let cursor = cursor.map_err(|error| self.unreadable(&error))?;
                let value = window.kind.decode(cursor.spec.typ(), cursor.slice);
                if !window.holds(value.map_err(|error| self.unreadable(&error))?) {
                    continue;
                }
            }
            for column in row {
                let column = column.map_err(|error| self.unreadable(&error))?;
                if let Some(target) = self.targets.get(column.index).copied().flatten() {
                    values::write(self.columns.cell(target), column.spec.typ(), column.slice);
                }
            }
            if self.columns.end_row() {
                self.ready.extend(self.columns.take()?);
            }
        }
        Ok(())
    }

    fn unreadable(&self, error: &dyn std::fmt::Display) -> PortError {
        PortError::internal(format!(
            "{}: {} answered what the driver cannot read: {error}",
            self.doing, self.place.nodes
        ))
    }
}
