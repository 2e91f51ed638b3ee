//! What fakesnow does not do, against a service that answers as the drivers expect it to: results in parts, statements that take
//! long, keys, refusals, and connections that end.
#![allow(clippy::unwrap_used, clippy::expect_used, unreachable_pub, reason = "a panic is how a test fails")]

mod support;

use std::{
    collections::HashMap,
    io::Write,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use arrow::{
    array::{
        Array, ArrayRef, AsArray, Decimal128Array, FixedSizeListArray, Float32Array, Int8Array, Int32Array, Int64Array,
        StringArray, StructArray,
    },
    datatypes::{DataType, Decimal128Type, Field, Float64Type, Int64Type, Schema},
    record_batch::RecordBatch,
};
use base64::{
    Engine,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE, BASE64_URL_SAFE_NO_PAD},
};
use flate2::{Compression, write::GzEncoder};
use futures::{StreamExt, TryStreamExt};
use millstream_events::extract::{Changes, Cursor, Selection};
use millstream_ports::{CellFaultKind, ErrorKind, PortResult, Read, Rows, Secret, Source};
use millstream_source_snowflake::SnowflakeSource;
use serde_json::{Value, json};
use support::{Reply, Request, Service, about, column, reading, refusal, result, stream_of, success};

fn items() -> Selection {
    Selection::Table("items".into())
}

fn ids(values: Vec<i64>) -> RecordBatch {
    RecordBatch::try_from_iter([("ID", Arc::new(Int64Array::from(values)) as ArrayRef)]).unwrap()
}

fn id() -> Vec<Value> {
    vec![column("ID", "fixed", 10, 0)]
}

async fn read_all(source: &dyn Source, read: &Read) -> PortResult<Vec<Rows>> {
    let plan = source.plan(read).await?;
    source.open(read, &plan).await?.read(&plan.ranges[0]).await?.try_collect().await
}

fn numbers(rows: &[Rows]) -> Vec<i64> {
    rows.iter().flat_map(|rows| rows.batch.column(0).as_primitive::<Int64Type>().values().to_vec()).collect()
}

#[tokio::test]
async fn a_result_in_parts_is_read_part_by_part_at_one_moment_of_the_table() {
    let service = Service::start(|request, address| match about(request, &id(), true) {
        Some(reply) => reply,
        None if request.path.contains("/parts/2") => {
            let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
            gzip.write_all(&stream_of(&ids(vec![3, 4]))).unwrap();
            Reply::Bytes(gzip.finish().unwrap())
        }
        None if request.path.contains("/parts/3") => Reply::Bytes(stream_of(&ids(vec![5]))),
        None => {
            let mut data = result(&id(), Some(&ids(vec![1, 2])));
            data["chunks"] = json!([{"url": format!("{address}/parts/2")}, {"url": format!("{address}/parts/3")}]);
            data["chunkHeaders"] = json!({"x-key": "k1"});
            success(data)
        }
    })
    .await;
    let rows = read_all(&service.source().await, &reading(items())).await.unwrap();
    assert_eq!(numbers(&rows), [1, 2, 3, 4, 5]);
    let parts = service.seen("/parts/");
    assert_eq!(parts.len(), 2);
    assert!(parts.iter().all(|part| part.headers.contains("x-key: k1") && !part.headers.contains("authorization")));
    let statement = service.seen("query-request").pop().unwrap();
    assert_eq!(
        statement.sql(),
        "SELECT \"ID\" FROM \"ITEMS\" AT(TIMESTAMP => CAST('2023-11-14T22:13:20.000000005+00:00' AS TIMESTAMP_LTZ))"
    );
    assert!(statement.headers.contains("snowflake token=\"t1\""));
    let login = &service.seen("login-request")[0];
    assert!(login.path.contains("databaseName=SHOP") && login.path.contains("schemaName=PUBLIC"));
    let parameters = &login.body["data"]["SESSION_PARAMETERS"];
    assert_eq!(
        (&parameters["STATEMENT_TIMEOUT_IN_SECONDS"], &parameters["QUERY_TAG"]),
        (&json!(120), &json!("millstream"))
    );
    service.wait_for("delete=true").await;
}

#[tokio::test]
async fn a_table_without_a_past_is_read_as_it_is() {
    let service = Service::start(|request, _| {
        about(request, &id(), false).unwrap_or_else(|| success(result(&id(), Some(&ids(vec![1])))))
    })
    .await;
    let rows = read_all(&service.source().await, &reading(items())).await.unwrap();
    assert_eq!(numbers(&rows), [1]);
    assert_eq!(service.seen("query-request").pop().unwrap().sql(), "SELECT \"ID\" FROM \"ITEMS\"");
}

