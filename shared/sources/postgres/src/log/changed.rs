//! Messages of the log, as rows.

use std::collections::HashMap;

use millstream_ports::{BatchSize, PortError, PortResult, Rows, SourceColumn};
use millstream_source_columns::Columns;

use super::{
    Window, deleted_column,
    message::{Message, Old, Relation, Value},
    table::LoggedTable,
};
use crate::{sql::identifier, types::Mapping};

/// The values of a row's key, in their types' binary form.
pub(crate) type Key = Vec<Vec<u8>>;

/// Turns the messages of a log into rows of one table, in the order in which they were committed: what is there now, or what
/// is gone. The last row of a key is its state at the window's end.
#[derive(Debug)]
pub(crate) struct ChangedRows {
    table: LoggedTable,
    window: Window,
    /// The columns without that of deletions.
    columns: Vec<Column>,
    rows: Columns,
    layout: Option<Layout>,
    /// The transaction whose messages come, where its changes are in the window.
    transaction: Option<u32>,
    /// Rows whose last message does not have all of their values, and the transactions that changed them.
    incomplete: HashMap<Key, u32>,
    full: bool,
}

/// A column of the rows.
#[derive(Debug)]
struct Column {
    name: String,
    mapping: Mapping,
}

/// Where the columns are in the tuples that come.
#[derive(Debug)]
struct Layout {
    relation: Relation,
    /// For each column, its place; none for what the log does not tell.
    columns: Vec<Option<usize>>,
    /// For each column of the key, its place.
    key: Vec<usize>,
}

impl ChangedRows {
    /// No rows yet. `columns` are the plan's, without that of deletions.
    ///
    /// # Errors
    /// `Invalid` for a column that is mapped to nothing, or is gone.
    pub(crate) fn new(
        table: LoggedTable,
        window: Window,
        columns: &[SourceColumn],
        batch: BatchSize,
    ) -> PortResult<Self> {
        let all: Vec<_> = columns.iter().cloned().chain([deleted_column()]).collect();
        let rows = Columns::new(&all, batch)?;
        let column = |column: &SourceColumn| {
            let mapping = table.attribute(&column.name).and_then(|attribute| attribute.mapping.clone().ok());
            let mapping = mapping.filter(|mapping| column.kind.as_ref() == Ok(&mapping.kind));
            let SourceColumn { name, .. } = column;
            mapping.map(|mapping| Column { name: name.clone(), mapping }).ok_or_else(|| {
                PortError::invalid(format!(
                    "the column {name} of {} is gone or has another type now: extract it again",
                    table.quoted
                ))
            })
        };
        let columns = columns.iter().map(column).collect::<PortResult<_>>()?;
        Ok(Self {
            table,
            window,
            columns,
            rows,
            layout: None,
            transaction: None,
            incomplete: HashMap::new(),
            full: false,
        })
    }

    /// The table.
    pub(crate) fn table(&self) -> &LoggedTable {
        &self.table
    }

    /// What a SELECT asks for to have the columns of the table called `t`.
    pub(crate) fn expressions(&self) -> impl Iterator<Item = String> {
        self.columns.iter().map(|column| column.mapping.ask.expression(&format!("t.{}", identifier(&column.name))))
    }

    /// Whether there are so many rows that they are to be taken.
    pub(crate) fn is_full(&self) -> bool {
        self.full
    }

    /// The rows so far; `None` when there are none.
    pub(crate) fn take(&mut self) -> PortResult<Option<Rows>> {
        self.full = false;
        self.rows.take()
    }

    /// How many rows are to be read from the table itself.
    pub(crate) fn incomplete(&self) -> usize {
        self.incomplete.len()
    }

    /// The rows that are to be read from the table itself, and the transactions that changed them.
    pub(crate) fn take_incomplete(&mut self) -> (Vec<Key>, Vec<u32>) {
        self.incomplete.drain().unzip()
    }

