//! `millstream up` killed while it extracts: what it had read it does not read again, and nothing is missed or doubled.

use std::{fs, os::unix::fs::PermissionsExt, time::Duration};

use millstream_tests::up::{Project, Up, wait_for};
use serde_json::{Value, json};

use crate::shop;

/// Rows enough for several ranges.
const ROWS: u32 = 400_000;

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
        "CREATE TABLE events (id bigint PRIMARY KEY, payload text NOT NULL);
         INSERT INTO events SELECT n, md5(n::text) FROM generate_series(1, {ROWS}) n; ANALYZE events"
    );
    client.batch_execute(&fill).await.unwrap();
    let project = Project::new("sweep_seconds = 1\n[warehouse]\nthreads = 1\n", &[]);
    fs::create_dir_all(project.path().join("pipelines/big")).unwrap();
    fs::write(project.path().join("pipelines/big/big.yaml"), PIPELINE).unwrap();
    let secrets = project.path().join("data/secrets");
    fs::create_dir_all(&secrets).unwrap();
    fs::write(secrets.join("big"), shop::url(&database)).unwrap();
    fs::set_permissions(secrets.join("big"), fs::Permissions::from_mode(0o600)).unwrap();

    let run = {
        let mut up = Up::start(&project);
        let taken = up.ask("POST", "/pipelines/big/run", &json!({"full_refresh": false}));
        let run = taken["runs"][0].as_str().unwrap().to_owned();
        // The process ends here, by SIGKILL, as early as it can have begun.
        run
    };
    for pause in [40, 120, 250, 400] {
        let mut up = Up::start(&project);
        up.wait_until_ready();
        tokio::time::sleep(Duration::from_millis(pause)).await;
    }
    let mut up = Up::start(&project);
    succeeded(&mut up, &project, &run);
    assert_eq!(count(&mut up), json!([ROWS, ROWS, 1, ROWS]));

    client
        .batch_execute(&format!(
            "INSERT INTO events SELECT n, md5(n::text) FROM generate_series({}, {}) n",
            ROWS + 1,
            ROWS + 1_000
        ))
        .await
        .unwrap();
    let taken = up.ask("POST", "/pipelines/big/run", &json!({"full_refresh": false}));
    succeeded(&mut up, &project, taken["runs"][0].as_str().unwrap());
    assert_eq!(count(&mut up), json!([ROWS + 1_000, ROWS + 1_000, 1, ROWS + 1_000]));
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
