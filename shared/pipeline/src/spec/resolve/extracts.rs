//! A source that is extracted: how it is reached, what is read of it, and how what changed is found.

use millstream_events::{
    contract::{Column, Contract},
    extract::{Cells, ChangeLog, Changes, Connection, Cursor, ExtractLimits, Selection, Sheet, SourceKind},
    work::WriteMode,
};

use super::{
    Placed, name_of,
    sources::{columns, expectations},
    tables::{self, TableSpec},
};
use crate::{
    model::Extract,
    spec::{
        decode::{At, Decoder, Given},
        diagnostic::Code,
        file::{ExtractSpec, SourceSpec},
        project::Project,
        yaml::Key,
    },
};

/// The longest name of a table or column that is passed on to a database.
const LONGEST_NAME: usize = 1_024;

pub(super) fn resolve(
    key: &Key,
    source: &SourceSpec,
    spec: &ExtractSpec,
    project: &Project<'_>,
    to: &mut Decoder<'_>,
) -> Option<Placed<Extract>> {
    let named = name_of(key, "a source", to);
    let before = to.mistakes.len();
    let columns = columns(source, to);
    let columns_are_known = to.mistakes.len() == before && !source.columns.incomplete && !columns.is_empty();
    let expect = expectations(&source.expect.items, &columns, columns_are_known, project, to);
    let table = TableSpec {
        write: source.write.as_ref(),
        partition_by: source.partition_by.as_ref(),
        cluster_by: &source.cluster_by.items,
        description: source.description.as_ref(),
    };
    let known: Option<&[Column]> = columns_are_known.then_some(&columns);
    let (write, layout) = tables::resolve(&table, known, to);
    tables::refuse_window(source.write.as_ref(), "an extraction is one batch already", to);
    if source.file.is_some() {
        to.mistake(key.span.clone(), Code::Conflict, "`file` says how uploads are read; an extraction has none")
            .hint("take `file` out; a workbook's sheet, range and header row stand in `extract`");
    }
    if !matches!((&source.upload, &source.message), (Given::Absent, Given::Absent)) {
        let message = "a source has one of `extract`, `upload` and `message`";
        to.mistake(spec.from.span.clone(), Code::Conflict, message).hint("make it two sources with a table each");
    }
    let connection = connection(spec, key, to);
    let select = select(spec, key, to);
    let changes = changes(spec, &write, to);
    named.then_some(())?;
    Some(Placed {
        value: Extract {
            name: key.text.clone(),
            schedule: source.schedule.as_ref().map(|cron| cron.value.0.clone()),
            connection,
            select: select?,
            only: names(&spec.columns.items, to),
            split_by: spec.split_by.as_ref().map(|at| at.value.clone()),
            changes,
            limits: limits(spec),
            contract: Contract {
                columns,
                expect,
                on_new_column: source.on_new_column.as_ref().map(|at| at.value).unwrap_or_default(),
                max_bad: source.max_bad.as_ref().map(|at| at.value).unwrap_or_default(),
            },
            table: source.table.value.clone(),
            write,
            layout,
        },
        table: source.table.span.clone(),
        detail: spec.from.span.clone(),
    })
}

fn connection(spec: &ExtractSpec, key: &Key, to: &mut Decoder<'_>) -> Connection {
    let from = spec.from.value;
    match (&spec.connection, from) {
        (Given::Read(connection), SourceKind::Excel) => {
            to.mistake(connection.span.clone(), Code::Conflict, "a workbook has no connection")
                .hint("take `connection` out; `object` says where the workbook is");
        }
        (Given::Absent, _) if from != SourceKind::Excel => {
            to.mistake(spec.from.span.clone(), Code::MissingField, format!("`{}` needs a `connection`", key.text))
                .expected("secret:NAME, the secret that holds the database's URL");
        }
        _ => {}
    }
    Connection {
        from,
        secret: match &spec.connection {
            Given::Read(at) => Some(at.value.clone()),
            Given::Absent | Given::Broken => None,
        },
        ca: spec.ca.as_ref().map(|at| at.value.clone()),
    }
}