#[tokio::test]
async fn a_statement_that_takes_long_is_asked_about_until_it_is_done() {
    let asked = AtomicUsize::new(0);
    let service = Service::start(move |request, _| {
        if request.path.contains("/result") {
            return match asked.fetch_add(1, Ordering::Relaxed) {
                0 => Reply::Json(
                    json!({"success": true, "code": "333333", "data": {"getResultUrl": "/queries/q1/result"}}),
                ),
                _ => success(result(&id(), Some(&ids(vec![7])))),
            };
        }
        about(request, &id(), true).unwrap_or_else(|| {
            Reply::Json(json!({"success": true, "code": "333334", "data": {"getResultUrl": "/queries/q1/result"}}))
        })
    })
    .await;
    let rows = read_all(&service.source().await, &reading(items())).await.unwrap();
    assert_eq!(numbers(&rows), [7]);
    assert_eq!(service.seen("/queries/q1/result").len(), 2);
}

#[tokio::test]
async fn an_answer_does_not_send_the_token_to_another_host() {
    let service = Service::start(|request, _| {
        about(request, &id(), true).unwrap_or_else(|| {
            Reply::Json(json!({"success": true, "code": "333334", "data": {"getResultUrl": "https://evil.example/q1"}}))
        })
    })
    .await;
    let error = read_all(&service.source().await, &reading(items())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Internal);
}

#[tokio::test]
async fn a_stream_that_is_dropped_cancels_its_statement() {
    let service = Service::start(|request, _| about(request, &id(), true).unwrap_or(Reply::Never)).await;
    let source = service.source().await;
    let read = reading(items());
    let plan = source.plan(&read).await.unwrap();
    let open = source.open(&read, &plan).await.unwrap();
    let stream = open.read(&plan.ranges[0]).await.unwrap();
    let statement = loop {
        let running = service
            .seen("query-request")
            .into_iter()
            .find(|request| request.sql().starts_with("SELECT \"ID\" FROM \"ITEMS\" AT"));
        match running {
            Some(request) => break request,
            None => tokio::task::yield_now().await,
        }
    };
    drop(stream);
    let abort = service.wait_for("abort-request").await;
    let id = statement.path.split("requestId=").nth(1).unwrap().to_owned();
    assert_eq!(abort.body["requestId"], json!(id));
}

#[tokio::test]
async fn a_session_that_has_expired_is_signed_in_again() {
    let signed_in = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&signed_in);
    let service = Service::start(move |request, _| {
        if request.path.contains("login-request") {
            let number = count.fetch_add(1, Ordering::Relaxed) + 1;
            return success(json!({"token": format!("t{number}")}));
        }
        if request.path.contains("query-request") && request.headers.contains("token=\"t1\"") {
            return refusal("390112", "Your session has expired. Please login again.");
        }
        about(request, &id(), true).unwrap()
    })
    .await;
    let shape = service.source().await.describe(&items()).await.unwrap();
    assert_eq!(shape.columns[0].name, "ID");
    assert_eq!(signed_in.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn refusals_are_told_by_what_to_do_and_without_the_password() {
    for (code, kind, says) in [
        ("390100", ErrorKind::Denied, "secret"),
        ("390186", ErrorKind::Denied, "reader"),
        ("390422", ErrorKind::Denied, "network policy"),
        ("390201", ErrorKind::NotFound, "nothing of that name"),
    ] {
        let service = Service::start(move |_, _| refusal(code, "Incorrect username or password was specified.")).await;
        let error = service.source().await.tables().await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(says) && !format!("{error:?}").contains("hunter2"), "{error:?}");
    }
    for (code, kind, says) in [
        ("003001", ErrorKind::Denied, "GRANT"),
        ("000606", ErrorKind::Invalid, "?warehouse="),
        ("000630", ErrorKind::Unavailable, "more time"),
        ("001003", ErrorKind::Invalid, "001003"),
        ("000904", ErrorKind::Invalid, "renamed"),
    ] {
        let service = Service::start(move |request, _| match request.path.contains("login-request") {
            true => success(json!({"token": "t1"})),
            false => refusal(code, "no"),
        })
        .await;
        let error = service.source().await.describe(&items()).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(says), "{error}");
    }
    let service = Service::start(|_, _| Reply::Status(503)).await;
    assert_eq!(service.source().await.tables().await.unwrap_err().kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn a_connection_that_ends_may_be_tried_again() {
    let url = Secret::new("snowflake://reader:hunter2@test/SHOP?host=127.0.0.1&port=1&tls=off");
    let error = SnowflakeSource::connect(&url, None).await.unwrap().tables().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("reached") && !format!("{error:?}").contains("hunter2"), "{error:?}");

    let service = Service::start(|request, address| {
        about(request, &id(), true).unwrap_or_else(|| {
            if request.path.contains("/parts/") {
                return Reply::Close;
            }
            let mut data = result(&id(), Some(&ids(vec![1, 2])));
            data["chunks"] = json!([{"url": format!("{address}/parts/2?signature=hunter3")}]);
            success(data)
        })
    })
    .await;
    let source = service.source().await;
    let read = Read { batch: millstream_ports::BatchSize { rows: 2, bytes: 1 << 20 }, ..reading(items()) };
    let plan = source.plan(&read).await.unwrap();
    let mut stream = source.open(&read, &plan).await.unwrap().read(&plan.ranges[0]).await.unwrap();
    assert_eq!(stream.next().await.unwrap().unwrap().batch.num_rows(), 2);
    let error = stream.next().await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(!format!("{error:?}").contains("hunter3"), "{error:?}");
    assert_eq!(service.seen("/parts/2").len(), 3, "it was tried again first");
}

