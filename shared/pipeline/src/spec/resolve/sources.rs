//! A source: its trigger, its contract and its table.

use millstream_events::{
    contract::{Column, Contract, FileFormat, FileOptions},
    extract::Cells,
};

use super::{
    Placed, name_of,
    tables::{self, TableSpec},
};
use crate::{
    model::Source,
    pattern::UploadPattern,
    spec::{
        decode::{At, Decoder, Given, Scalar, part_of},
        diagnostic::Code,
        file::{FileSpec, SourceSpec},
        project::Project,
        scalars::Topic,
        yaml::Key,
    },
};

pub(super) fn resolve(
    key: &Key,
    spec: &SourceSpec,
    project: &Project<'_>,
    to: &mut Decoder<'_>,
) -> Option<Placed<Source>> {
    let named = name_of(key, "a source", to);
    let before = to.mistakes.len();
    let trigger = trigger(key, spec, to);
    if let Some(schedule) = &spec.schedule {
        to.mistake(schedule.span.clone(), Code::Conflict, "only a source with `extract` has a schedule")
            .hint("uploads and messages come when they come; a `schedule` of the pipeline is for its models");
    }
    if spec.columns.entries.is_empty() && !spec.columns.incomplete {
        to.mistake(key.span.clone(), Code::MissingField, format!("the source `{}` needs `columns`", key.text))
            .expected("a map from each column to its BigQuery type, such as {id: INT64 required, name: STRING}");
    }
    let columns = columns(spec, to);
    // A column that could not be read is not in the list: better silent about it than wrong.
    let columns_are_known = to.mistakes.len() == before && !spec.columns.incomplete;
    let expect = expectations(&spec.expect.items, &columns, columns_are_known, project, to);
    let is_messages = matches!(spec.message, Given::Read(_));
    let options = options(spec.file.as_ref(), is_messages, to);
    let table = TableSpec {
        write: spec.write.as_ref(),
        partition_by: spec.partition_by.as_ref(),
        cluster_by: &spec.cluster_by.items,
        description: spec.description.as_ref(),
    };
    let known = columns_are_known.then_some(columns.as_slice());
    let (write, layout) = tables::resolve(&table, known, to);
    let window = tables::window(spec.write.as_ref(), &write, to);
    let (upload, topic) = trigger?;
    named.then(|| Placed {
        value: Source {
            name: key.text.clone(),
            upload,
            topic,
            contract: Contract {
                columns,
                expect,
                on_new_column: spec.on_new_column.as_ref().map(|at| at.value).unwrap_or_default(),
                max_bad: spec.max_bad.as_ref().map(|at| at.value).unwrap_or_default(),
            },
            options,
            table: spec.table.value.clone(),
            write,
            window,
            layout,
        },
        table: spec.table.span.clone(),
        detail: match &spec.upload {
            Given::Read(upload) => upload.span.clone(),
            _ => key.span.clone(),
        },
    })
}

/// What uploads are the source's, and the topic whose messages become such uploads.
fn trigger(key: &Key, spec: &SourceSpec, to: &mut Decoder<'_>) -> Option<(UploadPattern, Option<String>)> {
    match (&spec.upload, &spec.message) {
        (Given::Read(upload), Given::Absent) => Some((upload.value.clone(), None)),
        (Given::Absent, Given::Read(At { value: Topic(topic), .. })) => {
            let pattern = UploadPattern::read(&format!("messages/{topic}/*.jsonl")).ok()?;
            Some((pattern, Some(topic.clone())))
        }
        (Given::Absent, Given::Absent) => {
            to.mistake(key.span.clone(), Code::MissingField, format!("the source `{}` needs its rows", key.text))
                .expected("`upload: folder/{date}/*.csv`, `message: topic`, or `extract: {from: ..}`");
            None
        }
        (Given::Absent | Given::Broken, Given::Absent | Given::Broken) => None,
        _ => {
            to.mistake(key.span.clone(), Code::Conflict, "a source has `upload` or `message`, not both")
                .hint("make it two sources with a table each");
            None
        }
    }
}

