//! Where a training runs and on what: what is read, and what is refused before anything is started.

use std::time::Duration;

use millstream_events::{
    compute::{Accelerator, Capacity, Compute, DataAccess, GpuType, RunOn},
    work::Program,
};
use millstream_pipeline::{advice::advice, model::Training, spec::Code};

use crate::{FRAUD, PATH, fraud, load_files, mistake};

/// What the example's own training says of its program and its machines.
const LOCAL: &str = "    command: [python3, train.py]\n    args: {trees: 200, quiet: true, verbose: false}\n    \
                     env: {SEED: 7}\n    data_format: jsonl\n    run_on: local\n    limits: {wall: 4h}\n";

const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn written(lines: &[&str]) -> String {
    lines.iter().map(|line| format!("    {}\n", line.replace("DIGEST", DIGEST))).collect()
}

fn training(lines: &[&str]) -> Training {
    let mut files = fraud();
    files.insert(PATH.into(), FRAUD.replace(LOCAL, &written(lines)));
    files.insert("train.pipeline.yaml".into(), COMPILED.into());
    let pipelines = load_files(&files).unwrap_or_else(|mistakes| panic!("{}", mistakes.render(120)));
    let pipeline = pipelines.by_name.values().next().unwrap().clone();
    pipeline.trainings.into_iter().find(|training| training.model.to_string() == "fraud-classifier").unwrap()
}

/// The code, the message and the hint of the one mistake, which stands at the `«`.
fn refused(lines: &[&str]) -> (Code, String, String) {
    let mistake = mistake(LOCAL, &written(lines));
    (mistake.code, mistake.message, mistake.hint.or(mistake.expected).unwrap_or_default())
}

#[test]
fn everything_a_back_end_takes_is_read() {
    let training = training(&[
        "image: europe-docker.pkg.dev/p/gpt@DIGEST",
        "command: [python3, train.py]",
        "run_on: kubeflow",
        "nodes: 2",
        "processes_per_node: 4",
        "machine: g2-standard-48",
        "cpu: 40",
        "memory: 160Gi",
        "accelerator: {type: nvidia-l4, count: 4}",
        "spot: true",
        "queue: training",
        "service_account: trainer",
        "data_access: download",
        "shared_memory: 512Mi",
        "checkpoints: true",
        "limits: {wall: 4h, expected: 90m, cost_usd: 20.5, nodes: 2}",
    ]);
    let expected = Compute {
        run_on: RunOn::Kubeflow,
        nodes: 2,
        processes_per_node: 4,
        machine: Some("g2-standard-48".into()),
        cpu: 40,
        memory_mib: 160 << 10,
        accelerator: Some(Accelerator { gpu: GpuType::L4, count: 4 }),
        capacity: Capacity::Spot,
        queue: Some("training".into()),
        service_account: Some("trainer".into()),
        data_access: DataAccess::Download,
        shared_memory_mib: Some(512),
        resumes: true,
        retries: 0,
        expected_seconds: Some(5_400),
        max_cost_usd: Some(20.5),
    };
    assert_eq!(training.compute, expected);
    assert_eq!(training.wall, Duration::from_secs(4 * 3_600));
    let image = format!("europe-docker.pkg.dev/p/gpt@{DIGEST}");
    assert_eq!(training.program, Program::Image { image, command: vec!["python3".into(), "train.py".into()] });
}

#[test]
fn what_is_left_out_is_one_small_machine_here() {
    assert_eq!(training(&["command: [python3, train.py]"]).compute, Compute::default());
}

#[test]
fn the_recipe_runs_anywhere() {
    for run_on in [RunOn::Kubeflow, RunOn::KubeflowV1, RunOn::Ray, RunOn::RayCluster, RunOn::Vertex] {
        let training = training(&["recipe: tabular", &format!("run_on: {run_on}")]);
        assert_eq!((training.program, training.compute.run_on), (Program::Tabular, run_on));
    }
}