    /// Takes a row that was read from the table itself; its values are those of [`expressions`](Self::expressions).
    pub(crate) fn complete<'a>(&mut self, value: impl Fn(usize) -> Option<&'a [u8]>) -> PortResult<()> {
        self.row(false, value)
    }

    /// Takes a message.
    ///
    /// # Errors
    /// `Invalid` when the table is not any more what the plan says, or was emptied.
    pub(crate) fn accept(&mut self, message: Message<'_>) -> PortResult<()> {
        match message {
            Message::Begin { commit, transaction } => {
                self.transaction = self.window.contains(commit).then_some(transaction);
            }
            Message::Commit => self.transaction = None,
            Message::Relation(relation) if relation.table == self.table.oid => {
                self.layout = Some(self.layout_of(relation)?);
            }
            Message::Insert { table, new } => {
                if let Some((transaction, layout)) = self.open(table)? {
                    self.put(transaction, &layout, &new)?;
                    self.layout = Some(layout);
                }
            }
            Message::Update { table, old, new } => {
                if let Some((transaction, layout)) = self.open(table)? {
                    self.update(transaction, &layout, old, new)?;
                    self.layout = Some(layout);
                }
            }
            Message::Delete { table, old } => {
                if let Some((_, layout)) = self.open(table)? {
                    self.remove(&layout, &old.values)?;
                    self.layout = Some(layout);
                }
            }
            // The plan has looked for this; it reads everything instead.
            Message::Truncate(tables) if self.transaction.is_some() && tables.contains(&self.table.oid) => {
                return Err(self.other_than_planned("was emptied by TRUNCATE"));
            }
            Message::Relation(_) | Message::Truncate(_) | Message::Other => {}
        }
        Ok(())
    }

    /// The transaction and the layout of a change to be taken; the layout is to be put back.
    fn open(&mut self, table: u32) -> PortResult<Option<(u32, Layout)>> {
        let Some(transaction) = self.transaction.filter(|_| table == self.table.oid) else {
            return Ok(None);
        };
        let told = || PortError::internal(format!("the log tells a row of {} before its columns", self.table.quoted));
        let layout = self.layout.take().ok_or_else(told)?;
        Ok(Some((transaction, layout)))
    }

    fn layout_of(&self, relation: Relation) -> PortResult<Layout> {
        let place = |name: &str| relation.columns.iter().position(|column| column.name == name);
        let told = |column: &Column| match place(&column.name) {
            _ if !self.table.is_told(&column.name) => Ok(None),
            Some(place) => Ok(Some(place)),
            None => Err(self.other_than_planned(&format!("had no column {}", column.name))),
        };
        let columns = self.columns.iter().map(told).collect::<PortResult<_>>()?;
        let key = self.table.key.iter().map(|name| place(name)).collect::<Option<_>>();
        let key = key.ok_or_else(|| self.other_than_planned("had another key"))?;
        Ok(Layout { columns, key, relation })
    }

    fn other_than_planned(&self, what: &str) -> PortError {
        PortError::invalid(format!(
            "{} {what} when some of these changes were made: extract it again, and everything is read",
            self.table.quoted
        ))
    }

    fn update<'a>(
        &mut self,
        transaction: u32,
        layout: &Layout,
        old: Option<Old<'a>>,
        mut new: Vec<Value<'a>>,
    ) -> PortResult<()> {
        if let Some(old) = old {
            for ((new, old_value), column) in new.iter_mut().zip(&old.values).zip(&layout.relation.columns) {
                if *new == Value::Unchanged && (old.whole || column.identity) {
                    *new = *old_value;
                }
            }
            // A row without a key is known by all of its values: the old ones go, the new ones come.
            if layout.key.is_empty() || layout.key.iter().any(|&at| old.values.get(at) != new.get(at)) {
                self.remove(layout, &old.values)?;
            }
        }
        self.put(transaction, layout, &new)
    }

    /// The row as it is now.
    fn put(&mut self, transaction: u32, layout: &Layout, new: &[Value<'_>]) -> PortResult<()> {
        let value = |place: &Option<usize>| place.and_then(|at| new.get(at)).copied().unwrap_or(Value::Unchanged);
        if layout.columns.iter().any(|place| value(place) == Value::Unchanged) {
            if layout.key.is_empty() {
                return Err(self.other_than_planned("had another replica identity than FULL"));
            }
            self.incomplete.insert(self.key(layout, new)?, transaction);
            return Ok(());
        }
        self.forget(layout, new)?;
        self.row(false, |at| match value(&layout.columns[at]) {
            Value::Sent(value) => Some(value),
            Value::Null | Value::Unchanged => None,
        })
    }

    /// The row is gone. Only what it is known by is told of it: another value that does not fit its column would keep the
    /// deletion from the table.
    fn remove(&mut self, layout: &Layout, old: &[Value<'_>]) -> PortResult<()> {
        self.forget(layout, old)?;
        self.row(true, |at| {
            let place = layout.columns[at].filter(|place| layout.key.is_empty() || layout.key.contains(place))?;
            match old.get(place) {
                Some(Value::Sent(value)) => Some(*value),
                _ => None,
            }
        })
    }

    /// A row of these values, `None` for NULL.
    fn row<'a>(&mut self, deleted: bool, value: impl Fn(usize) -> Option<&'a [u8]>) -> PortResult<()> {
        for (at, column) in self.columns.iter().enumerate() {
            let cell = self.rows.cell(at);
            match value(at) {
                None => cell.null(),
                Some(value) => column.mapping.decoder.decode(value, cell).map_err(|_| {
                    PortError::internal(format!(
                        "a value of {}.{} is not in the form of its type",
                        self.table.quoted, column.name
                    ))
                })?,
            }
        }
        self.rows.cell(self.columns.len()).bool(deleted);
        self.full |= self.rows.end_row();
        Ok(())
    }

    /// What is known of the row now is more than an earlier message had.
    fn forget(&mut self, layout: &Layout, values: &[Value<'_>]) -> PortResult<()> {
        if !self.incomplete.is_empty() {
            let key = self.key(layout, values)?;
            self.incomplete.remove(&key);
        }
        Ok(())
    }

    fn key(&self, layout: &Layout, values: &[Value<'_>]) -> PortResult<Key> {
        let value = |&at: &usize| match values.get(at) {
            Some(Value::Sent(value)) => Some(value.to_vec()),
            _ => None,
        };
        layout
            .key
            .iter()
            .map(value)
            .collect::<Option<_>>()
            .ok_or_else(|| PortError::internal(format!("the log has a row of {} without its key", self.table.quoted)))
    }
}
