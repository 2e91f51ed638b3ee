//! Commands beside a running platform, and its life.

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
};

use serde_json::json;

use crate::support::{OBJECT, Project, RUN};

/// Sends a request as written and returns the answer.
fn http(address: &str, request: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(request.replace('\n', "\r\n").as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn get(address: &str, path: &str, headers: &str) -> String {
    http(address, &format!("GET {path} HTTP/1.1\nHost: {address}\nConnection: close\n{headers}\n"))
}

#[test]
fn a_dropped_file_runs_its_pipeline_and_commands_ask_the_running_platform() {
    let project = Project::new();
    let up = project.up();
    let landing = project.path().join("data/buckets/landing/sales/2026-11-23");
    fs::create_dir_all(&landing).unwrap();
    fs::copy(project.path().join("uploads/sales.csv"), landing.join("sales.csv")).unwrap();
    // `run` waits for what the drop began.
    let ended = project.run(&["run", "example", "--json"]).well().json();
    assert_eq!((&ended[0]["run"], &ended[0]["state"]), (&json!(RUN), &json!("succeeded")));
    assert_eq!(project.value("SELECT COUNT(*) FROM source.sales"), 4);
    assert_eq!(project.run(&["quarantine", "show", OBJECT, "--json"]).well().json()["rows"][0]["line"], 5);
    assert_eq!(project.run(&["show", "example/date=2000-01-01"]).code, 1);
    assert_eq!(up.stop(), 0);
    assert!(!project.path().join("data/up.json").exists());
    // The same questions without it.
    assert_eq!(project.value("SELECT COUNT(*) FROM source.sales"), 4);
}

#[test]
fn a_second_platform_is_refused_by_the_name_of_the_first() {
    let project = Project::new();
    let up = project.up();
    let second = project.run(&["up"]);
    assert_eq!(second.code, 1);
    assert!(second.stderr.contains(&up.pid().to_string()) && second.stderr.contains(&up.address), "{}", second.stderr);
}

#[test]
fn what_a_killed_platform_left_is_finished_by_the_next() {
    let project = Project::new();
    let up = project.up();
    project.run(&["upload", "uploads/sales.csv", "--as", OBJECT]).well();
    up.kill();
    // Its announcement is still there, and not believed.
    assert!(project.path().join("data/up.json").exists());
    assert_eq!(project.run(&["run", RUN, "--json"]).well().json()[0]["state"], "succeeded");
    assert_eq!(project.value("SELECT COUNT(*) FROM source.sales"), 4);
}

#[test]
fn changed_pipelines_come_into_force_while_it_runs() {
    let project = Project::new();
    let _up = project.up();
    project.upload().well();
    project.edit("pipelines/example/production/revenue.sql", "SUM(quantity * price)", "3 * SUM(quantity * price)");
    let tray = "SELECT revenue FROM production.revenue WHERE product = 'tray'";
    // Each look is a process of its own: that is pause enough.
    let came = (0..400).any(|_| project.value(tray) == json!("54.75"));
    assert!(came, "the change was not taken: {}", project.value(tray));
    assert_eq!(project.run(&["runs", "--json"]).well().json()[0]["state"], "succeeded");
}

#[test]
fn the_api_asks_for_its_token_and_pages_are_refused() {
    let project = Project::new();
    let up = project.up();
    let announced: serde_json::Value =
        serde_json::from_slice(&fs::read(project.path().join("data/up.json")).unwrap()).unwrap();
    let token = announced["token"].as_str().unwrap();
    assert!(get(&up.address, "/livez", "").starts_with("HTTP/1.1 200"));
    assert!(get(&up.address, "/readyz", "").starts_with("HTTP/1.1 200"));
    assert!(get(&up.address, "/metrics", "").contains("millstream_deliveries_total"));
    assert!(get(&up.address, "/api/v1/runs", "").starts_with("HTTP/1.1 401"));
    assert!(get(&up.address, "/api/v1/runs", "Authorization: Bearer wrong\n").starts_with("HTTP/1.1 401"));
    let known = format!("Authorization: Bearer {token}\n");
    assert!(get(&up.address, "/api/v1/runs", &known).starts_with("HTTP/1.1 200"));
    let page = format!("{known}Origin: http://example.org\n");
    assert!(get(&up.address, "/api/v1/runs", &page).starts_with("HTTP/1.1 403"));
}

#[test]
fn a_message_over_http_becomes_rows() {
    let project = Project::new();
    project.edit(
        "pipelines/example/example.yaml",
        "models:\n",
        "  returns:\n    message: returns\n    columns: {sale_id: INT64 required}\n    table: source.returns\n    write: append\nmodels:\n",
    );
    let up = project.up();
    let row = r#"{"sale_id": 2}"#;
    let request = format!(
        "POST /topics/returns HTTP/1.1\nHost: {}\nConnection: close\nContent-Length: {}\n\n{row}",
        up.address,
        row.len()
    );
    assert!(http(&up.address, &request).starts_with("HTTP/1.1 204"));
    project.run(&["publish", "returns", r#"{"sale_id": 3}"#]).well();
    let came = (0..400).any(|_| {
        let left = project.run(&["query", "--format", "csv", "SELECT COUNT(*) FROM source.returns"]);
        left.stdout.ends_with("\n2\n")
    });
    assert!(came);
}
