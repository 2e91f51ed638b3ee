//! A training as the body of `POST /api/jobs/`, or why the cluster cannot run it.

use std::collections::BTreeMap;

use millstream_events::{
    Fingerprint,
    compute::{Capacity, Compute, DataAccess, GpuType, RunOn},
    names::ObjectPath,
    work::Program,
};
use millstream_ports::{PortError, PortResult, SecretName, TrainingJob};
use serde::Serialize;

use crate::{log::START_MARK, settings::RaySettings};

/// The metadata that says whose a job is: the folder it writes to is one deployment's.
pub(crate) const OUTPUT: &str = "millstream.dev/output";

/// The metadata that says that a job is ours, and which: the hash of what was submitted.
pub(crate) const MANIFEST: &str = "millstream.dev/manifest";

/// The longest id that the Jobs API takes.
const LONGEST_ID: usize = 128;

/// A share of a node's GPU type that is as good as none: it says where the job may run and hinders no other.
const ANY_SHARE: f64 = 0.001;

/// What is submitted.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Submission {
    pub(crate) submission_id: String,
    entrypoint: String,
    runtime_env: RuntimeEnv,
    entrypoint_num_cpus: u32,
    entrypoint_num_gpus: u32,
    /// In bytes.
    entrypoint_memory: u64,
    entrypoint_resources: BTreeMap<String, f64>,
    metadata: BTreeMap<String, String>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct RuntimeEnv {
    env_vars: BTreeMap<String, String>,
}

impl Submission {
    /// What to submit for a training.
    ///
    /// # Errors
    /// `Invalid`, naming the field that a Ray cluster does not take.
    pub(crate) fn new(job: &str, training: &TrainingJob, settings: &RaySettings) -> PortResult<Self> {
        check_id(job)?;
        let compute = &training.compute;
        check_compute(compute)?;
        let mut submission = Self {
            submission_id: job.to_owned(),
            entrypoint: entrypoint(training, settings)?,
            runtime_env: RuntimeEnv { env_vars: variables(training, settings)? },
            entrypoint_num_cpus: compute.cpu,
            entrypoint_num_gpus: compute.accelerator.map_or(0, |accelerator| accelerator.count),
            entrypoint_memory: compute.memory_mib << 20,
            entrypoint_resources: compute
                .accelerator
                .map(|accelerator| (format!("accelerator_type:{}", ray_name(accelerator.gpu)), ANY_SHARE))
                .into_iter()
                .collect(),
            metadata: BTreeMap::new(),
        };
        let manifest = submission.hash()?;
        let step = &training.step;
        submission.metadata = BTreeMap::from([
            (MANIFEST.to_owned(), manifest),
            (OUTPUT.to_owned(), settings.paths.name_of(&training.output)?),
            ("millstream.dev/run".to_owned(), step.run.to_string()),
            ("millstream.dev/step".to_owned(), step.step.to_string()),
            ("millstream.dev/model".to_owned(), training.model.to_string()),
            ("millstream.dev/wall-seconds".to_owned(), training.wall_seconds.to_string()),
        ]);
        Ok(submission)
    }

    /// The hash of everything that decides what runs.
    fn hash(&self) -> PortResult<String> {
        let json = serde_json::to_vec(self)
            .map_err(|error| PortError::internal("a Ray job cannot be written as JSON").caused_by(error))?;
        Ok(Fingerprint::of("ray-job", [json.as_slice()]).to_string())
    }

    /// The folder that its job writes to, as the job names it.
    pub(crate) fn output(&self) -> &str {
        self.metadata.get(OUTPUT).map_or("", String::as_str)
    }

    /// The hash that its job carries.
    pub(crate) fn manifest(&self) -> &str {
        self.metadata.get(MANIFEST).map_or("", String::as_str)
    }
}

/// Refuses an id that the Jobs API would mistake: one with a `/` is created and can never be read.
pub(crate) fn check_id(job: &str) -> PortResult<()> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if (1..=LONGEST_ID).contains(&job.len()) && job.chars().all(plain) {
        return Ok(());
    }
    Err(PortError::invalid(format!("{job:?} is no id of a Ray job: use 1 to {LONGEST_ID} letters, digits and . _ -")))
}

