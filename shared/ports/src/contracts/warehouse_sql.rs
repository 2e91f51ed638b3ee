//! The contract of [`Warehouse`](crate::Warehouse) for adapters with a SQL engine: SELECTs in BigQuery's SQL.

use millstream_events::{
    names::TableName,
    work::{DataFormat, TableLayout, TransformTable, WriteMode},
};
use serde_json::{Value, json};

use super::warehouse::{WarehousePeer, assert_rows, export, load, row, table};
use crate::{
    contracts::done,
    error::{ErrorKind, PortResult},
    object_store::ObjectStoreExt,
    warehouse::TableWrite,
};

/// Every rule that needs SQL. Runs beside [`warehouse`](super::warehouse()), on the same peer.
pub async fn all(peer: &dyn WarehousePeer) {
    run_rules!((peer):
        a_transform_fills_its_table_from_bigquery_sql,
        a_transform_asked_for_again_has_one_effect,
        a_transform_merges_by_key,
        a_transform_that_breaks_an_expectation_changes_nothing,
        wrong_sql_is_invalid_and_changes_nothing,
        a_query_answers_at_most_its_limit,
        values_are_answered_as_json_by_type,
        a_query_cannot_write,
        an_export_has_the_form_it_was_asked_for,
    );
}

fn transform(table: &TableName, sql: String, inputs: &[&TableName]) -> TransformTable {
    TransformTable {
        table: table.clone(),
        sql,
        inputs: inputs.iter().map(|input| (*input).clone()).collect(),
        write: WriteMode::Replace,
        layout: TableLayout::default(),
        expect: Vec::new(),
    }
}

async fn ensure(peer: &dyn WarehousePeer, job: &str, transform: &TransformTable) -> PortResult<TableWrite> {
    let job = format!("transform-{}-{job}", transform.table.table());
    done(async || peer.warehouse().ensure_transform(&job, transform).await).await
}

async fn source(peer: &dyn WarehousePeer, name: &str, rows: &[Value]) -> TableName {
    let table = table(peer, name);
    load(peer, "a", &table, WriteMode::Append, rows).await;
    table
}

/// Functions that are BigQuery's own, a division by zero among them, and names in backticks.
pub async fn a_transform_fills_its_table_from_bigquery_sql(peer: &dyn WarehousePeer) {
    let input = source(peer, "sql_input", &[row(1, "a"), row(2, "a"), row(3, "b")]).await;
    let counted = table(peer, "sql_counted");
    let sql = format!(
        "SELECT name, COUNT(*) AS n, COUNTIF(id > 1) AS high, SAFE_DIVIDE(SUM(id), 0) AS ratio, \
         IF(name = 'a', 'first', NULL) AS label FROM `{input}` GROUP BY name"
    );
    let written = ensure(peer, "a", &transform(&counted, sql, &[&input])).await.unwrap();
    assert_eq!((written.rows, written.total_rows), (2, 2));
    let expected =
        vec![json!({ "name": "a", "n": 2, "high": 1, "label": "first" }), json!({ "name": "b", "n": 1, "high": 1 })];
    assert_rows(peer, &counted, expected).await;
}

/// The result is of the moment it was made; another job makes a new one.
pub async fn a_transform_asked_for_again_has_one_effect(peer: &dyn WarehousePeer) {
    let input = source(peer, "sql_again_input", &[row(1, "one")]).await;
    let copied = table(peer, "sql_again");
    let copy = transform(&copied, format!("SELECT id, name FROM `{input}`"), &[&input]);
    let first = ensure(peer, "a", &copy).await.unwrap();
    load(peer, "b", &input, WriteMode::Append, &[row(2, "two")]).await;
    assert_eq!(ensure(peer, "a", &copy).await.unwrap(), first);
    assert_rows(peer, &copied, vec![row(1, "one")]).await;
    assert!(ensure(peer, "b", &copy).await.unwrap().version > first.version);
    assert_rows(peer, &copied, vec![row(1, "one"), row(2, "two")]).await;
}

/// A result row with a known key overwrites, others stay.
pub async fn a_transform_merges_by_key(peer: &dyn WarehousePeer) {
    let merged = source(peer, "sql_merged", &[row(1, "one"), row(2, "old")]).await;
    let input = source(peer, "sql_merge_input", &[row(2, "new"), row(3, "three")]).await;
    let select = transform(&merged, format!("SELECT id, name FROM `{input}`"), &[&input]);
    let merge = TransformTable { write: WriteMode::Merge { key: vec!["id".to_owned()] }, ..select };
    assert_eq!(ensure(peer, "a", &merge).await.unwrap().total_rows, 3);
    assert_rows(peer, &merged, vec![row(1, "one"), row(2, "new"), row(3, "three")]).await;
}

