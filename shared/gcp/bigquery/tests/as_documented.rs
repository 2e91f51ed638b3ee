//! What Google's documentation says and bqemulator does not do, on a stub that does.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

mod stub;

use std::{sync::Arc, time::Duration};

use arrow::{
    array::{ArrayRef, BooleanArray, Int64Array, RecordBatch},
    compute::concat_batches,
};
use millstream_events::{
    contract::{Column, FileFormat, FileOptions},
    extract::DELETED_COLUMN,
    names::ObjectPath,
    work::{LoadTable, TableLayout, TransformTable, UploadedFile, WriteMode},
};
use millstream_ports::{
    ErrorKind, JobState, ObjectStore, ObjectStoreExt, PortResult, Precondition, TableWrite, Warehouse,
};
use parquet::arrow::{ArrowWriter, arrow_reader::ParquetRecordBatchReaderBuilder};
use serde_json::{Value, json};

use crate::stub::{Fate, Stub, start_time};

fn column(name: &str, kind: &str, required: bool) -> Column {
    Column { name: name.into(), kind: kind.parse().unwrap(), required, description: None }
}

fn object(name: &str) -> ObjectPath {
    ObjectPath::new("lake", name).unwrap()
}

async fn load(stub: &Stub, name: &str, write: WriteMode) -> LoadTable {
    let batch = object(&format!("{name}.parquet"));
    stub.store.put(&batch, "rows", Precondition::None).await.unwrap();
    LoadTable {
        batches: vec![batch],
        table: "source.t".parse().unwrap(),
        columns: vec![column("id", "INT64", true), column("amount", "NUMERIC(10, 2)", false)],
        write,
        layout: TableLayout { cluster_by: vec!["id".into()], ..TableLayout::default() },
        sequence: 1,
        uploaded: None,
        deletes: false,
    }
}

fn done(state: PortResult<JobState<TableWrite>>) -> TableWrite {
    match state.unwrap() {
        JobState::Done(write) => write,
        JobState::Running => panic!("it still runs"),
    }
}

fn files(stub: &Stub) -> Vec<String> {
    stub.world().content.get("source.t").cloned().unwrap_or_default()
}

fn configuration(stub: &Stub, job: &str) -> Value {
    stub.world().jobs[job]["configuration"].clone()
}

#[tokio::test]
async fn a_load_asked_for_by_two_processes_is_one_job() {
    let stub = Stub::start().await;
    let (first, second) = (stub.warehouse().await, stub.warehouse().await);
    let append = load(&stub, "a", WriteMode::Append).await;
    let (first, second) = tokio::join!(first.ensure_load("job", &append), second.ensure_load("job", &append));
    assert_eq!(done(first), done(second));
    assert_eq!(files(&stub), ["gs://lake/a.parquet"]);
}

#[tokio::test]
async fn a_load_whose_answer_was_lost_is_found_when_it_is_asked_for_again() {
    let stub = Stub::start().await;
    let append = load(&stub, "a", WriteMode::Append).await;
    stub.world().fates.push_back(Fate::Lost);
    let error = stub.warehouse().await.ensure_load("job", &append).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    let write = done(stub.warehouse().await.ensure_load("job", &append).await);
    assert_eq!((write.rows, write.total_rows), (2, 2));
    assert_eq!(files(&stub), ["gs://lake/a.parquet"]);
}

#[tokio::test]
async fn rows_written_and_rows_afterwards_are_told_apart_and_stay_the_same() {
    let stub = Stub::start().await;
    let warehouse = stub.warehouse().await;
    let (a, b) = (load(&stub, "a", WriteMode::Append).await, load(&stub, "b", WriteMode::Append).await);
    let first = done(warehouse.ensure_load("a", &a).await);
    let second = done(warehouse.ensure_load("b", &b).await);
    assert_eq!(((first.rows, first.total_rows), (second.rows, second.total_rows)), ((2, 2), (2, 4)));
    assert!(second.version > first.version);
    assert_eq!(warehouse.table(&a.table).await.unwrap().version, second.version);
    assert_eq!(done(warehouse.ensure_load("a", &a).await), first);
    assert_eq!(warehouse.table(&a.table).await.unwrap().version, second.version);
}

