//! Queries as sources.

use millstream_events::extract::{Changes, Cursor, Selection};
use millstream_ports::{ErrorKind, Read, Source};

use crate::support::{Database, batch, extract, query, shown};

#[tokio::test]
async fn what_a_query_computes_is_described_and_read() {
    let mut database = Database::new("queries_types").await;
    database
        .run(&[
            "CREATE TABLE t (a int NOT NULL, b varchar(5), p point)",
            "INSERT INTO t VALUES (1, 'x', POINT(1, 2)), (2, NULL, NULL)",
        ])
        .await;
    let source = database.source().await;
    let sql = "WITH w AS (SELECT * FROM t)
        SELECT count(*) AS n, sum(a) AS total, avg(a) AS mean, max(b) AS word, NULL AS nothing, 1 = 1 AS yes, 'a:b?' AS text,
            date'2024-02-29' AS day, 10 / 3 AS third, 1e0 AS one, x'00ff' AS bytes, ST_GeomFromText('POINT(1 2)') AS place,
            18446744073709551615 AS large, now(6) > '2000-01-01' AS late
        FROM w; -- done";
    let sql = sql.replace("; -- done", " -- done");
    let shape = source.describe(&Selection::Query(sql.clone())).await.unwrap();
    let kinds: Vec<String> = shape.columns.iter().map(|column| column.kind.as_ref().unwrap().to_string()).collect();
    assert_eq!(kinds[..5], ["INT64", "BIGNUMERIC(32, 0)", "NUMERIC(14, 4)", "STRING", "STRING"].map(str::to_owned));
    assert_eq!(
        kinds[7..13],
        ["DATE", "NUMERIC(6, 4)", "FLOAT64", "BYTES", "STRING", "NUMERIC(20, 0)"].map(str::to_owned)
    );
    assert_eq!((shape.key.len(), shape.cursors.len(), shape.rows), (0, 0, None));
    let read = batch(&source, &query(&sql)).await;
    let row: Vec<String> = shape.columns.iter().map(|column| shown(&read.batch, &column.name).remove(0)).collect();
    assert_eq!(
        row,
        [
            "2",
            "3",
            "1.5000",
            "x",
            "NULL",
            "1",
            "a:b?",
            "2024-02-29",
            "3.3333",
            "1.0",
            "00ff",
            "POINT(1 2)",
            "18446744073709551615",
            "1"
        ]
    );
}

#[tokio::test]
async fn a_query_has_cursors_ranges_and_columns_too() {
    let mut database = Database::new("queries_cursor").await;
    database
        .run(&[
            "CREATE TABLE t (n int, c int, p point)",
            "INSERT INTO t SELECT seq, seq * 2, POINT(seq, 0) FROM seq_1_to_20",
        ])
        .await;
    let source = database.source().await;
    let changes = Changes::Cursor(Cursor { column: "c".into(), lookback: None, deleted: None });
    let read = Read { changes, only: vec!["p".into(), "n".into()], ..query("SELECT * FROM t WHERE n <> 3;\n") };
    let plan = source.plan(&read).await.unwrap();
    assert_eq!(plan.position.as_deref(), Some("40"));
    let first = batch(&source, &read).await;
    assert_eq!((first.batch.num_rows(), shown(&first.batch, "p")[0].as_str()), (19, "POINT(1 0)"));
    let again = Read { since: Some("36".into()), split_by: Some("n".into()), range_rows: 2, ..read };
    let plan = source.plan(&again).await.unwrap();
    assert_eq!((plan.ranges.len(), plan.rows), (2, Some(3)));
    let rows = extract(&source, &again).await.unwrap();
    let numbers: Vec<String> = rows.iter().flat_map(|rows| shown(&rows.batch, "n")).collect();
    assert_eq!(numbers, ["18", "19", "20"]);
}

#[tokio::test]
async fn what_is_no_single_query_is_refused_and_does_nothing() {
    let mut database = Database::new("queries_refused").await;
    database
        .run(&[
            "CREATE TABLE t (n int)",
            "INSERT INTO t VALUES (1)",
            "GRANT ALL ON queries_refused.* TO 'reader'@'127.0.0.1'",
        ])
        .await;
    let source = database.source().await;
    for sql in [
        "DELETE FROM t",
        "DELETE FROM t RETURNING n",
        "INSERT INTO t VALUES (2) RETURNING n",
        "DROP TABLE t",
        "TRUNCATE t",
        "SELECT 1; DROP TABLE t",
        "SELECT n FROM t) AS a; DROP TABLE t; SELECT * FROM (SELECT 1",
        "SELECT n FROM t INTO OUTFILE '/tmp/never'",
        "SELECT n, n FROM t",
        "SELECT n FROM t WHERE n = ?",
        "SELECT n FROM t WHERE n = :n",
        "SHOW TABLES",
        "CALL nothing()",
        "SET @a = 1",
        "SELECT nothing FROM t",
        "SELECT",
        "-- nothing",
    ] {
        for error in [source.describe(&Selection::Query(sql.into())).await.err(), source.plan(&query(sql)).await.err()]
        {
            // Values may be missing only when it is read.
            let error = match error {
                Some(error) => error,
                None => extract(&source, &query(sql)).await.expect_err(sql),
            };
            assert_eq!(error.kind(), ErrorKind::Invalid, "{sql}: {error}");
        }
    }
    assert_eq!(
        source.describe(&Selection::Query("SELECT * FROM gone".into())).await.unwrap_err().kind(),
        ErrorKind::NotFound
    );
    assert_eq!(batch(&source, &query("SELECT * FROM t")).await.batch.num_rows(), 1);
}
