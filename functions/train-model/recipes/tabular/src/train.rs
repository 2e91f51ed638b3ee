//! One training from beginning to end.

use std::fs;
use std::io::Write;
use std::path::Path;

use arrow::array::{RecordBatch, UInt64Array};
use arrow::compute::take_record_batch;
use millstream_scoring::{MODEL_FILE, Model, SIGNATURE_FILE, Signature, column_values, score_holdout};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;

use crate::boost::{self, Forest, Progress, Rows, Settings};
use crate::features::{self, Candidate};
use crate::report::{Report, RowCounts};
use crate::split::{self, Shares};
use crate::target::{Goal, Truth, rows_with_target};
use crate::{Environment, Options, RecipeError, onnx, read};

const HOLDOUT_FILE: &str = "holdout.parquet";
const METRICS_FILE: &str = "metrics.json";

/// The fewest rows with a target: fewer cannot be split into rows that teach and rows that measure.
const FEWEST_ROWS: usize = 10;

/// How many lines of progress a training logs at most, beside its last.
const PROGRESS_LINES: usize = 20;

/// Trains a model under Vertex AI's contract, telling of its progress line by line.
pub fn run(options: &Options, environment: &Environment, log: &mut dyn Write) -> Result<Report, RecipeError> {
    let read = |uri: &str| read::table(uri, environment.format);
    let all = read(&environment.training_data)?;
    let table = rows_with_target(&all, options)?;
    let goal = Goal::of(&table, options)?;
    if table.num_rows() < FEWEST_ROWS {
        return Err(RecipeError::TooFewRows { rows: table.num_rows(), least: FEWEST_ROWS });
    }
    let (mut candidates, dropped) = features::choose(&table, &goal, options)?;
    let mut say = |line: String| writeln!(log, "{line}").map_err(RecipeError::Log);
    say(format!("{} of {} rows have a target; {:?} {:?}", table.num_rows(), all.num_rows(), goal.task, goal.target))?;
    for dropped in &dropped {
        say(format!("column {} is not learned from: {}", dropped.column, dropped.reason))?;
    }

    let truths: Vec<Truth> = goal.read(&table)?.into_iter().flatten().collect();
    let order = split::order(&candidates, &truths, options.seed);
    let shares = Shares {
        holdout: environment.test_data.is_none().then_some(options.test_share),
        validation: environment.validation_data.is_none(),
    };
    let split = split::split(&order, &truths, &shares);
    let targets: Vec<f64> = truths.iter().map(|truth| truth.number()).collect();
    candidates.iter_mut().for_each(|candidate| candidate.order_categories(&split.training, &targets));

    let training = rows(&candidates, &truths, &goal, &split.training);
    let validation = match &environment.validation_data {
        Some(uri) => Some(given_rows(&rows_with_target(&read(uri)?, options)?, &candidates, &goal)?),
        None => Some(rows(&candidates, &truths, &goal, &split.validation)),
    };
    let validation = validation.filter(|rows| !rows.target.is_empty());
    let holdout = match &environment.test_data {
        Some(uri) => rows_with_target(&read(uri)?, options)?,
        None => take_record_batch(&table, &split.holdout.iter().map(|row| *row as u64).collect::<UInt64Array>())?,
    };
    let counts = RowCounts {
        train: split.training.len(),
        validation: validation.as_ref().map_or(0, |rows| rows.target.len()),
        holdout: holdout.num_rows(),
        without_target: all.num_rows() - table.num_rows(),
    };
    say(format!(
        "{} features; {} rows to learn from, {} to stop by, {} held out",
        candidates.len(),
        counts.train,
        counts.validation,
        counts.holdout
    ))?;

    let settings = settings(options);
    let mut lines = Vec::new();
    let forest = boost::fit(&settings, &training, validation.as_ref(), |progress| {
        if progress.round.is_multiple_of(settings.rounds.div_ceil(PROGRESS_LINES)) {
            // The log's own failure waits until the forest is grown.
            lines.push(say(progress_line(&progress, settings.rounds)));
        }
    });
    lines.into_iter().collect::<Result<Vec<()>, _>>()?;
    say(format!("kept {} rounds of trees", forest.rounds))?;

    let signature = signature(&candidates, &goal);
    let folder = &environment.model_folder;
    write_model(folder, &forest, &signature, &holdout)?;
    // Measured from the files just written, as promotion will measure them.
    let measured = score_holdout(&Model::load(folder)?, &folder.join(HOLDOUT_FILE))?;
    for (name, value) in &measured.metrics {
        say(format!("{name} {value:.4}"))?;
    }
    let names = signature.features.iter().map(|feature| feature.name.clone());
    let report = Report {
        task: goal.task,
        metrics: measured.metrics,
        confusion_matrix: measured.confusion_matrix,
        rows: counts,
        feature_importance: names.zip(forest.importance.iter().copied()).collect(),
        rounds: forest.rounds,
        dropped,
    };
    // Last of all: a folder with metrics is a finished one.
    write(&folder.join(METRICS_FILE), &serde_json::to_vec_pretty(&report)?)?;
    Ok(report)
}