#[tokio::test]
async fn an_append_says_what_the_table_may_become() {
    let stub = Stub::start().await;
    let warehouse = stub.warehouse().await;
    let first = load(&stub, "a", WriteMode::Append).await;
    done(warehouse.ensure_load("a", &first).await);
    let made = configuration(&stub, "a");
    assert_eq!(made["load"]["clustering"]["fields"], json!(["id"]));
    assert_eq!(
        made["load"]["schema"]["fields"],
        json!([
            { "name": "id", "type": "INTEGER", "mode": "REQUIRED" },
            { "name": "amount", "type": "NUMERIC", "precision": "10", "scale": "2" }
        ])
    );
    let other = load(&stub, "b", WriteMode::Append).await;
    let wider = LoadTable { columns: vec![column("note", "STRING", true), column("id", "INT64", true)], ..other };
    done(warehouse.ensure_load("b", &wider).await);
    let grown = configuration(&stub, "b")["load"].clone();
    assert_eq!(grown["schemaUpdateOptions"], json!(["ALLOW_FIELD_ADDITION", "ALLOW_FIELD_RELAXATION"]));
    let names: Vec<&Value> = grown["schema"]["fields"].as_array().unwrap().iter().map(|field| &field["name"]).collect();
    assert_eq!(names, ["id", "amount", "note"]);
    assert_eq!(grown.get("clustering"), None, "the table has its layout");
}

#[tokio::test(start_paused = true)]
async fn a_job_that_runs_is_asked_for_again_until_it_is_done() {
    let stub = Stub::start().await;
    let warehouse = stub.warehouse().await;
    let append = load(&stub, "a", WriteMode::Append).await;
    stub.world().fates.push_back(Fate::Runs);
    for _ in 0..2 {
        assert_eq!(warehouse.ensure_load("job", &append).await.unwrap(), JobState::Running);
    }
    stub.world().finish("job");
    assert_eq!(done(warehouse.ensure_load("job", &append).await).rows, 2);
    assert_eq!(stub.world().inserted, ["job"]);
}

#[tokio::test]
async fn a_job_that_failed_for_a_passing_reason_is_tried_again_under_the_next_id() {
    let stub = Stub::start().await;
    let warehouse = stub.warehouse().await;
    let append = load(&stub, "a", WriteMode::Append).await;
    stub.world().fates.extend([Fate::Fails("backendError", "try again"), Fate::Fails("rateLimitExceeded", "slower")]);
    for _ in 0..2 {
        assert_eq!(warehouse.ensure_load("job", &append).await.unwrap_err().kind(), ErrorKind::Unavailable);
    }
    let write = done(warehouse.ensure_load("job", &append).await);
    assert_eq!(stub.world().inserted, ["job", "job-r1", "job-r2"]);
    assert_eq!(done(warehouse.ensure_load("job", &append).await), write);
    assert_eq!(files(&stub), ["gs://lake/a.parquet"]);
}

#[tokio::test]
async fn a_job_that_failed_for_good_is_not_tried_again() {
    let stub = Stub::start().await;
    let warehouse = stub.warehouse().await;
    let append = load(&stub, "a", WriteMode::Append).await;
    stub.world().fates.push_back(Fate::Fails("invalid", "Could not parse 'x' as INT64"));
    for _ in 0..2 {
        let error = warehouse.ensure_load("job", &append).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        let text = error.to_string();
        assert!(text.contains("'x' as INT64 (invalid, at gs://lake/a.parquet)"), "{text}");
    }
    assert_eq!(stub.world().inserted, ["job"]);
}

#[tokio::test]
async fn a_refused_job_burns_no_id_and_says_what_can_be_done() {
    let stub = Stub::start().await;
    let warehouse = stub.warehouse().await;
    let append = load(&stub, "a", WriteMode::Append).await;
    let pause = Duration::from_secs(600);
    for (status, reason, kind) in [
        (403, "quotaExceeded", ErrorKind::Quota { retry_after: pause }),
        (403, "rateLimitExceeded", ErrorKind::Unavailable),
        (503, "backendError", ErrorKind::Unavailable),
        (403, "accessDenied", ErrorKind::Denied),
        (400, "invalid", ErrorKind::Invalid),
    ] {
        stub.world().fates.push_back(Fate::Refused(status, reason));
        assert_eq!(warehouse.ensure_load("job", &append).await.unwrap_err().kind(), kind, "{reason}");
    }
    done(warehouse.ensure_load("job", &append).await);
    assert_eq!(stub.world().inserted, ["job"]);
}

