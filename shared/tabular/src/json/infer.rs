//! Which keys a JSON Lines file has beyond the contract's, and of what type: `on_new_column: add` needs to know before the
//! first batch is written, since a Parquet file has one schema. The whole file is read for it, so that a key first seen in the
//! last line is a column too, and no later value can contradict the type.

use std::{
    collections::HashMap,
    io::{BufRead, BufReader, Read},
};

use millstream_events::contract::{Column, ColumnType, Contract};
use serde::Deserializer;
use serde_json::value::RawValue;

use super::nested::FieldsVisitor;
use crate::{
    error::{IngestError, Rejection, RejectionKind},
    input::read_error,
    layout::check_new_name,
    limits::Limits,
};

/// The narrowest type for what was seen of a key so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    Null,
    Bool,
    Int64,
    Float64,
    String,
    Json,
}

impl Seen {
    fn of(value: &str) -> Self {
        match value.as_bytes() {
            b"null" => Self::Null,
            [b't' | b'f', ..] => Self::Bool,
            [b'"', ..] => Self::String,
            [b'[' | b'{', ..] => Self::Json,
            _ if crate::parse::number::int64(value.as_bytes()).is_ok() => Self::Int64,
            _ => Self::Float64,
        }
    }

    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Null, seen) | (seen, Self::Null) => seen,
            (Self::Int64, Self::Float64) | (Self::Float64, Self::Int64) => Self::Float64,
            (left, right) if left == right => left,
            // Values of different kinds have only their JSON in common.
            _ => Self::Json,
        }
    }

    fn column_type(self) -> ColumnType {
        match self {
            Self::Null | Self::String => ColumnType::String,
            Self::Bool => ColumnType::Bool,
            Self::Int64 => ColumnType::Int64,
            Self::Float64 => ColumnType::Float64,
            Self::Json => ColumnType::Json,
        }
    }
}

/// Reads the file to its end and returns the columns to add, in the order they are first seen.
pub(crate) fn new_columns(
    input: Box<dyn Read + Send>,
    contract: &Contract,
    limits: &Limits,
) -> Result<Vec<Column>, IngestError> {
    let known: HashMap<String, ()> = contract.columns.iter().map(|column| (column.name.to_lowercase(), ())).collect();
    let mut found: Vec<(String, Seen)> = Vec::new();
    let mut by_name: HashMap<String, usize> = HashMap::new();
    let mut reader = BufReader::with_capacity(1 << 20, input);
    let mut line = Vec::new();
    let mut number = 0_u64;
    loop {
        line.clear();
        number += 1;
        let longest = limits.record_bytes as u64 + 1;
        if reader.by_ref().take(longest).read_until(b'\n', &mut line).map_err(read_error)? == 0 {
            break;
        }
        if line.len() as u64 == longest && line.last() != Some(&b'\n') {
            let message = format!("the line is longer than the limit of {} bytes", limits.record_bytes);
            return Err(Rejection::new(RejectionKind::RecordTooLong, message).at_line(number).into());
        }
        let mut keys: Vec<(String, Seen)> = Vec::new();
        let visitor = FieldsVisitor(|key: &str, value: &RawValue| {
            if let Some(index) = by_name.get(key) {
                let seen = &mut found[*index].1;
                *seen = seen.and(Seen::of(value.get()));
            } else {
                keys.push((key.to_owned(), Seen::of(value.get())));
            }
        });
        // A line that is no object is the decoder's to report.
        if serde_json::Deserializer::from_slice(&line).deserialize_map(visitor).is_err() {
            continue;
        }
        for (key, seen) in keys {
            let lower = key.to_lowercase();
            if known.contains_key(&lower) {
                continue;
            }
            let index = *by_name.entry(lower).or_insert_with(|| {
                found.push((key.clone(), Seen::Null));
                found.len() - 1
            });
            by_name.insert(key, index);
            found[index].1 = found[index].1.and(seen);
        }
        if known.len() + by_name.len() > 2 * limits.columns || known.len() + found.len() > limits.columns {
            let message = format!("the objects have more than {} different keys", limits.columns);
            return Err(Rejection::new(RejectionKind::TooManyColumns, message).at_line(number).into());
        }
    }
    found
        .into_iter()
        .enumerate()
        .map(|(index, (name, seen))| {
            check_new_name(&name, index)?;
            Ok(Column { name, kind: seen.column_type(), required: false, description: None })
        })
        .collect()
}
