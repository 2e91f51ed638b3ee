//! Golden manifests, and what is refused.

use std::{fs, os::unix::fs::symlink, path::Path, process::Command};

use millstream_events::{
    Fingerprint, StepRef,
    compute::{Accelerator, Capacity, Compute, DataAccess, GpuType, RunOn},
    work::{DataFormat, Program},
};
use millstream_ports::{ErrorKind, trainer::TrainingJob};

use super::*;

/// Set to write the files anew.
const UPDATE: &str = "MILLSTREAM_UPDATE_MANIFESTS";

/// The back-ends of Kubernetes.
const BACK_ENDS: [RunOn; 3] = [RunOn::Kubeflow, RunOn::KubeflowV1, RunOn::Ray];

fn settings() -> KubernetesSettings {
    KubernetesSettings {
        image: Some(format!("example.com/millstream@sha256:{}", "ab".repeat(32))),
        ray_image: Some(format!("example.com/millstream-ray@sha256:{}", "cd".repeat(32))),
        ray_version: Some("2.60.0".to_owned()),
        ..KubernetesSettings::default()
    }
}

fn training(run_on: RunOn) -> TrainingJob {
    TrainingJob {
        step: StepRef {
            run: "fraud/date=2026-11-24".parse().unwrap(),
            step: "train/fraud-classifier".parse().unwrap(),
            fingerprint: Fingerprint::of("golden", [&b"manifest"[..]]),
            attempt: 2,
        },
        model: "fraud-classifier".parse().unwrap(),
        program: Program::Image {
            image: format!("example.com/train@sha256:{}", "01".repeat(32)),
            command: vec!["python3".to_owned(), "train.py".to_owned()],
        },
        args: vec!["--lr".to_owned(), "0.1".to_owned()],
        env: [("SEED".to_owned(), "7".to_owned())].into(),
        data: vec!["gs://lake/fraud/latest/features.parquet".parse().unwrap()],
        data_format: DataFormat::Parquet,
        output: "gs://models/fraud/v1".parse().unwrap(),
        checkpoints: "gs://models/fraud/checkpoints".parse().unwrap(),
        compute: Compute { run_on, ..Compute::default() },
        wall_seconds: 14_400,
    }
}

/// Four nodes with GPUs on spot machines, and all that can be said of them.
fn large(run_on: RunOn) -> TrainingJob {
    let mut training = training(run_on);
    training.args.push("price: $(PRICE) \"10 $\"; rm -rf 'x'".to_owned());
    training.env.insert("CRM".to_owned(), "secret:crm-password".to_owned());
    training.env.insert("HOME".to_owned(), "/home/me".to_owned());
    training.env.insert("AIP_MODEL_DIR".to_owned(), "/elsewhere".to_owned());
    training.data = vec![
        "gs://lake/fraud/latest/features-000000000000.parquet".parse().unwrap(),
        "gs://lake/fraud/latest/features-000000000001.parquet".parse().unwrap(),
    ];
    training.compute = Compute {
        run_on,
        nodes: 4,
        processes_per_node: if run_on == RunOn::Ray { 1 } else { 2 },
        machine: Some("g2-standard-24".to_owned()),
        cpu: 24,
        memory_mib: 96 << 10,
        accelerator: Some(Accelerator { gpu: GpuType::L4, count: 2 }),
        capacity: Capacity::Spot,
        queue: Some("gpus".to_owned()),
        service_account: Some("fraud-training".to_owned()),
        data_access: DataAccess::Download,
        shared_memory_mib: Some(16 << 10),
        resumes: true,
        retries: if run_on == RunOn::Kubeflow { 0 } else { 3 },
        ..Compute::default()
    };
    training
}

/// The recipe of the platform on one GPU that is waited for.
fn recipe(run_on: RunOn) -> TrainingJob {
    let mut training = training(run_on);
    training.program = Program::Tabular;
    training.args.clear();
    training.data.clear();
    training.compute.capacity = Capacity::FlexStart;
    training.compute.queue = Some("flex".to_owned());
    training.compute.accelerator = Some(Accelerator { gpu: GpuType::H100, count: 8 });
    training
}

fn built(training: &TrainingJob) -> Manifest {
    build(&settings(), &names::object_name(&training.step.job_id()).unwrap(), training).unwrap()
}

fn refusal(training: &TrainingJob) -> String {
    let error = build(&settings(), "ms-1", training).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    error.to_string()
}