fn settings(options: &Options) -> Settings {
    Settings {
        rounds: options.trees as usize,
        learning_rate: options.learning_rate,
        max_depth: options.max_depth as usize,
        min_child_rows: options.min_child_rows as usize,
        l2: options.l2,
        patience: options.patience as usize,
    }
}

fn progress_line(progress: &Progress, rounds: usize) -> String {
    let Progress { round, training, validation } = progress;
    let validation = validation.map(|loss| format!(", validation loss {loss:.5}")).unwrap_or_default();
    format!("round {round}/{rounds}: training loss {training:.5}{validation}")
}

fn rows(candidates: &[Candidate], truths: &[Truth], goal: &Goal, rows: &[usize]) -> Rows {
    let pick = |candidate: &Candidate| rows.iter().map(|&row| candidate.values[row]).collect();
    Rows { columns: candidates.iter().map(pick).collect(), target: goal.learnable(rows.iter().map(|&row| truths[row])) }
}

/// A table that was given apart, as rows of the features; rows of classes that training has not seen are passed over.
fn given_rows(table: &RecordBatch, candidates: &[Candidate], goal: &Goal) -> Result<Rows, RecipeError> {
    let truths = goal.read(table)?;
    let known = |values: Vec<f32>| {
        values.into_iter().zip(&truths).filter(|(_, truth)| truth.is_some()).map(|(value, _)| value).collect()
    };
    let mut columns = Vec::new();
    for Candidate { feature, .. } in candidates {
        let column = crate::target::column(table, &feature.name, "target")?;
        columns.push(known(column_values(&feature.name, column, &feature.kind)?));
    }
    Ok(Rows { columns, target: goal.learnable(truths.iter().copied().flatten()) })
}

fn signature(candidates: &[Candidate], goal: &Goal) -> Signature {
    Signature {
        task: goal.task,
        target: goal.target.clone(),
        features: candidates.iter().map(|candidate| candidate.feature.clone()).collect(),
        classes: goal.classes.clone(),
        model: None,
        fingerprint: None,
    }
}

fn write_model(
    folder: &Path,
    forest: &Forest,
    signature: &Signature,
    holdout: &RecordBatch,
) -> Result<(), RecipeError> {
    fs::create_dir_all(folder).map_err(|source| RecipeError::File {
        action: "write",
        path: folder.to_owned(),
        source,
    })?;
    write(&folder.join(MODEL_FILE), &onnx::encode(forest, signature)?)?;
    write(&folder.join(SIGNATURE_FILE), signature.to_json()?.as_bytes())?;
    let mut parquet = Vec::new();
    let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
    let written = ArrowWriter::try_new(&mut parquet, holdout.schema(), Some(properties)).and_then(|mut writer| {
        writer.write(holdout)?;
        writer.close()
    });
    written.map_err(|error| RecipeError::Arrow(error.into()))?;
    write(&folder.join(HOLDOUT_FILE), &parquet)
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), RecipeError> {
    fs::write(path, bytes).map_err(|source| RecipeError::File { action: "write", path: path.to_owned(), source })
}
