//! Mistakes between records and between files: producers, inputs, cycles, captures, exports, serving.

use millstream_pipeline::spec::{Code, Diagnostic};

use crate::{fraud, load_files, mistake, mistake_in, mistakes_at_marks};

#[track_caller]
fn assert_told(mistake: &Diagnostic, code: Code, message: &str, hint: Option<&str>) {
    assert_eq!(mistake.code, code);
    assert_eq!(mistake.message, message);
    assert_eq!(mistake.hint.as_deref(), hint);
}

const FEATURES: &str = "pipelines/production/features.sql";

#[test]
fn a_table_has_one_producer_in_all_pipelines() {
    let mut files = fraud();
    let other =
        "apiVersion: millstream.dev/v1\nname: other\nmodels:\n  - {sql: «staging/clean.sql, table: staging.clean}\n";
    files.insert("pipelines/second.yaml".into(), other.into());
    let mistakes = mistakes_at_marks(files);
    assert_told(
        &mistakes[0],
        Code::Twice,
        "a second step that fills staging.clean",
        Some("a table has one producer: name another table"),
    );
    assert_eq!(mistakes[0].expected.as_deref(), Some("it once; the first is in pipelines/fraud.yaml, line 29"));
}

#[test]
fn a_pipeline_and_an_endpoint_stand_once() {
    let mut files = fraud();
    files.insert("pipelines/second.yaml".into(), "apiVersion: millstream.dev/v1\nname: «fraud\n".into());
    assert_told(
        &mistakes_at_marks(files)[0],
        Code::Twice,
        "a second pipeline named `fraud`",
        Some("give one of them another name"),
    );
    let mut files = fraud();
    let text = files.get_mut("pipelines/fraud.yaml").unwrap();
    text.push_str("  fraud-trees: {endpoint: fraud}\n");
    *text = text.replace("fraud-trees: {data: source", "fraud-trees: {data: «source");
    assert_told(
        &mistakes_at_marks(files)[0],
        Code::Twice,
        "a second model on the endpoint `fraud`",
        Some("an endpoint serves one model: name another"),
    );
}

#[test]
fn a_table_that_nothing_fills_is_told_in_the_sql_file() {
    let mistake = mistake_in(FEATURES, "FROM staging.clean", "FROM «staging.claen");
    assert_told(&mistake, Code::UnknownTable, "no pipeline fills staging.claen", Some("did you mean `staging.clean`?"));
    assert_eq!((mistake.file.as_str(), mistake.line, mistake.column), (FEATURES, 3, 6));
}

#[test]
fn a_table_from_elsewhere_is_declared() {
    let mut files = fraud();
    let text = files.get_mut("pipelines/fraud.yaml").unwrap();
    *text = text.replace("external_tables: [crm.customers]\n", "");
    let sql = files.get_mut(FEATURES).unwrap();
    *sql = sql.replace("crm.customers", "«crm.customers");
    assert_told(
        &mistakes_at_marks(files)[0],
        Code::UnknownTable,
        "no pipeline fills crm.customers",
        Some("if it is filled elsewhere, write `external_tables: [crm.customers]` in the pipeline file"),
    );
}

#[test]
fn data_and_exports_name_tables_that_exist() {
    let training = mistake("data: production.features", "data: «production.feature");
    assert_told(
        &training,
        Code::UnknownTable,
        "no pipeline fills production.feature",
        Some("did you mean `production.features`?"),
    );
    let export = mistake("{table: production.features", "{table: «production.features_v2");
    assert_told(
        &export,
        Code::UnknownTable,
        "no pipeline fills production.features_v2",
        Some("did you mean `production.features`?"),
    );
}

#[test]
fn a_target_is_a_column_of_a_contract_or_of_a_select() {
    let contract = mistake("source.transactions, target: is_fraud", "source.transactions, target: «is_fruad");
    assert_told(
        &contract,
        Code::Column,
        "source.transactions has no column `is_fruad`",
        Some("did you mean `is_fraud`?"),
    );
    let select = mistake("target: is_fraud\n", "target: «day\n");
    assert_told(&select, Code::Column, "production.features has no column `day`", None);
    assert_eq!(select.expected.as_deref(), Some("one of `transaction_id`, `amount` and `is_fraud`"));
}

#[test]
fn a_missing_model_file_is_told_with_the_nearest() {
    let mistake = mistake("- production/features.sql", "- «production/fetaures.sql");
    assert_told(
        &mistake,
        Code::MissingFile,
        "there is no file pipelines/production/fetaures.sql",
        Some("did you mean `pipelines/production/features.sql`?"),
    );
}

#[test]
fn a_path_stays_in_the_project_and_names_a_table() {
    let outside = mistake("- production/features.sql", "- «../../features.sql");
    assert_eq!(outside.code, Code::InvalidValue);
    let mut files = fraud();
    let text = files.get_mut("pipelines/fraud.yaml").unwrap();
    *text = text.replace("- production/features.sql", "- «features.sql");
    files.insert("pipelines/features.sql".into(), "SELECT 1 AS one".into());
    assert_told(
        &mistakes_at_marks(files)[0],
        Code::InvalidValue,
        "`features.sql` gives no table name",
        Some("or name the table: {sql: path, table: dataset.table}"),
    );
}