#[test]
fn other_machines_are_no_other_training() {
    let pipelines = |lines: &[&str]| {
        let training = training(lines);
        (training.program, training.args, training.env, training.code)
    };
    let image = "image: p/gpt@DIGEST";
    assert_eq!(
        pipelines(&[image, "run_on: kubeflow", "spot: true"]),
        pipelines(&[image, "run_on: vertex", "machine: n1-standard-4"])
    );
}

/// What Kubeflow's compiler writes, cut to what is read of it.
const COMPILED: &str = "pipelineInfo: {name: train}\nroot:\n  dag: {tasks: {}}\n  inputDefinitions:\n    parameters:\n      \
                        rounds: {parameterType: NUMBER_INTEGER}\n      rate: {parameterType: NUMBER_DOUBLE}\n      \
                        label: {parameterType: STRING}\nschemaVersion: 2.1.0\n";

#[test]
fn a_compiled_pipeline_is_carried_with_typed_parameters() {
    let training = training(&[
        "pipeline: train.pipeline.yaml",
        "args: {rounds: 20, rate: 0.1, label: 20}",
        "run_on: kubeflow-pipeline",
    ]);
    let Program::KubeflowPipeline { spec, parameters } = training.program else { panic!("{:?}", training.program) };
    assert_eq!(spec["schemaVersion"], "2.1.0");
    assert_eq!(serde_json::json!(parameters), serde_json::json!({"rounds": 20, "rate": 0.1, "label": "20"}));
    assert_eq!(training.args, [] as [String; 0]);
}

#[test]
fn a_pipeline_with_settings_of_its_platform_is_one_document_of_two() {
    let mut files = fraud();
    let lines = ["pipeline: train.pipeline.yaml", "args: {rounds: 20}", "run_on: kubeflow-pipeline"];
    files.insert(PATH.into(), FRAUD.replace(LOCAL, &written(&lines)));
    files.insert("train.pipeline.yaml".into(), format!("{COMPILED}---\nplatforms: {{kubernetes: {{}}}}\n"));
    let pipelines = load_files(&files).unwrap_or_else(|mistakes| panic!("{}", mistakes.render(120)));
    let Program::KubeflowPipeline { spec, .. } = &pipelines.by_name.values().next().unwrap().trainings[0].program
    else {
        panic!("no pipeline")
    };
    assert_eq!(spec["pipeline_spec"]["schemaVersion"], "2.1.0");
    assert_eq!(spec["platform_spec"]["platforms"]["kubernetes"], serde_json::json!({}));
}

#[test]
fn an_image_is_named_by_its_digest() {
    let (code, message, hint) = refused(&["image: «p/gpt:latest", "run_on: vertex"]);
    assert_eq!((code, &*message), (Code::InvalidValue, "`p/gpt:latest` has no digest"));
    assert!(hint.contains("a tag may stand for other code tomorrow"), "{hint}");
}

#[test]
fn a_program_that_the_back_end_cannot_run_is_told() {
    for (lines, message) in [
        (&["image: «p/gpt@DIGEST"][..], "`run_on: local` runs programs, not containers"),
        (
            &["command: [«python3, train.py]", "run_on: kubeflow"],
            "`run_on: kubeflow` needs the `image` that the command is in",
        ),
        (
            &["image: «p/gpt@DIGEST", "command: [python3]", "run_on: ray-cluster"],
            "a Ray cluster that is there already has its own image",
        ),
        (
            &["image: «p/gpt@DIGEST", "run_on: kubeflow-pipeline"],
            "`run_on: kubeflow-pipeline` runs a compiled `pipeline`",
        ),
        (&["pipeline: «train.py", "run_on: vertex"], "`run_on: vertex` runs no Kubeflow pipeline"),
        (&["pipeline: «nowhere.yaml", "run_on: kubeflow-pipeline"], "there is no file nowhere.yaml in the project"),
    ] {
        assert_eq!(refused(lines).1, message, "{lines:?}");
    }
}