#[tokio::test]
async fn values_beyond_the_warehouses_are_faults() {
    let columns = vec![
        column("SMALL", "fixed", 10, 0),
        column("PRICE", "fixed", 10, 2),
        column("HUGE", "fixed", 38, 0),
        column("AT", "timestamp_ntz", 0, 9),
        column("LATE", "timestamp_tz", 0, 9),
        column("DOC", "variant", 0, 0),
        json!({"name": "V", "type": "vector", "nullable": true, "fields": [{"type": "real"}]}),
    ];
    let batch = {
        let part = |name: &str, array: ArrayRef| (Arc::new(Field::new(name, array.data_type().clone(), false)), array);
        let moment = |epochs: Vec<i64>, fractions: Vec<i32>| -> ArrayRef {
            Arc::new(StructArray::from(vec![
                part("epoch", Arc::new(Int64Array::from(epochs))),
                part("fraction", Arc::new(Int32Array::from(fractions))),
            ]))
        };
        let item = Arc::new(Field::new("item", DataType::Float32, true));
        let items = Arc::new(Float32Array::from(vec![0.5, 1.5, 2.5, 3.5]));
        let arrays: Vec<ArrayRef> = vec![
            Arc::new(Int8Array::from(vec![Some(7), None])),
            Arc::new(Int32Array::from(vec![1_250, -5])),
            Arc::new(
                Decimal128Array::from(vec![i128::from(i64::MAX), i128::from(i64::MAX) + 1])
                    .with_precision_and_scale(38, 0)
                    .unwrap(),
            ),
            moment(vec![-1, 0], vec![5_000, 1]),
            moment(vec![0, 253_402_300_800], vec![0, 0]),
            Arc::new(StringArray::from(vec!["{\"a\":[1]}", "[undefined]"])),
            Arc::new(FixedSizeListArray::new(item, 2, items, None)),
        ];
        let fields: Vec<Field> = columns
            .iter()
            .zip(&arrays)
            .map(|(column, array)| {
                let scale = HashMap::from([("scale".to_owned(), column["scale"].to_string())]);
                Field::new(column["name"].as_str().unwrap(), array.data_type().clone(), true).with_metadata(scale)
            })
            .collect();
        RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap()
    };
    let data = result(&columns, Some(&batch));
    let service =
        Service::start(move |request, _| about(request, &columns, true).unwrap_or_else(|| success(data.clone()))).await;
    let rows = read_all(&service.source().await, &reading(items())).await.unwrap();
    let Rows { batch, faults } = &rows[0];
    assert_eq!(batch.column(0).as_primitive::<Int64Type>().iter().collect::<Vec<_>>(), [Some(7), None]);
    assert_eq!(batch.column(1).as_primitive::<Decimal128Type>().values().as_ref(), [1_250, -5]);
    assert_eq!(batch.column(2).as_primitive::<Int64Type>().value(0), i64::MAX);
    assert_eq!(batch.column(5).as_string::<i32>().value(0), "{\"a\":[1]}");
    let vector = batch.column(6).as_list::<i32>().value(1);
    assert_eq!(vector.as_primitive::<Float64Type>().values().as_ref(), [2.5, 3.5]);
    let found: Vec<_> =
        faults.iter().map(|fault| (fault.row, fault.column, fault.kind, fault.value.as_str())).collect();
    assert_eq!(
        found,
        [
            (1, 2, CellFaultKind::Int64Range, "9223372036854775808"),
            (1, 3, CellFaultKind::SubMicrosecond, "1970-01-01T00:00:00.000000001"),
            (1, 4, CellFaultKind::DateRange, "+10000-01-01T00:00:00.000000000+00:00"),
            (1, 5, CellFaultKind::Json, "[undefined]"),
        ]
    );
    assert_eq!((batch.num_rows(), batch.column(3).null_count()), (2, 1));
}