#[test]
fn sql_that_cannot_be_read_is_told_in_the_sql_file() {
    let mistakes = match load_files(&{
        let mut files = fraud();
        files.insert(
            "pipelines/staging/clean.sql".into(),
            "SELECT *\nFROM source.transactions\nWHERE (amount >\n".into(),
        );
        files
    }) {
        Ok(_) => panic!("the SELECT ends in the middle of a condition"),
        Err(mistakes) => mistakes.0,
    };
    assert_eq!(mistakes.len(), 1, "{mistakes:#?}");
    assert_eq!((mistakes[0].file.as_str(), mistakes[0].code), ("pipelines/staging/clean.sql", Code::Sql));
}

#[test]
fn what_the_warehouse_cannot_translate_is_told_in_the_sql_file() {
    let mistake = mistake_in(FEATURES, "t.amount,", "t.amount, «ML.PREDICT(t.amount) AS p,");
    assert_told(
        &mistake,
        Code::Untranslatable,
        "ML.PREDICT has no translation to DuckDB",
        Some("train with a recipe instead"),
    );
    assert_eq!((mistake.line, mistake.column), (2, 36));
}

#[test]
fn models_that_read_each_other_are_told_as_a_way_round() {
    let mut files = fraud();
    let text = files.get_mut("pipelines/fraud.yaml").unwrap();
    *text = text.replace("- production/features.sql", "- «production/features.sql");
    files.insert(
        "pipelines/staging/clean.sql".into(),
        "SELECT s.* FROM source.transactions AS s JOIN production.features AS f ON f.amount = s.amount".into(),
    );
    let mistakes = mistakes_at_marks(files);
    assert_told(
        &mistakes[0],
        Code::Cycle,
        "these models read each other: production.features -> staging.clean -> production.features",
        Some("production.features is pipelines/production/features.sql, staging.clean is pipelines/staging/clean.sql"),
    );
}

#[test]
fn a_model_that_reads_itself_is_told() {
    let mut files = fraud();
    let text = files.get_mut("pipelines/fraud.yaml").unwrap();
    *text = text.replace("{sql: staging/clean.sql", "{sql: «staging/clean.sql");
    files.insert("pipelines/staging/clean.sql".into(), "SELECT * FROM staging.clean".into());
    assert_eq!(mistakes_at_marks(files)[0].message, "staging.clean reads itself");
}

#[test]
fn the_sources_of_a_pipeline_capture_the_same_names() {
    let mut files = fraud();
    let text = files.get_mut("pipelines/fraud.yaml").unwrap();
    *text = text.replace("    message: refunds\n", "    upload: «refunds/{day}/{region}.csv\n");
    let mistakes = mistakes_at_marks(files);
    assert_told(
        &mistakes[0],
        Code::Conflict,
        "`refunds` captures `day` and `region`, but `transactions` captures `date`",
        Some("a source without captures is shared by all runs"),
    );
}

#[test]
fn an_export_is_a_folder_of_the_lake_named_by_its_run() {
    for (to, code, message) in [
        ("gs://lake/{dtae}/", Code::UnknownName, "the runs of this pipeline have no {dtae}"),
        ("gs://lake/{run/", Code::UnknownName, "the runs of this pipeline have no {run/"),
        ("lake/fraud/", Code::InvalidValue, "`lake/fraud/` is not a folder: write gs://bucket/name"),
        ("gs://lake/fraud", Code::InvalidValue, "`gs://lake/fraud` names an object, not a folder"),
        ("gs://landing/fraud/", Code::InvalidValue, "exports go to the lake, not to `landing`"),
    ] {
        let mistake = mistake("\"gs://lake/fraud/{date}/{run}/\"", &format!("«\"{to}\""));
        assert_eq!((mistake.code, mistake.message.as_str()), (code, message), "{to}");
    }
}

#[test]
fn what_is_served_is_trained() {
    let mistake = mistake("serving:\n  fraud-classifier:", "serving:\n  «fraud-clasifier:");
    assert_told(
        &mistake,
        Code::UnknownName,
        "this pipeline trains no model `fraud-clasifier`",
        Some("did you mean `fraud-classifier`?"),
    );
}

#[test]
fn many_mistakes_are_told_at_once() {
    let mut files = fraud();
    let text = files.get_mut("pipelines/fraud.yaml").unwrap();
    for (from, to) in [
        ("schedule: ", "schedule: «"),
        ("\"0 6 * * *\"", "\"0 25 * * *\""),
        ("amount: NUMERIC\n", "amount: «NUMERIK\n"),
        ("on_new_column: reject", "on_new_column: «refuse"),
        ("wall: 4h", "wall: «4 hourz"),
        ("endpoint: fraud", "endpoint: «Fraud"),
    ] {
        *text = text.replacen(from, to, 1);
    }
    let codes: Vec<Code> = mistakes_at_marks(files).iter().map(|mistake| mistake.code).collect();
    assert_eq!(
        codes,
        [Code::InvalidValue, Code::InvalidValue, Code::UnknownValue, Code::InvalidValue, Code::InvalidValue]
    );
}

#[test]
fn a_broken_record_does_not_make_its_names_unknown() {
    // Without `table`, the source cannot be read; what reads its table is still right.
    let mut files = fraud();
    let text = files.get_mut("pipelines/fraud.yaml").unwrap();
    *text = text.replace("  transactions:\n", "  «transactions:\n");
    *text = text.replace("    table: source.transactions\n", "    «tabel: source.transactions\n");
    let codes: Vec<Code> = mistakes_at_marks(files).iter().map(|mistake| mistake.code).collect();
    assert_eq!(codes, [Code::MissingField, Code::UnknownField]);
}
