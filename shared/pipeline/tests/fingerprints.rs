//! Fingerprints: what changes them, and what does not.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

mod support;

use millstream_events::{Fingerprint, history::History, work::WriteMode};
use millstream_pipeline::{decide, model::Pipeline};
use proptest::prelude::*;
use support::*;

/// The fingerprints of everything that a pipeline does for one upload of each source.
fn fingerprints(pipeline: Pipeline) -> Vec<Fingerprint> {
    let pipelines = project(pipeline);
    let mut history = History::new(run());
    history.insert(entry(upload("products.csv", 1, 1)));
    history.insert(entry(upload("sales/a.csv", 2, 2)));
    let mut all = Vec::new();
    loop {
        let commands = decide(&pipelines, &history);
        if commands.is_empty() {
            all.sort();
            return all;
        }
        for command in commands {
            history.insert(entry(done(&command, 1)));
            all.push(command.step.fingerprint);
        }
    }
}

#[test]
fn names_descriptions_and_limits_do_not_count() {
    let before = fingerprints(pipeline());
    let mut other = pipeline();
    other.description = Some("the shop".into());
    other.sources[0].name = "renamed".into();
    other.sources[0].layout.description = Some("rows".into());
    other.sources[0].contract.columns[0].description = Some("the id".into());
    other.trainings[0].wall *= 2;
    other.models[0].select.text.push_str(" -- a comment");
    assert_eq!(fingerprints(other), before);
}

#[test]
fn the_order_of_sources_exports_and_independent_steps_does_not_count() {
    let mut other = pipeline();
    other.sources.reverse();
    assert_eq!(fingerprints(other), fingerprints(pipeline()));
}

type Change = (&'static str, fn(&mut Pipeline));

#[test]
fn whatever_changes_a_result_counts() {
    let changes: Vec<Change> = vec![
        ("a column's type", |p| p.sources[1].contract.columns[0].kind = "STRING".parse().unwrap()),
        ("an expectation", |p| p.sources[1].contract.expect.push("id > 0".into())),
        ("a delimiter", |p| p.sources[1].options.delimiter = Some(';')),
        ("a write mode", |p| p.sources[1].write = WriteMode::Append),
        ("a table's name", |p| p.sources[1].table = "source.other".parse().unwrap()),
        ("a SELECT", |p| p.models[0].select.canonical.push_str(" LIMIT 1")),
        ("a model's expectation", |p| p.models[1].expect.push("unique(id)".into())),
        ("a target", |p| p.trainings[0].target = Some("other".into())),
        ("an argument", |p| p.trainings[0].args.push("--trees".into())),
        ("the training code", |p| p.trainings[0].code = Some(Fingerprint::of("code", [b"x".as_slice()]))),
        ("a gate", |p| p.trainings[0].serving.as_mut().unwrap().promote_when.push("f1 > 0".into())),
        ("an export's folder", |p| p.exports[0].to = "gs://lake/elsewhere/".into()),
    ];
    let before = fingerprints(pipeline());
    for (what, change) in changes {
        let mut other = pipeline();
        change(&mut other);
        assert_ne!(fingerprints(other), before, "{what}");
    }
}

proptest! {
    #[test]
    fn parts_cannot_be_moved_across_their_borders(a in "[a-z]{0,6}", b in "[a-z]{0,6}") {
        let split = Fingerprint::of("x", [a.as_bytes(), b.as_bytes()]);
        let joined = Fingerprint::of("x", [format!("{a}{b}").as_bytes()]);
        prop_assert_ne!(split, joined);
    }

    #[test]
    fn different_bytes_have_different_fingerprints(a: Vec<u8>, b: Vec<u8>) {
        prop_assume!(a != b);
        prop_assert_ne!(Fingerprint::of("x", [a.as_slice()]), Fingerprint::of("x", [b.as_slice()]));
    }
}
