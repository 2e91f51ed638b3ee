//! A SQL model: its file, its SELECT and its table.

use millstream_events::names::TableName;
use millstream_sql::Select;

use super::{
    DraftModel,
    tables::{self, TableSpec},
};
use crate::{
    model::SqlModel,
    spec::{
        decode::{At, Decoder, part_of},
        diagnostic::{Code, Diagnostic, SourceFile, source_file},
        file::ModelFields,
        nearest::did_you_mean,
        project::{Problem, Project, beside},
    },
};

pub(super) fn resolve(spec: &ModelFields, project: &Project<'_>, to: &mut Decoder<'_>) -> Option<DraftModel> {
    let tables = TableSpec {
        write: spec.write.as_ref(),
        partition_by: spec.partition_by.as_ref(),
        cluster_by: &spec.cluster_by.items,
        description: spec.description.as_ref(),
    };
    let (write, layout) = tables::resolve(&tables, None, to);
    tables::refuse_window(spec.write.as_ref(), "a model gathers no files", to);
    for at in &spec.expect.items {
        if let Err(problem) = condition(&at.value, project) {
            let place = part_of(to.source.inner(), &at.span, &at.value, problem.offset);
            to.mistake(place, Code::Expectation, problem.message).hint_if(problem.hint);
        }
    }
    let sql = read(&spec.sql, project, to)?;
    let table = table(spec, to);
    let select = select(&sql, project, to.mistakes)?;
    let expect = spec.expect.items.iter().map(|at| at.value.clone()).collect();
    Some(DraftModel {
        model: SqlModel { table: table?, select, write, layout, expect },
        place: spec.sql.span.clone(),
        sql,
    })
}

/// The table as written, or `folder.file` from the path's last two parts.
fn table(spec: &ModelFields, to: &mut Decoder<'_>) -> Option<TableName> {
    if let Some(table) = &spec.table {
        return Some(table.value.clone());
    }
    let path = spec.sql.value.strip_suffix(".sql")?;
    let (folder, stem) = path.rsplit_once('/').unwrap_or_default();
    let dataset = folder.rsplit('/').next().unwrap_or_default();
    let table = format!("{dataset}.{stem}").parse().ok();
    if table.is_none() {
        let message = format!("`{}` gives no table name", spec.sql.value);
        to.mistake(spec.sql.span.clone(), Code::InvalidValue, message)
            .expected("a path dataset/table.sql, both of letters, digits and _")
            .hint("or name the table: {sql: path, table: dataset.table}");
    }
    table
}

fn read(path: &At<String>, project: &Project<'_>, to: &mut Decoder<'_>) -> Option<SourceFile> {
    let at = || path.span.clone();
    if !path.value.ends_with(".sql") {
        to.mistake(at(), Code::InvalidValue, format!("`{}` is not a SQL file", path.value))
            .expected("a path to a .sql file, such as staging/customers.sql");
        return None;
    }
    let Some(full) = beside(to.source.name(), &path.value) else {
        to.mistake(at(), Code::InvalidValue, format!("`{}` leaves the project's folder", path.value))
            .expected("a path relative to the folder of this file");
        return None;
    };
    let Some(bytes) = project.files.read(&full) else {
        let there: Vec<String> = project.files.list().into_iter().filter(|file| file.ends_with(".sql")).collect();
        to.mistake(at(), Code::MissingFile, format!("there is no file {full}"))
            .hint_if(did_you_mean(&full, there.iter().map(String::as_str)));
        return None;
    };
    match String::from_utf8(bytes) {
        Ok(text) => Some(source_file(&full, text)),
        Err(_) => {
            to.mistake(at(), Code::Sql, format!("{full} is not UTF-8 text"));
            None
        }
    }
}

fn select(file: &SourceFile, project: &Project<'_>, mistakes: &mut Vec<Diagnostic>) -> Option<Select> {
    let mut report = |code: Code, problem: Problem| {
        let start = problem.offset.unwrap_or(0);
        let mut mistake = Diagnostic::new(file, start..end_of_word(file.inner(), start), code, problem.message);
        mistake.hint_if(problem.hint);
        mistakes.push(mistake);
    };
    let select = match Select::parse(file.inner()) {
        Ok(select) => select,
        Err(error) => {
            report(Code::Sql, error.into());
            return None;
        }
    };
    if let Err(problem) = project.checks.translatable(&select) {
        report(Code::Untranslatable, problem);
    }
    Some(select)
}

/// The end of the word or the single character at `start`.
pub(crate) fn end_of_word(text: &str, start: usize) -> usize {
    let rest = text.get(start..).unwrap_or_default();
    let word = rest.find(|c: char| !(c.is_alphanumeric() || "_.`".contains(c))).unwrap_or(rest.len());
    start + word.max(rest.chars().next().map_or(0, char::len_utf8))
}

/// A condition on result rows: `unique(column)`, `not_null(column)`, or a SQL condition, read within a SELECT.
fn condition(text: &str, project: &Project<'_>) -> Result<(), Problem> {
    const BEFORE: &str = "SELECT 1 FROM model.result WHERE ";
    let lower = text.trim().to_ascii_lowercase();
    if (lower.starts_with("unique(") || lower.starts_with("not_null(")) && lower.ends_with(')') {
        return Ok(());
    }
    Select::parse(&format!("{BEFORE}{text}"))
        .map_err(Problem::from)
        .and_then(|select| project.checks.translatable(&select))
        .map_err(|problem| Problem { offset: problem.offset.map(|at| at.saturating_sub(BEFORE.len())), ..problem })
}
