//! Books are checked row by row.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

use std::path::Path;

use millstream_events::compute::Capacity;
use millstream_prices::{Book, DEFAULT_BOOK, Item, Unit};

/// A book of one row.
fn book(row: &str) -> String {
    format!(r#"{{"name": "mine", "about": "Ours.", "currency": "USD", "region": "europe-west4", "rows": [{row}]}}"#)
}

fn refused(text: &str) -> String {
    Book::parse("mine.json", text).unwrap_err().to_string()
}

const GOOD: &str =
    r#"{"item": "e2", "unit": "vcpu-hour", "price": 0.03, "source": "an invoice", "date": "2026-10-01"}"#;

#[test]
fn built_in_books_are_right_and_carry_a_source_and_a_date_in_each_row() {
    for name in Book::built_in() {
        let book = Book::open(name).unwrap();
        assert_eq!(book.name, name);
        assert!(!book.rows().is_empty());
        for row in book.rows() {
            assert!(row.source.len() > 10 && row.date.starts_with("202"), "{row:?}");
        }
    }
    assert_eq!(Book::built_in(), [DEFAULT_BOOK, "seed"]);
}

#[test]
fn a_book_is_also_read_from_a_file() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("books/seed.json");
    assert_eq!(Book::open(path.to_str().unwrap()).unwrap(), Book::open("seed").unwrap());
    let error = Book::open("sede").unwrap_err().to_string();
    assert!(error.contains("sede") && error.contains("list-2026-07 and seed"), "{error}");
}

#[test]
fn a_price_is_found_by_item_capacity_and_unit() {
    let list = Book::open(DEFAULT_BOOK).unwrap();
    let l4 = Item::Machine("g2-standard-4".to_owned());
    assert_eq!(list.price(&l4, Capacity::Standard, Unit::Hour), Some(0.706832));
    assert_eq!(list.price(&l4, Capacity::Spot, Unit::Hour), Some(0.397336));
    assert_eq!(list.price(&l4, Capacity::FlexStart, Unit::Hour), None);
    assert_eq!(list.price(&Item::BigQueryLoad, Capacity::Standard, Unit::Tib), Some(0.0));
}

#[test]
fn rows_that_are_computed_follow_from_those_that_were_read() {
    let list = Book::open(DEFAULT_BOOK).unwrap();
    let price = |name: &str, capacity| list.price(&Item::Machine(name.to_owned()), capacity, Unit::Hour).unwrap();
    let g2 = |size: u32| price(&format!("g2-standard-{size}"), Capacity::Standard);
    // 8 vCPUs and 32 GB more cost 1.000416 - 0.706832: 4 and 16 cost half of it, and an L4 what is left of g2-standard-4.
    let quarter = (g2(12) - g2(4)) / 2.0;
    let l4 = g2(4) - quarter;
    for (size, gpus) in [(8, 1.0), (16, 1.0), (24, 2.0), (32, 1.0), (48, 4.0), (96, 8.0)] {
        assert!((g2(size) - (f64::from(size) / 4.0 * quarter + gpus * l4)).abs() < 1e-6, "g2-standard-{size}");
    }
    for gpus in [2.0, 4.0, 8.0] {
        let one = price("a2-highgpu-1g", Capacity::Standard);
        assert!((price(&format!("a2-highgpu-{gpus}g"), Capacity::Standard) - gpus * one).abs() < 1e-6);
    }
    for gpus in [1.0, 2.0, 4.0] {
        let eight = price("a3-highgpu-8g", Capacity::Spot);
        assert!((price(&format!("a3-highgpu-{gpus}g"), Capacity::Spot) - gpus / 8.0 * eight).abs() < 1e-6);
    }
}

#[test]
fn a_right_book_of_ones_own_is_taken() {
    let mine = Book::parse("mine.json", &book(GOOD)).unwrap();
    assert_eq!((mine.name.as_str(), mine.region.as_str(), mine.rows().len()), ("mine", "europe-west4", 1));
}

#[test]
fn a_wrong_row_is_named() {
    let cases = [
        (r#""price": 0.03"#, r#""price": -0.03"#, "the price is -0.03"),
        (r#""price": 0.03"#, r#""price": "NaN""#, "invalid type: string"),
        (r#""price": 0.03"#, r#""price": 0.03, "prize": 1"#, "unknown field `prize`"),
        (r#", "source": "an invoice""#, "", "missing field `source`"),
        (r#""an invoice""#, r#"" ""#, "`source` is empty"),
        ("2026-10-01", "2026-13-01", "`2026-13-01` is no date"),
        ("2026-10-01", "October", "`October` is no date"),
        ("vcpu-hour", "month", "unknown variant `month`"),
        ("vcpu-hour", "hour", "`e2` is priced by vcpu-hour and gb-hour, not by hour"),
    ];
    for (from, to, expected) in cases {
        let wrong = GOOD.replace(from, to);
        assert_ne!(wrong, GOOD);
        let message = refused(&book(&format!("{}, {wrong}", GOOD.replace("vcpu-hour", "gb-hour"))));
        assert!(message.starts_with("mine.json, row 2 (e2, "), "{message}");
        assert!(message.contains(expected), "{message}");
    }
    let message = refused(&book(&GOOD.replace("e2", "g2-standard-5")));
    assert!(message.contains("`g2-standard-5` is nothing that is priced here"), "{message}");
    let message = refused(&book(&GOOD.replace("e2", "training/kubernetes")));
    assert!(message.contains("`kubernetes` is no platform"), "{message}");
    let message = refused(&book(&format!("{GOOD}, {GOOD}")));
    assert!(message.contains("row 2 (e2, vcpu-hour): is there already"), "{message}");
    let spot = GOOD.replace(r#""e2", "unit": "vcpu-hour""#, r#""gke-cluster", "capacity": "spot", "unit": "hour""#);
    assert!(refused(&book(&spot)).contains("`gke-cluster` is no machine"), "{}", refused(&book(&spot)));
    assert!(refused(&book(r#""e2""#)).contains("row 1 (without an item)"));
}

#[test]
fn a_number_that_is_too_large_for_one_is_refused_with_its_place() {
    let message = refused(&book(&GOOD.replace("0.03", "1e999")));
    assert!(message.starts_with("mine.json is no price book: ") && message.contains("line 1"), "{message}");
}

#[test]
fn a_wrong_head_is_refused() {
    assert!(refused(&book(GOOD).replace("USD", "EUR")).contains("its currency is `EUR`"));
    assert!(refused(&book(GOOD).replace(r#""name": "mine""#, r#""name": """#)).contains("its `name` is empty"));
    assert!(refused(&book(GOOD).replace(r#""about""#, r#""version": 2, "about""#)).contains("unknown field `version`"));
    assert!(refused("name: mine").contains("is no price book"));
}
