//! The test event that `millstream doctor` sends through a deployment, and that changes nothing there.
//!
//! It begins as an object in the landing bucket whose name nobody else gives. `plan-run` keeps it under a run of its own, which
//! belongs to no pipeline, and asks every function one thing each, by the same command as any other. A function sees whose run
//! it is and does not look at the work: it says that it was asked, as a step that is put off, which `plan-run` keeps too. So each
//! hop leaves a record with its time, and nothing else.

use std::collections::BTreeMap;

use crate::{
    compute::Compute,
    contract::{Contract, FileOptions},
    event::{Command, StepRef},
    extract::{Cells, Changes, Connection, ExtractLimits, ExtractSource, Selection, Sheet, SourceKind},
    fact::{ModelTrained, Reason},
    fingerprint::Fingerprint,
    names::{ModelName, NameError, ObjectPath, PipelineName, RunId, RunKey, TableName},
    work::{
        DataFormat, ExportTable, IngestFile, LoadTable, Program, PromoteModel, TableLayout, TrainModel, TransformTable,
        Work, WriteMode,
    },
};

/// Where the objects are, and the pipeline of their runs. Its keys are such that a pipeline of this name is no probe.
pub const NAME: &str = "millstream-doctor";

/// What the runs' keys begin with.
const KEY: &str = "probe-";

/// Digits of an id: 32 lower-case hexadecimal ones.
const DIGITS: usize = 32;

/// The name of the object of a probe, `id` being 32 lower-case hexadecimal digits.
#[must_use]
pub fn object_name(id: &str) -> String {
    format!("{NAME}/{id}")
}

/// The run of a probe's object; none where the object is somebody's upload.
#[must_use]
pub fn run_of(object_name: &str) -> Option<RunId> {
    let id = object_name.strip_prefix(NAME)?.strip_prefix('/').filter(|id| is_id(id))?;
    Some(RunId { pipeline: PipelineName::new(NAME).ok()?, key: RunKey::new(format!("{KEY}{id}")).ok()? })
}

/// Whether a run is a probe's.
#[must_use]
pub fn is_probe(run: &RunId) -> bool {
    run.pipeline.as_str() == NAME && run.key.as_str().strip_prefix(KEY).is_some_and(is_id)
}

fn is_id(text: &str) -> bool {
    text.len() == DIGITS && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

/// The step of a probe that one function answers for, `probe/load-table`.
#[must_use]
pub fn step_name(function: &str) -> String {
    format!("probe/{function}")
}

/// What a function says that was asked.
#[must_use]
pub fn answer() -> Reason {
    Reason::new("asked by millstream doctor; nothing was done")
}

/// One command for each function. What they name does not exist.
///
/// # Errors
/// Never for the run of an object that [`run_of`] took.
pub fn commands(run: &RunId, object: &ObjectPath) -> Result<Vec<Command>, NameError> {
    let nowhere = object.join("nothing")?;
    let table: TableName = "source.millstream_doctor".parse()?;
    let model = ModelName::new(NAME)?;
    let works = [
        (
            "ingest-file",
            Work::IngestFile(IngestFile {
                object: nowhere.clone(),
                generation: 0,
                size: 0,
                crc32c: 0,
                contract: Contract::default(),
                options: FileOptions::default(),
                keys: Vec::new(),
                batch: nowhere.clone(),
                quarantine: nowhere.clone(),
            }),
        ),
        (
            "extract-source",
            Work::ExtractSource(ExtractSource {
                connection: Connection { from: SourceKind::Excel, secret: None, ca: None },
                select: Selection::Sheet(Sheet { object: nowhere.clone(), cells: Cells::default() }),
                only: Vec::new(),
                split_by: None,
                contract: Contract::default(),
                keys: Vec::new(),
                changes: Changes::Everything,
                since: None,
                appends: false,
                limits: ExtractLimits::default(),
                batches: nowhere.clone(),
                quarantine: nowhere.clone(),
            }),
        ),
        (
            "load-table",
            Work::LoadTable(LoadTable {
                batches: vec![nowhere.clone()],
                table: table.clone(),
                columns: Vec::new(),
                write: WriteMode::Append,
                layout: TableLayout::default(),
                sequence: 0,
                uploaded: None,
                deletes: false,
            }),
        ),
        (
            "transform-table",
            Work::TransformTable(TransformTable {
                table: table.clone(),
                sql: format!("SELECT * FROM {table}"),
                inputs: vec![table.clone()],
                write: WriteMode::Append,
                layout: TableLayout::default(),
                expect: Vec::new(),
            }),
        ),
        ("export-table", Work::ExportTable(ExportTable { table: table.clone(), to: nowhere.clone() })),
        (
            "train-model",
            Work::TrainModel(TrainModel {
                model: model.clone(),
                data: table.clone(),
                data_format: DataFormat::default(),
                target: None,
                program: Program::Tabular,
                args: Vec::new(),
                env: BTreeMap::new(),
                wall_seconds: 1,
                compute: Compute::default(),
                output: nowhere.clone(),
                checkpoints: Some(nowhere.clone()),
            }),
        ),
        (
            "promote-model",
            Work::PromoteModel(PromoteModel {
                trained: ModelTrained {
                    model,
                    artifact: nowhere,
                    metrics: BTreeMap::new(),
                    log: None,
                    seconds: 0.0,
                    cost: None,
                },
                data: table,
                sequence: 0,
                serving: None,
            }),
        ),
    ];
    let command = |(function, work)| {
        let name = step_name(function);
        let fingerprint = Fingerprint::of(NAME, [run.to_string().as_bytes(), name.as_bytes()]);
        let step = StepRef { run: run.clone(), step: name.parse()?, fingerprint, attempt: 1 };
        Ok(Command { step, work })
    };
    works.into_iter().map(command).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef";

    #[test]
    fn only_the_doctors_own_objects_and_runs_are_probes() {
        let run = run_of(&object_name(ID)).unwrap();
        assert_eq!(run.to_string(), format!("millstream-doctor/probe-{ID}"));
        assert!(is_probe(&run));
        let short = &ID[1..];
        for name in ["sales.csv", NAME, "millstream-doctor/x", &object_name(short), &object_name(&ID.to_uppercase())] {
            assert_eq!(run_of(name), None, "{name}");
        }
        for run in ["millstream-doctor/latest", "millstream-doctor/probe-1", &format!("sales/probe-{ID}")] {
            assert!(!is_probe(&run.parse().unwrap()), "{run}");
        }
    }

    #[test]
    fn each_function_is_asked_by_its_own_command() {
        let run = run_of(&object_name(ID)).unwrap();
        let commands = commands(&run, &ObjectPath::new("landing", object_name(ID)).unwrap()).unwrap();
        let mut types: Vec<&str> = commands.iter().map(|command| command.work.event_type()).collect();
        let mut all: Vec<&str> = crate::work::schemas().into_iter().map(|(name, _)| name).collect();
        types.sort_unstable();
        all.sort_unstable();
        assert_eq!(types, all);
        assert!(commands.iter().all(|command| is_probe(&command.step.run)));
    }
}
