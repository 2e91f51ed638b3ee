//! What the pipelines of a project are to each other: who fills which table, who reads it, and in what order.

use std::collections::{BTreeSet, HashMap};

use millstream_events::names::{ObjectPath, TableName};

use super::{
    diagnostic::{Code, Diagnostic},
    nearest::{did_you_mean, listed},
    order,
    project::Project,
    resolve::{Draft, end_of_word, known_columns},
};

/// Checks everything that needs more than one record to be seen.
pub(crate) fn check(drafts: &[Draft], project: &Project<'_>, mistakes: &mut Vec<Diagnostic>) {
    names_stand_once(drafts, mistakes);
    inputs_exist(drafts, mistakes);
    for draft in drafts {
        captures_agree(draft, mistakes);
        exports_fit(draft, project, mistakes);
        targets_are_columns(draft, drafts, mistakes);
        servings_have_trainings(draft, mistakes);
    }
    order::no_cycles(drafts, mistakes);
}

/// One pipeline of a name, one producer of a table, one training of a model, one model of an endpoint, one export of a folder.
fn names_stand_once(drafts: &[Draft], mistakes: &mut Vec<Diagnostic>) {
    let mut first: HashMap<(&str, String), (&Draft, String, usize)> = HashMap::new();
    for draft in drafts {
        let mut named = vec![("pipeline", draft.name.value.to_string(), &draft.name.span)];
        named.extend(draft.sources.iter().map(|source| ("table", source.value.table.to_string(), &source.table)));
        named.extend(draft.extracts.iter().map(|extract| ("table", extract.value.table.to_string(), &extract.table)));
        named.extend(draft.models.iter().map(|model| ("table", model.model.table.to_string(), &model.place)));
        named.extend(draft.exports.iter().map(|export| ("folder", export.value.to.clone(), &export.detail)));
        for training in &draft.trainings {
            named.push(("model", training.value.model.to_string(), &training.table));
            if let Some(serving) = &training.value.serving {
                named.push(("endpoint", serving.endpoint.to_string(), &training.table));
            }
        }
        for (what, name, span) in named {
            let here = Diagnostic::new(&draft.file, span.clone(), Code::Twice, String::new());
            let Some((_, file, line)) = first.get(&(what, name.clone())) else {
                first.insert((what, name), (draft, here.file, here.line));
                continue;
            };
            let (message, hint) = match what {
                "pipeline" => (format!("a second pipeline named `{name}`"), "give one of them another name"),
                "table" => (format!("a second step that fills {name}"), "a table has one producer: name another table"),
                "folder" => (format!("a second export to {name}"), "name another folder"),
                "model" => (format!("a second training of `{name}`"), "give one of the models another name"),
                _ => (format!("a second model on the endpoint `{name}`"), "an endpoint serves one model: name another"),
            };
            draft
                .mistake(span, Code::Twice, message, mistakes)
                .expected(format!("it once; the first is in {file}, line {line}"))
                .hint(hint);
        }
    }
}

/// Every table that is read is filled by a pipeline or declared external.
fn inputs_exist(drafts: &[Draft], mistakes: &mut Vec<Diagnostic>) {
    if drafts.iter().any(|draft| draft.incomplete) {
        return; // What could not be read may be what fills it.
    }
    let filled: BTreeSet<&TableName> = drafts
        .iter()
        .flat_map(|draft| {
            let sources = draft.sources.iter().map(|source| &source.value.table);
            let extracts = draft.extracts.iter().map(|extract| &extract.value.table);
            sources.chain(extracts).chain(draft.models.iter().map(|model| &model.model.table))
        })
        .collect();
    let names: Vec<String> = filled.iter().map(|table| table.to_string()).collect();
    for draft in drafts {
        let external: BTreeSet<&TableName> = draft.external_tables.iter().map(|at| &at.value).collect();
        let unknown = |table: &TableName| !filled.contains(table) && !external.contains(table);
        let hint = |table: &TableName| {
            did_you_mean(&table.to_string(), names.iter().map(String::as_str)).unwrap_or_else(|| {
                format!("if it is filled elsewhere, write `external_tables: [{table}]` in the pipeline file")
            })
        };
        for model in &draft.models {
            for table in model.model.select.inputs.iter().filter(|table| unknown(table)) {
                let text = model.sql.inner();
                let start = place_in_sql(text, table);
                let message = format!("no pipeline fills {table}");
                let mut mistake =
                    Diagnostic::new(&model.sql, start..end_of_word(text, start), Code::UnknownTable, message);
                mistake.hint(hint(table));
                mistakes.push(mistake);
            }
        }
        let read = draft.exports.iter().map(|export| (&export.value.table, &export.table));
        let read = read.chain(draft.trainings.iter().map(|training| (&training.value.data, &training.table)));
        for (table, span) in read.filter(|(table, _)| unknown(table)) {
            draft.mistake(span, Code::UnknownTable, format!("no pipeline fills {table}"), mistakes).hint(hint(table));
        }
    }
}

