//! The same uploads on one machine: what the cloud's tables are compared with.

use millstream_tests::up::{Project, Up, demo_uploads};
use serde_json::{Value, json};

/// The answers of a `millstream up` that has taken the demo's uploads.
pub(crate) fn answers(queries: &[String]) -> Vec<Value> {
    let project = Project::new("", &[]);
    let uploads = demo_uploads();
    for (name, content) in &uploads {
        project.upload(name, content);
    }
    let mut up = Up::start(&project);
    let names: Vec<&str> = uploads.iter().map(|(name, _)| name.as_str()).collect();
    up.wait_until_settled(&names);
    queries.iter().map(|sql| up.ask("POST", "/query", &json!({"sql": sql, "limit": 10_000}))).collect()
}