fn check_compute(compute: &Compute) -> PortResult<()> {
    let refuse = |field: &str, why: &str| Err(PortError::invalid(format!("compute.{field}: {why}")));
    match compute {
        Compute { run_on, .. } if *run_on != RunOn::RayCluster => {
            refuse("run_on", &format!("this trainer is for `ray-cluster`, not `{run_on}`"))
        }
        Compute { nodes, .. } if *nodes != 1 => {
            refuse("nodes", "a cluster that is there has its nodes already: the program asks Ray for more than one")
        }
        Compute { processes_per_node, .. } if *processes_per_node != 1 => {
            refuse("processes_per_node", "a Ray job starts one process: the program asks Ray for more")
        }
        Compute { machine: Some(_), .. } => {
            refuse("machine", "a cluster that is there has its machines already; say cpu, memory and accelerator")
        }
        Compute { capacity, .. } if *capacity != Capacity::Standard => {
            refuse("capacity", "a cluster that is there was bought by somebody else; leave it out, or use run_on: ray")
        }
        Compute { queue: Some(_), .. } => {
            refuse("queue", "Kueue does not see the jobs of a cluster that is there; leave it out, or use run_on: ray")
        }
        Compute { service_account: Some(_), .. } => {
            refuse("service_account", "a job runs as the cluster's own account; leave it out, or use run_on: ray")
        }
        Compute { data_access, .. } if *data_access != DataAccess::Mount => refuse(
            "data_access",
            "nothing copies the rows onto a node of a cluster that is there; use `mount`, or run_on: ray",
        ),
        Compute { shared_memory_mib: Some(_), .. } => {
            refuse("shared_memory_mib", "it is the cluster's own; leave it out, or use run_on: ray")
        }
        Compute { retries, .. } if *retries != 0 => {
            refuse("retries", "the Jobs API starts a job once; leave it out, or use run_on: ray")
        }
        Compute { memory_mib, .. } if *memory_mib > i64::MAX as u64 >> 20 => refuse("memory_mib", "that is too much"),
        _ => Ok(()),
    }
}

/// Ray's own name for a GPU, as its nodes report it. Of an A100 they do not tell how much memory it has.
const fn ray_name(gpu: GpuType) -> &'static str {
    match gpu {
        GpuType::L4 => "L4",
        GpuType::T4 => "T4",
        GpuType::A100 | GpuType::A100With80Gb => "A100",
        GpuType::H100 => "H100",
        GpuType::H200 => "H200",
        GpuType::B200 => "B200",
    }
}

/// The line that Ray gives to `/bin/sh`: each argument is one word there, whatever is in it.
///
/// It first writes down when it began, since Ray itself only tells when a job was submitted, and then becomes the program.
fn entrypoint(training: &TrainingJob, settings: &RaySettings) -> PortResult<String> {
    let program = match &training.program {
        Program::Tabular => &settings.tabular,
        Program::Command(command) => command,
        Program::Image { .. } => {
            return Err(PortError::invalid(
                "image: a cluster that is there has its own image, give a command of it, or use run_on: ray",
            ));
        }
        Program::KubeflowPipeline { .. } => {
            return Err(PortError::invalid("pipeline: a Ray cluster runs no Kubeflow pipeline; use kubeflow-pipeline"));
        }
    };
    if program.first().is_none_or(String::is_empty) {
        return Err(PortError::invalid("command: it names no program"));
    }
    let words = program.iter().chain(&training.args).map(String::as_str);
    let command = shlex::try_join(words)
        .map_err(|_| PortError::invalid("args: a program's argument cannot have a NUL character in it"))?;
    Ok(format!("echo \"{START_MARK}$(date +%s)\"; exec {command}"))
}