/// Where a SELECT first names the table, however it is quoted.
fn place_in_sql(text: &str, table: &TableName) -> usize {
    let (dataset, name) = (table.dataset(), table.table());
    [
        format!("{dataset}.{name}"),
        format!("{dataset}`.`{name}"),
        format!("{dataset}`.{name}"),
        format!("{dataset}.`{name}"),
    ]
    .iter()
    .filter_map(|spelling| text.find(spelling.as_str()))
    .min()
    .unwrap_or(0)
}

/// A run gathers one upload of each keyed source, so their keys must have the same parts.
fn captures_agree(draft: &Draft, mistakes: &mut Vec<Diagnostic>) {
    let names = |pattern: &crate::pattern::UploadPattern| -> BTreeSet<String> {
        pattern.capture_names().map(str::to_owned).collect()
    };
    let keyed = draft.sources.iter().map(|source| (source, names(&source.value.upload)));
    let mut keyed = keyed.filter(|(_, names)| !names.is_empty());
    let Some((first, expected)) = keyed.next() else { return };
    for (source, captures) in keyed.filter(|(_, names)| *names != expected) {
        let message = format!(
            "`{}` captures {}, but `{}` captures {}",
            source.value.name,
            listed(captures.iter().map(String::as_str)),
            first.value.name,
            listed(expected.iter().map(String::as_str)),
        );
        draft
            .mistake(&source.detail, Code::Conflict, message, mistakes)
            .expected("the same captures in every source of a pipeline, or none")
            .hint("a source without captures is shared by all runs");
    }
}

/// An export goes to a folder of the lake, named by what its runs have.
fn exports_fit(draft: &Draft, project: &Project<'_>, mistakes: &mut Vec<Diagnostic>) {
    let mut captures: BTreeSet<&str> =
        draft.sources.iter().flat_map(|source| source.value.upload.capture_names()).collect();
    captures.insert("run");
    let lake = &project.buckets.lake;
    for export in &draft.exports {
        let to = &export.value.to;
        let expected = format!("a folder of the lake bucket, such as gs://{lake}/{}/{{run}}/", export.value.name);
        let mut plain = to.clone();
        for name in &captures {
            plain = plain.replace(&format!("{{{name}}}"), name);
        }
        if let Some(start) = plain.find(['{', '}']) {
            if draft.incomplete {
                continue; // The source that captures it may be what could not be read.
            }
            let end = plain[start..].find('}').map_or(plain.len(), |length| start + length + 1);
            let name = plain[start..end].trim_matches(['{', '}']);
            let hint = did_you_mean(name, captures.iter().copied());
            draft
                .mistake(
                    &export.detail,
                    Code::UnknownName,
                    format!("the runs of this pipeline have no {}", &plain[start..end]),
                    mistakes,
                )
                .expected(format!("one of {}", listed(captures.iter().copied())))
                .hint_if(hint);
            continue;
        }
        let problem = match plain.parse::<ObjectPath>() {
            Err(error) => Some(format!("`{to}` is not a folder: {}", error.rule)),
            Ok(_) if !plain.ends_with('/') => Some(format!("`{to}` names an object, not a folder")),
            Ok(path) if path.bucket() != lake => Some(format!("exports go to the lake, not to `{}`", path.bucket())),
            Ok(_) => None,
        };
        if let Some(message) = problem {
            draft.mistake(&export.detail, Code::InvalidValue, message, mistakes).expected(expected);
        }
    }
}

/// A target is a column of the training's table, where its columns are known.
fn targets_are_columns(draft: &Draft, drafts: &[Draft], mistakes: &mut Vec<Diagnostic>) {
    for training in &draft.trainings {
        let Some(target) = &training.value.target else { continue };
        let Some(columns) = known_columns(drafts, &training.value.data) else { continue };
        if columns.iter().any(|column| column.eq_ignore_ascii_case(target)) {
            continue;
        }
        let names = columns.iter().map(String::as_str);
        let message = format!("{} has no column `{target}`", training.value.data);
        draft
            .mistake(&training.detail, Code::Column, message, mistakes)
            .expected(format!("one of {}", listed(names.clone())))
            .hint_if(did_you_mean(target, names));
    }
}

fn servings_have_trainings(draft: &Draft, mistakes: &mut Vec<Diagnostic>) {
    let models: BTreeSet<&str> = draft.trainings.iter().map(|training| training.value.model.as_str()).collect();
    for key in draft.served.iter().filter(|key| !draft.incomplete && !models.contains(key.text.as_str())) {
        draft
            .mistake(&key.span, Code::UnknownName, format!("this pipeline trains no model `{}`", key.text), mistakes)
            .expected(format!("one of {}", listed(models.iter().copied())))
            .hint_if(did_you_mean(&key.text, models.iter().copied()));
    }
}
