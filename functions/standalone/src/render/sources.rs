//! Sources and what they hold, for people.

use comfy_table::{Table, presets::NOTHING};
use millstream_events::extract::{Changes, Lookback, Selection};
use millstream_ports::source::TableSummary;

use super::{bytes, line};
use crate::commands::sources::{Extracted, TableColumns};

/// The most of a query that is shown.
const LONGEST_QUERY: usize = 50;

fn print<const N: usize>(header: [&str; N], rows: impl IntoIterator<Item = [String; N]>) {
    let mut table = Table::new();
    table.load_preset(NOTHING).set_header(header);
    table.add_rows(rows);
    for text in table.to_string().lines() {
        line(text.trim_end());
    }
}

/// What the pipelines extract.
pub(crate) fn extracted(sources: &[Extracted]) {
    print(
        ["SOURCE", "FROM", "SECRET", "READS", "CHANGES", "SCHEDULE", "TABLE", "LOADED TO"],
        sources.iter().map(|source| {
            [
                source.source.clone(),
                source.connection.from.to_string(),
                source.connection.secret.as_ref().map(ToString::to_string).unwrap_or_default(),
                selected(&source.select),
                changes(&source.changes),
                source.schedule.clone().unwrap_or_default(),
                source.table.to_string(),
                match &source.bookmark {
                    None => "never".to_owned(),
                    Some(bookmark) => bookmark.position.clone().unwrap_or_else(|| "all of it".to_owned()),
                },
            ]
        }),
    );
}

fn selected(select: &Selection) -> String {
    match select {
        Selection::Table(table) => table.clone(),
        Selection::Query(query) => {
            let one_line = query.split_whitespace().collect::<Vec<_>>().join(" ");
            match one_line.char_indices().nth(LONGEST_QUERY) {
                Some((end, _)) => format!("{}…", &one_line[..end]),
                None => one_line,
            }
        }
        Selection::Sheet(sheet) => match &sheet.cells.sheet {
            Some(name) => format!("{} {name}", sheet.object),
            None => sheet.object.to_string(),
        },
    }
}

fn changes(changes: &Changes) -> String {
    match changes {
        Changes::Everything => "read whole".to_owned(),
        Changes::Cursor(cursor) => match cursor.lookback {
            Some(Lookback::Seconds(seconds)) => format!("by {}, {seconds} s back", cursor.column),
            Some(Lookback::Count(count)) => format!("by {}, {count} back", cursor.column),
            None => format!("by {}", cursor.column),
        },
        Changes::Log(log) => format!("from the log, slot {}", log.slot),
    }
}

/// The tables of a database.
pub(crate) fn source_tables(tables: &[TableSummary]) {
    print(
        ["TABLE", "ROWS", "SIZE", ""],
        tables.iter().map(|table| {
            [
                table.name.clone(),
                table.rows.map(about).unwrap_or_default(),
                table.bytes.map(bytes).unwrap_or_default(),
                if table.is_view { "view".to_owned() } else { String::new() },
            ]
        }),
    );
}

/// The columns of some tables and what they become.
pub(crate) fn source_columns(tables: &[TableColumns]) {
    for (at, table) in tables.iter().enumerate() {
        if at > 0 {
            line("");
        }
        let rows = table.rows.map(|rows| format!("{} rows", about(rows)));
        let known: Vec<String> = rows.into_iter().chain(table.bytes.map(bytes)).collect();
        line(format!("{}  {}", table.name, known.join(", ")).trim_end());
        print(
            ["  COLUMN", "SOURCE TYPE", "BIGQUERY TYPE", "", "REMARKS"],
            table.columns.iter().map(|column| {
                let mut remarks = Vec::new();
                if table.key.contains(&column.name) {
                    remarks.push("key".to_owned());
                }
                if table.cursors.contains(&column.name) {
                    remarks.push("could be a cursor".to_owned());
                }
                remarks.extend(column.problem.clone());
                remarks.extend(column.description.clone());
                [
                    format!("  {}", column.name),
                    column.source_type.clone(),
                    column.kind.as_ref().map_or_else(|| "none".to_owned(), ToString::to_string),
                    if column.required { "required".to_owned() } else { String::new() },
                    remarks.join("; "),
                ]
            }),
        );
    }
}

/// A number of rows as sources estimate it.
fn about(rows: u64) -> String {
    format!("~{rows}")
}
