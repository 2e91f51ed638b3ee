//! A training as the body of a custom job. What Vertex AI does not take is refused here, before anything is created.

use std::collections::BTreeMap;

use millstream_events::{
    compute::{Capacity, Compute, DataAccess},
    names::ObjectPath,
    work::Program,
};
use millstream_ports::{PortError, PortResult, TrainingJob};
use millstream_prices::machine_for;
use serde_json::{Value, json};

use super::{DEPLOYMENT_LABEL, JOB_LABEL};
use crate::{
    names::{MANAGED_BY, label},
    settings::VertexSettings,
};

/// The longest id: it is a label's value.
const ID_LIMIT: usize = 63;

/// The most variables of one container.
const ENV_LIMIT: usize = 100;

/// The longest a job may run whose machines are waited for.
const FLEX_START_LIMIT: u64 = 7 * 24 * 3_600;

/// The command of the recipe `tabular` in its image.
const TABULAR: [&str; 3] = ["millstream", "recipe", "tabular"];

/// Which deployment's jobs are meant: the same content is the same job's id in all that share a project.
pub(super) fn deployment(settings: &VertexSettings) -> String {
    label(&settings.bucket)
}

/// A job's id must be fit for a label.
pub(super) fn check_id(job: &str) -> PortResult<()> {
    let is_plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
    if (1..=ID_LIMIT).contains(&job.len()) && job.bytes().all(is_plain) {
        return Ok(());
    }
    Err(PortError::invalid(format!("{job:?} is not a job id: use 1 to {ID_LIMIT} of a-z, 0-9, _ and -")))
}

/// The custom job of a training.
pub(super) fn custom_job(job: &str, training: &TrainingJob, settings: &VertexSettings) -> PortResult<Value> {
    check_id(job)?;
    refuse_unknown(training)?;
    let (image, command) = container(&training.program, settings)?;
    let variables = variables(training)?;
    let env: Vec<Value> = variables.iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
    let container = json!({"imageUri": image, "command": command, "args": training.args, "env": env});
    let compute = &training.compute;
    let machine = machine_spec(compute)?;
    let pool = |replicas: u32| json!({"machineSpec": machine, "replicaCount": replicas.to_string(), "containerSpec": container});
    // The first pool is the chief, always one machine.
    let mut pools = vec![pool(1)];
    if compute.nodes > 1 {
        pools.push(pool(compute.nodes - 1));
    }
    let mut spec = json!({"workerPoolSpecs": pools, "scheduling": scheduling(training)});
    if let Some(account) = compute.service_account.as_ref().or(settings.service_account.as_ref()) {
        spec["serviceAccount"] = json!(account);
    }
    if let Some(network) = &settings.network {
        spec["network"] = json!(network);
    }
    Ok(json!({"displayName": job, "labels": labels(job, training, settings), "jobSpec": spec}))
}

/// What another back-end takes and this one does not.
fn refuse_unknown(training: &TrainingJob) -> PortResult<()> {
    let compute = &training.compute;
    let refused = |field: &str, why: &str| Err(PortError::invalid(format!("{field}: {why}")));
    if compute.nodes == 0 {
        return refused("compute.nodes", "a job has at least one");
    }
    if compute.accelerator.is_some_and(|accelerator| accelerator.count == 0) {
        return refused("compute.accelerator.count", "ask for at least one, or leave the accelerator out");
    }
    if compute.queue.is_some() {
        return refused("compute.queue", "Vertex AI has no Kueue queues; leave it out, or run on kubeflow or ray");
    }
    if compute.data_access == DataAccess::Download {
        return refused("compute.data_access", "Vertex AI mounts buckets below /gcs and copies nothing; use mount");
    }
    if compute.shared_memory_mib.is_some() {
        return refused("compute.shared_memory", "Vertex AI sets the size of /dev/shm itself; leave it out");
    }
    if let Some(account) = &compute.service_account
        && !account.contains('@')
    {
        return refused("compute.service_account", "Vertex AI takes the email address of a service account");
    }
    if training.wall_seconds == 0 {
        return refused("wall", "a job needs some time");
    }
    if compute.capacity == Capacity::FlexStart && training.wall_seconds > FLEX_START_LIMIT {
        return refused(
            "wall",
            "machines of flex-start are kept for seven days at most; lower it, or use spot or standard",
        );
    }
    Ok(())
}

