//! The seed project's three comparisons under both books, beside figures computed by hand.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

use millstream_prices::{Book, DEFAULT_BOOK, Place, Work};

/// Dollars by place, rounded to cents of a cent.
fn priced(work: &Work, book: &Book) -> Vec<(Place, Option<f64>)> {
    work.compare(book).into_iter().map(|line| (line.place, line.usd.map(|usd| (usd * 1e4).round() / 1e4))).collect()
}

#[test]
fn under_list_prices() {
    let list = Book::open(DEFAULT_BOOK).unwrap();
    let [hundred, serving, terabyte] = Work::seed_comparisons();
    // e2-standard-4: 4 x 0.021812 + 16 x 0.002924 = 0.134032. On a cluster (0.134032 + 0.10) x 10, on Vertex AI x 1.15 x 10.
    assert_eq!(
        priced(&hundred, &list),
        [(Place::Kubeflow, Some(2.3403)), (Place::Ray, Some(2.3403)), (Place::Vertex, Some(1.5414))]
    );
    // e2-standard-2: 2 x 0.021812 + 8 x 0.002924 = 0.067016. (0.067016 + 0.10) x 730; 0.067016 x 1.15 x 730; Cloud Run:
    // 3600 x (2 x 0.000024 + 8 x 0.0000025) = 0.2448 and 3.6 million requests x 0.40 = 1.44 make 1.6848, x 730.
    assert_eq!(
        priced(&serving, &list),
        [(Place::Kubeflow, Some(121.9217)), (Place::Vertex, Some(56.2599)), (Place::CloudRun, Some(1229.904))]
    );
    // e2-standard-8: 0.268064. (0.268064 + 0.10) x 24; 0.268064 x 1.15 x 24.
    assert_eq!(
        priced(&terabyte, &list),
        [(Place::Kubeflow, Some(8.8335)), (Place::Ray, Some(8.8335)), (Place::Vertex, Some(7.3986))]
    );
    // 100 GB x 0.023 x 10 / 730, and 1,000 GB x 0.023 x 24 / 730
    assert!((hundred.data_usd(&list).unwrap() - 0.031_506_849).abs() < 1e-6);
    assert!((terabyte.data_usd(&list).unwrap() - 0.756_164_384).abs() < 1e-6);
    assert_eq!(serving.data_usd(&list), None);
}

#[test]
fn under_the_seeds_own_prices() {
    let seed = Book::open("seed").unwrap();
    let [hundred, serving, terabyte] = Work::seed_comparisons();
    // (4 x 0.10 + 16 x 0.13) x 10; (4 x 0.19 + 16 x 0.24) x 10
    assert_eq!(
        priced(&hundred, &seed),
        [(Place::Kubeflow, Some(24.8)), (Place::Ray, None), (Place::Vertex, Some(46.0))]
    );
    // (2 x 0.10 + 8 x 0.13) x 730; (2 x 0.19 + 8 x 0.24) x 730
    assert_eq!(
        priced(&serving, &seed),
        [(Place::Kubeflow, Some(905.2)), (Place::Vertex, Some(1679.0)), (Place::CloudRun, None)]
    );
    // (8 x 0.10 + 32 x 0.13) x 24; (8 x 0.19 + 32 x 0.24) x 24
    assert_eq!(
        priced(&terabyte, &seed),
        [(Place::Kubeflow, Some(119.04)), (Place::Ray, None), (Place::Vertex, Some(220.8))]
    );
    assert_eq!(hundred.data_usd(&seed), None);
    assert_eq!(seed.rows().len(), 4, "the two rows that are not known are not made up");
}

#[test]
fn what_stands_in_for_a_row_and_what_is_missing_is_said() {
    let seed = Book::open("seed").unwrap();
    let [hundred, serving, _] = Work::seed_comparisons();
    let note = |work: &Work, place: Place| {
        work.compare(&seed).into_iter().find(|line| line.place == place).map(|line| line.note).unwrap()
    };
    assert_eq!(note(&serving, Place::Vertex), "by the book's rows `training/vertex`, as it has none `serving/vertex`");
    let ray = note(&hundred, Place::Ray);
    assert!(ray.contains("the price book seed has no row `training/ray` per vcpu-hour and per gb-hour"), "{ray}");
    let cloud_run = note(&serving, Place::CloudRun);
    assert!(cloud_run.contains("has no row `cloud-run` per vcpu-second"), "{cloud_run}");
}

#[test]
fn a_book_with_serving_rows_prices_serving_by_them() {
    let text = r#"{"name": "mine", "about": "", "currency": "USD", "region": "us-central1", "rows": [
        {"item": "serving/vertex", "unit": "vcpu-hour", "price": 0.05, "source": "a test", "date": "2026-11"},
        {"item": "serving/vertex", "unit": "gb-hour", "price": 0.01, "source": "a test", "date": "2026-11"}]}"#;
    let mine = Book::parse("mine", text).unwrap();
    let [_, serving, _] = Work::seed_comparisons();
    // (2 x 0.05 + 8 x 0.01) x 730
    assert_eq!(priced(&serving, &mine)[1], (Place::Vertex, Some(131.4)));
}