#[test]
fn manifests_are_as_they_were_written_down() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden");
    for run_on in BACK_ENDS {
        for (case, training) in [("small", training(run_on)), ("large", large(run_on)), ("recipe", recipe(run_on))] {
            let manifest = built(&training);
            let file = folder.join(format!("{case}_{}.json", manifest.kind.as_str().to_lowercase()));
            let mut text = serde_json::to_string_pretty(&canonical(&manifest.object)).unwrap();
            text.push('\n');
            if std::env::var_os(UPDATE).is_some() {
                fs::create_dir_all(&folder).unwrap();
                fs::write(&file, &text).unwrap();
            }
            let kept = fs::read_to_string(&file).unwrap_or_default();
            assert_eq!(text, kept, "{}: run with {UPDATE}=1 where it is meant to change", file.display());
        }
    }
}

#[test]
fn a_hash_is_of_what_runs() {
    let first = built(&training(RunOn::Kubeflow));
    assert_eq!(first, built(&training(RunOn::Kubeflow)));
    assert_eq!(first.object["metadata"]["annotations"][MANIFEST_HASH], first.hash.as_str());
    let mut changed = training(RunOn::Kubeflow);
    changed.args.push("--more".to_owned());
    assert_ne!(built(&changed).hash, first.hash);
}

#[test]
fn nothing_that_runs_as_root_or_knows_the_clusters_token() {
    for run_on in BACK_ENDS {
        let text = built(&large(run_on)).object.to_string();
        assert!(!text.contains("\"automountServiceAccountToken\":true"), "{run_on}");
        let drops = text.matches("\"drop\":[\"ALL\"]").count();
        let containers = text.matches("\"volumeMounts\"").count();
        assert!(drops >= containers, "{run_on}: {drops} of {containers}");
        assert!(text.contains("\"runAsNonRoot\":true") && text.contains("RuntimeDefault"), "{run_on}");
    }
}

