//! What a statement reads, and what is refused with which words.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

use millstream_sql::{Select, SqlError, expression_to_duckdb, to_duckdb};

fn inputs(text: &str) -> Vec<String> {
    Select::parse(text).unwrap().inputs.iter().map(ToString::to_string).collect()
}

fn refused(text: &str) -> SqlError {
    to_duckdb(text).expect_err(text)
}

#[test]
fn tables_are_found_wherever_they_are_read() {
    for (text, tables) in [
        ("SELECT 1 AS one", &[][..]),
        ("SELECT * FROM source.a", &["source.a"]),
        ("SELECT * FROM `p-1.source.a` JOIN p.source.b USING (id)", &["source.a", "source.b"]),
        ("SELECT (SELECT MAX(x) FROM source.b) AS m FROM `source.a`", &["source.a", "source.b"]),
        (
            "SELECT * FROM source.a WHERE id IN (SELECT id FROM source.b WHERE EXISTS (SELECT 1 FROM source.c))",
            &["source.a", "source.b", "source.c"],
        ),
        ("(SELECT * FROM source.b) UNION ALL SELECT * FROM source.a", &["source.a", "source.b"]),
        (
            "SELECT * FROM source.a JOIN source.b ON a.id = (SELECT MIN(id) FROM source.c)",
            &["source.a", "source.b", "source.c"],
        ),
        (
            "WITH x AS (SELECT * FROM source.a) SELECT * FROM x UNION ALL SELECT * FROM source.b",
            &["source.a", "source.b"],
        ),
    ] {
        assert_eq!(inputs(text), tables, "{text}");
    }
}

#[test]
fn what_only_looks_like_a_table_is_none() {
    for (text, tables) in [
        // A CTE, one named like a dataset, and one used by the next.
        (
            "WITH source AS (SELECT * FROM source.a), next AS (SELECT * FROM source) SELECT * FROM next",
            &["source.a"][..],
        ),
        // Arrays of a row, by alias, by table name and from a correlated subquery.
        ("SELECT * FROM source.a AS t, t.items", &["source.a"]),
        ("SELECT * FROM source.a, a.items AS i, UNNEST(i.parts)", &["source.a"]),
        ("SELECT ARRAY(SELECT x FROM t.items AS x) AS xs FROM source.a AS t", &["source.a"]),
        // A dataset named like an alias of another query.
        ("SELECT * FROM (SELECT 1 AS x) AS source JOIN (SELECT * FROM source.a) USING (x)", &["source.a"]),
        ("WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 3) SELECT * FROM n", &[]),
    ] {
        assert_eq!(inputs(text), tables, "{text}");
    }
}

#[test]
fn a_table_without_its_dataset_is_refused_with_what_to_write() {
    let error = Select::parse("SELECT *\nFROM orders").unwrap_err();
    assert_eq!(error.offset, Some(14));
    assert!(error.message.contains("orders") && error.hint.unwrap().contains("staging.orders"));
    let error = Select::parse("WITH orders AS (SELECT 1 AS x) SELECT * FROM order_s").unwrap_err();
    assert!(error.hint.unwrap().contains("did you mean the CTE orders"));
}

#[test]
fn anything_but_one_select_is_refused() {
    for (text, words, offset) in [
        ("", "empty", 0),
        ("  DROP TABLE source.a", "found DROP", 2),
        ("INSERT INTO source.a SELECT 1", "found INSERT", 0),
        ("CREATE TABLE source.b AS SELECT 1", "found CREATE", 0),
        ("DECLARE x INT64; SELECT x", "found DECLARE", 0),
        ("SELECT 1; DELETE FROM source.a WHERE true", "second statement", 8),
        ("FROM source.a |> WHERE x > 1", "pipe syntax", 0),
        ("SELECT @day AS day", "query parameter", 7),
        ("SELECT 'open", "not closed", 7),
    ] {
        let error = Select::parse(text).expect_err(text);
        assert!(error.message.contains(words), "{text}: {error}");
        assert_eq!(error.offset, Some(offset), "{text}");
    }
    assert!(Select::parse("SELECT 1 AS x;\n-- done\n").is_ok(), "one closing semicolon is fine");
}

#[test]
fn wrong_syntax_is_placed_by_its_bytes() {
    let text = "SELECT 'é', FROM WHERE x";
    let error = Select::parse(text).unwrap_err();
    assert!(error.message.contains("not valid BigQuery SQL"), "{error}");
    assert!(error.offset.is_some_and(|at| text.is_char_boundary(at) && at > 7), "{error:?}");
}