#[tokio::test]
async fn of_replaces_that_overtake_each_other_the_newest_stays() {
    let stub = Stub::start().await;
    let mut loads = Vec::new();
    for (name, sequence) in [("a", 10), ("b", 30), ("c", 20)] {
        loads.push((name, LoadTable { sequence, ..load(&stub, name, WriteMode::Replace).await }));
    }
    let processes = [stub.warehouse().await, stub.warehouse().await, stub.warehouse().await];
    let asks = loads.iter().zip(&processes).map(|((name, load), warehouse)| warehouse.ensure_load(name, load));
    let answers: Vec<TableWrite> = futures::future::join_all(asks).await.into_iter().map(done).collect();
    assert_eq!(files(&stub), ["gs://lake/b.parquet"]);
    assert!(!answers[1].superseded);
    for ((name, load), warehouse) in loads.iter().zip(&processes) {
        let again = done(warehouse.ensure_load(name, load).await);
        assert_eq!(again.rows, if again.superseded { 0 } else { 2 }, "{name}");
    }
    assert_eq!(files(&stub), ["gs://lake/b.parquet"]);
}

#[tokio::test(start_paused = true)]
async fn a_replace_waits_for_the_one_before_it() {
    let stub = Stub::start().await;
    let warehouse = stub.warehouse().await;
    let old = LoadTable { sequence: 1, ..load(&stub, "old", WriteMode::Replace).await };
    let new = LoadTable { sequence: 2, ..load(&stub, "new", WriteMode::Replace).await };
    stub.world().fates.push_back(Fate::Runs);
    assert_eq!(warehouse.ensure_load("old", &old).await.unwrap(), JobState::Running);
    assert_eq!(warehouse.ensure_load("new", &new).await.unwrap(), JobState::Running);
    let slot = stub.world().inserted[0].clone();
    assert_eq!(stub.world().inserted.len(), 1);
    stub.world().finish(&slot);
    assert!(!done(warehouse.ensure_load("new", &new).await).superseded);
    assert_eq!(files(&stub), ["gs://lake/new.parquet"]);
    assert!(!done(warehouse.ensure_load("old", &old).await).superseded, "it was done, before the new one");
}

#[tokio::test]
async fn a_replace_that_fails_leaves_the_old_rows_and_the_way_free() {
    let stub = Stub::start().await;
    let warehouse = stub.warehouse().await;
    let first = LoadTable { sequence: 1, ..load(&stub, "a", WriteMode::Replace).await };
    done(warehouse.ensure_load("a", &first).await);
    let second = LoadTable { sequence: 2, ..load(&stub, "b", WriteMode::Replace).await };
    stub.world().fates.push_back(Fate::Fails("backendError", "try again"));
    assert_eq!(warehouse.ensure_load("b", &second).await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(files(&stub), ["gs://lake/a.parquet"]);
    assert!(!done(stub.warehouse().await.ensure_load("b", &second).await).superseded);
    assert_eq!(files(&stub), ["gs://lake/b.parquet"]);
}

#[tokio::test]
async fn the_log_of_replaces_is_found_without_the_tables_labels() {
    let stub = Stub::start().await;
    let warehouse = stub.warehouse().await;
    for sequence in 1..=3 {
        let load = LoadTable { sequence, ..load(&stub, &sequence.to_string(), WriteMode::Replace).await };
        done(warehouse.ensure_load(&sequence.to_string(), &load).await);
        // A crash before the labels were written.
        stub.world().tables.get_mut("source.t").unwrap()["labels"] = json!({});
    }
    stub.clock.advance(Duration::from_secs(25 * 3600));
    let older = LoadTable { sequence: 2, ..load(&stub, "older", WriteMode::Replace).await };
    assert!(done(stub.warehouse().await.ensure_load("older", &older).await).superseded);
    assert_eq!(files(&stub), ["gs://lake/3.parquet"]);
}

#[tokio::test]
async fn a_table_that_was_modified_too_often_today_waits() {
    let stub = Stub::start().await;
    let table = json!({ "projectId": "p", "datasetId": "source", "tableId": "t" });
    let earlier = start_time().timestamp_millis() - 3_600_000;
    let job = |id: &str| {
        json!({
            "jobReference": { "jobId": id },
            "configuration": { "load": { "destinationTable": table } },
            "statistics": { "creationTime": earlier.to_string() },
            "status": { "state": "DONE", "errorResult": { "reason": "invalid" } }
        })
    };
    stub.world().history = vec![job("x"), job("y")];
    let warehouse = stub.warehouse().await;
    let (a, b) = (load(&stub, "a", WriteMode::Append).await, load(&stub, "b", WriteMode::Append).await);
    done(warehouse.ensure_load("a", &a).await);
    let error = warehouse.ensure_load("b", &b).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Quota { retry_after: Duration::from_secs(23 * 3600) });
    assert!(error.to_string().contains("window"), "{error}");
    done(warehouse.ensure_load("a", &a).await);
    stub.clock.advance(Duration::from_secs(23 * 3600));
    done(warehouse.ensure_load("b", &b).await);
}

