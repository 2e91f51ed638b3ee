//! What a right file means.

use std::time::Duration;

use millstream_events::{
    contract::{ColumnType, FileFormat, MaxBad, OnNewColumn},
    extract::Cells,
    work::{Canary, DataFormat, Program, WriteMode},
};
use millstream_pipeline::spec::{NodeKind, graph};

use crate::{FRAUD, FileMap, PATH, fraud, load_files};

#[test]
fn every_part_of_a_file_reaches_the_model() {
    let pipelines = load_files(&fraud()).unwrap();
    let pipeline = pipelines.by_name.values().next().unwrap();
    assert_eq!(pipeline.name.as_str(), "fraud");
    assert_eq!(pipeline.description.as_deref(), Some("Finds fraud."));
    assert_eq!(pipeline.schedule.as_deref(), Some("0 6 * * *"));
    assert_eq!(pipeline.message.as_deref(), Some("rebuild-fraud"));

    let [transactions, refunds] = pipeline.sources.as_slice() else { panic!("two sources") };
    assert_eq!(transactions.upload.to_string(), "fraud/{date}/transactions*.csv");
    let names: Vec<&str> = transactions.contract.columns.iter().map(|column| column.name.as_str()).collect();
    assert_eq!(names, ["transaction_id", "amount", "day", "tags", "is_fraud"]);
    let [id, amount, .., is_fraud] = transactions.contract.columns.as_slice() else { panic!("five columns") };
    assert_eq!((&id.kind, id.required), (&ColumnType::Int64, true));
    assert!(!amount.required);
    assert_eq!((is_fraud.required, is_fraud.description.as_deref()), (true, Some("As told by the bank.")));
    assert_eq!(transactions.contract.expect, ["amount >= 0", "unique(transaction_id)"]);
    assert_eq!(transactions.contract.on_new_column, OnNewColumn::Reject);
    assert_eq!(transactions.contract.max_bad, MaxBad::Share(0.05));
    assert_eq!(transactions.options.format, Some(FileFormat::Csv));
    assert_eq!(transactions.options.delimiter, Some(';'));
    assert_eq!(transactions.options.null_values, ["NA", "1.50"], "a scalar stays the text it was written as");
    assert!(transactions.options.no_header);
    assert_eq!(transactions.write, WriteMode::Merge { key: vec!["transaction_id".into()] });
    assert_eq!(transactions.layout.partition_by.as_deref(), Some("day"));
    assert_eq!(transactions.layout.cluster_by, ["amount"]);
    assert_eq!(transactions.layout.description.as_deref(), Some("Card payments."));

    assert_eq!(refunds.topic.as_deref(), Some("refunds"));
    assert_eq!(refunds.upload.to_string(), "messages/refunds/*.jsonl");
    assert_eq!(refunds.options.format, Some(FileFormat::JsonLines));
    assert_eq!(refunds.write, WriteMode::Append);
    assert_eq!(refunds.window, Some(Duration::from_secs(300)));
    assert_eq!(refunds.contract.max_bad, MaxBad::Share(0.1), "the default");

    let [clean, features] = pipeline.models.as_slice() else { panic!("two models") };
    assert_eq!(clean.table.to_string(), "staging.clean", "a model stands after those it reads");
    assert_eq!(clean.layout.partition_by.as_deref(), Some("day"));
    assert_eq!(clean.expect, ["amount >= 0"]);
    assert_eq!(features.table.to_string(), "production.features");
    assert_eq!(features.write, WriteMode::Replace);

    assert_eq!(pipeline.exports[0].to, "gs://lake/fraud/{date}/{run}/");

    let [classifier, trees] = pipeline.trainings.as_slice() else { panic!("two trainings") };
    assert_eq!(classifier.program, Program::Command(vec!["python3".into(), "train.py".into()]));
    assert_eq!(classifier.args, ["--trees", "200", "--quiet"]);
    assert_eq!(classifier.env.get("SEED").map(String::as_str), Some("7"));
    assert_eq!(classifier.data_format, DataFormat::Jsonl);
    assert_eq!(classifier.wall, Duration::from_secs(4 * 3600));
    let serving = classifier.serving.as_ref().unwrap();
    assert_eq!(serving.endpoint.as_str(), "fraud");
    assert_eq!(serving.promote_when, ["auc_pr >= 0.75", "auc_pr >= champion.auc_pr - 0.002"]);
    let canary = Canary {
        steps: vec![10, 50, 100],
        bake_seconds: 600,
        max_error_rate: 0.01,
        max_latency_ms: Some(200.0),
        max_score_shift: Some(0.1),
    };
    assert_eq!(serving.canary, Some(canary));

    assert_eq!(trees.program, Program::Tabular);
    assert_eq!(trees.data_format, DataFormat::Parquet, "the recipe's default");
    assert_eq!((trees.wall, trees.code.as_ref(), trees.serving.as_ref()), (Duration::from_secs(3600), None, None));
}