#[test]
fn a_function_without_a_translation_is_named_with_what_to_write_instead() {
    for (text, name, hint) in [
        ("SELECT FARM_FINGERPRINT(x) FROM source.a", "FARM_FINGERPRINT", "SHA256"),
        ("SELECT SESSION_USER()", "SESSION_USER", "who runs"),
        ("SELECT APPROX_TOP_COUNT(x, 3) FROM source.a", "APPROX_TOP_COUNT", "GROUP BY"),
        ("SELECT SOUNDEX('x')", "SOUNDEX", "before loading"),
        ("SELECT NET.HOST(url) FROM source.a", "NET.HOST", "README"),
        ("SELECT * FROM ML.PREDICT(MODEL source.m, TABLE source.a)", "ML.PREDICT", "README"),
        ("SELECT ST_GEOGPOINT(1, 2)", "ST_GEOGPOINT", "README"),
        ("SELECT read_csv('x.csv')", "READ_CSV", "README"),
        ("SELECT * FROM read_parquet('x')", "READ_PARQUET", "README"),
        ("SELECT REGEXP_EXTRAC(x, 'a') FROM source.a", "REGEXP_EXTRAC", "REGEXP_EXTRACT"),
        ("SELECT CAST(x AS STRING FORMAT 'YYYY') FROM source.a", "FORMAT", "FORMAT_DATE"),
        ("SELECT ARRAY_AGG(x HAVING MAX y) FROM source.a", "HAVING MAX", "MAX_BY"),
        ("SELECT * FROM source.a TABLESAMPLE SYSTEM (10 PERCENT)", "TABLESAMPLE", "same rows"),
        ("SELECT * FROM source.a FOR SYSTEM_TIME AS OF CURRENT_TIMESTAMP()", "SYSTEM_TIME", "same rows"),
        ("SELECT * FROM source.a WHERE _PARTITIONTIME IS NULL", "_PARTITIONTIME", "column of its own"),
        ("SELECT * FROM `source.events_*`", "wildcard", "UNION ALL"),
        ("SELECT * FROM source.INFORMATION_SCHEMA.TABLES", "INFORMATION_SCHEMA", "tables"),
    ] {
        let error = refused(text);
        assert!(error.message.contains(name), "{text}: {error}");
        assert!(error.hint.as_ref().is_some_and(|given| given.contains(hint)), "{text}: {error:?}");
    }
}

#[test]
fn a_call_without_a_translation_says_which_part_of_it() {
    for (text, words) in [
        ("SELECT FORMAT_DATE('%C', d) FROM source.a", "%C"),
        ("SELECT FORMAT_DATE(f, d) FROM source.a", "text literal"),
        ("SELECT REGEXP_EXTRACT(x, pattern) FROM source.a", "text literal"),
        ("SELECT REGEXP_EXTRACT(x, '(a)(b)') FROM source.a", "more than one group"),
        ("SELECT FORMAT(\"%'d\", 1)", "%'"),
        ("SELECT DATE_DIFF(a, b, CENTURY) FROM source.a", "CENTURY"),
        ("SELECT TIMESTAMP_DIFF(a, b, MONTH) FROM source.a", "MONTH"),
        ("SELECT EXTRACT(CENTURY FROM d) FROM source.a", "CENTURY"),
        ("SELECT LPAD('x') FROM source.a", "2 or 3 arguments"),
        ("SELECT JSON_VALUE(x, '$..a[*]') FROM source.a", "$..a[*]"),
        ("SELECT NORMALIZE(x, NFKC) FROM source.a", "1 arguments"),
    ] {
        let error = refused(text);
        assert!(error.message.contains(words), "{text}: {error}");
    }
}

#[test]
fn columns_are_known_when_the_text_tells_them() {
    let columns = |text: &str| Select::parse(text).unwrap().columns();
    let names = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect());
    assert_eq!(columns("SELECT a, t.b, c + 1 AS d FROM source.t AS t"), names(&["a", "b", "d"]));
    assert_eq!(columns("SELECT a FROM source.t UNION ALL SELECT b FROM source.u"), names(&["a"]));
    assert_eq!(columns("SELECT * FROM source.t"), None);
}

#[test]
fn an_expression_is_translated_alone_and_may_not_be_more() {
    assert_eq!(expression_to_duckdb("amount >= 0").unwrap(), "(amount >= 0)");
    assert!(expression_to_duckdb("STARTS_WITH(name, 'a')").unwrap().contains("starts_with"));
    for text in ["1) FROM source.a --", "x >", "1) AS v, (2", "", "(1"] {
        assert!(expression_to_duckdb(text).is_err(), "{text}");
    }
    assert_eq!(expression_to_duckdb("FARM_FINGERPRINT(a) > 1").unwrap_err().offset, Some(0));
}