#[tokio::test]
async fn a_column_that_changed_after_the_plan_is_told() {
    let kind = Arc::new(AtomicUsize::new(0));
    let now = Arc::clone(&kind);
    let service = Service::start(move |request, _| {
        let columns = match now.load(Ordering::Relaxed) {
            0 => vec![column("ID", "fixed", 10, 0)],
            1 => vec![column("ID", "text", 0, 0)],
            _ => vec![column("OTHER", "fixed", 10, 0)],
        };
        about(request, &columns, true).unwrap()
    })
    .await;
    let source = service.source().await;
    let read = reading(items());
    let plan = source.plan(&read).await.unwrap();
    for (change, says) in [(1, "NUMBER(10,0)"), (2, "OTHER")] {
        kind.store(change, Ordering::Relaxed);
        let error = source.open(&read, &plan).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.to_string().contains(says), "{error}");
    }
    let log = millstream_events::extract::ChangeLog { publication: "p".into(), slot: "s".into() };
    let error = source.plan(&Read { changes: Changes::Log(log), ..reading(items()) }).await.unwrap_err();
    assert!(error.to_string().contains("cursor"));
    kind.store(0, Ordering::Relaxed);
    let cursor =
        Cursor { column: "id".into(), lookback: Some(millstream_events::extract::Lookback::Seconds(1)), deleted: None };
    let error = source.plan(&Read { changes: Changes::Cursor(cursor), ..reading(items()) }).await.unwrap_err();
    assert!(error.to_string().contains("lookback"), "{error}");
}

/// What `openssl` says, which has to be good.
fn openssl(arguments: &[&str]) -> Vec<u8> {
    let output = Command::new("openssl").args(arguments).output().expect("openssl is installed (apt install openssl)");
    assert!(output.status.success(), "openssl {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

#[tokio::test]
async fn a_key_is_proved_by_a_token_that_its_public_half_verifies() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    openssl(&["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", &path("key.pem")]);
    openssl(&["pkey", "-in", &path("key.pem"), "-pubout", "-out", &path("public.pem")]);
    let der = openssl(&["pkcs8", "-topk8", "-nocrypt", "-in", &path("key.pem"), "-outform", "DER"]);
    let pem = std::fs::read_to_string(path("key.pem")).unwrap().replace('\n', "%0A");
    let service = Service::start(|request: &Request, _| about(request, &id(), true).unwrap()).await;
    for key in [BASE64_URL_SAFE.encode(&der), BASE64_STANDARD.encode(&der), pem] {
        let url = service.url("reader", &format!("&private_key={key}"));
        let source = SnowflakeSource::connect(&url, None).await.unwrap();
        assert!(!format!("{source:?}").contains(&key[60..90]));
        source.tables().await.unwrap();
    }
    for login in service.seen("login-request") {
        let data = &login.body["data"];
        assert_eq!((data["AUTHENTICATOR"].as_str(), data.get("PASSWORD")), (Some("SNOWFLAKE_JWT"), None));
        let token = data["TOKEN"].as_str().unwrap();
        let (signed, signature) = token.rsplit_once('.').unwrap();
        std::fs::write(path("signed"), signed).unwrap();
        std::fs::write(path("signature"), BASE64_URL_SAFE_NO_PAD.decode(signature).unwrap()).unwrap();
        openssl(&[
            "dgst",
            "-sha256",
            "-verify",
            &path("public.pem"),
            "-signature",
            &path("signature"),
            &path("signed"),
        ]);
        let claims = BASE64_URL_SAFE_NO_PAD.decode(signed.split_once('.').unwrap().1).unwrap();
        let claims: Value = serde_json::from_slice(&claims).unwrap();
        assert_eq!(claims["sub"], "TEST.READER");
        assert!(claims["iss"].as_str().unwrap().starts_with("TEST.READER.SHA256:"));
        assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 600);
    }
    let wrong = service.url("reader", "&private_key=AAAA");
    let error = SnowflakeSource::connect(&wrong, None).await.unwrap().tables().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
}