fn container<'a>(program: &'a Program, settings: &'a VertexSettings) -> PortResult<(&'a str, Vec<&'a str>)> {
    match program {
        Program::Image { image, .. } if image.trim().is_empty() || image.contains(char::is_whitespace) => {
            Err(PortError::invalid(format!("image: {image:?} is not the address of an image")))
        }
        Program::Image { image, command } => Ok((image, command.iter().map(String::as_str).collect())),
        Program::Tabular => match &settings.tabular_image {
            Some(image) => Ok((image, TABULAR.to_vec())),
            None => Err(PortError::invalid(
                "recipe: tabular runs in an image of its own on Vertex AI; set it in the settings (tabular_image)",
            )),
        },
        Program::Command(_) => Err(PortError::invalid(
            "command: Vertex AI runs containers only; name an image with the program in it (image)",
        )),
        Program::KubeflowPipeline { .. } => {
            Err(PortError::invalid("pipeline: a compiled Kubeflow pipeline runs on kubeflow-pipeline only"))
        }
    }
}

fn machine_spec(compute: &Compute) -> PortResult<Value> {
    let machine = machine_for(compute).map_err(|refusal| PortError::invalid(format!("compute.{refusal}")))?;
    let mut spec = json!({"machineType": machine.name});
    if let Some(accelerator) = compute.accelerator {
        spec["acceleratorType"] = json!(accelerator.gpu.vertex_name());
        spec["acceleratorCount"] = json!(accelerator.count);
    }
    Ok(spec)
}

fn scheduling(training: &TrainingJob) -> Value {
    let compute = &training.compute;
    let mut scheduling = json!({
        "timeout": format!("{}s", training.wall_seconds),
        "strategy": match compute.capacity {
            Capacity::Standard => "STANDARD",
            Capacity::Spot => "SPOT",
            Capacity::FlexStart => "FLEX_START",
        },
        "restartJobOnWorkerRestart": compute.retries > 0,
    });
    // Spot machines are taken back at any moment: Vertex AI's own tries are what the price is for.
    if compute.retries == 0 && compute.capacity != Capacity::Spot {
        scheduling["disableRetries"] = json!(true);
    }
    scheduling
}

fn labels(job: &str, training: &TrainingJob, settings: &VertexSettings) -> BTreeMap<&'static str, String> {
    let step = &training.step;
    BTreeMap::from([
        (MANAGED_BY.0, MANAGED_BY.1.to_owned()),
        (JOB_LABEL, job.to_owned()),
        (DEPLOYMENT_LABEL, deployment(settings)),
        ("millstream_model", label(training.model.as_str())),
        ("millstream_pipeline", label(step.run.pipeline.as_str())),
        ("millstream_run", label(step.run.key.as_str())),
        ("millstream_step", label(step.step.as_str())),
        ("millstream_fingerprint", label(step.fingerprint.as_str())),
    ])
}

/// The job's own variables, and over them the platform's.
///
/// They are set here, not by Vertex AI from a `baseOutputDirectory`: that gives folders named `model` and `checkpoints` below
/// one folder, and the checkpoints of all attempts are to be in one place.
fn variables(training: &TrainingJob) -> PortResult<BTreeMap<String, String>> {
    let mut variables = BTreeMap::new();
    for (name, value) in &training.env {
        let starts = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        if !starts || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            return Err(PortError::invalid(format!(
                "env: {name:?} is not the name of a variable; use letters, digits and _"
            )));
        }
        if value.starts_with("secret:") {
            return Err(PortError::invalid(format!(
                "env.{name}: Vertex AI shows a job's variables to everyone who may see the job; read the secret in the \
                 program, from Secret Manager"
            )));
        }
        variables.insert(name.clone(), unexpanded(value));
    }
    let format = training.data_format.as_str();
    variables.insert("AIP_DATA_FORMAT".to_owned(), format.to_owned());
    let folder = |path: &ObjectPath| unexpanded(path.to_string().trim_end_matches('/'));
    let output = folder(&training.output);
    variables.insert("AIP_TENSORBOARD_LOG_DIR".to_owned(), format!("{output}-logs"));
    variables.insert("AIP_MODEL_DIR".to_owned(), output);
    variables.insert("AIP_CHECKPOINT_DIR".to_owned(), folder(&training.checkpoints));
    match training.rows()? {
        Some(rows) => variables.insert("AIP_TRAINING_DATA_URI".to_owned(), unexpanded(&rows.to_string())),
        None => variables.remove("AIP_TRAINING_DATA_URI"),
    };
    if training.compute.processes_per_node > 1 {
        // torchrun's own variable, as Kubeflow sets it.
        let processes = training.compute.processes_per_node.to_string();
        variables.entry("PET_NPROC_PER_NODE".to_owned()).or_insert(processes);
    }
    if variables.len() > ENV_LIMIT {
        return Err(PortError::invalid(format!(
            "env: {} variables with the platform's own; Vertex AI takes {ENV_LIMIT}",
            variables.len()
        )));
    }
    Ok(variables)
}