pub(super) fn columns(spec: &SourceSpec, to: &mut Decoder<'_>) -> Vec<Column> {
    let mut columns: Vec<Column> = Vec::new();
    for (key, column) in &spec.columns.entries {
        let fields = column.fields();
        let identifier = (1..=300).contains(&key.text.len())
            && key.text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && key.text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !identifier {
            to.mistake(key.span.clone(), Code::InvalidValue, format!("`{}` is not a valid column name", key.text))
                .expected("letters, digits and _, not starting with a digit");
        }
        if let Some(other) = columns.iter().find(|other| other.name.eq_ignore_ascii_case(&key.text)) {
            let message =
                format!("`{}` and `{}` are one column: names are compared without case", other.name, key.text);
            to.mistake(key.span.clone(), Code::DuplicateKey, message).hint("keep one of them");
        }
        columns.push(Column {
            name: key.text.clone(),
            kind: fields.kind.value.clone(),
            required: fields.required.as_ref().is_some_and(|at| at.value),
            description: fields.description.as_ref().map(|at| at.value.clone()),
        });
    }
    columns
}

pub(super) fn expectations(
    expect: &[At<String>],
    columns: &[Column],
    columns_are_known: bool,
    project: &Project<'_>,
    to: &mut Decoder<'_>,
) -> Vec<String> {
    for at in expect.iter().filter(|_| columns_are_known) {
        if let Err(problem) = project.checks.expectation(&at.value, columns) {
            let place = part_of(to.source.inner(), &at.span, &at.value, problem.offset);
            to.mistake(place, Code::Expectation, problem.message).hint_if(problem.hint);
        }
    }
    expect.iter().map(|at| at.value.clone()).collect()
}

fn options(file: Option<&FileSpec>, is_messages: bool, to: &mut Decoder<'_>) -> FileOptions {
    let format = file.and_then(|file| file.format.as_ref());
    if let Some(format) = format
        && is_messages
        && format.value != FileFormat::JsonLines
    {
        to.mistake(format.span.clone(), Code::Conflict, "messages are JSON").hint("take `format` out");
    }
    if let (Some(FileFormat::JsonLines | FileFormat::Parquet | FileFormat::Workbook), Some(delimiter)) =
        (format.map(|at| at.value), file.and_then(|file| file.delimiter.as_ref()))
    {
        to.mistake(delimiter.span.clone(), Code::Conflict, "only CSV files have a delimiter")
            .hint("take `delimiter` out, or write `format: csv`");
    }
    FileOptions {
        format: if is_messages { Some(FileFormat::JsonLines) } else { format.map(|at| at.value) },
        delimiter: file.and_then(|file| file.delimiter.as_ref()).map(|at| at.value.0),
        null_values: file
            .map(|file| file.null_values.items.iter().map(|at| at.value.clone()).collect())
            .unwrap_or_default(),
        no_header: file.and_then(|file| file.no_header.as_ref()).is_some_and(|at| at.value),
        cells: file.and_then(|file| cells(file, to)),
    }
}

/// Which cells of a workbook; `None` where the file says nothing of it.
fn cells(file: &FileSpec, to: &mut Decoder<'_>) -> Option<Cells> {
    let FileSpec { format, sheet, range, header_row, .. } = file;
    let spans =
        [sheet.as_ref().map(|at| &at.span), range.as_ref().map(|at| &at.span), header_row.as_ref().map(|at| &at.span)];
    let first = spans.into_iter().flatten().next()?;
    if let Some(FileFormat::Csv | FileFormat::JsonLines | FileFormat::Parquet) = format.as_ref().map(|at| at.value) {
        to.mistake(first.clone(), Code::Conflict, "only workbooks have sheets and cells")
            .hint("take `sheet`, `range` and `header_row` out, or write `format: workbook`");
    }
    Some(Cells {
        sheet: sheet.as_ref().map(|at| at.value.clone()),
        range: range.as_ref().map(|at| at.value.0.clone()),
        header_row: header_row.as_ref().map(|at| at.value.0),
    })
}
