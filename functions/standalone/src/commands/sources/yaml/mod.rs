//! A pipeline's YAML for chosen tables.

mod names;
mod scalars;
#[cfg(test)]
mod tests;

use std::{collections::BTreeSet, fmt::Write};

use anyhow::bail;
use millstream_events::{
    contract::ColumnType,
    extract::{Connection, Selection},
    names::PipelineName,
};
use millstream_ports::source::SourceColumn;

use self::{
    names::Names,
    scalars::{plain, quoted, text},
};
use super::{tables::Looked, views::PlannedSource};
use crate::render::bytes;

/// Columns whose value says that a row was deleted, by their usual names.
const MARKS: [&str; 5] = ["deleted_at", "deleted_on", "is_deleted", "deleted", "date_deleted"];

/// What was made.
#[derive(Debug)]
pub(super) struct Made {
    pub(super) yaml: String,
    pub(super) sources: Vec<PlannedSource>,
    /// What could not be taken over, in sentences.
    pub(super) left_out: Vec<String>,
}

/// The pipeline. Tables of which no column can be mapped are left out; at least one must remain.
pub(super) fn pipeline(
    name: &PipelineName,
    connection: &Connection,
    schedule: Option<&str>,
    looked: &[Looked],
) -> anyhow::Result<Made> {
    let mut yaml = format!("apiVersion: millstream.dev/v1\nname: {name}\n");
    if let Some(schedule) = schedule {
        put(&mut yaml, &format!("schedule: {}", text(schedule)));
    }
    yaml.push_str("sources:\n");
    let (mut sources, mut left_out, mut names) = (Vec::new(), Vec::new(), Names::of(looked));
    for looked in looked {
        let columns = Columns::of(looked, &mut left_out);
        if columns.taken.is_empty() {
            left_out.push(format!("{}: none of its columns can be mapped", looked.name));
            continue;
        }
        let source = names.take(&looked.name);
        sources.push(write(&mut yaml, source, connection, looked, &columns));
    }
    if sources.is_empty() {
        bail!("nothing can be extracted: {}", left_out.join("; "));
    }
    Ok(Made { yaml, sources, left_out })
}

/// The columns of a table that can be taken over.
struct Columns<'a> {
    taken: Vec<(&'a SourceColumn, &'a ColumnType)>,
    is_whole: bool,
}

impl<'a> Columns<'a> {
    fn of(looked: &'a Looked, left_out: &mut Vec<String>) -> Self {
        let mut names = BTreeSet::new();
        let mut taken = Vec::new();
        for column in &looked.shape.columns {
            let problem = match &column.kind {
                Err(problem) => problem.clone(),
                Ok(_) if !is_column_name(&column.name) => {
                    let what = match looked.select {
                        Selection::Sheet(_) => "write another one into the sheet",
                        Selection::Table(_) | Selection::Query(_) => "give it one in a `query`",
                    };
                    format!("its name has other characters than letters, digits and _; {what}")
                }
                Ok(_) if !names.insert(column.name.to_ascii_lowercase()) => {
                    "another column has its name but for the case".to_owned()
                }
                Ok(kind) => {
                    taken.push((column, kind));
                    continue;
                }
            };
            left_out.push(format!("{}.{} ({}): {problem}", looked.name, column.name, column.source_type));
        }
        let is_whole = taken.len() == looked.shape.columns.len();
        Self { taken, is_whole }
    }

    fn has(&self, name: &str) -> bool {
        self.taken.iter().any(|(column, _)| column.name == name)
    }

    /// Whether a candidate for a cursor grows with every change of a row, as far as can be told, and not only with new rows: a
    /// change that is not seen would be missed for good.
    fn tells_changes(&self, name: &str, key: &[String]) -> bool {
        let kind = self.taken.iter().find(|(column, _)| column.name == name).map(|(_, kind)| *kind);
        let lower = name.to_ascii_lowercase();
        let says = |words: &[&str]| words.iter().any(|word| lower.contains(word));
        let tells = match kind {
            Some(ColumnType::Timestamp | ColumnType::Datetime | ColumnType::Date) => {
                !says(&["creat", "insert", "added"])
            }
            // SQL Server's rowversion.
            Some(ColumnType::Bytes) => true,
            _ => says(&["updat", "modif", "chang", "version", "revision"]),
        };
        tells && !key.iter().any(|column| column == name)
    }
}

