//! `millstream up` killed while it extracts: what it had read it does not read again, and nothing is missed or doubled.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use millstream_tests::up::{Project, Up, wait_for};
use serde_json::{Value, json};

use crate::shop;

/// Rows enough for four ranges.
const ROWS: u32 = 3_200_000;

const PIPELINE: &str = r#"apiVersion: millstream.dev/v1
name: big
sources:
  events:
    extract: {from: postgres, connection: secret:big, table: public.events, cursor: id, limits: {parallel: 1}}
    table: source.events
    write: append
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_missed_or_doubled_by_kills_in_the_middle() {
    let database = shop::database();
    let client = shop::connect(&database).await;
    let fill = format!(
        "CREATE TABLE events (id bigint PRIMARY KEY, kind smallint NOT NULL);
         INSERT INTO events SELECT n, n % 100 FROM generate_series(1, {ROWS}) n; ANALYZE events"
    );
    client.batch_execute(&fill).await.unwrap();
    let project = Project::new("sweep_seconds = 1\n[warehouse]\nthreads = 1\n", &[]);
    fs::create_dir_all(project.path().join("pipelines/big")).unwrap();
    fs::write(project.path().join("pipelines/big/big.yaml"), PIPELINE).unwrap();
    let secrets = project.path().join("data/secrets");
    fs::create_dir_all(&secrets).unwrap();
    fs::write(secrets.join("big"), shop::url(&database)).unwrap();
    fs::set_permissions(secrets.join("big"), fs::Permissions::from_mode(0o600)).unwrap();

    let mut up = Up::start(&project);
    let taken = up.ask("POST", "/pipelines/big/run", &json!({"full_refresh": false}));
    let run = taken["runs"][0].as_str().unwrap().to_owned();
    // Each process lives until one more range is read, and is ended by SIGKILL in the middle of the next.
    let mut kills = 0;
    while !a_range_later(&mut up, &project, &run) {
        drop(up);
        kills += 1;
        up = Up::start(&project);
    }
    assert!(kills >= 2, "the extraction was over before it could be killed twice");
    succeeded(&mut up, &project, &run);
    let account = account(&project.bucket("lake")).expect("the extraction's account is beside its batches");
    assert!(account.contains(" goes, after it was interrupted"), "what was read is not read again: {account}");
    assert_eq!(count(&mut up), json!([ROWS, ROWS, 1, ROWS]));

    client
        .batch_execute(&format!(
            "INSERT INTO events SELECT n, 7 FROM generate_series({}, {}) n",
            ROWS + 1,
            ROWS + 1_000
        ))
        .await
        .unwrap();
    let taken = up.ask("POST", "/pipelines/big/run", &json!({"full_refresh": false}));
    succeeded(&mut up, &project, taken["runs"][0].as_str().unwrap());
    assert_eq!(count(&mut up), json!([ROWS + 1_000, ROWS + 1_000, 1, ROWS + 1_000]));
}

/// Waits until one more range is read, or the run has ended; whether it has.
fn a_range_later(up: &mut Up<'_>, project: &Project, run: &str) -> bool {
    let before = ranges_read(&project.bucket("lake"));
    wait_for(
        || format!("a range of {run} to be read. The platform said:\n{}", project.log()),
        || {
            if ranges_read(&project.bucket("lake")) > before {
                return Some(false);
            }
            (up.get(&format!("/runs/{run}"))["state"] == "succeeded").then_some(true)
        },
    )
}

/// How many ranges have their account.
fn ranges_read(folder: &Path) -> usize {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    let count = |entry: fs::DirEntry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_account = name.starts_with("range-") && name.ends_with(".report.json");
        if entry.path().is_dir() { ranges_read(&entry.path()) } else { usize::from(is_account) }
    };
    entries.flatten().map(count).sum()
}

/// What the extraction comes to.
fn account(folder: &Path) -> Option<String> {
    fs::read_dir(folder).ok()?.flatten().find_map(|entry| {
        if entry.path().is_dir() {
            return account(&entry.path());
        }
        (entry.file_name() == "report.json").then(|| fs::read_to_string(entry.path()).unwrap())
    })
}

fn succeeded(up: &mut Up<'_>, project: &Project, run: &str) {
    wait_for(
        || format!("{run} to succeed. The platform said:\n{}", project.log()),
        || {
            let shown = up.get(&format!("/runs/{run}"));
            assert_ne!(shown["state"], "failed", "{shown:#}");
            (shown["state"] == "succeeded").then_some(())
        },
    );
}

/// Rows, different rows, and the least and largest key.
fn count(up: &mut Up<'_>) -> Value {
    let sql = "SELECT COUNT(*), COUNT(DISTINCT id), MIN(id), MAX(id) FROM source.events";
    up.ask("POST", "/query", &json!({"sql": sql, "limit": 1}))["rows"][0].clone()
}
