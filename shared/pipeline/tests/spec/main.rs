//! Pipeline files as people write them: what they mean, and what each mistake is told as.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

mod compute;
mod extracts;
mod hostile;
mod meaning;
mod mistakes;
mod rendering;
mod schema;
mod wiring;

use std::collections::BTreeMap;

use millstream_events::contract::Column;
use millstream_pipeline::{
    Buckets, Pipelines,
    spec::{Checks, Diagnostic, Diagnostics, Problem, Project, load},
};
use millstream_sql::Select;

/// A pipeline that uses every part of the format.
const FRAUD: &str = r#"apiVersion: millstream.dev/v1
name: fraud
description: Finds fraud.
schedule: "0 6 * * *"
message: rebuild-fraud
sources:
  transactions:
    upload: fraud/{date}/transactions*.csv
    description: Card payments.
    columns:
      transaction_id: INT64 required
      amount: NUMERIC
      day: DATE
      tags: ARRAY<STRING>
      is_fraud: {type: BOOL, required: true, description: As told by the bank.}
    expect: ["amount >= 0", unique(transaction_id)]
    on_new_column: reject
    max_bad: 5%
    file: {format: csv, delimiter: ";", null_values: [NA, 1.50], no_header: true}
    table: source.transactions
    write: {mode: merge, key: [transaction_id], partition_by: day, cluster_by: [amount]}
  refunds:
    message: refunds
    columns: {transaction_id: INT64}
    table: source.refunds
    write: {mode: append, window: 5m}
models:
  - production/features.sql
  - {sql: staging/clean.sql, write: replace, partition_by: day, expect: ["amount >= 0"], description: Clean.}
external_tables: [crm.customers]
exports:
  features: {table: production.features, to: "gs://lake/fraud/{date}/{run}/"}
training:
  fraud-classifier:
    data: production.features
    target: is_fraud
    command: [python3, train.py]
    args: {trees: 200, quiet: true, verbose: false}
    env: {SEED: 7}
    data_format: jsonl
    run_on: local
    limits: {wall: 4h}
  fraud-trees: {data: source.transactions, target: is_fraud, recipe: tabular}
serving:
  fraud-classifier:
    endpoint: fraud
    promote_when: ["auc_pr >= 0.75", "auc_pr >= champion.auc_pr - 0.002"]
    canary: {steps: [10, 50, 100], bake: 10m, max_error_rate: 0.01, max_latency: 200ms, max_score_shift: 0.1}
"#;

const PATH: &str = "pipelines/fraud.yaml";

type FileMap = BTreeMap<String, String>;

/// The files of the example project.
fn fraud() -> FileMap {
    let files = [
        (PATH, FRAUD),
        ("pipelines/staging/clean.sql", "SELECT * FROM source.transactions\n"),
        (
            "pipelines/production/features.sql",
            "-- What the model learns from.\nSELECT t.transaction_id, t.amount, t.is_fraud\nFROM staging.clean AS t\n\
             LEFT JOIN source.refunds AS r ON r.transaction_id = t.transaction_id\nLEFT JOIN crm.customers AS c ON true\n",
        ),
        ("train.py", "print('training')\n"),
    ];
    files.into_iter().map(|(path, text)| (path.to_owned(), text.to_owned())).collect()
}

/// Engines that know two rules, enough to see that they are asked and that places carry over.
struct TwoRules;

impl Checks for TwoRules {
    fn expectation(&self, text: &str, columns: &[Column]) -> Result<(), Problem> {
        let name = text.split([' ', '(', ')']).find(|word| !["unique", ""].contains(word)).unwrap_or_default();
        let known = columns.iter().any(|column| column.name == name);
        known.then_some(()).ok_or_else(|| Problem {
            message: format!("no column {name}"),
            offset: text.find(name),
            hint: None,
        })
    }

    fn translatable(&self, select: &Select) -> Result<(), Problem> {
        select.text.find("ML.PREDICT").map_or(Ok(()), |offset| {
            Err(Problem {
                message: "ML.PREDICT has no translation to DuckDB".into(),
                offset: Some(offset),
                hint: Some("train with a recipe instead".into()),
            })
        })
    }
}

fn load_files(files: &FileMap) -> Result<Pipelines, Diagnostics> {
    load(&Project { files, buckets: Buckets::default(), checks: &TwoRules })
}

/// The mistakes of a project in which one file has a `«` at each place where a mistake is to be told; checks the places.
fn mistakes_at_marks(mut files: FileMap) -> Vec<Diagnostic> {
    let mut places = Vec::new();
    for (path, text) in &mut files {
        while let Some(mark) = text.find('«') {
            let before = &text[..mark];
            let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
            let place = (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1);
            places.push((path.clone(), place.0, place.1));
            text.remove(mark);
        }
    }
    let mistakes = match load_files(&files) {
        Ok(_) => Vec::new(),
        Err(Diagnostics(mistakes)) => mistakes,
    };
    let told: Vec<_> = mistakes.iter().map(|mistake| (mistake.file.clone(), mistake.line, mistake.column)).collect();
    assert_eq!(told, places, "{mistakes:#?}");
    mistakes
}

/// The one mistake of the example project with a text of its pipeline file replaced.
fn mistake(from: &str, to: &str) -> Diagnostic {
    mistake_in(PATH, from, to)
}

/// The one mistake of the example project with a text of one of its files replaced.
fn mistake_in(path: &str, from: &str, to: &str) -> Diagnostic {
    let mut files = fraud();
    let text = files.get_mut(path).unwrap();
    assert!(text.contains(from), "the example has no {from}");
    *text = text.replacen(from, to, 1);
    let mut mistakes = mistakes_at_marks(files);
    assert_eq!(mistakes.len(), 1, "{mistakes:#?}");
    mistakes.remove(0)
}