#[test]
fn a_secret_is_named_and_never_known() {
    for run_on in BACK_ENDS {
        let text = canonical(&built(&large(run_on)).object).to_string();
        assert!(text.contains(r#""secretKeyRef":{"key":"value","name":"crm-password"}"#), "{run_on}: {text}");
        assert!(!text.contains("secret:"), "{run_on}");
        for (value, problem) in [("secret:", "env.CRM: "), ("secret:CRM_Password", "env.CRM: no Secret of Kubernetes")]
        {
            let mut training = training(run_on);
            training.env.insert("CRM".to_owned(), value.to_owned());
            let error = refusal(&training);
            assert!(error.starts_with(problem), "{run_on}: {error}");
        }
    }
}

#[test]
fn what_a_kind_does_not_take_is_named() {
    type Change = fn(&mut TrainingJob);
    let cases: [(&str, Change); 18] = [
        ("image: it is missing", |job| job.program = Program::Command(vec!["train".to_owned()])),
        ("image: \"train:latest\" has no digest", |job| {
            job.program = Program::Image { image: "train:latest".to_owned(), command: vec!["train".to_owned()] };
        }),
        ("image: ", |job| {
            let image = format!("{}@sha256:{}", "x".repeat(500), "01".repeat(32));
            job.program = Program::Image { image, command: vec!["train".to_owned()] };
        }),
        ("pipeline: ", |job| {
            job.program = Program::KubeflowPipeline { spec: Value::Null, parameters: BTreeMap::new() }
        }),
        ("compute.run_on: `vertex`", |job| job.compute.run_on = RunOn::Vertex),
        ("compute.nodes: ", |job| job.compute.nodes = 0),
        ("compute.processes_per_node: ", |job| job.compute.processes_per_node = 0),
        ("compute.cpu: ", |job| job.compute.cpu = 0),
        ("compute.memory: ", |job| job.compute.memory_mib = 0),
        ("compute.accelerator.count: ", |job| {
            job.compute.accelerator = Some(Accelerator { gpu: GpuType::T4, count: 0 })
        }),
        ("compute.shared_memory: ", |job| job.compute.shared_memory_mib = Some(1 << 30)),
        ("compute.queue: ", |job| job.compute.queue = Some("GPU queue".to_owned())),
        ("compute.service_account: ", |job| job.compute.service_account = Some("me@example.com".to_owned())),
        ("compute.machine: ", |job| job.compute.machine = Some("g2/x".to_owned())),
        ("limits.wall: ", |job| job.wall_seconds = 0),
        ("limits.wall: flex-start", |job| {
            job.compute.capacity = Capacity::FlexStart;
            job.wall_seconds = 8 * 86_400;
        }),
        ("env.\"A B\": ", |job| drop(job.env.insert("A B".to_owned(), String::new()))),
        ("env: ", |job| job.env.extend((0..128).map(|number| (format!("V{number}"), String::new())))),
    ];
    for run_on in BACK_ENDS {
        for (problem, change) in cases {
            let mut training = training(run_on);
            change(&mut training);
            let error = refusal(&training);
            assert!(error.starts_with(problem), "{run_on} {problem}: {error}");
        }
    }
}

#[test]
fn what_only_some_kinds_do_not_take_is_named() {
    let mut job = training(RunOn::Kubeflow);
    job.compute.retries = 1;
    assert!(refusal(&job).starts_with("compute.retries: "));

    let mut job = training(RunOn::Ray);
    job.program = Program::Image { image: format!("train@sha256:{}", "01".repeat(32)), command: Vec::new() };
    assert!(refusal(&job).starts_with("command: "));

    for run_on in BACK_ENDS {
        let job = recipe(run_on);
        let error = build(&KubernetesSettings::default(), "ms-1", &job).unwrap_err().to_string();
        assert!(error.starts_with("image: this platform is not told"), "{run_on}: {error}");
    }
}

#[test]
fn more_files_than_can_be_copied_are_refused() {
    for run_on in BACK_ENDS {
        let mut job = training(run_on);
        job.compute.data_access = DataAccess::Download;
        job.data = (0..2_001).map(|number| format!("gs://lake/rows/{number}.csv").parse().unwrap()).collect();
        assert!(refusal(&job).starts_with("compute.data_access: 2001 files"), "{run_on}");
    }
}

#[test]
fn an_argument_is_never_a_shells_or_kubernetes() {
    // Kubernetes reads `$$` as `$`; what is left is the argument as it was given.
    let given = large(RunOn::Kubeflow).args[2].clone();
    for run_on in [RunOn::Kubeflow, RunOn::KubeflowV1] {
        let object = built(&large(run_on)).object;
        let container = match run_on {
            RunOn::Kubeflow => &object["spec"]["trainer"],
            _ => &object["spec"]["pytorchReplicaSpecs"]["Worker"]["template"]["spec"]["containers"][0],
        };
        assert_eq!(container["args"][2].as_str().unwrap().replace("$$", "$"), given, "{run_on}");
    }
    let object = built(&large(RunOn::Ray)).object;
    let workers = &object["spec"]["rayClusterSpec"]["workerGroupSpecs"][0]["template"]["spec"]["containers"][0];
    let arguments =
        workers["env"].as_array().unwrap().iter().find(|one| one["name"] == "MILLSTREAM_ARGUMENTS").unwrap();
    let arguments: Vec<String> =
        serde_json::from_str(&arguments["value"].as_str().unwrap().replace("$$", "$")).unwrap();
    assert_eq!(arguments, ["python3", "train.py", "--lr", "0.1", &given]);
    assert_eq!(object["spec"]["entrypoint"], built(&training(RunOn::Ray)).object["spec"]["entrypoint"]);
}

/// KubeRay puts it into a script of bash; `ray job submit` writes what it gets as one line again, and Ray hands that to sh.
#[test]
fn the_entry_point_means_the_same_behind_every_shell() {
    let folder = tempfile::tempdir().unwrap();
    let python = Command::new("sh").args(["-c", "command -v python3"]).output().unwrap();
    let python = String::from_utf8(python.stdout).unwrap();
    assert!(!python.is_empty(), "python3 is not there: install it");
    symlink(python.trim(), folder.path().join("python")).unwrap();
    let path = format!("{}:/usr/local/bin:/usr/bin:/bin", folder.path().display());
    let shell = |shell: &str, script: &str, arguments: &str| {
        let ran = Command::new(shell)
            .args(["-c", script])
            .env_clear()
            .env("PATH", &path)
            .env("MILLSTREAM_ARGUMENTS", arguments)
            .output()
            .unwrap();
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        String::from_utf8(ran.stdout).unwrap()
    };
    let entry_point = built(&training(RunOn::Ray)).object["spec"]["entrypoint"].as_str().unwrap().to_owned();
    let as_ray_does = "python -c 'import subprocess, sys; print(subprocess.list2cmdline(sys.argv[1:]))'";
    let line = shell("bash", &format!("{as_ray_does} {entry_point}"), "");
    let arguments = ["printf", "%s|", "a b", "$HOME", "'x'", "\"y\"", "`z`", "$(w)", "\\", "*", "", "ü"];
    let printed: String = arguments[2..].iter().map(|argument| format!("{argument}|")).collect();
    for script in [&entry_point, &line] {
        assert_eq!(shell("sh", script, &serde_json::to_string(&arguments).unwrap()), printed, "{script}");
    }
}