/// What is read: a table, a query or a part of a workbook, and only one of them.
fn select(spec: &ExtractSpec, key: &Key, to: &mut Decoder<'_>) -> Option<Selection> {
    let is_workbook = spec.from.value == SourceKind::Excel;
    let cells = Cells {
        sheet: spec.sheet.as_ref().map(|at| at.value.clone()),
        range: spec.range.as_ref().map(|at| at.value.0.clone()),
        header_row: spec.header_row.as_ref().map(|at| at.value.0),
    };
    let of_workbook = [spec.sheet.as_ref().map(|at| &at.span), spec.range.as_ref().map(|at| &at.span)];
    let of_workbook = of_workbook.into_iter().chain([spec.header_row.as_ref().map(|at| &at.span)]).flatten();
    if let Some(span) = of_workbook.into_iter().next().filter(|_| !is_workbook) {
        to.mistake(span.clone(), Code::Conflict, "only a workbook has sheets")
            .hint("write `from: excel`, or take it out");
    }
    let named = |at: &At<String>, to: &mut Decoder<'_>| {
        name(at, to);
        at.value.clone()
    };
    match (&spec.table, &spec.query, &spec.object) {
        (Some(table), None, None) if !is_workbook => Some(Selection::Table(named(table, to))),
        (None, Some(query), None) if !is_workbook => Some(Selection::Query(query.value.clone())),
        (None, None, Some(object)) if is_workbook => {
            Some(Selection::Sheet(Sheet { object: object.value.clone(), cells }))
        }
        _ => {
            let expected =
                if is_workbook { "`object: gs://bucket/name.xlsx`" } else { "`table: NAME`, or `query: SELECT ..`" };
            to.mistake(spec.from.span.clone(), Code::MissingField, format!("`{}` needs what to read", key.text))
                .expected(format!("{expected}, and nothing else"));
            None
        }
    }
}

fn changes(spec: &ExtractSpec, write: &WriteMode, to: &mut Decoder<'_>) -> Changes {
    for (at, what) in [
        (spec.lookback.as_ref().map(|at| &at.span), "`lookback`"),
        (spec.deleted.as_ref().map(|at| &at.span), "`deleted`"),
    ] {
        if let Some(span) = at.filter(|_| spec.cursor.is_none()) {
            to.mistake(span.clone(), Code::Conflict, format!("{what} goes with a `cursor`")).hint(
                "name the column that grows with every change, or take it out: then everything is read each time",
            );
        }
    }
    match (&spec.cursor, &spec.log) {
        (None, None) => Changes::Everything,
        (Some(cursor), Some(_)) => {
            to.mistake(
                cursor.span.clone(),
                Code::Conflict,
                "changes are found by a `cursor` or from the `log`, not both",
            );
            Changes::Everything
        }
        (Some(cursor), None) => {
            name(cursor, to);
            if spec.from.value == SourceKind::Excel {
                to.mistake(cursor.span.clone(), Code::Conflict, "a workbook is read whole").hint("take `cursor` out");
            }
            if *write == WriteMode::Replace {
                to.mistake(cursor.span.clone(), Code::Conflict, "what changed alone cannot replace the table")
                    .expected("`write: {mode: merge, key: [..]}`, or `write: append` where rows never change");
            }
            if let Some(deleted) = spec.deleted.as_ref().filter(|_| *write == WriteMode::Append) {
                to.mistake(deleted.span.clone(), Code::Conflict, "only a merge takes rows out of the table")
                    .expected("`write: {mode: merge, key: [..]}`");
            }
            if let Some(lookback) = spec.lookback.as_ref().filter(|_| *write == WriteMode::Append) {
                to.mistake(lookback.span.clone(), Code::Conflict, "rows that are read again would be there twice")
                    .expected("`write: {mode: merge, key: [..]}`");
            }
            Changes::Cursor(Cursor {
                column: cursor.value.clone(),
                lookback: spec.lookback.as_ref().map(|at| at.value),
                deleted: spec.deleted.as_ref().map(|at| at.value.clone()),
            })
        }
        (None, Some(log)) => {
            if spec.from.value != SourceKind::Postgres || spec.table.is_none() {
                to.mistake(
                    log.publication.span.clone(),
                    Code::Unsupported,
                    "only a table of PostgreSQL has a log that is read",
                )
                .hint("use a `cursor`");
            }
            if !matches!(write, WriteMode::Merge { .. }) {
                to.mistake(log.publication.span.clone(), Code::Conflict, "changes of a log are merged")
                    .expected("`write: {mode: merge, key: [..]}` with the table's primary key");
            }
            Changes::Log(ChangeLog { publication: log.publication.value.clone(), slot: log.slot.value.clone() })
        }
    }
}

fn limits(spec: &ExtractSpec) -> ExtractLimits {
    let mut limits = ExtractLimits::default();
    if let Some(written) = &spec.limits {
        limits.rows = written.rows.as_ref().map(|at| at.value.0);
        limits.bytes = written.bytes.as_ref().map(|at| at.value.0 << 20);
        if let Some(statement) = &written.statement {
            limits.statement_seconds = statement.value.as_secs();
        }
        if let Some(parallel) = &written.parallel {
            limits.parallel = u16::try_from(parallel.value.0).unwrap_or(limits.parallel);
        }
    }
    limits
}

fn names(listed: &[At<String>], to: &mut Decoder<'_>) -> Vec<String> {
    listed.iter().for_each(|at| name(at, to));
    listed.iter().map(|at| at.value.clone()).collect()
}

/// A name that is passed on to the database, which quotes it.
fn name(at: &At<String>, to: &mut Decoder<'_>) {
    let valid = (1..=LONGEST_NAME).contains(&at.value.len()) && !at.value.chars().any(char::is_control);
    if !valid {
        to.mistake(at.span.clone(), Code::InvalidValue, "that is no name")
            .expected("1 to 1,024 bytes without control characters");
    }
}