async fn uploaded(stub: &Stub) -> LoadTable {
    let meta = stub.store.put(&object("landing/a.csv"), "id,amount\n1,2\n", Precondition::None).await.unwrap();
    let uploaded = UploadedFile {
        generation: meta.generation,
        size: meta.size,
        crc32c: meta.crc32c,
        format: FileFormat::Csv,
        options: FileOptions::default(),
    };
    LoadTable { batches: vec![meta.path], uploaded: Some(uploaded), ..load(stub, "unused", WriteMode::Append).await }
}

#[tokio::test]
async fn an_upload_that_changed_before_it_was_loaded_is_refused() {
    let stub = Stub::start().await;
    let direct = uploaded(&stub).await;
    stub.store.put(&direct.batches[0], "id,amount\n3,4\n5,6\n", Precondition::None).await.unwrap();
    let error = stub.warehouse().await.ensure_load("job", &direct).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("upload"), "{error}");
    assert!(stub.world().inserted.is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_upload_that_changed_while_it_was_loaded_is_an_error_and_later_it_may_change() {
    let stub = Stub::start().await;
    let warehouse = stub.warehouse().await;
    let direct = uploaded(&stub).await;
    let write = done(warehouse.ensure_load("good", &direct).await);
    assert_eq!(configuration(&stub, "good")["load"]["skipLeadingRows"], json!(1));
    stub.world().fates.push_back(Fate::Runs);
    assert_eq!(warehouse.ensure_load("changed", &direct).await.unwrap(), JobState::Running);
    stub.store.put(&direct.batches[0], "id,amount\n3,4\n5,6\n", Precondition::None).await.unwrap();
    stub.world().finish("changed");
    for _ in 0..2 {
        let error = warehouse.ensure_load("changed", &direct).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.to_string().contains("while it was loaded"), "{error}");
    }
    assert_eq!(done(warehouse.ensure_load("good", &direct).await), write);
}

#[tokio::test]
async fn a_statement_is_billed_at_most_what_the_settings_allow_and_its_rows_are_counted() {
    let stub = Stub::start().await;
    let warehouse = stub.warehouse().await;
    let first = load(&stub, "a", WriteMode::Append).await;
    done(warehouse.ensure_load("a", &first).await);
    let fill = TransformTable {
        table: first.table.clone(),
        sql: "SELECT id FROM source.t".into(),
        inputs: vec![first.table.clone()],
        write: WriteMode::Replace,
        layout: TableLayout::default(),
        expect: Vec::new(),
    };
    let write = done(warehouse.ensure_transform("fill", &fill).await);
    assert_eq!((write.rows, write.total_rows), (5, 5), "the last stage of the plan writes the table");
    let query = configuration(&stub, "fill")["query"].clone();
    assert_eq!(query["maximumBytesBilled"], json!((1_u64 << 40).to_string()));
    assert_eq!(query["useLegacySql"], json!(false));
    assert!(query["query"].as_str().unwrap().starts_with("CREATE OR REPLACE TABLE `source.t`"));
}

#[tokio::test]
async fn a_merge_of_an_upload_tells_new_rows_from_changed_ones_and_leaves_no_stage() {
    let stub = Stub::start().await;
    let warehouse = stub.warehouse().await;
    let first = load(&stub, "a", WriteMode::Append).await;
    done(warehouse.ensure_load("a", &first).await);
    let direct = LoadTable { write: WriteMode::Merge { key: vec!["id".into()] }, ..uploaded(&stub).await };
    let write = done(warehouse.ensure_load("merge", &direct).await);
    assert_eq!((write.rows, write.total_rows), (2, 3));
    assert!(stub.world().tables.keys().all(|table| table == "source.t"), "{:?}", stub.world().tables.keys());
    let jobs = stub.world().inserted.clone();
    assert_eq!(done(warehouse.ensure_load("merge", &direct).await), write);
    assert_eq!(stub.world().inserted, jobs);
}