/// The message names the expectation; one that holds lets the result in.
pub async fn a_transform_that_breaks_an_expectation_changes_nothing(peer: &dyn WarehousePeer) {
    let input = source(peer, "sql_expect_input", &[row(1, "a"), row(2, "a"), json!({ "id": 3 })]).await;
    let checked = source(peer, "sql_expect", &[row(9, "old")]).await;
    let copy = transform(&checked, format!("SELECT id, name FROM `{input}`"), &[&input]);
    for (job, expectation) in [("a", "id > 1"), ("b", "unique(name)"), ("c", "not_null(name)")] {
        let broken = TransformTable { expect: vec!["id > 0".to_owned(), expectation.to_owned()], ..copy.clone() };
        let error = ensure(peer, job, &broken).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
        assert!(error.to_string().contains(expectation), "{error}");
        assert_rows(peer, &checked, vec![row(9, "old")]).await;
    }
    let expect = ["id > 0", "unique(id)", "not_null(id)"].map(str::to_owned).to_vec();
    ensure(peer, "d", &TransformTable { expect, ..copy }).await.unwrap();
    assert_rows(peer, &checked, vec![row(1, "a"), row(2, "a"), json!({ "id": 3 })]).await;
}

/// A column that is not there, a text that is no SELECT, a value that cannot be cast.
pub async fn wrong_sql_is_invalid_and_changes_nothing(peer: &dyn WarehousePeer) {
    let input = source(peer, "sql_wrong_input", &[row(1, "one")]).await;
    let kept = source(peer, "sql_wrong", &[row(9, "old")]).await;
    for (job, sql) in [
        ("a", format!("SELECT amount FROM `{input}`")),
        ("b", format!("SELEKT id FROM `{input}`")),
        ("c", format!("SELECT CAST(name AS INT64) AS id FROM `{input}`")),
    ] {
        let error = ensure(peer, job, &transform(&kept, sql.clone(), &[&input])).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{sql}: {error}");
        assert_eq!(peer.warehouse().query(&sql, 1).await.unwrap_err().kind(), ErrorKind::Invalid, "{sql}");
    }
    assert_rows(peer, &kept, vec![row(9, "old")]).await;
}

/// And says whether there were more.
pub async fn a_query_answers_at_most_its_limit(peer: &dyn WarehousePeer) {
    let input = source(peer, "sql_limited", &[row(1, "one"), row(2, "two"), row(3, "three")]).await;
    let sql = format!("SELECT id FROM `{input}` ORDER BY id");
    for (limit, rows, truncated) in [(2, 2, true), (3, 3, false), (10, 3, false)] {
        let answer = peer.warehouse().query(&sql, limit).await.unwrap();
        assert_eq!((answer.rows.len(), answer.truncated), (rows, truncated), "limit {limit}");
        assert_eq!(answer.rows[0], [json!(1)]);
    }
}

/// INT64, FLOAT64 and BOOL as JSON's own, NUMERIC, dates and times as text, NULL as null, arrays as lists.
pub async fn values_are_answered_as_json_by_type(peer: &dyn WarehousePeer) {
    let sql = "SELECT 9007199254740993 AS i, 0.5 AS f, TRUE AS b, NUMERIC '1.25' AS n, DATE '2026-11-24' AS d, \
               CAST(NULL AS STRING) AS nothing, [1, 2] AS list";
    let answer = peer.warehouse().query(sql, 10).await.unwrap();
    let types: Vec<String> = answer.columns.iter().map(|column| column.kind.to_string()).collect();
    assert_eq!(types[..3], ["INT64", "FLOAT64", "BOOL"]);
    let values = &answer.rows[0];
    assert_eq!(values[..3], [json!(9_007_199_254_740_993_i64), json!(0.5), json!(true)]);
    let number = values[3].as_str().expect("a NUMERIC is answered as text");
    assert_eq!(number.parse::<f64>().unwrap(), 1.25);
    assert_eq!(values[4..], [json!("2026-11-24"), Value::Null, json!([1, 2])]);
}

/// Whatever it says, the tables stay.
pub async fn a_query_cannot_write(peer: &dyn WarehousePeer) {
    let kept = source(peer, "sql_read_only", &[row(1, "one")]).await;
    for sql in [
        format!("DROP TABLE `{kept}`"),
        format!("DELETE FROM `{kept}` WHERE TRUE"),
        format!("SELECT 1; DELETE FROM `{kept}` WHERE TRUE"),
        format!("INSERT INTO `{kept}` (id) VALUES (2)"),
    ] {
        let error = peer.warehouse().query(&sql, 10).await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Invalid | ErrorKind::Denied), "{sql}: {error}");
    }
    assert_rows(peer, &kept, vec![row(1, "one")]).await;
}

/// CSV has a header line, JSON Lines an object a line.
pub async fn an_export_has_the_form_it_was_asked_for(peer: &dyn WarehousePeer) {
    let input = source(peer, "sql_exported", &[row(1, "one, \"quoted\"")]).await;
    let text = async |job, format| {
        let written = export(peer, job, &input, format).await;
        assert_eq!(written.files.len(), 1, "so few rows need one file");
        let bytes = peer.store().0.read(&written.files[0], 1 << 20).await.unwrap();
        String::from_utf8(bytes.to_vec()).unwrap()
    };
    let csv = text("a.csv", DataFormat::Csv).await;
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!(lines, ["id,name", "1,\"one, \"\"quoted\"\"\""]);
    let json_lines = text("a.jsonl", DataFormat::Jsonl).await;
    let rows: Vec<Value> = json_lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    // BigQuery writes an INT64 as text, which a reader turns back; either is a faithful copy.
    let id = rows[0]["id"].as_str().map_or_else(|| rows[0]["id"].to_string(), str::to_owned);
    assert_eq!((rows.len(), id.as_str(), &rows[0]["name"]), (1, "1", &json!("one, \"quoted\"")));
}