#[test]
fn changed_code_is_another_training_and_other_files_are_not() {
    let code = |files| load_files(&files).unwrap().by_name.into_values().next().unwrap().trainings.remove(0).code;
    let before = code(fraud()).unwrap();
    let mut other = fraud();
    other.insert("notes.txt".into(), "changed".into());
    assert_eq!(code(other), Some(before.clone()));
    let mut changed = fraud();
    changed.insert("train.py".into(), "print('better')\n".into());
    assert_ne!(code(changed), Some(before));
}

#[test]
fn the_example_of_the_readme_is_right() {
    let readme = include_str!("../../README.md");
    let example = readme.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap();
    let files = FileMap::from([
        (PATH.to_owned(), example.to_owned()),
        ("pipelines/staging/stg_transactions.sql".into(), "SELECT * FROM source.transactions".into()),
        (
            "pipelines/production/features.sql".into(),
            "SELECT * FROM staging.stg_transactions JOIN source.refunds USING (transaction_id)".into(),
        ),
    ]);
    assert_eq!(load_files(&files).unwrap().by_name.len(), 1);
}

#[test]
fn a_source_of_workbooks_says_which_cells_are_the_table() {
    let mut files = fraud();
    let text = files.get_mut(PATH).unwrap();
    *text = text
        .replace("transactions*.csv", "transactions*.xlsx")
        .replace("{format: csv, delimiter: \";\"", "{sheet: Payments, range: \"B3:F200\", header_row: 2")
        .replace(", no_header: true", "");
    let pipelines = load_files(&files).unwrap();
    let options = &pipelines.by_name.values().next().unwrap().sources[0].options;
    let cells = Cells { sheet: Some("Payments".into()), range: Some("B3:F200".into()), header_row: Some(2) };
    assert_eq!((options.format, options.cells.as_ref()), (None, Some(&cells)));
}

#[test]
fn files_outside_of_pipelines_are_not_read_as_such() {
    let mut files = fraud();
    files.insert("compose.yaml".into(), "services: {}".into());
    assert_eq!(load_files(&files).unwrap().by_name.len(), 1);
    files.clear();
    assert!(load_files(&files).unwrap().by_name.is_empty());
}

#[test]
fn anchors_and_aliases_stand_for_what_they_name() {
    let mut files = fraud();
    let text = FRAUD
        .replace("columns: {transaction_id: INT64}", "columns: *columns")
        .replace("    columns:\n", "    columns: &columns\n");
    files.insert("pipelines/fraud.yaml".into(), text);
    let pipelines = load_files(&files).unwrap();
    let sources = &pipelines.by_name.values().next().unwrap().sources;
    assert_eq!(sources[0].contract.columns, sources[1].contract.columns);
}

#[test]
fn the_graph_is_what_follows_from_what() {
    let pipelines = load_files(&fraud()).unwrap();
    let graph = graph(pipelines.by_name.values().next().unwrap());
    let external: Vec<&str> =
        graph.nodes.iter().filter(|node| node.kind == NodeKind::External).map(|node| node.id.as_str()).collect();
    assert_eq!(external, ["crm.customers"]);
    assert!(graph.edges.iter().any(|edge| edge.from == "staging.clean" && edge.to == "production.features"));
    assert_eq!(
        graph.to_string(),
        "\
fraud  runs on its uploads, one run a date; cron 0 6 * * *; messages on rebuild-fraud
source.transactions  merges on transaction_id fraud/{date}/transactions*.csv
├─ staging.clean  is a SELECT
└─ training/fraud-trees  recipe tabular, predicts is_fraud
source.refunds  grows by messages on refunds
crm.customers  filled elsewhere
└─ production.features  is a SELECT (also reads source.refunds, staging.clean)
   ├─ export/features  to gs://lake/fraud/{date}/{run}/
   └─ training/fraud-classifier  python3 train.py, predicts is_fraud
      └─ serving/fraud-classifier  on endpoint fraud when auc_pr >= 0.75 and auc_pr >= champion.auc_pr - 0.002
"
    );
}
