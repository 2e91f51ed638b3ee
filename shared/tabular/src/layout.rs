//! How a file's columns become the table's.

use std::fmt;

use millstream_events::contract::{Column, Contract};

use crate::error::{Rejection, RejectionKind};

/// The table's columns and where in the file each comes from.
#[derive(Debug, Clone, Default)]
pub(crate) struct Layout {
    /// The table's columns: the contract's, then the added ones.
    pub(crate) columns: Vec<Column>,
    /// For each of them, the file's column; `None` when the file has none.
    pub(crate) sources: Vec<Option<usize>>,
    /// How many columns the file has.
    pub(crate) width: usize,
    pub(crate) ignored: Vec<String>,
    pub(crate) added: Vec<Column>,
    pub(crate) missing: Vec<String>,
}

impl Layout {
    pub(crate) fn push(&mut self, column: Column, source: Option<usize>) {
        self.columns.push(column);
        self.sources.push(source);
    }

    /// Gives the columns that are added the types that the file's own columns have.
    #[cfg(feature = "workbooks")]
    pub(crate) fn give_added_types(&mut self, kinds: &[millstream_events::contract::ColumnType]) {
        let known = self.columns.len() - self.added.len();
        for (index, added) in self.added.iter_mut().enumerate() {
            let Some(kind) = self.sources[known + index].and_then(|source| kinds.get(source)) else { continue };
            added.kind.clone_from(kind);
            self.columns[known + index].kind.clone_from(kind);
        }
    }

    /// The file has the contract's columns in the contract's order.
    pub(crate) fn of_contract(contract: &Contract) -> Self {
        let columns = contract.columns.clone();
        Self { sources: (0..columns.len()).map(Some).collect(), width: columns.len(), columns, ..Self::default() }
    }
}

/// The name most like `name`, when one is like it at all.
pub(crate) fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let name = name.to_lowercase();
    candidates
        .into_iter()
        .filter(|candidate| !candidate.is_empty())
        .map(|candidate| (strsim::damerau_levenshtein(&name, &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= 1 + name.len().min(candidate.len()) / 3)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Where the columns come from, for a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    File,
    Source,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::File => "file",
            Self::Source => "source",
        })
    }
}

impl Origin {
    /// A column that `on_new_column: reject` refuses.
    pub(crate) fn new_column(self, name: &str, contract: &Contract) -> Rejection {
        let rejection = Rejection::new(
            RejectionKind::NewColumn,
            format!("the {self} has the column {name:?}, which the contract has not"),
        )
        .in_column(name);
        rejection.hint(match nearest(name, contract.columns.iter().map(|column| column.name.as_str())) {
            Some(near) => {
                format!("did you mean {near:?}? `on_new_column: ignore` leaves new columns out, `add` loads them")
            }
            None => "`on_new_column: ignore` leaves new columns out, `add` loads them".into(),
        })
    }

    /// Whether a new column's name can be a table's (BigQuery's flexible names).
    pub(crate) fn check_new_name(self, name: &str, index: usize) -> Result<(), Rejection> {
        let message = if name.is_empty() {
            format!("column {} has no name and cannot be added", index + 1)
        } else if name.chars().count() > 300
            || name.contains(|c: char| "!\"$()*,./;?@[\\]^`{}~".contains(c) || c.is_control())
        {
            format!("{name:?} cannot be a column's name, so it cannot be added")
        } else {
            return Ok(());
        };
        Err(Rejection::new(RejectionKind::NewColumn, message).in_column(name).hint(match self {
            Self::File => "rename it in the file, or set `on_new_column: ignore`",
            Self::Source => "rename it in a query, or leave it out: name the columns to read",
        }))
    }
}

/// A file's column that `on_new_column: reject` refuses.
pub(crate) fn new_column(name: &str, contract: &Contract) -> Rejection {
    Origin::File.new_column(name, contract)
}

/// Whether the name of a file's new column can be a table's.
pub(crate) fn check_new_name(name: &str, index: usize) -> Result<(), Rejection> {
    Origin::File.check_new_name(name, index)
}