/// Vertex AI replaces `$(NAME)` in a value by the variable of that name, unless its `$` is doubled.
fn unexpanded(value: &str) -> String {
    value.replace("$(", "$$(")
}

#[cfg(test)]
mod tests {
    use millstream_events::{
        Fingerprint, StepRef,
        compute::{Accelerator, GpuType, RunOn},
        work::DataFormat,
    };

    use super::*;

    fn settings() -> VertexSettings {
        VertexSettings {
            service_account: Some("trainer@shop.iam.gserviceaccount.com".into()),
            ..VertexSettings::new("us-central1", "image")
        }
    }

    fn training() -> TrainingJob {
        TrainingJob {
            step: StepRef {
                run: "shop/date=2026-11-24,region=EU".parse().unwrap(),
                step: "train/churn".parse().unwrap(),
                fingerprint: Fingerprint::of("test", [b"a".as_slice()]),
                attempt: 1,
            },
            model: "churn".parse().unwrap(),
            program: Program::Image {
                image: "r/p/i@sha256:0".into(),
                command: vec!["python3".into(), "train.py".into()],
            },
            args: vec!["--epochs=3".into()],
            env: BTreeMap::from([("LEVEL".to_owned(), "info".to_owned())]),
            data: vec!["gs://lake/rows/a.csv".parse().unwrap()],
            data_format: DataFormat::Csv,
            output: "gs://models/churn/1/model".parse().unwrap(),
            checkpoints: "gs://models/churn/1/checkpoints".parse().unwrap(),
            compute: Compute { run_on: RunOn::Vertex, machine: Some("n1-standard-4".into()), ..Compute::default() },
            wall_seconds: 3_600,
        }
    }

    fn body(training: &TrainingJob) -> Value {
        custom_job("5f1d", training, &settings()).unwrap()
    }

