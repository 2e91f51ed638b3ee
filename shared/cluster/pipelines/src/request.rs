//! A training as the body of `POST /apis/v2beta1/runs`, or why it cannot be one.

use std::collections::BTreeMap;

use millstream_events::{
    Fingerprint,
    compute::{Compute, RunOn},
    names::ObjectPath,
    work::Program,
};
use millstream_ports::{PortError, PortResult, TrainingJob};
use serde::Serialize;
use serde_json::{Map, Value};

/// What a run's description says, before the hash of what was asked for, when it was made here.
const MARK: &str = "millstream.dev/manifest: ";

/// The parameters that the platform sets, where a pipeline declares them.
const PLATFORM: [&str; 4] = ["model_dir", "checkpoint_dir", "training_data_uri", "data_format"];

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct NewRun {
    pub(crate) display_name: String,
    description: String,
    experiment_id: String,
    pipeline_spec: Value,
    runtime_config: RuntimeConfig,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_account: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct RuntimeConfig {
    parameters: BTreeMap<String, Value>,
    pipeline_root: String,
}

impl NewRun {
    /// What to ask for, but for the experiment.
    ///
    /// # Errors
    /// `Invalid`, naming the field that a run of a pipeline does not take.
    pub(crate) fn new(job: &str, training: &TrainingJob, service_account: Option<&str>) -> PortResult<Self> {
        check_name(job)?;
        check_compute(&training.compute)?;
        let Program::KubeflowPipeline { spec, parameters } = &training.program else {
            return Err(PortError::invalid("pipeline: `kubeflow-pipeline` runs a compiled pipeline; name its file"));
        };
        if !training.args.is_empty() {
            return Err(PortError::invalid("args: a pipeline takes parameters, not arguments"));
        }
        if !training.env.is_empty() {
            return Err(PortError::invalid("env: a pipeline's tasks have their own variables; give it parameters"));
        }
        let mut run = Self {
            display_name: job.to_owned(),
            description: String::new(),
            experiment_id: String::new(),
            pipeline_spec: spec.clone(),
            runtime_config: RuntimeConfig {
                parameters: all_parameters(&declared(spec)?, parameters, training)?,
                pipeline_root: beside(&training.output, "pipeline")?.to_string(),
            },
            service_account: training.compute.service_account.as_deref().or(service_account).map(str::to_owned),
        };
        let step = &training.step;
        run.description =
            format!("Training of {} for {} of {}. {MARK}{}", training.model, step.step, step.run, run.hash()?);
        Ok(run)
    }

    pub(crate) fn in_experiment(mut self, experiment: &str) -> Self {
        experiment.clone_into(&mut self.experiment_id);
        self
    }

    /// The folder that it works in.
    pub(crate) fn root(&self) -> &str {
        &self.runtime_config.pipeline_root
    }

    /// The hash that its run carries.
    pub(crate) fn manifest(&self) -> Option<&str> {
        manifest_in(&self.description)
    }

    fn hash(&self) -> PortResult<String> {
        let json = serde_json::to_vec(self)
            .map_err(|error| PortError::internal("a pipeline run cannot be written as JSON").caused_by(error))?;
        Ok(Fingerprint::of("pipeline-run", [json.as_slice()]).to_string())
    }
}

/// The hash in a run's description, if the run was made here.
pub(crate) fn manifest_in(description: &str) -> Option<&str> {
    description.rsplit_once(MARK).map(|(_, manifest)| manifest.trim())
}

/// Refuses a name that would have to be escaped in a filter.
pub(crate) fn check_name(job: &str) -> PortResult<()> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if (1..=128).contains(&job.len()) && job.chars().all(plain) {
        return Ok(());
    }
    Err(PortError::invalid(format!("{job:?} is no name of a run: use 1 to 128 letters, digits and . _ -")))
}

/// Whatever a pipeline's tasks run on, the pipeline says itself.
fn check_compute(compute: &Compute) -> PortResult<()> {
    let plain = Compute::default();
    if compute.run_on != RunOn::KubeflowPipeline {
        let run_on = compute.run_on;
        return Err(PortError::invalid(format!(
            "compute.run_on: this trainer is for `kubeflow-pipeline`, not `{run_on}`"
        )));
    }
    let given = [
        ("nodes", compute.nodes != plain.nodes),
        ("processes_per_node", compute.processes_per_node != plain.processes_per_node),
        ("machine", compute.machine.is_some()),
        ("cpu", compute.cpu != plain.cpu),
        ("memory_mib", compute.memory_mib != plain.memory_mib),
        ("accelerator", compute.accelerator.is_some()),
        ("capacity", compute.capacity != plain.capacity),
        ("queue", compute.queue.is_some()),
        ("data_access", compute.data_access != plain.data_access),
        ("shared_memory_mib", compute.shared_memory_mib.is_some()),
        ("retries", compute.retries != plain.retries),
    ];
    match given.into_iter().find(|(_, is_given)| *is_given) {
        Some((field, _)) => Err(PortError::invalid(format!(
            "compute.{field}: each task of a pipeline says its own, in the pipeline's source; leave it out"
        ))),
        None => Ok(()),
    }
}