/// The program's environment variables: the job's own and the contract's, which it cannot replace.
fn variables(training: &TrainingJob, settings: &RaySettings) -> PortResult<BTreeMap<String, String>> {
    let mut variables = training.env.clone();
    variables.remove("AIP_TRAINING_DATA_URI");
    for (name, value) in &variables {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) || !name.chars().all(plain) {
            return Err(PortError::invalid(format!(
                "env: {name:?} is no name of a variable: use letters, digits and _"
            )));
        }
        if SecretName::of_reference(value).is_some() {
            return Err(PortError::invalid(format!(
                "env: {name} is a secret, and the variables of a Ray job can be read in its dashboard; let the program \
                 read it from Secret Manager"
            )));
        }
    }
    let name_of = |path: &ObjectPath| settings.paths.name_of(path);
    let format = training.data_format.as_str();
    variables.extend([
        ("AIP_DATA_FORMAT".to_owned(), format.to_owned()),
        ("AIP_MODEL_DIR".to_owned(), name_of(&training.output)?),
        ("AIP_CHECKPOINT_DIR".to_owned(), name_of(&training.checkpoints)?),
        ("AIP_TENSORBOARD_LOG_DIR".to_owned(), name_of(&training.logs()?)?),
    ]);
    if let Some(rows) = training.rows()? {
        variables.insert("AIP_TRAINING_DATA_URI".to_owned(), name_of(&rows)?);
    }
    match variables.iter().find(|(_, value)| is_expanded(value)) {
        Some((name, _)) => Err(PortError::invalid(format!(
            "env: the value of {name} has a $ before a name, which Ray replaces by the cluster's own variable; write it \
             another way"
        ))),
        None => Ok(variables),
    }
}

/// Whether Ray would replace a part of the value: it expands `$NAME` and `${NAME}`.
fn is_expanded(value: &str) -> bool {
    let begins_name = |c: char| c.is_ascii_alphanumeric() || "_{".contains(c);
    value.char_indices().any(|(at, c)| c == '$' && value[at + 1..].starts_with(begins_name))
}

#[cfg(test)]
mod tests {
    use millstream_events::{StepRef, compute::Accelerator, work::DataFormat};
    use serde_json::{Value, json};

    use super::*;
    use crate::settings::Paths;

    fn training() -> TrainingJob {
        TrainingJob {
            step: StepRef {
                run: "fraud".parse().unwrap(),
                step: "train/fraud".parse().unwrap(),
                fingerprint: Fingerprint::of("test", []),
                attempt: 1,
            },
            model: "fraud".parse().unwrap(),
            program: Program::Command(vec!["python3".to_owned(), "train.py".to_owned()]),
            args: vec!["--name=a b".to_owned()],
            env: BTreeMap::new(),
            data: vec!["gs://models/f/data/train.csv".parse().unwrap()],
            data_format: DataFormat::Parquet,
            output: "gs://models/f/model".parse().unwrap(),
            checkpoints: "gs://models/f/checkpoints".parse().unwrap(),
            compute: Compute { run_on: RunOn::RayCluster, ..Compute::default() },
            wall_seconds: 60,
        }
    }

    fn submission(training: &TrainingJob) -> PortResult<Value> {
        let settings = RaySettings::new("http://127.0.0.1:8265");
        Submission::new("job", training, &settings).map(|submission| serde_json::to_value(submission).unwrap())
    }

    #[test]
    fn a_training_becomes_a_submission() {
        let mut training = training();
        training.compute.accelerator = Some(Accelerator { gpu: GpuType::A100With80Gb, count: 2 });
        training.env.insert("NOTE".to_owned(), "it costs 5$".to_owned());
        let mut submission = submission(&training).unwrap();
        let metadata = submission["metadata"].take();
        assert_eq!(
            submission,
            json!({
                "submission_id": "job",
                "entrypoint": "echo \"millstream: runs since $(date +%s)\"; exec python3 train.py '--name=a b'",
                "runtime_env": {"env_vars": {
                    "AIP_CHECKPOINT_DIR": "gs://models/f/checkpoints",
                    "AIP_DATA_FORMAT": "parquet",
                    "AIP_MODEL_DIR": "gs://models/f/model",
                    "AIP_TENSORBOARD_LOG_DIR": "gs://models/f/model-logs",
                    "AIP_TRAINING_DATA_URI": "gs://models/f/data/train.csv",
                    "NOTE": "it costs 5$",
                }},
                "entrypoint_num_cpus": 1,
                "entrypoint_num_gpus": 2,
                "entrypoint_memory": 2_147_483_648_u64,
                "entrypoint_resources": {"accelerator_type:A100": 0.001},
                "metadata": null,
            })
        );
        assert_eq!(metadata["millstream.dev/run"], "fraud/latest");
        assert_eq!(metadata[MANIFEST].as_str().unwrap().len(), 32);
    }

