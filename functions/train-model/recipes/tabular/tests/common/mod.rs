//! Tables to train on, and one call that trains.
#![allow(dead_code, reason = "each test file uses some of this")]

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use clap::Parser;
use millstream_recipe_tabular::{Environment, Options, RecipeError, Report, run};
use tempfile::TempDir;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    options: Options,
}

/// A finished training.
pub(crate) struct Trained {
    pub(crate) folder: TempDir,
    pub(crate) report: Report,
    pub(crate) log: String,
}

impl Trained {
    pub(crate) fn file(&self, name: &str) -> Vec<u8> {
        fs::read(self.folder.path().join("model").join(name)).unwrap()
    }

    pub(crate) fn model_folder(&self) -> std::path::PathBuf {
        self.folder.path().join("model")
    }
}

pub(crate) fn options(arguments: &[&str]) -> Options {
    Line::parse_from(["recipe"].iter().chain(arguments)).options
}

/// Trains on a CSV text.
pub(crate) fn train(csv: &str, arguments: &[&str]) -> Result<Trained, RecipeError> {
    train_with(csv, arguments, &[])
}

/// Trains on a CSV text, with more CSV texts under more variables.
pub(crate) fn train_with(csv: &str, arguments: &[&str], more: &[(&str, &str)]) -> Result<Trained, RecipeError> {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("AIP_TRAINING_DATA_URI"), csv).unwrap();
    more.iter().for_each(|(name, text)| fs::write(path(name), text).unwrap());
    let environment = Environment::from_lookup(|name| match name {
        "AIP_DATA_FORMAT" => Some("csv".into()),
        "AIP_MODEL_DIR" => Some(path("model").display().to_string()),
        name => path(name).exists().then(|| format!("file://{}", path(name).display())),
    })?;
    let mut log = Vec::new();
    let report = run(&options(arguments), &environment, &mut log)?;
    Ok(Trained { folder, report, log: String::from_utf8(log).unwrap() })
}

/// A fixed sequence of numbers in [0, 1).
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    pub(crate) fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// What the target of [`sales`] is made of.
#[derive(Clone, Copy)]
pub(crate) enum Outcome {
    Sold,
    Grade,
    Price,
}

/// Rows with numbers, booleans, categories, dates and gaps in every column, and a target that depends on them.
pub(crate) fn sales(rows: usize, outcome: Outcome) -> String {
    let mut numbers = Numbers(11);
    let mut csv = String::from("weight,stock,fragile,colour,since,target\n");
    for _ in 0..rows {
        let weight = numbers.next() * 40.0;
        let stock = (numbers.next() * 500.0) as i64;
        let fragile = numbers.next() < 0.3;
        let colour = ["red", "blue", "green", "black", "white"][(numbers.next() * 5.0) as usize];
        let day = 1 + (numbers.next() * 28.0) as i64;
        let worth = weight / 10.0
            + if fragile { 1.5 } else { 0.0 }
            + if colour == "blue" || colour == "black" { 2.0 } else { 0.0 }
            + stock as f64 / 250.0
            + numbers.next();
        let target = match outcome {
            Outcome::Sold => (worth > 5.0).to_string(),
            Outcome::Grade => ["low", "middle", "high"][(worth / 3.0).min(2.0) as usize].to_owned(),
            Outcome::Price => format!("{:.3}", worth * 100.0),
        };
        let mut gap = |text: String| if numbers.next() < 0.1 { String::new() } else { text };
        let (weight, stock) = (gap(format!("{weight:.4}")), gap(stock.to_string()));
        let (fragile, colour) = (gap(fragile.to_string()), gap(colour.to_owned()));
        let since = gap(format!("2026-03-{day:02}"));
        writeln!(csv, "{weight},{stock},{fragile},{colour},{since},{target}").unwrap();
    }
    csv
}

/// The python of `target/venv`, with the packages of `tests/python/requirements.txt`.
pub(crate) fn python() -> &'static Path {
    static PYTHON: OnceLock<std::path::PathBuf> = OnceLock::new();
    PYTHON.get_or_init(|| {
        let target = root().join("target");
        fs::create_dir_all(&target).unwrap();
        // Test binaries run side by side; only one may install.
        let lock = fs::File::create(target.join("venv.lock")).unwrap();
        lock.lock().unwrap();
        let python = target.join("venv/bin/python");
        let ready = Command::new(&python).args(["-c", "import numpy, onnxruntime, sklearn"]).output();
        if !ready.is_ok_and(|output| output.status.success()) {
            must_run(Command::new("python3").args(["-m", "venv"]).arg(target.join("venv")));
            let requirements = root().join("tests/python/requirements.txt");
            must_run(Command::new(&python).args(["-m", "pip", "install", "--quiet", "-r"]).arg(requirements));
        }
        python
    })
}

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(4).unwrap()
}

fn must_run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
    assert!(output.status.success(), "{command:?} failed: {}", String::from_utf8_lossy(&output.stderr));
}

/// Fisher's iris flowers as scikit-learn carries them, with the columns named.
pub(crate) fn iris() -> String {
    let script = "import importlib.util, pathlib; \
        print((pathlib.Path(importlib.util.find_spec('sklearn').origin).parent / 'datasets/data/iris.csv').read_text())";
    let output = Command::new(python()).args(["-c", script]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let mut csv = String::from("sepal_length,sepal_width,petal_length,petal_width,species\n");
    for line in text.lines().skip(1).filter(|line| !line.is_empty()) {
        let (measures, class) = line.rsplit_once(',').unwrap();
        let species = ["setosa", "versicolor", "virginica"][class.parse::<usize>().unwrap()];
        writeln!(csv, "{measures},{species}").unwrap();
    }
    csv
}
