//! From a file's records to the model: what each record means on its own, before the pieces are wired together.

mod compute;
mod extracts;
mod kubeflow_pipeline;
mod sources;
mod sql;
mod tables;
mod training;

use std::ops::Range;

pub(crate) use sql::end_of_word;

use millstream_events::{
    contract::{Column, OnNewColumn},
    names::{PipelineName, TableName},
};
use millstream_sql::Select;

use super::{
    decode::{At, Decoder, Given},
    diagnostic::{Code, Diagnostic, SourceFile},
    file::PipelineFile,
    project::Project,
    yaml::Key,
};
use crate::model::{Export, Extract, Source, SqlModel, Training};

/// A pipeline whose records are read and whose wiring is not yet checked, with the places of its names.
pub(crate) struct Draft {
    pub(crate) file: SourceFile,
    pub(crate) name: At<PipelineName>,
    pub(crate) description: Option<String>,
    pub(crate) schedule: Option<String>,
    pub(crate) message: Option<String>,
    pub(crate) sources: Vec<Placed<Source>>,
    pub(crate) extracts: Vec<Placed<Extract>>,
    pub(crate) models: Vec<DraftModel>,
    pub(crate) external_tables: Vec<At<TableName>>,
    pub(crate) exports: Vec<Placed<Export>>,
    pub(crate) trainings: Vec<Placed<Training>>,
    /// The keys of `serving`.
    pub(crate) served: Vec<Key>,
    /// Whether some record could not be read: then a table or training that is not here may still be declared.
    pub(crate) incomplete: bool,
}

/// A thing with the places that mistakes about it point at.
pub(crate) struct Placed<T> {
    pub(crate) value: T,
    /// Where the table it fills or reads is named.
    pub(crate) table: Range<usize>,
    /// Where the column, bucket or name that its wiring may refuse stands.
    pub(crate) detail: Range<usize>,
}

/// A SQL model, with its file.
pub(crate) struct DraftModel {
    pub(crate) model: SqlModel,
    /// Where the pipeline file names it.
    pub(crate) place: Range<usize>,
    pub(crate) sql: SourceFile,
}

impl Draft {
    /// Reads every record of one file.
    pub(crate) fn of(
        file: &SourceFile,
        spec: &PipelineFile,
        project: &Project<'_>,
        mistakes: &mut Vec<Diagnostic>,
    ) -> Self {
        let mut to = Decoder { source: file, mistakes };
        let (mut sources, mut extracts) = (Vec::new(), Vec::new());
        for (key, source) in &spec.sources.entries {
            match &source.extract {
                Given::Read(extract) => extracts.extend(extracts::resolve(key, source, extract, project, &mut to)),
                Given::Absent => sources.extend(sources::resolve(key, source, project, &mut to)),
                Given::Broken => {}
            }
        }
        let models: Vec<_> =
            spec.models.items.iter().filter_map(|model| sql::resolve(model.fields(), project, &mut to)).collect();
        let trainings: Vec<_> = spec
            .training
            .entries
            .iter()
            .filter_map(|(key, training)| {
                let serving = spec.serving.entries.iter().find(|(served, _)| served.text == key.text);
                training::resolve(key, training, serving, project, &mut to)
            })
            .collect();
        let named = spec.exports.entries.iter().filter(|(key, _)| name_of(key, "an export", &mut to));
        let exports = named
            .map(|(key, export)| Placed {
                value: Export {
                    name: key.text.clone(),
                    table: export.table.value.clone(),
                    to: export.to.value.clone(),
                },
                table: export.table.span.clone(),
                detail: export.to.span.clone(),
            })
            .collect();
        let incomplete = spec.sources.incomplete
            || spec.models.incomplete
            || spec.external_tables.incomplete
            || spec.training.incomplete
            || sources.len() + extracts.len() < spec.sources.entries.len()
            || models.len() < spec.models.items.len()
            || trainings.len() < spec.training.entries.len();
        Self {
            file: file.clone(),
            name: spec.name.clone(),
            description: spec.description.as_ref().map(|text| text.value.clone()),
            schedule: spec.schedule.as_ref().map(|cron| cron.value.0.clone()),
            message: spec.message.as_ref().map(|topic| topic.value.0.clone()),
            sources,
            extracts,
            models,
            external_tables: spec.external_tables.items.clone(),
            exports,
            trainings,
            served: spec.serving.entries.iter().map(|(key, _)| key.clone()).collect(),
            incomplete,
        }
    }

    pub(crate) fn mistake<'m>(
        &self,
        span: &Range<usize>,
        code: Code,
        message: impl Into<String>,
        mistakes: &'m mut Vec<Diagnostic>,
    ) -> &'m mut Diagnostic {
        mistakes.push(Diagnostic::new(&self.file, span.clone(), code, message));
        let last = mistakes.len() - 1;
        &mut mistakes[last]
    }
}

/// Checks a name that becomes part of step names and paths.
fn name_of(key: &Key, what: &str, to: &mut Decoder<'_>) -> bool {
    let valid = (1..=60).contains(&key.text.len())
        && key.text.starts_with(|c: char| c.is_ascii_alphabetic())
        && key.text.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c));
    if !valid {
        to.mistake(key.span.clone(), Code::InvalidValue, format!("`{}` is not a valid name for {what}", key.text))
            .expected("1 to 60 of letters, digits, - and _, starting with a letter");
    }
    valid
}

/// The columns that a table is known to have, from a contract or from a SELECT that names each.
pub(crate) fn known_columns(drafts: &[Draft], table: &TableName) -> Option<Vec<String>> {
    let of_contract = |columns: &[Column]| columns.iter().map(|column| column.name.clone()).collect();
    for draft in drafts {
        if let Some(source) = draft.sources.iter().find(|source| source.value.table == *table) {
            // A column that files bring along is a column too.
            let open = source.value.contract.on_new_column == OnNewColumn::Add;
            return (!open).then(|| of_contract(&source.value.contract.columns));
        }
        if let Some(extract) = draft.extracts.iter().find(|extract| extract.value.table == *table) {
            // Without columns of its own the table has those of the source.
            let contract = &extract.value.contract;
            let open = contract.on_new_column == OnNewColumn::Add || contract.columns.is_empty();
            return (!open).then(|| of_contract(&contract.columns));
        }
        if let Some(model) = draft.models.iter().find(|model| model.model.table == *table) {
            return Select::columns(&model.model.select);
        }
    }
    None
}