/// A parameter that a pipeline declares.
#[derive(Debug, PartialEq, Eq)]
struct Parameter {
    /// The compiler's name for the type, such as `STRING`.
    kind: String,
    is_required: bool,
}

/// The parameters in `root.inputDefinitions.parameters`.
fn declared(spec: &Value) -> PortResult<BTreeMap<String, Parameter>> {
    // A pipeline with Kubernetes settings is compiled to two documents.
    let spec = spec.get("pipeline_spec").unwrap_or(spec);
    let root = spec.get("root").filter(|root| root.is_object()).ok_or_else(|| {
        PortError::invalid("pipeline: it has no `root`; compile it with the KFP compiler of version 2 or newer")
    })?;
    let none = Map::new();
    let parameters = root.pointer("/inputDefinitions/parameters").and_then(Value::as_object).unwrap_or(&none);
    let parameter = |definition: &Value| Parameter {
        kind: definition.get("parameterType").and_then(Value::as_str).unwrap_or_default().to_owned(),
        is_required: definition.get("defaultValue").is_none()
            && definition.get("isOptional").and_then(Value::as_bool) != Some(true),
    };
    Ok(parameters.iter().map(|(name, definition)| (name.clone(), parameter(definition))).collect())
}

/// The user's parameters and those of the platform that the pipeline declares.
fn all_parameters(
    declared: &BTreeMap<String, Parameter>,
    given: &BTreeMap<String, Value>,
    training: &TrainingJob,
) -> PortResult<BTreeMap<String, Value>> {
    let names = || declared.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
    for (name, value) in given {
        if PLATFORM.contains(&name.as_str()) {
            return Err(PortError::invalid(format!("parameters.{name}: the platform sets it; leave it out")));
        }
        let Some(parameter) = declared.get(name) else {
            return Err(PortError::invalid(format!(
                "parameters.{name}: the pipeline declares no such parameter; it has {}",
                if declared.is_empty() { "none".to_owned() } else { names() }
            )));
        };
        if !parameter.takes(value) {
            return Err(PortError::invalid(format!("parameters.{name}: the pipeline wants a {}", parameter.kind)));
        }
        if value.as_str().is_some_and(|text| text.starts_with("secret:")) {
            return Err(PortError::invalid(format!(
                "parameters.{name}: a run's parameters can be read by others; let the task read the secret itself"
            )));
        }
    }
    let mut all = given.clone();
    for (name, value) in platform_parameters(training)? {
        match declared.get(name) {
            Some(parameter) if parameter.kind != "STRING" => {
                return Err(PortError::invalid(format!(
                    "pipeline: its parameter {name} is a {}; the platform gives it as a STRING",
                    parameter.kind
                )));
            }
            Some(_) => _ = all.insert(name.to_owned(), value.into()),
            None => {}
        }
    }
    match declared.iter().find(|(name, parameter)| parameter.is_required && !all.contains_key(*name)) {
        Some((name, _)) => Err(PortError::invalid(format!("parameters.{name}: the pipeline needs it"))),
        None => Ok(all),
    }
}

impl Parameter {
    fn takes(&self, value: &Value) -> bool {
        match self.kind.as_str() {
            "STRING" => value.is_string(),
            "NUMBER_INTEGER" => value.is_i64() || value.is_u64(),
            "NUMBER_DOUBLE" => value.is_number(),
            "BOOLEAN" => value.is_boolean(),
            "LIST" => value.is_array(),
            "STRUCT" => value.is_object(),
            // A type of a later compiler.
            _ => true,
        }
    }
}

fn platform_parameters(training: &TrainingJob) -> PortResult<Vec<(&'static str, String)>> {
    let format = training.data_format.as_str();
    let mut parameters = vec![
        ("model_dir", training.output.to_string()),
        ("checkpoint_dir", training.checkpoints.to_string()),
        ("data_format", format.to_owned()),
    ];
    if let Some(rows) = training.rows()? {
        parameters.push(("training_data_uri", rows.to_string()));
    }
    Ok(parameters)
}

/// A folder beside the model's, because what serves the model copies that one.
fn beside(output: &ObjectPath, what: &str) -> PortResult<ObjectPath> {
    ObjectPath::new(output.bucket(), format!("{}-{what}", output.name().trim_end_matches('/')))
        .map_err(|error| PortError::invalid(error.to_string()))
}
