//! A training command turned into the jobs it asks for: pure.

use millstream_events::{
    Command, StepRef,
    names::ObjectPath,
    work::{Program, TrainModel},
};
use millstream_ports::{ExportJob, TrainingJob};
use millstream_runtime::Failure;

/// The export of the rows to learn from, and its job id.
///
/// They go beside the output folder, not into it: what serves the model copies that folder, and must not copy the data.
pub(crate) fn data_export(command: &Command<TrainModel>) -> Result<(String, ExportJob), Failure> {
    let TrainModel { data, data_format, output, .. } = &command.work;
    let to = beside(output, &format!("data/train.{}", data_format.as_str()))?;
    Ok((format!("{}-data", command.step.job_id()), ExportJob { table: data.clone(), to, format: *data_format }))
}

/// The program's run on `data`.
pub(crate) fn training_job(
    step: &StepRef,
    training: &TrainModel,
    data: Vec<ObjectPath>,
) -> Result<TrainingJob, Failure> {
    let checkpoints = match &training.checkpoints {
        Some(folder) => folder.clone(),
        None => beside(&training.output, "checkpoints")?,
    };
    Ok(TrainingJob {
        step: step.clone(),
        model: training.model.clone(),
        program: training.program.clone(),
        args: arguments(training),
        env: training.env.clone(),
        data,
        data_format: training.data_format,
        output: training.output.clone(),
        checkpoints,
        compute: training.compute.clone(),
        wall_seconds: training.wall_seconds,
    })
}

/// The folder or file of this name beside a folder.
fn beside(folder: &ObjectPath, name: &str) -> Result<ObjectPath, Failure> {
    ObjectPath::new(folder.bucket(), format!("{}-{name}", folder.name().trim_end_matches('/')))
        .map_err(|error| Failure::permanent(error.to_string()))
}

/// The built-in recipe is told the target; a program of the user's is told what the user wrote.
fn arguments(training: &TrainModel) -> Vec<String> {
    let target = match (&training.program, &training.target) {
        (Program::Tabular, Some(target)) => Some(["--target".to_owned(), target.clone()]),
        _ => None,
    };
    target.into_iter().flatten().chain(training.args.iter().cloned()).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use millstream_events::{Fingerprint, compute::Compute, work::DataFormat};

    use super::*;

    fn training(program: Program) -> TrainModel {
        TrainModel {
            model: "iris".parse().unwrap(),
            data: "production.iris_features".parse().unwrap(),
            data_format: DataFormat::Csv,
            target: Some("species".into()),
            program,
            args: vec!["--trees".into(), "50".into()],
            env: BTreeMap::from([("SEED".into(), "1".into())]),
            wall_seconds: 60,
            compute: Compute { nodes: 2, ..Compute::default() },
            output: "gs://models/iris/abc".parse().unwrap(),
            checkpoints: None,
        }
    }

    fn step(attempt: u32) -> StepRef {
        StepRef {
            run: "iris".parse().unwrap(),
            step: "train/iris".parse().unwrap(),
            fingerprint: Fingerprint::of("step", []),
            attempt,
        }
    }

    #[test]
    fn the_recipe_is_told_its_target_before_the_users_arguments() {
        let job = training_job(&step(1), &training(Program::Tabular), Vec::new()).unwrap();
        assert_eq!(job.args, ["--target", "species", "--trees", "50"]);
    }

    #[test]
    fn a_program_of_the_users_gets_only_the_users_arguments() {
        let program = Program::Command(vec!["python3".into(), "train.py".into()]);
        let job = training_job(&step(1), &training(program.clone()), Vec::new()).unwrap();
        assert_eq!((job.program, job.args), (program, vec!["--trees".to_owned(), "50".to_owned()]));
        assert_eq!((&*job.env["SEED"], job.compute.nodes), ("1", 2));
        assert_eq!(job.checkpoints.name(), "iris/abc-checkpoints");
    }

    #[test]
    fn the_rows_are_exported_beside_the_models_folder_under_a_job_of_their_own() {
        for (format, name) in [
            (DataFormat::Csv, "iris/abc-data/train.csv"),
            (DataFormat::Jsonl, "iris/abc-data/train.jsonl"),
            (DataFormat::Parquet, "iris/abc-data/train.parquet"),
        ] {
            let step = step(2);
            let fingerprint = step.fingerprint.clone();
            let mut work = training(Program::Tabular);
            work.data_format = format;
            work.output = "gs://models/iris/abc/".parse().unwrap();
            let (job, export) = data_export(&Command { step, work }).unwrap();
            assert_eq!(job, format!("{fingerprint}-a2-data"));
            assert_eq!((export.to.bucket(), export.to.name(), export.format), ("models", name, format));
        }
    }
}
