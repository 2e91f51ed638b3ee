//! How a table is written and laid out, checked against its columns where they are known.

use std::time::Duration;

use millstream_events::{
    contract::{Column, ColumnType},
    work::{TableLayout, WriteMode},
};

use crate::spec::{
    decode::{At, Decoder},
    diagnostic::Code,
    file::{WriteFields, WriteSpec},
    nearest::{did_you_mean, listed},
    scalars::Mode,
};

/// What a record says of its table.
pub(super) struct TableSpec<'a> {
    pub(super) write: Option<&'a WriteSpec>,
    pub(super) partition_by: Option<&'a At<String>>,
    pub(super) cluster_by: &'a [At<String>],
    pub(super) description: Option<&'a At<String>>,
}

/// The write mode and the layout. `columns` is what the table has, when that is known before it is filled.
pub(super) fn resolve(
    spec: &TableSpec<'_>,
    columns: Option<&[Column]>,
    to: &mut Decoder<'_>,
) -> (WriteMode, TableLayout) {
    let fields = match spec.write {
        Some(WriteSpec::Long(fields)) => Some(fields),
        Some(WriteSpec::Short(_)) | None => None,
    };
    let mode = write_mode(spec.write, columns, to);

    let inside = fields.and_then(|fields| fields.partition_by.as_ref());
    if let (Some(_), Some(inside)) = (spec.partition_by, inside) {
        to.mistake(inside.span.clone(), Code::Conflict, "`partition_by` stands beside `write` and within it")
            .hint("keep one of them");
    }
    let partition_by = spec.partition_by.or(inside);
    if let Some((at, column)) = partition_by.and_then(|at| Some((at, known(at, columns, to)?))) {
        let kind = &column.kind;
        if !matches!(kind, ColumnType::Date | ColumnType::Datetime | ColumnType::Timestamp) {
            to.mistake(
                at.span.clone(),
                Code::Column,
                format!("a table cannot be partitioned by `{}`, which is {kind}", at.value),
            )
            .expected("a DATE, DATETIME or TIMESTAMP column");
        }
    }

    let inside = fields.map_or(&[][..], |fields| &fields.cluster_by.items);
    if let (Some(_), Some(inside)) = (spec.cluster_by.first(), inside.first()) {
        to.mistake(inside.span.clone(), Code::Conflict, "`cluster_by` stands beside `write` and within it")
            .hint("keep one of them");
    }
    let cluster_by = if spec.cluster_by.is_empty() { inside } else { spec.cluster_by };
    if let Some(fifth) = cluster_by.get(4) {
        to.mistake(fifth.span.clone(), Code::InvalidValue, "a table is clustered by at most four columns");
    }
    for at in cluster_by {
        if let Some(column) = known(at, columns, to) {
            comparable(at, column, "clustered by", to);
        }
    }
    let layout = TableLayout {
        partition_by: partition_by.map(|at| at.value.clone()),
        cluster_by: cluster_by.iter().map(|at| at.value.clone()).collect(),
        description: spec.description.map(|at| at.value.clone()),
    };
    (mode, layout)
}

fn write_mode(write: Option<&WriteSpec>, columns: Option<&[Column]>, to: &mut Decoder<'_>) -> WriteMode {
    let (mode, fields): (Option<&At<Mode>>, Option<&WriteFields>) = match write {
        None => return WriteMode::Replace,
        Some(WriteSpec::Short(mode)) => (Some(mode), None),
        Some(WriteSpec::Long(fields)) => (fields.mode.as_ref(), Some(fields)),
    };
    let key = fields.map_or(&[][..], |fields| &fields.key.items);
    let name = match mode.map(|mode| mode.value) {
        Some(Mode::Merge) => {
            if let (Some(mode), true) = (mode, key.is_empty()) {
                to.mistake(mode.span.clone(), Code::MissingField, "a merge needs a key")
                    .expected("{mode: merge, key: [column]}: the columns that identify a row");
            }
            for at in key {
                if let Some(column) = known(at, columns, to) {
                    comparable(at, column, "merged on", to);
                }
            }
            return WriteMode::Merge { key: key.iter().map(|at| at.value.clone()).collect() };
        }
        Some(Mode::Append) => "append",
        Some(Mode::Replace) | None => "replace",
    };
    if let Some(first) = key.first() {
        to.mistake(first.span.clone(), Code::Conflict, format!("`{name}` has no use for a key"))
            .hint("write `mode: merge`, or take the key out");
    }
    if name == "append" { WriteMode::Append } else { WriteMode::Replace }
}

/// The longest that a file may wait for others: models and people wait with it.
const LONGEST_WINDOW: Duration = Duration::from_secs(24 * 3_600);

/// How long a source's files are gathered.
pub(super) fn window(write: Option<&WriteSpec>, mode: &WriteMode, to: &mut Decoder<'_>) -> Option<Duration> {
    let window = written_window(write)?;
    if *mode != WriteMode::Append {
        to.mistake(window.span.clone(), Code::Conflict, "only appended files are gathered by a `window`")
            .expected("{mode: append, window: 5m}")
            .hint(
                "take `window` out: of replaced files only the newest is loaded, and merges go in one after the other",
            );
    } else if window.value > LONGEST_WINDOW {
        to.mistake(window.span.clone(), Code::InvalidValue, "files wait for a day at most").expected("24h or less");
    }
    Some(window.value)
}

/// What is one write has nothing to gather.
pub(super) fn refuse_window(write: Option<&WriteSpec>, why: &str, to: &mut Decoder<'_>) {
    if let Some(window) = written_window(write) {
        to.mistake(window.span.clone(), Code::Conflict, why)
            .hint("take `window` out; it belongs to a source that appends");
    }
}

fn written_window(write: Option<&WriteSpec>) -> Option<&At<Duration>> {
    match write {
        Some(WriteSpec::Long(fields)) => fields.window.as_ref(),
        Some(WriteSpec::Short(_)) | None => None,
    }
}

/// The column of that name; a mistake when the columns are known and it is not one.
fn known<'c>(at: &At<String>, columns: Option<&'c [Column]>, to: &mut Decoder<'_>) -> Option<&'c Column> {
    let columns = columns?;
    let found = columns.iter().find(|column| column.name.eq_ignore_ascii_case(&at.value));
    if found.is_none() {
        let names = columns.iter().map(|column| column.name.as_str());
        to.mistake(at.span.clone(), Code::Column, format!("the table has no column `{}`", at.value))
            .expected(format!("one of {}", listed(names.clone())))
            .hint_if(did_you_mean(&at.value, names));
    }
    found
}

fn comparable(at: &At<String>, column: &Column, verb: &str, to: &mut Decoder<'_>) {
    if matches!(column.kind, ColumnType::Json | ColumnType::Array(_) | ColumnType::Struct(_)) {
        let message = format!("a table cannot be {verb} `{}`, which is {}", at.value, column.kind);
        to.mistake(at.span.clone(), Code::Column, message).expected("a column of a type with one plain value");
    }
}