    fn variable<'a>(body: &'a Value, name: &str) -> Option<&'a str> {
        let env = body["jobSpec"]["workerPoolSpecs"][0]["containerSpec"]["env"].as_array().unwrap();
        env.iter().find(|variable| variable["name"] == name).map(|variable| variable["value"].as_str().unwrap())
    }

    #[test]
    fn a_training_becomes_a_custom_job() {
        let body = body(&training());
        assert_eq!(body["displayName"], "5f1d");
        assert_eq!(body["labels"]["millstream_run"], "date_2026-11-24_region_eu");
        assert_eq!(body["labels"]["millstream_step"], "train_churn");
        assert_eq!(body["jobSpec"]["serviceAccount"], "trainer@shop.iam.gserviceaccount.com");
        let pools = body["jobSpec"]["workerPoolSpecs"].as_array().unwrap();
        assert_eq!(pools.len(), 1);
        assert_eq!(pools[0]["machineSpec"], json!({"machineType": "n1-standard-4"}));
        assert_eq!(pools[0]["containerSpec"]["command"], json!(["python3", "train.py"]));
        assert_eq!(pools[0]["containerSpec"]["args"], json!(["--epochs=3"]));
        for (name, value) in [
            ("AIP_MODEL_DIR", "gs://models/churn/1/model"),
            ("AIP_TENSORBOARD_LOG_DIR", "gs://models/churn/1/model-logs"),
            ("AIP_CHECKPOINT_DIR", "gs://models/churn/1/checkpoints"),
            ("AIP_DATA_FORMAT", "csv"),
            ("AIP_TRAINING_DATA_URI", "gs://lake/rows/a.csv"),
            ("LEVEL", "info"),
        ] {
            assert_eq!(variable(&body, name), Some(value), "{name}");
        }
    }

    #[test]
    fn more_nodes_are_a_chief_and_workers() {
        let mut training = training();
        let accelerator = Some(Accelerator { gpu: GpuType::L4, count: 1 });
        training.compute = Compute { nodes: 4, processes_per_node: 2, accelerator, machine: None, ..training.compute };
        let body = body(&training);
        let pools = body["jobSpec"]["workerPoolSpecs"].as_array().unwrap();
        assert_eq!((&pools[0]["replicaCount"], &pools[1]["replicaCount"]), (&json!("1"), &json!("3")));
        let machine = json!({"machineType": "g2-standard-4", "acceleratorType": "NVIDIA_L4", "acceleratorCount": 1});
        assert_eq!((&pools[0]["machineSpec"], &pools[1]["machineSpec"]), (&machine, &machine));
        assert_eq!(variable(&body, "PET_NPROC_PER_NODE"), Some("2"));
    }

    #[test]
    fn how_machines_are_bought_is_the_strategy() {
        let scheduling = |capacity, retries| {
            let mut training = training();
            training.compute = Compute { capacity, retries, ..training.compute };
            body(&training)["jobSpec"]["scheduling"].clone()
        };
        let standard = scheduling(Capacity::Standard, 0);
        assert_eq!(standard["timeout"], "3600s");
        assert_eq!((&standard["strategy"], &standard["disableRetries"]), (&json!("STANDARD"), &json!(true)));
        let spot = scheduling(Capacity::Spot, 0);
        assert_eq!((&spot["strategy"], &spot["disableRetries"]), (&json!("SPOT"), &Value::Null));
        let flex = scheduling(Capacity::FlexStart, 2);
        assert_eq!((&flex["strategy"], &flex["restartJobOnWorkerRestart"]), (&json!("FLEX_START"), &json!(true)));
    }

    #[test]
    fn the_recipe_runs_in_its_image() {
        let mut training = training();
        training.program = Program::Tabular;
        let error = custom_job("5f1d", &training, &settings()).unwrap_err().to_string();
        assert!(error.contains("tabular_image"), "{error}");
        let settings = VertexSettings { tabular_image: Some("r/p/millstream@sha256:1".into()), ..settings() };
        let body = custom_job("5f1d", &training, &settings).unwrap();
        let container = &body["jobSpec"]["workerPoolSpecs"][0]["containerSpec"];
        assert_eq!(container["imageUri"], "r/p/millstream@sha256:1");
        assert_eq!(container["command"], json!(["millstream", "recipe", "tabular"]));
    }

    #[test]
    fn a_platform_variable_is_the_platforms_and_nothing_is_expanded() {
        let mut training = training();
        training.env.insert("AIP_MODEL_DIR".to_owned(), "gs://elsewhere/x".to_owned());
        training.env.insert("PRICE".to_owned(), "$(HOME) and $$(X)".to_owned());
        training.data = vec!["gs://lake/rows/a.csv".parse().unwrap(), "gs://lake/rows/b.csv".parse().unwrap()];
        let body = body(&training);
        assert_eq!(variable(&body, "AIP_MODEL_DIR"), Some("gs://models/churn/1/model"));
        assert_eq!(variable(&body, "PRICE"), Some("$$(HOME) and $$$(X)"));
        assert_eq!(variable(&body, "AIP_TRAINING_DATA_URI"), Some("gs://lake/rows/*"));
    }

    #[test]
    fn what_vertex_ai_does_not_take_is_refused_by_its_field() {
        type Change = fn(&mut TrainingJob);
        let changes: &[(&str, Change)] = &[
            ("compute.queue", |t| t.compute.queue = Some("gpus".into())),
            ("compute.nodes", |t| t.compute.nodes = 0),
            ("compute.data_access", |t| t.compute.data_access = DataAccess::Download),
            ("compute.shared_memory", |t| t.compute.shared_memory_mib = Some(64)),
            ("compute.service_account", |t| t.compute.service_account = Some("trainer".into())),
            ("compute.accelerator", |t| t.compute.accelerator = Some(Accelerator { gpu: GpuType::L4, count: 0 })),
            ("image", |t| t.program = Program::Image { image: " ".into(), command: Vec::new() }),
            ("command", |t| t.program = Program::Command(vec!["true".into()])),
            ("env.TOKEN", |t| t.env = BTreeMap::from([("TOKEN".into(), "secret:crm".into())])),
            ("env", |t| t.env = BTreeMap::from([("A-B".into(), "c".into())])),
            ("env", |t| t.env = (0..100).map(|n| (format!("V{n}"), String::new())).collect()),
            ("wall", |t| t.wall_seconds = 0),
            ("wall", |t| {
                t.compute.capacity = Capacity::FlexStart;
                t.wall_seconds = FLEX_START_LIMIT + 1;
            }),
            ("data", |t| t.data.push("gs://lake/others/b.csv".parse().unwrap())),
        ];
        for (field, change) in changes {
            let mut training = training();
            change(&mut training);
            let error = custom_job("5f1d", &training, &settings()).unwrap_err().to_string();
            assert!(error.starts_with(field), "{field}: {error}");
        }
        for id in ["", "A", "a/b", &"a".repeat(64)] {
            assert!(custom_job(id, &training(), &settings()).is_err(), "{id}");
        }
    }
}
