//! Which of the columns that come become which of the table's, and how.

use std::collections::HashMap;

use arrow::datatypes::DataType;
use millstream_events::contract::{Column, ColumnType, Contract, OnNewColumn};

use super::{Conversion, conversion};
use crate::{
    error::{Rejection, RejectionKind},
    layout::{Layout, Origin, nearest},
};

/// A column that comes.
#[derive(Debug, Clone)]
pub(crate) struct Incoming<'a> {
    pub(crate) name: &'a str,
    pub(crate) data_type: DataType,
    /// The type that holds it; `None` where no table has one.
    pub(crate) kind: Option<ColumnType>,
    /// Whether every value is known to be one of `kind`, a JSON document for example, and need not be looked at again.
    pub(crate) vouched_for: bool,
}

impl Incoming<'_> {
    fn conversion(&self, to: &ColumnType) -> Option<Conversion> {
        match &self.kind {
            Some(kind) if self.vouched_for && kind == to => Some(Conversion::Same),
            _ => conversion(&self.data_type, to),
        }
    }

    fn type_name(&self) -> String {
        self.kind.as_ref().map_or_else(|| self.data_type.to_string(), ToString::to_string)
    }
}

/// The table's columns, where each comes from, and each one's conversion.
#[derive(Debug)]
pub(crate) struct TypedLayout {
    pub(crate) layout: Layout,
    pub(super) conversions: Vec<Option<Conversion>>,
}

impl TypedLayout {
    /// Lays the table out by the contract; by what comes where `contract` has no columns of its own.
    pub(crate) fn new(incoming: &[Incoming<'_>], contract: &Contract, origin: Origin) -> Result<Self, Rejection> {
        let mut positions: HashMap<String, usize> = HashMap::new();
        for (index, column) in incoming.iter().enumerate() {
            if positions.insert(column.name.to_lowercase(), index).is_some() {
                let message = format!("the {origin} has the column {:?} twice", column.name);
                return Err(Rejection::new(RejectionKind::DuplicateColumn, message).in_column(column.name));
            }
        }
        let layout = Layout { width: incoming.len(), ..Layout::default() };
        let mut typed = Self { layout, conversions: Vec::new() };
        for column in &contract.columns {
            let Some(position) = positions.remove(&column.name.to_lowercase()) else {
                typed.push_missing(column, incoming, origin)?;
                continue;
            };
            let from = &incoming[position];
            let conversion = from.conversion(&column.kind).ok_or_else(|| {
                let message = format!(
                    "the column {:?} is {} in the {origin} and {} in the contract",
                    column.name,
                    from.type_name(),
                    column.kind
                );
                Rejection::new(RejectionKind::TypeMismatch, message).in_column(&column.name)
            })?;
            typed.push(column.clone(), Some((position, conversion)));
        }
        for (index, column) in incoming.iter().enumerate() {
            if !positions.contains_key(&column.name.to_lowercase()) {
                continue;
            }
            match contract.on_new_column {
                OnNewColumn::Ignore => typed.layout.ignored.push(column.name.to_owned()),
                OnNewColumn::Reject => return Err(origin.new_column(column.name, contract)),
                OnNewColumn::Add => {
                    origin.check_new_name(column.name, index)?;
                    let kind = column.kind.clone().and_then(|kind| Some((column.conversion(&kind)?, kind)));
                    let Some((conversion, kind)) = kind else {
                        let message = format!(
                            "the new column {:?} has the type {}, which no table has",
                            column.name, column.data_type
                        );
                        return Err(Rejection::new(RejectionKind::NewColumn, message).in_column(column.name));
                    };
                    let added = Column { name: column.name.to_owned(), kind, required: false, description: None };
                    typed.layout.added.push(added.clone());
                    typed.push(added, Some((index, conversion)));
                }
            }
        }
        Ok(typed)
    }

    fn push(&mut self, column: Column, from: Option<(usize, Conversion)>) {
        self.layout.push(column, from.map(|(source, _)| source));
        self.conversions.push(from.map(|(_, conversion)| conversion));
    }

    fn push_missing(&mut self, column: &Column, incoming: &[Incoming<'_>], origin: Origin) -> Result<(), Rejection> {
        if column.required {
            let message = format!("the required column {:?} is not in the {origin}", column.name);
            let rejection = Rejection::new(RejectionKind::MissingColumn, message).in_column(&column.name);
            return Err(match nearest(&column.name, incoming.iter().map(|column| column.name)) {
                Some(near) => rejection.hint(format!("the {origin} has {near:?}")),
                None => rejection,
            });
        }
        self.layout.missing.push(column.name.clone());
        self.push(column.clone(), None);
        Ok(())
    }

    /// Leaves out what no column of the table comes from: which of the columns that come are read, in their order. Where a
    /// column comes from counts among those from then on.
    pub(crate) fn only_used(&mut self) -> Vec<usize> {
        let mut used: Vec<usize> = self.layout.sources.iter().copied().flatten().collect();
        used.sort_unstable();
        for source in self.layout.sources.iter_mut().flatten() {
            *source = used.partition_point(|index| index < source);
        }
        used
    }
}
