//! Ranges, snapshots and what changed, on tables of some size.

use arrow::{array::AsArray, datatypes::Int64Type};
use futures::{TryStreamExt, future::try_join_all};
use millstream_events::extract::{Changes, Cursor, Lookback};
use millstream_ports::{BatchSize, Read, ReadPlan, Source, Ties};
use mysql_async::{Conn, Opts, prelude::Queryable};

use crate::support::{Database, query, read_range, table};

/// The column `n` of each range, sorted.
async fn numbers(source: &dyn Source, read: &Read, plan: &ReadPlan) -> Vec<Vec<i64>> {
    let open = source.open(read, plan).await.unwrap();
    let range = async |range| open.read(range).await?.try_collect::<Vec<_>>().await;
    let ranges = try_join_all(plan.ranges.iter().map(range)).await.unwrap();
    let of_range = |batches: Vec<millstream_ports::Rows>| {
        let column = |rows: &millstream_ports::Rows| {
            rows.batch.column_by_name("n").unwrap().as_primitive::<Int64Type>().values().to_vec()
        };
        let mut numbers: Vec<i64> = batches.iter().flat_map(column).collect();
        numbers.sort_unstable();
        numbers
    };
    ranges.into_iter().map(of_range).collect()
}

fn union(ranges: &[Vec<i64>]) -> Vec<i64> {
    let mut all = ranges.concat();
    all.sort_unstable();
    all
}

fn sizes(ranges: &[Vec<i64>]) -> Vec<usize> {
    ranges.iter().map(Vec::len).collect()
}

#[tokio::test]
async fn ranges_of_whole_numbers_and_times_follow_the_rows_not_the_gaps() {
    let mut database = Database::new("plans_even").await;
    for (name, column, value) in [
        ("t_int", "bigint", "IF(seq <= 15000, seq, 4000000000000000000 + 7 * seq)"),
        ("t_unsigned", "bigint unsigned", "IF(seq <= 15000, seq, 18446744073709551615 - seq)"),
        ("t_datetime", "datetime(6)", "IF(seq <= 15000, '1000-01-01', '2024-01-01') + INTERVAL seq * 77 MICROSECOND"),
        ("t_date", "date", "DATE'0001-01-01' + INTERVAL seq * IF(seq <= 15000, 1, 50) DAY"),
        (
            "t_timestamp",
            "timestamp(3)",
            "TIMESTAMP'1980-01-01 00:00:00' + INTERVAL seq * IF(seq <= 15000, 1, 10000) SECOND",
        ),
    ] {
        let create = format!("CREATE TABLE {name} (k {column} NOT NULL PRIMARY KEY, n int, filler char(80))");
        let fill = format!("INSERT INTO {name} SELECT {value}, seq, '' FROM seq_1_to_30000");
        database.run(&[&create, &fill, &format!("ANALYZE TABLE {name}")]).await;
        let source = database.source().await;
        let read = Read { range_rows: 2_000, ..table(name) };
        let plan = source.plan(&read).await.unwrap();
        assert_eq!(plan.split_by.as_deref(), Some("k"), "{name}");
        let rows = plan.rows.unwrap();
        assert!((15_000..=60_000).contains(&rows), "{name}: about {rows} rows");
        let ranges = numbers(&source, &read, &plan).await;
        assert_eq!(union(&ranges), (1..=30_000).collect::<Vec<_>>(), "{name}");
        // What the server estimates may be off by some; equal parts of the span would have put half of the rows into one.
        assert!(ranges.len() >= 8 && ranges.iter().all(|rows| rows.len() < 6_000), "{name}: {:?}", sizes(&ranges));
    }
}