    #[test]
    fn the_manifest_follows_what_runs_and_nothing_else() {
        let manifest = |training: &TrainingJob| submission(training).unwrap()["metadata"][MANIFEST].clone();
        let (plain, mut other) = (training(), training());
        other.wall_seconds = 61;
        assert_eq!(manifest(&plain), manifest(&other));
        other.args.push("--fast".to_owned());
        assert_ne!(manifest(&plain), manifest(&other));
    }

    #[test]
    fn the_built_in_recipe_is_a_program_of_the_cluster() {
        let training = TrainingJob { program: Program::Tabular, ..training() };
        let submission = submission(&training).unwrap();
        let entrypoint = submission["entrypoint"].as_str().unwrap();
        assert!(entrypoint.ends_with("exec millstream recipe tabular '--name=a b'"), "{entrypoint}");
    }

    #[test]
    fn objects_are_files_below_a_folder() {
        let settings =
            RaySettings { paths: Paths::Folder("/data/buckets".into()), ..RaySettings::new("http://127.0.0.1:1") };
        let submission = Submission::new("job", &training(), &settings).unwrap();
        assert_eq!(submission.runtime_env.env_vars["AIP_MODEL_DIR"], "/data/buckets/models/f/model");
    }

    #[test]
    fn what_a_cluster_does_not_take_is_refused_by_name() {
        type Change = fn(&mut TrainingJob);
        let changes: [(&str, Change); 19] = [
            ("compute.run_on", |training| training.compute.run_on = RunOn::Ray),
            ("compute.nodes", |training| training.compute.nodes = 2),
            ("compute.processes_per_node", |training| training.compute.processes_per_node = 2),
            ("compute.machine", |training| training.compute.machine = Some("g2-standard-4".to_owned())),
            ("compute.capacity", |training| training.compute.capacity = Capacity::Spot),
            ("compute.queue", |training| training.compute.queue = Some("gpus".to_owned())),
            ("compute.service_account", |training| training.compute.service_account = Some("a".to_owned())),
            ("compute.data_access", |training| training.compute.data_access = DataAccess::Download),
            ("compute.shared_memory_mib", |training| training.compute.shared_memory_mib = Some(64)),
            ("compute.retries", |training| training.compute.retries = 1),
            ("compute.memory_mib", |training| training.compute.memory_mib = u64::MAX),
            ("image", |training| training.program = Program::Image { image: "a".to_owned(), command: Vec::new() }),
            ("pipeline", |training| {
                training.program = Program::KubeflowPipeline { spec: Value::Null, parameters: BTreeMap::new() };
            }),
            ("command", |training| training.program = Program::Command(Vec::new())),
            ("args", |training| training.args = vec!["a\0b".to_owned()]),
            ("env", |training| _ = training.env.insert("A".to_owned(), "secret:crm".to_owned())),
            ("env", |training| _ = training.env.insert("A".to_owned(), "/bin:${PATH}".to_owned())),
            ("env", |training| _ = training.env.insert("A=B".to_owned(), "c".to_owned())),
            ("data", |training| training.data.push("gs://models/other/data.csv".parse().unwrap())),
        ];
        for (field, change) in changes {
            let mut training = training();
            change(&mut training);
            let error = submission(&training).unwrap_err();
            assert!(error.to_string().starts_with(&format!("{field}: ")), "{field}: {error}");
        }
        for job in ["", "a/b", "a b", &"x".repeat(129)] {
            let settings = RaySettings::new("http://127.0.0.1:8265");
            assert!(Submission::new(job, &training(), &settings).is_err(), "{job}");
        }
    }
}
