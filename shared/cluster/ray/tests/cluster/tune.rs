//! The recipe `ray-tune`, with a training program of a few lines.

use std::{fs, path::Path, process::Command};

use millstream_peers::ray::RayCluster;
use millstream_ports::{Trainer, TrainingJob, TrainingState};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;

use crate::support::{Site, assert_succeeded, failure, read_json, recipe, until};

/// Scores best at 0.5; fails where `--kind=bad`; notes each of its starts; in the second trial it is killed once; and but in the
/// first two trials it waits for the file `go`.
const PROGRAM: &str = r#"
import json, os, pathlib, sys, time
chosen = dict(argument.removeprefix("--").split("=") for argument in sys.argv[1:])
model, kept = pathlib.Path(os.environ["AIP_MODEL_DIR"]), pathlib.Path(os.environ["AIP_CHECKPOINT_DIR"])
number, search = int(kept.parent.name[:4]), kept.parents[2]
with (kept / "starts").open("a") as starts:
    starts.write("x\n")
if number == 1 and len((kept / "starts").read_text().split()) == 1:
    os.kill(os.getpid(), 9)
while number >= 2 and not (search / "go").exists():
    time.sleep(0.1)
if chosen.get("kind") == "bad":
    sys.exit("that kind is bad")
(model / "weights").write_text(chosen["x"])
(model / "metrics.json").write_text(json.dumps({"score": -(float(chosen["x"]) - 0.5) ** 2}))
"#;

const TRIALS: usize = 5;

fn search(site: &Site, job: &str, parameters: &[&str]) -> TrainingJob {
    let program = site.folder(job).join("fit.py");
    fs::create_dir_all(program.parent().unwrap()).unwrap();
    fs::write(&program, PROGRAM).unwrap();
    let (python, trials) = (RayCluster::python(), TRIALS.to_string());
    let mut arguments = vec!["--metric", "score", "--trials", &trials];
    arguments.extend(parameters.iter().flat_map(|parameter| ["--param", parameter]));
    arguments.extend(["--", python.to_str().unwrap(), program.to_str().unwrap()]);
    recipe(job, "ray-tune", &arguments)
}

fn results(trials: &Path) -> usize {
    fs::read_dir(trials)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|trial| trial.path().join("result.json").exists())
        .count()
}

fn starts(trials: &Path) -> Vec<usize> {
    let mut folders: Vec<_> = fs::read_dir(trials).unwrap().map(|trial| trial.unwrap().path()).collect();
    folders.sort();
    folders.iter().map(|trial| fs::read_to_string(trial.join("checkpoints/starts")).unwrap().lines().count()).collect()
}

#[tokio::test]
async fn a_search_that_is_killed_goes_on_and_ends_with_the_best_trial_s_model() {
    let site = Site::new();
    let mut training = search(&site, "search", &["x=uniform:0,1"]);
    // What watches over the job tells who it is, to be killed.
    let note = format!("echo $PPID > '{}'; exec \"$@\"", site.folder("search").join("supervisor").display());
    if let millstream_events::work::Program::Command(command) = &mut training.program {
        command.splice(0..0, ["/bin/sh", "-c", &note, "sh"].map(str::to_owned));
    }
    let trials = site.folder("search/checkpoints/trials");
    site.trainer.ensure("search", &training).await.unwrap();
    until(async || (results(&trials) == 2).then_some(())).await;
    let supervisor = fs::read_to_string(site.folder("search/supervisor")).unwrap();
    kill(Pid::from_raw(supervisor.trim().parse().unwrap()), Signal::SIGKILL).unwrap();
    assert_eq!(site.end("search", &training).await, TrainingState::Lost);
    assert_eq!(results(&trials), 2);

    fs::write(site.folder("search/checkpoints/go"), "").unwrap();
    assert_succeeded(&site.end("search", &training).await);
    // The two that were done are not run again, one of them after it was killed; of the others some had begun.
    let starts = starts(&trials);
    assert_eq!((starts.len(), &starts[..2]), (TRIALS, &[1, 2][..]));
    assert!(starts[2..].iter().all(|count| (1..=2).contains(count)), "{starts:?}");

    let model = site.folder("search/model");
    let trials = read_json(&model.join("trials.json"));
    let all = trials["trials"].as_array().unwrap();
    let score = |trial: &Value| trial["metrics"]["score"].as_f64().unwrap();
    let best = all.iter().max_by(|one, other| score(one).total_cmp(&score(other))).unwrap();
    assert_eq!((all.len(), &trials["best"]), (TRIALS, &best["trial"]));
    assert_eq!(read_json(&model.join("metrics.json"))["score"], best["metrics"]["score"]);
    let weights: f64 = fs::read_to_string(model.join("weights")).unwrap().parse().unwrap();
    assert!((best["parameters"]["x"].as_f64().unwrap() - weights).abs() < 1e-12, "{best} {weights}");
    let again = site.other_trainer().ensure("search", &training).await.unwrap();
    assert_succeeded(&again);
}

#[tokio::test]
async fn a_search_in_which_every_trial_fails_says_why() {
    let site = Site::new();
    let training = search(&site, "hopeless", &["x=uniform:0,1", "kind=choice:bad"]);
    fs::create_dir_all(site.folder("hopeless/checkpoints")).unwrap();
    fs::write(site.folder("hopeless/checkpoints/go"), "").unwrap();
    let state = site.end("hopeless", &training).await;
    let (reason, log_tail) = failure(&state);
    assert_eq!(reason, "exit code 1");
    assert!(log_tail.contains("error: every trial failed; the first: exit code 1: that kind is bad"), "{log_tail}");
    assert!(!site.folder("hopeless/model/metrics.json").exists());
}

#[test]
fn parameters_that_cannot_be_drawn_are_refused() {
    let program = r#"
import importlib
parameter = importlib.import_module("ray-tune.space").parameter
for text in ["x", "x=", "=choice:1", "X=choice:1", "x=choice:", "x=normal:0,1", "x=int:1.5,2", "x=int:1", "x=int:3,2", "x=loguniform:0,1"]:
    try:
        parameter(text)
    except ValueError as error:
        assert text in str(error), (text, error)
    else:
        raise SystemExit(f"{text} was taken")
for text, low, high in [("n=int:2,3", 2, 3), ("n=logint:1,100", 1, 100), ("n=uniform:-1,1", -1, 1), ("n=loguniform:0.1,1", 0.1, 1)]:
    name, domain = parameter(text)
    drawn = [domain.sample() for _ in range(200)]
    assert name == "n" and all(low <= value <= high for value in drawn), (text, drawn)
assert set(parameter("n=int:2,3")[1].sample() for _ in range(200)) == {2, 3}
assert set(parameter("n=choice:50,a b")[1].sample() for _ in range(200)) == {"50", "a b"}
"#;
    let mut command = Command::new(RayCluster::python());
    let output = command.args(["-B", "-c", program]).env("PYTHONPATH", RayCluster::recipes()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