#[tokio::test]
async fn ranges_of_texts_bytes_and_decimals_are_of_one_size() {
    let mut database = Database::new("plans_counted").await;
    for (name, column, value) in [
        ("t_uuid", "uuid", "uuid()"),
        ("t_text", "varchar(40)", "concat(if(seq % 2, 'Ä', 'ä'), substr(md5(seq), 1, 9), ' ''', seq)"),
        ("t_latin1", "varchar(40) CHARACTER SET latin1 COLLATE latin1_german1_ci", "concat('ö', md5(seq))"),
        ("t_bytes", "binary(16)", "unhex(md5(seq))"),
        ("t_decimal", "decimal(40,20)", "seq / 7"),
        ("t_double", "double", "exp(seq / 1000) / 3"),
    ] {
        let create = format!("CREATE TABLE {name} (k {column} NOT NULL PRIMARY KEY, n int)");
        database.run(&[&create, &format!("INSERT INTO {name} SELECT {value}, seq FROM seq_1_to_1000")]).await;
        let source = database.source().await;
        let read = Read { range_rows: 300, ..table(name) };
        let plan = source.plan(&read).await.unwrap();
        let ranges = numbers(&source, &read, &plan).await;
        assert_eq!(union(&ranges), (1..=1_000).collect::<Vec<_>>(), "{name} {plan:?}");
        assert_eq!(sizes(&ranges), [300, 300, 300, 100], "{name}");
    }
}

#[tokio::test]
async fn values_that_many_rows_share_or_that_are_none_stay_in_one_range() {
    let mut database = Database::new("plans_ties").await;
    database
        .run(&[
            "CREATE TABLE t (n int PRIMARY KEY, word varchar(20), day date, note text, INDEX (word), INDEX (day), INDEX (note(5)))",
            "INSERT INTO t SELECT seq, nullif(elt(1 + seq % 4, 'a', 'B', 'b', ''), ''), '2024-01-01' + INTERVAL seq % 3 DAY, seq
                FROM seq_1_to_900",
            "INSERT INTO t VALUES (0, NULL, NULL, NULL), (901, 'zz', '0000-00-00', 'x')",
        ])
        .await;
    let source = database.source().await;
    for (column, split) in [("word", true), ("day", true), ("note", false)] {
        let read = Read { split_by: Some(column.into()), range_rows: 100, ..table("t") };
        let plan = source.plan(&read).await.unwrap();
        assert_eq!(plan.split_by.is_some(), split, "{column}");
        let ranges = numbers(&source, &read, &plan).await;
        assert_eq!(union(&ranges), (0..=901).collect::<Vec<_>>(), "{column} {plan:?}");
        assert!(ranges[0].contains(&0), "{column}: no value is in the first range");
    }
}

#[tokio::test]
async fn what_changed_is_cut_where_it_is() {
    let mut database = Database::new("plans_changed").await;
    database
        .run(&[
            "CREATE TABLE t (n int PRIMARY KEY, version decimal(30,0), INDEX (version))",
            "INSERT INTO t SELECT seq, seq FROM seq_1_to_5000",
        ])
        .await;
    let source = database.source().await;
    let cursor = Cursor { column: "VERSION".into(), lookback: None, deleted: None };
    let read = Read { changes: Changes::Cursor(cursor), range_rows: 400, ..table("t") };
    let first = source.plan(&read).await.unwrap();
    assert_eq!((first.position.as_deref(), first.everything), (Some("5000"), true));
    database.run(&["UPDATE t SET version = 5000 + n WHERE n % 5 = 0", "INSERT INTO t VALUES (-1, NULL)"]).await;
    let again = Read { since: first.position, ..read };
    let plan = source.plan(&again).await.unwrap();
    assert_eq!((plan.position.as_deref(), plan.everything, plan.rows), (Some("10000"), false, Some(1_000)));
    let ranges = numbers(&source, &again, &plan).await;
    assert_eq!(union(&ranges), (1..=1_000).map(|n| n * 5).collect::<Vec<_>>());
    assert_eq!(sizes(&ranges), [400, 400, 200]);
}

