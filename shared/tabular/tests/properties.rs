//! What holds for any file: no panic, the same result however it is cut, texts that come back as they were.
#![allow(clippy::unwrap_used, clippy::expect_used, unreachable_pub, dead_code, reason = "a panic is how a test fails")]

mod common;

use common::{Outcome, case};
use millstream_tabular::IngestError;
use proptest::{collection::vec, option, prelude::*};

/// What must not depend on where blocks are cut. A file that is wrong in two ways is rejected for the one that is met first.
fn essence(result: Result<Outcome, IngestError>) -> Option<(Vec<Vec<String>>, Vec<millstream_tabular::BadRow>)> {
    match result {
        Ok(outcome) => Some((outcome.rows(), outcome.bad)),
        Err(IngestError::Rejected(_)) => None,
        Err(IngestError::Io(error)) => panic!("reading from memory failed: {error}"),
    }
}

/// Bytes that look enough like CSV or JSON Lines to get past the first check.
fn file_bytes() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        3 => "[a-c,\"\r\n]{0,6}".prop_map(String::into_bytes),
        1 => Just(b"1,x\n".to_vec()),
        1 => Just(b"{\"a\": 1, \"b\": \"\\u00e9\"}\n".to_vec()),
        1 => vec(any::<u8>(), 0..4),
    ];
    (any::<bool>(), vec(piece, 0..12)).prop_map(|(header, pieces)| {
        let header: &[u8] = if header { b"a,b\n" } else { b"" };
        [header.to_vec(), pieces.concat()].concat()
    })
}

fn quote(field: &Option<String>) -> String {
    field.as_ref().map_or_else(String::new, |text| format!("\"{}\"", text.replace('"', "\"\"")))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_ingested_or_rejected_the_same_at_any_block_size(bytes in file_bytes(), block in 1_usize..40, json in any::<bool>()) {
        let mut case = case(if json { "f.jsonl" } else { "f.csv" }, "a INT64, b STRING").expecting(&["unique(a)"]);
        case.limits.threads = 2;
        let whole = essence(case.try_run(&bytes));
        case.limits.block_bytes = block;
        prop_assert_eq!(essence(case.try_run(&bytes)), whole);
    }

    #[test]
    fn arbitrary_texts_come_back_as_they_were(
        rows in vec((option::of("[^\\x00]{0,8}"), option::of("[\",\r\na]{0,6}")), 0..8),
        block in 1_usize..64,
    ) {
        let mut case = case("f.csv", "a STRING, b STRING");
        case.limits.block_bytes = block;
        let text: String = rows.iter().map(|(a, b)| format!("{},{}\r\n", quote(a), quote(b))).collect();
        let outcome = case.run(format!("a,b\n{text}"));
        let expected: Vec<Vec<String>> = rows
            .iter()
            .map(|(a, b)| [a, b].map(|field| field.clone().unwrap_or_else(|| "NULL".into())).to_vec())
            .collect();
        prop_assert_eq!(outcome.rows(), expected);
    }

    #[test]
    fn the_same_file_gives_the_same_bytes(values in vec(any::<i16>(), 1..400)) {
        let mut case = case("f.csv", "a INT64, b STRING").expecting(&["unique(a)", "a != 7"]);
        case.limits.block_bytes = 64;
        case.limits.threads = 4;
        let text: String = values.iter().map(|value| format!("{value},t{value}\n")).collect();
        let text = format!("a,b\n{text}");
        prop_assert_eq!(case.run(&text).batch, case.run(&text).batch);
    }

    #[test]
    fn damaged_parquet_and_gzip_are_refused_without_a_panic(at in 0_usize..600, byte in any::<u8>(), gzip in any::<bool>()) {
        let good = case("f.csv", "a INT64, b STRING").run("a,b\n1,x\n2,y\n").batch;
        let mut bytes = if gzip { zstd::encode_all(&b"a,b\n1,x\n"[..], 1).unwrap() } else { good };
        let length = bytes.len();
        bytes[at % length] = byte;
        let case = case(if gzip { "f.csv" } else { "f.parquet" }, "a INT64, b STRING");
        let _ = case.try_run(bytes).map(|outcome| outcome.rows());
    }
}
