//! The recipes in Python. What they share needs Python alone and is always tested; the trainings need PyTorch.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// `functions/train-model`.
fn function() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Runs `python -m unittest` with `arguments` in `folder`, a path below the function's; fails with what it printed.
fn unittest(python: &Path, folder: &str, arguments: &[&str]) {
    let output = Command::new(python)
        .args(["-m", "unittest"])
        .args(arguments)
        .arg("--verbose")
        .current_dir(function().join(folder))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("PYTHONPATH", function().join("recipes"))
        .output()
        .unwrap_or_else(|error| panic!("cannot run {}: {error}: install Python 3.10 or later", python.display()));
    let printed = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{printed}");
    assert!(printed.contains("\nRan ") && !printed.contains("\nRan 0 tests"), "no test was found: {printed}");
}

/// The python of `target/venv-recipes`, with the packages of `tests/python/recipes.txt` exactly.
fn python_with_torch() -> PathBuf {
    let root = function().ancestors().nth(2).unwrap();
    let list = root.join("tests/python/recipes.txt");
    let venv = root.join("target/venv-recipes");
    fs::create_dir_all(venv.parent().unwrap()).unwrap();
    // Only one of the tests may install.
    let lock = fs::File::create(venv.with_extension("lock")).unwrap();
    lock.lock().unwrap();
    let (python, installed) = (venv.join("bin/python"), venv.join("installed.txt"));
    let wanted = fs::read(&list).unwrap();
    if fs::read(&installed).is_ok_and(|installed| installed == wanted) {
        return python;
    }
    must_run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&venv));
    // The list is complete: pip would add the half of CUDA that a CPU never asks for.
    must_run(Command::new(&python).args(["-m", "pip", "install", "--quiet", "--no-deps", "-r"]).arg(&list));
    fs::write(installed, wanted).unwrap();
    python
}

fn must_run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
    assert!(output.status.success(), "{command:?} failed: {}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn what_the_recipes_in_python_share_keeps_its_contract() {
    unittest(Path::new("python3"), "recipes", &["discover", "-t", ".", "-s", "contract/tests"]);
}

#[test]
#[ignore = "installs PyTorch (2.4 GB): cargo test -p millstream-train-model --test recipes -- --ignored"]
fn gpt_learns_survives_interruptions_and_exports_what_it_learned() {
    unittest(&python_with_torch(), "tests/recipes", &["test_gpt"]);
}

#[test]
#[ignore = "installs PyTorch (2.4 GB): cargo test -p millstream-train-model --test recipes -- --ignored"]
fn style_learns_survives_interruptions_and_exports_what_it_learned() {
    unittest(&python_with_torch(), "tests/recipes", &["test_style"]);
}