#[tokio::test]
async fn every_kind_of_cursor_goes_on_where_it_was() {
    let mut database = Database::new("plans_cursors").await;
    for (number, (column, old, newest, newer, lookback)) in [
        ("int unsigned", "3", "5", "9", Some(Lookback::Count(2))),
        ("bigint unsigned", "0", "1", "18446744073709551615", Some(Lookback::Count(7))),
        ("decimal(20,4)", "-1.5", "2.0001", "2.0002", None),
        ("float", "0.1", "0.3", "0.7", None),
        ("double", "0.1", "0.3", "1e300", Some(Lookback::Count(1))),
        ("date", "'2024-02-28'", "'2024-02-29'", "'2024-03-01'", Some(Lookback::Seconds(3_600))),
        (
            "datetime(6)",
            "'2024-01-01 00:00:00.1'",
            "'2024-01-01 00:00:00.2'",
            "'2024-01-01 00:00:01'",
            Some(Lookback::Seconds(1)),
        ),
        (
            "timestamp(6) NULL",
            "'1970-01-01 02:00:01'",
            "'1970-01-01 02:00:02'",
            "'2024-01-01 00:00:01'",
            Some(Lookback::Seconds(60)),
        ),
        ("varchar(20)", "'it''s a'", "'it''s b'", "'it''s c'", None),
        ("varbinary(20)", "x'00ff'", "x'0100'", "x'0100ff'", None),
        ("year", "1999", "2024", "2025", None),
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("t{number}");
        let create = format!("CREATE TABLE {name} (n int PRIMARY KEY, c {column} NULL)");
        let fill = format!("INSERT INTO {name} VALUES (1, {old}), (2, {newest}), (3, {newest}), (4, NULL)");
        database.run(&[&create, &fill]).await;
        let source = database.source().await;
        let all = async |read: &Read| {
            let plan = source.plan(read).await.unwrap();
            (union(&numbers(&source, read, &plan).await), plan.position)
        };
        let cursor = |lookback| Changes::Cursor(Cursor { column: "c".into(), lookback, deleted: None });
        let again = Read { changes: cursor(None), ..table(&name) };
        let once = Read { ties: Ties::Once, ..again.clone() };
        let (rows, position) = all(&again).await;
        assert_eq!(rows, [1, 2, 3, 4], "{column}");
        assert_eq!(all(&once).await, (vec![1, 4], position.clone()), "{column}");
        database.run(&[&format!("INSERT INTO {name} VALUES (5, {newer})")]).await;
        let (again, once) = (Read { since: position.clone(), ..again }, Read { since: position, ..once });
        assert_eq!(all(&again).await.0, [2, 3, 5], "{column}");
        assert_eq!(all(&once).await.0, [2, 3], "{column}");
        if lookback.is_some() {
            let back = Read { changes: cursor(lookback), ..again };
            assert_eq!(all(&back).await.0, [1, 2, 3, 5], "{column} with a lookback");
        }
    }
}

#[tokio::test]
async fn a_cursor_without_any_value_gives_no_position() {
    let mut database = Database::new("plans_no_value").await;
    database
        .run(&["CREATE TABLE t (n int PRIMARY KEY, c datetime)", "INSERT INTO t VALUES (1, NULL), (2, NULL)"])
        .await;
    let source = database.source().await;
    let changes = Changes::Cursor(Cursor { column: "c".into(), lookback: None, deleted: None });
    for (ties, expected) in [(Ties::Again, vec![1, 2]), (Ties::Once, vec![])] {
        let read = Read { changes: changes.clone(), ties, ..table("t") };
        let plan = source.plan(&read).await.unwrap();
        assert_eq!(plan.position, None);
        assert_eq!(union(&numbers(&source, &read, &plan).await), expected, "{ties:?}");
    }
    database.run(&["UPDATE t SET c = '0000-00-00'"]).await;
    let error = source.plan(&Read { changes, ..table("t") }).await.unwrap_err();
    assert!(error.to_string().contains("no date"), "{error}");
}

/// Moves amounts between rows at the server, each time in one transaction, until there is a row in `stop`: for 30 ms without a
/// pause, then for so many seconds not at all.
fn moving(quiet: f64) -> String {
    format!(
        "BEGIN NOT ATOMIC
            DECLARE `from`, `to` int;
            DECLARE until datetime(6);
            WHILE (SELECT count(*) FROM stop) = 0 DO
                SET until = sysdate(6) + INTERVAL 30000 MICROSECOND;
                WHILE sysdate(6) < until DO
                    SET `from` = 1 + floor(rand() * 4000), `to` = 1 + floor(rand() * 4000);
                    START TRANSACTION;
                    UPDATE accounts SET n = n - 7 WHERE id = `from`;
                    UPDATE accounts SET n = n + 7 WHERE id = `to`;
                    COMMIT;
                END WHILE;
                DO sleep({quiet});
            END WHILE;
        END"
    )
}

