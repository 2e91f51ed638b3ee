//! The guide of what the platform costs is computed from the same book.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

use std::{path::Path, process::Command};

#[test]
fn the_guides_tables_are_what_the_book_makes_of_them() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../infra/guides/costs.py");
    let checked = Command::new("python3").arg(&script).arg("--check").output().expect("python3 is needed: install it");
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
}
