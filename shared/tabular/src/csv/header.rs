//! The header line: which file column feeds which table column.

use std::collections::HashMap;

use millstream_events::contract::{Column, ColumnType, Contract, OnNewColumn};

use super::tokenize::Tokenizer;
use crate::{
    cells::{Cell, Chunk},
    error::{Rejection, RejectionKind},
    layout::{Layout, check_new_name, nearest},
    limits::Limits,
};

/// Reads the header of the first block (which has it whole) and lays the table out by it. Also says where the rows start.
pub(crate) fn read(
    block: &[u8],
    delimiter: u8,
    contract: &Contract,
    limits: &Limits,
) -> Result<(Layout, usize), Rejection> {
    let (cells, line, end) = first_record(block, delimiter, limits)?;
    let mut names = Vec::with_capacity(cells.len());
    let mut scratch = Vec::new();
    for (index, cell) in cells.iter().enumerate() {
        let bytes = super::decode::unquote(block, *cell, &mut scratch);
        let name = std::str::from_utf8(bytes).ok().filter(|name| !name.contains('\0')).ok_or_else(|| {
            Rejection::new(RejectionKind::Encoding, format!("the name of column {} is not UTF-8 text", index + 1))
                .at_line(line)
                .hint("save or export the file as UTF-8")
        })?;
        names.push(name.trim().to_owned());
    }
    Ok((lay_out(&names, contract, NO_HEADER).map_err(|rejection| rejection.at_line(line))?, end))
}

/// The rejection of a file without a header line.
pub(crate) fn empty() -> Rejection {
    Rejection::new(RejectionKind::Empty, "the file is empty: it has not even a header line")
        .hint("a file without rows still names its columns in its first line")
}

fn first_record(block: &[u8], delimiter: u8, limits: &Limits) -> Result<(Vec<Cell>, u64, usize), Rejection> {
    let (mut chunk, mut bad) = (Chunk::default(), Vec::new());
    // A header's width is not known yet: the record is read as if it were one column too wide, and its cells are kept.
    let start = block.iter().position(|byte| !matches!(byte, b'\r' | b'\n')).unwrap_or(block.len());
    let line = 1 + super::tokenize::count_lines(&block[..start]);
    if start == block.len() {
        return Err(empty());
    }
    let fields = Tokenizer::new(block, start, delimiter).count_fields();
    if fields > limits.columns {
        return Err(Rejection::new(
            RejectionKind::TooManyColumns,
            format!("the header has {fields} columns, more than the limit of {}", limits.columns),
        )
        .at_line(line)
        .hint("check the delimiter"));
    }
    let mut tokenizer = Tokenizer::new(block, start, delimiter);
    tokenizer.fill(1, fields, &mut chunk, &mut bad);
    if !bad.is_empty() {
        return Err(Rejection::new(
            RejectionKind::WrongFormat,
            "the header line is not valid CSV: text after a closing quote",
        )
        .at_line(line));
    }
    Ok((chunk.cells, line, tokenizer.position()))
}

/// What may be wrong where a required column is not in a header.
const NO_HEADER: &str = "if the file has no header line, set `no_header: true`; else check the delimiter";

/// Lays the table out by a header's names; `otherwise` is the hint where a required column is not among them.
pub(crate) fn lay_out(names: &[String], contract: &Contract, otherwise: &str) -> Result<Layout, Rejection> {
    let mut positions: HashMap<String, usize> = HashMap::with_capacity(names.len());
    for (index, name) in names.iter().enumerate() {
        if !name.is_empty() && positions.insert(name.to_lowercase(), index).is_some() {
            return Err(Rejection::new(RejectionKind::DuplicateColumn, format!("the header names {name:?} twice"))
                .in_column(name)
                .hint("names are compared without regard to case"));
        }
    }
    let mut layout = Layout { width: names.len(), ..Layout::default() };
    for column in &contract.columns {
        let position = positions.remove(&column.name.to_lowercase());
        if position.is_none() {
            if column.required {
                let message = format!("the required column {:?} is not in the header", column.name);
                let rejection = Rejection::new(RejectionKind::MissingColumn, message).in_column(&column.name);
                return Err(match nearest(&column.name, names.iter().map(String::as_str)) {
                    Some(name) => rejection.hint(format!("the header has {name:?}")),
                    None => rejection.hint(otherwise),
                });
            }
            layout.missing.push(column.name.clone());
        }
        layout.push(column.clone(), position);
    }
    for (index, name) in names.iter().enumerate() {
        if !name.is_empty() && !positions.contains_key(&name.to_lowercase()) {
            continue;
        }
        match contract.on_new_column {
            OnNewColumn::Ignore if name.is_empty() => layout.ignored.push(format!("column {} (no name)", index + 1)),
            OnNewColumn::Ignore => layout.ignored.push(name.clone()),
            OnNewColumn::Reject => return Err(crate::layout::new_column(name, contract)),
            OnNewColumn::Add => {
                check_new_name(name, index)?;
                let column =
                    Column { name: name.clone(), kind: ColumnType::String, required: false, description: None };
                layout.added.push(column.clone());
                layout.push(column, Some(index));
            }
        }
    }
    Ok(layout)
}