fn write(
    yaml: &mut String,
    name: String,
    connection: &Connection,
    looked: &Looked,
    columns: &Columns<'_>,
) -> PlannedSource {
    let key = merge_key(looked, columns);
    // What changed alone can only be merged.
    let candidates: Vec<&String> =
        looked.shape.cursors.iter().filter(|cursor| key.is_some() && columns.has(cursor)).collect();
    let cursor =
        candidates.iter().find(|cursor| columns.tells_changes(cursor, &looked.shape.key)).map(|c| (*c).clone());
    let grows = candidates.first().filter(|_| cursor.is_none()).zip(key.clone());
    let key = key.filter(|_| cursor.is_some()).unwrap_or_default();

    put(yaml, &format!("  {}:{}", plain(&name), size(looked)));
    put(yaml, "    extract:");
    put(yaml, &format!("      from: {}", connection.from));
    for (field, secret) in [("connection", &connection.secret), ("ca", &connection.ca)] {
        if let Some(secret) = secret {
            put(yaml, &format!("      {field}: secret:{secret}"));
        }
    }
    for (field, value) in selected(&looked.select) {
        put(yaml, &format!("      {field}: {value}"));
    }
    if !columns.is_whole {
        let names: Vec<String> = columns.taken.iter().map(|(column, _)| plain(&column.name)).collect();
        put(yaml, &format!("      columns: [{}]", names.join(", ")));
    }
    if let Some(cursor) = &cursor {
        put(yaml, &format!("      cursor: {}", plain(cursor)));
        if let Some(mark) = MARKS
            .iter()
            .find_map(|mark| columns.taken.iter().find(|(column, _)| column.name.eq_ignore_ascii_case(mark)))
        {
            put(
                yaml,
                &format!("      # deleted: {}    # if its value says that the row was deleted", plain(&mark.0.name)),
            );
        }
    }
    if let Some((grows, key)) = grows {
        let hint = format!("if rows are added and never change, with {}", merge(&key));
        put(yaml, &format!("      # cursor: {}    # {hint}", plain(grows)));
    }
    put(yaml, "    columns:");
    for (column, kind) in &columns.taken {
        put(yaml, &format!("      {}: {}", plain(&column.name), contract(column, kind)));
    }
    let table = format!("source.{name}");
    put(yaml, &format!("    table: {table}"));
    if key.is_empty() {
        put(yaml, "    write: replace");
    } else {
        put(yaml, &format!("    {}", merge(&key)));
    }
    PlannedSource { source: name, reads: looked.name.clone(), table, key, cursor }
}

fn merge(key: &[String]) -> String {
    let names: Vec<String> = key.iter().map(|column| plain(column)).collect();
    format!("write: {{mode: merge, key: [{}]}}", names.join(", "))
}

/// The table's key, if all of it can be taken over.
fn merge_key(looked: &Looked, columns: &Columns<'_>) -> Option<Vec<String>> {
    let key = &looked.shape.key;
    (!key.is_empty() && key.iter().all(|column| columns.has(column))).then(|| key.clone())
}

fn selected(select: &Selection) -> Vec<(&'static str, String)> {
    match select {
        Selection::Table(table) => vec![("table", text(table))],
        Selection::Query(query) => vec![("query", text(query))],
        Selection::Sheet(sheet) => {
            let mut fields = vec![("object", text(&sheet.object.to_string()))];
            let cells = &sheet.cells;
            fields.extend(cells.sheet.as_ref().map(|sheet| ("sheet", text(sheet))));
            fields.extend(cells.range.as_ref().map(|range| ("range", text(range))));
            fields.extend(cells.header_row.map(|row| ("header_row", row.to_string())));
            fields
        }
    }
}

/// A column's type, and its description where it has one.
fn contract(column: &SourceColumn, kind: &ColumnType) -> String {
    let kind = kind.to_string();
    match &column.description {
        Some(description) => {
            let required = if column.required { ", required: true" } else { "" };
            format!("{{type: {}{required}, description: {}}}", quoted(&kind), quoted(description))
        }
        None => text(&format!("{kind}{}", if column.required { " required" } else { "" })),
    }
}

fn size(looked: &Looked) -> String {
    let rows = looked.shape.rows.map(|rows| format!("about {rows} rows"));
    let size = looked.shape.bytes.map(bytes);
    let known: Vec<String> = rows.into_iter().chain(size).collect();
    if known.is_empty() { String::new() } else { format!("    # {}", known.join(", ")) }
}

/// Whether a name can be a column's in the warehouse.
fn is_column_name(name: &str) -> bool {
    (1..=300).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn put(yaml: &mut String, line: &str) {
    let _ = writeln!(yaml, "{line}");
}
