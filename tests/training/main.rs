//! The whole chain with its training on a real Ray cluster: a file in, a job on Ray, a model that serves.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

use std::{fs, os::unix::fs::PermissionsExt, sync::Arc};

use millstream_peers::{http, ray::RayCluster};
use millstream_tests::up::{Project, Up, demo_uploads, wait_for};
use serde_json::{Value, json};

const MODEL: &str = "/models/iris-classifier";

/// The demo's project with its model learned on this cluster. Tests that share it have trainings of their own: one of the same
/// content is the same job.
fn project_on(ray: &RayCluster, of: u32) -> Project {
    let settings = format!(
        "sweep_seconds = 1\n[warehouse]\nthreads = 1\n[ray]\naddress = \"{}\"\ntoken = \"secret:ray\"\n",
        ray.address()
    );
    let project = Project::new(&settings, &[]);
    let pipeline = project.path().join("pipelines/iris/iris.yaml");
    let text = fs::read_to_string(&pipeline).unwrap();
    let program = format!("    run_on: ray-cluster\n    env: {{OF: test-{of}}}\n    recipe: tabular ");
    let elsewhere = text.replace("    recipe: tabular ", &program);
    assert_ne!(elsewhere, text, "the demo's pipeline is written otherwise now");
    fs::write(pipeline, elsewhere).unwrap();
    let secrets = project.path().join("data/secrets");
    fs::create_dir_all(&secrets).unwrap();
    fs::write(secrets.join("ray"), ray.token()).unwrap();
    fs::set_permissions(secrets.join("ray"), fs::Permissions::from_mode(0o600)).unwrap();
    project
}

fn upload_everything(project: &Project) -> Vec<String> {
    let uploads = demo_uploads();
    for (name, content) in &uploads {
        project.upload(name, content);
    }
    uploads.into_iter().map(|(name, _)| name).collect()
}

fn settle(up: &mut Up<'_>, uploads: &[String]) {
    up.wait_until_settled(&uploads.iter().map(String::as_str).collect::<Vec<_>>());
}

/// The jobs of this project that Ray knows, by what they were told to write to.
fn jobs_of(ray: &RayCluster, project: &Project) -> Vec<Value> {
    let authorization = format!("Bearer {}", ray.token());
    let url = format!("{}/api/jobs/", ray.address());
    let answer =
        http::send("GET", &url, &[("authorization", &authorization)], Vec::new()).success("listing Ray's jobs");
    let folder = project.path().canonicalize().unwrap();
    let is_ours = |job: &Value| {
        let output = job.pointer("/runtime_env/env_vars/AIP_MODEL_DIR").and_then(Value::as_str);
        output.is_some_and(|output| output.starts_with(folder.to_str().unwrap()))
    };
    answer.json().as_array().unwrap().iter().filter(|job| is_ours(job)).cloned().collect()
}

/// What the model that serves is, and that it answers.
fn served(up: &mut Up<'_>) -> Value {
    let model = up.get(MODEL);
    assert!(!model["endpoints"].as_array().unwrap().is_empty(), "it serves nowhere: {model:#}");
    let sql = "SELECT * FROM production.iris_features LIMIT 1";
    let rows = up.ask("POST", "/query", &json!({"sql": sql, "limit": 1}));
    let (columns, row) = (rows["columns"].as_array().unwrap(), rows["rows"][0].as_array().unwrap());
    let named = columns.iter().map(|column| column["name"].as_str().unwrap().to_owned()).zip(row.iter().cloned());
    let flower: serde_json::Map<String, Value> = named.filter(|(name, _)| name != "species").collect();
    let answer = up.ask("POST", "/predict/iris", &json!({"instances": [flower]}));
    assert!(answer["predictions"][0]["label"].is_string(), "{answer}");
    model
}

#[test]
fn a_file_becomes_a_model_that_was_learned_on_ray() {
    let ray: Arc<RayCluster> = RayCluster::shared();
    let project = project_on(&ray, 1);
    let uploads = upload_everything(&project);
    let mut up = Up::start(&project);
    settle(&mut up, &uploads);
    let model = served(&mut up);
    let versions = model["versions"].as_array().unwrap();
    assert_eq!(versions.len(), 1, "{model}");
    assert!(versions[0]["metrics"]["accuracy"].as_f64().unwrap() >= 0.85, "{model}");
    let jobs = jobs_of(&ray, &project);
    let [job] = jobs.as_slice() else { panic!("not one job: {jobs:#?}") };
    assert_eq!(job["status"], "SUCCEEDED", "{job}");
    let id = job["submission_id"].as_str().unwrap();
    let log = fs::read_to_string(project.bucket("models").join(format!("iris-classifier/{id}/log.txt")));
    assert!(log.is_ok_and(|log| !log.is_empty()), "the job's log is kept beside the model");

    // The same bytes again are no other training.
    upload_everything(&project);
    settle(&mut up, &uploads);
    assert_eq!(jobs_of(&ray, &project).len(), 1);
    assert_eq!(served(&mut up), model);
}

#[test]
fn a_platform_that_is_killed_finds_its_job_again() {
    let ray = RayCluster::shared();
    let project = project_on(&ray, 2);
    let uploads = upload_everything(&project);
    let mut up = Up::start(&project);
    up.wait_until_ready();
    wait_for(
        || format!("a job on Ray. The platform said:\n{}", project.log()),
        || (!jobs_of(&ray, &project).is_empty()).then_some(()),
    );
    up.kill();
    let mut up = Up::start(&project);
    settle(&mut up, &uploads);
    let model = served(&mut up);
    assert_eq!(model["versions"].as_array().unwrap().len(), 1, "{model}");
    assert_eq!(jobs_of(&ray, &project).len(), 1, "it was not started twice");
}

#[test]
fn another_deployments_job_of_the_same_content_is_not_taken_for_ones_own() {
    let ray = RayCluster::shared();
    let (first, second) = (project_on(&ray, 3), project_on(&ray, 3));
    let uploads = upload_everything(&first);
    settle(&mut Up::start(&first), &uploads);
    upload_everything(&second);
    let mut up = Up::start(&second);
    up.wait_until_ready();
    wait_for(
        || format!("the training to be put off. The platform said:\n{}", second.log()),
        || second.log().contains("of another deployment").then_some(()),
    );
    assert_eq!(jobs_of(&ray, &second), [] as [Value; 0]);
}