/// A load of the rows 1 and 2, of which the first is marked as deleted.
async fn marked(stub: &Stub, name: &str, write: WriteMode) -> LoadTable {
    let ids: ArrayRef = Arc::new(Int64Array::from(vec![1, 2]));
    let marks: ArrayRef = Arc::new(BooleanArray::from(vec![Some(true), None]));
    let rows = RecordBatch::try_from_iter([("id", ids), (DELETED_COLUMN, marks)]).unwrap();
    let mut writer = ArrowWriter::try_new(Vec::new(), rows.schema(), None).unwrap();
    writer.write(&rows).unwrap();
    let load = load(stub, name, write).await;
    stub.store.put(&load.batches[0], writer.into_inner().unwrap(), Precondition::None).await.unwrap();
    LoadTable { columns: vec![column("id", "INT64", true)], deletes: true, ..load }
}

#[tokio::test]
async fn a_merge_counts_the_rows_that_it_took_out() {
    let stub = Stub::start().await;
    let warehouse = stub.warehouse().await;
    let first = load(&stub, "a", WriteMode::Append).await;
    done(warehouse.ensure_load("a", &first).await);
    let changes = marked(&stub, "b", WriteMode::Merge { key: vec!["id".into()] }).await;
    let write = done(warehouse.ensure_load("b", &changes).await);
    assert_eq!((write.rows, write.total_rows), (3, 2), "one in, one changed, one out, of a table of two");
    assert_eq!(done(warehouse.ensure_load("b", &changes).await), write);
}

#[tokio::test(start_paused = true)]
async fn an_append_and_a_replace_of_marked_rows_are_one_load_of_the_others() {
    for (write, disposition) in [(WriteMode::Append, "WRITE_APPEND"), (WriteMode::Replace, "WRITE_TRUNCATE")] {
        let stub = Stub::start().await;
        let warehouse = stub.warehouse().await;
        let marked = marked(&stub, "a", write).await;
        stub.world().fates.push_back(Fate::Runs);
        assert_eq!(warehouse.ensure_load("job", &marked).await.unwrap(), JobState::Running);
        let job = stub.world().inserted[0].clone();
        let asked = configuration(&stub, &job)["load"].clone();
        assert_eq!(asked["writeDisposition"], disposition);
        assert_eq!(asked["schema"]["fields"], json!([{ "name": "id", "type": "INTEGER", "mode": "REQUIRED" }]));
        let copy: ObjectPath = asked["sourceUris"][0].as_str().unwrap().parse().unwrap();
        let bytes = stub.store.read(&copy, 1 << 20).await.unwrap();
        let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap().build().unwrap();
        let batches: Vec<RecordBatch> = reader.map(Result::unwrap).collect();
        let rows = concat_batches(&batches[0].schema(), &batches).unwrap();
        let ids: ArrayRef = Arc::new(Int64Array::from(vec![2]));
        assert_eq!(rows.columns(), [ids], "the row that is not marked, without the marks");
        stub.world().finish(&job);
        done(warehouse.ensure_load("job", &marked).await);
        assert_eq!(stub.world().inserted, [job]);
        assert_eq!(stub.store.stat(&copy).await.unwrap_err().kind(), ErrorKind::NotFound);
    }
}

#[tokio::test]
async fn marks_in_an_upload_that_is_loaded_as_it_is_are_refused() {
    let stub = Stub::start().await;
    let direct = LoadTable { deletes: true, ..uploaded(&stub).await };
    let error = stub.warehouse().await.ensure_load("job", &direct).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(stub.world().inserted.is_empty());
}

#[tokio::test]
async fn what_bigquery_takes_for_more_than_a_select_is_refused() {
    let stub = Stub::start().await;
    stub.world().statement_type = Some("SCRIPT");
    let error = stub.warehouse().await.query("SELECT 1", 1).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("SCRIPT") && stub.world().inserted.is_empty(), "{error}");
}