#[test]
fn what_the_back_end_has_no_use_for_is_told() {
    for (line, run_on, hint) in [
        ("nodes: «2", "local", "leave it out, or run on `kubeflow`, `kubeflow-v1`, `ray`, `vertex`"),
        ("spot: «true", "local", "leave it out, or run on `kubeflow`, `kubeflow-v1`, `ray`, `vertex`"),
        ("queue: «training", "vertex", "leave it out, or run on `kubeflow`, `kubeflow-v1`, `ray`"),
        ("retries: «2", "kubeflow", "leave it out, or run on `kubeflow-v1`, `ray`"),
        (
            "machine: «e2-standard-4",
            "ray-cluster",
            "leave it out, or run on `kubeflow`, `kubeflow-v1`, `ray`, `vertex`",
        ),
    ] {
        let field = line.split(':').next().unwrap();
        let told = refused(&["recipe: tabular", &format!("run_on: {run_on}"), line]);
        let message = format!("`run_on: {run_on}` has no use for `{field}`");
        assert_eq!(told, (Code::Conflict, message, hint.to_owned()));
    }
}

#[test]
fn contradictions_are_told() {
    for (lines, message) in [
        (
            &["recipe: tabular", "run_on: vertex", "spot: true", "flex_start: «true"][..],
            "a training is `spot` or `flex_start`, not both",
        ),
        (
            &["recipe: tabular", "run_on: vertex", "nodes: «3", "limits: {nodes: 2}"],
            "3 nodes are more than `limits.nodes` allows, 2",
        ),
        (
            &["recipe: tabular", "run_on: vertex", "env: {TOKEN: «secret:crm}"],
            "`TOKEN` cannot be a secret with `run_on: vertex`, where others read a job's variables",
        ),
    ] {
        assert_eq!(refused(lines).1, message);
    }
}

#[test]
fn numbers_and_sizes_break_their_rules_one_by_one() {
    for (line, message) in [
        ("nodes: «0", "`0` is not a number of them"),
        ("memory: «16GB", "`16GB` is not a size of memory"),
        ("machine: «G2", "`G2` is not the name of a machine type"),
        ("queue: «a_b", "`a_b` is not a name in Kubernetes"),
        ("retries: «11", "`11` is not a number of retries"),
        ("limits: {cost_usd: «-1}", "`-1` is not an amount"),
        ("accelerator: {type: «nvidia-l5}", "`nvidia-l5` is not one of the choices"),
    ] {
        assert_eq!(refused(&["recipe: tabular", "run_on: ray", line]).1, message);
    }
}

#[test]
fn machines_that_do_not_exist_so_are_told() {
    for (lines, part) in [
        (&["machine: n1-standard-4", "accelerator: {type: «nvidia-l4}"][..], "accelerator.type:"),
        (&["accelerator: {type: nvidia-l4, count: «3}"], "accelerator.count:"),
        (&["cpu: «900"], "cpu:"),
    ] {
        let all: Vec<&str> = ["recipe: tabular", "run_on: kubeflow"].iter().chain(lines).copied().collect();
        let (code, message, _) = refused(&all);
        assert!(code == Code::InvalidValue && message.starts_with(part), "{lines:?}: {message}");
    }
}

#[test]
fn a_machine_type_that_is_not_in_the_catalogue_is_left_to_its_back_end() {
    assert_eq!(
        training(&["recipe: tabular", "run_on: vertex", "machine: z9-giant-8"]).compute.machine.unwrap(),
        "z9-giant-8"
    );
}

#[test]
fn spot_machines_without_checkpoints_are_thought_over() {
    let told = |lines: &[&str]| {
        let mut files = fraud();
        files.insert(PATH.into(), FRAUD.replace(LOCAL, &written(lines)));
        advice(&load_files(&files).unwrap()).iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let spot = ["image: p/gpt@DIGEST", "run_on: vertex", "spot: true"];
    let [warning] = &*told(&spot) else { panic!("{:?}", told(&spot)) };
    assert!(warning.starts_with("warning: fraud, training fraud-classifier: it runs on spot machines"), "{warning}");
    assert_eq!(told(&[spot[0], spot[1], spot[2], "checkpoints: true"]), [] as [String; 0]);
    assert_eq!(told(&spot[..2]), [] as [String; 0]);
}