async fn ranges_see_one_state(name: &str, parameters: &str, quiet: f64, readings: usize) {
    let mut database = Database::new(name).await;
    database
        .run(&[
            "CREATE TABLE accounts (id int PRIMARY KEY, n bigint)",
            "INSERT INTO accounts SELECT seq, 100 FROM seq_1_to_4000",
            "CREATE TABLE stop (id int)",
            &format!("GRANT LOCK TABLES ON {name}.* TO 'reader'@'127.0.0.1'"),
        ])
        .await;
    let mut writer = Conn::new(Opts::from_url(&database.server.admin(name)).unwrap()).await.unwrap();
    let writing = tokio::spawn(async move { writer.query_drop(moving(quiet)).await });
    let source = database.source_with(parameters).await;
    let read = Read { range_rows: 500, batch: BatchSize { rows: 64, bytes: 1 << 20 }, ..table("accounts") };
    let plan = source.plan(&read).await.unwrap();
    assert!(plan.ranges.len() > 4, "{plan:?}");
    for _ in 0..readings {
        let ranges = numbers(&source, &read, &plan).await;
        assert_eq!(ranges.concat().len(), 4_000);
        assert_eq!(ranges.concat().iter().sum::<i64>(), 400_000, "what was moved is in one of the ranges");
    }
    assert!(!writing.is_finished(), "it was written to all the time");
    database.run(&["INSERT INTO stop VALUES (1)"]).await;
    writing.await.unwrap().unwrap();
}

#[tokio::test]
async fn all_ranges_see_one_state_by_the_place_in_the_log() {
    ranges_see_one_state("plans_snapshot_log", "", 0.2, 40).await;
}

#[tokio::test]
async fn all_ranges_see_one_state_by_a_lock_whatever_is_written() {
    ranges_see_one_state("plans_snapshot_lock", "&snapshot=lock&connections=5", 0.0, 20).await;
}

#[tokio::test]
async fn a_snapshot_outlives_what_is_written_and_dropped_after_it() {
    let mut database = Database::new("plans_outlives").await;
    database.run(&["CREATE TABLE t (n int PRIMARY KEY)", "INSERT INTO t SELECT seq FROM seq_1_to_100"]).await;
    let source = database.source_with("&connections=2").await;
    let read = Read { range_rows: 10, ..table("t") };
    let plan = source.plan(&read).await.unwrap();
    let open = source.open(&read, &plan).await.unwrap();
    database.run(&["DELETE FROM t WHERE n > 5"]).await;
    let mut rows = 0;
    // More ranges than connections: each is used again, and is still in its snapshot.
    for range in &plan.ranges {
        rows += open
            .read(range)
            .await
            .unwrap()
            .try_fold(0, async |sum, rows| Ok(sum + rows.batch.num_rows()))
            .await
            .unwrap();
    }
    assert_eq!((rows, plan.ranges.len() > 4), (100, true));
    // Another process goes on with what is left.
    let last = plan.ranges.last().unwrap();
    assert_eq!(read_range(&source, &read, &plan, last).await.unwrap().len(), 0);
}

/// The most memory that this process has had, in bytes.
fn peak_memory() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
}

#[tokio::test]
async fn a_reading_takes_no_more_memory_than_some_batches() {
    let database = Database::new("plans_memory").await;
    let source = database.source().await;
    // 400 MB of texts.
    let read = query("SELECT seq AS n, repeat(md5(seq), 32) AS filler FROM seq_1_to_400000");
    let plan = source.plan(&read).await.unwrap();
    let before = peak_memory();
    let open = source.open(&read, &plan).await.unwrap();
    let mut stream = open.read(&plan.ranges[0]).await.unwrap();
    let mut rows = 0;
    while let Some(batch) = stream.try_next().await.unwrap() {
        rows += batch.batch.num_rows();
        assert!(batch.batch.get_array_memory_size() < 16 << 20);
    }
    assert_eq!(rows, 400_000);
    let more = peak_memory().saturating_sub(before);
    assert!(more < 150 << 20, "{} MB more than before", more >> 20);
}
