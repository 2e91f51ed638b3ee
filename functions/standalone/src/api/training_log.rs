//! What a training has said: from where it runs, or from where its log is kept.

use millstream_events::{
    fact::{ModelTrained, Outcome, Reason},
    names::{ObjectPath, RunId, StepName},
    work::Work,
};
use millstream_pipeline::plan::{Plan, PlannedStep, StepState};
use millstream_ports::{ErrorKind, ObjectStoreExt};

use super::{Answer, Refusal, views::TrainingLog};
use crate::platform::Platform;

/// The end of a log that is shown.
const SHOWN: usize = 1 << 20;

/// The most that is read of a kept log.
const READ: u64 = 64 << 20;

/// The log of the run's training, or of the one that `step` names.
pub(super) async fn of(
    platform: &Platform,
    run: &RunId,
    plan: Option<&Plan>,
    step: Option<&StepName>,
) -> Answer<TrainingLog> {
    let trainings =
        plan.iter().flat_map(|plan| &plan.steps).filter(|planned| planned.name.as_str().starts_with("train/"));
    let trainings: Vec<_> = trainings.filter(|planned| step.is_none_or(|step| *step == planned.name)).collect();
    let planned = match trainings.as_slice() {
        [] => {
            return Err(Refusal::not_found(format!(
                "{run} has no such training; `millstream show {run}` lists its steps"
            )));
        }
        [planned] => *planned,
        several => {
            let names: Vec<_> = several.iter().map(|planned| planned.name.as_str()).collect();
            return Err(Refusal::invalid(format!(
                "{run} has several trainings; say --step {}",
                names.join(" or --step ")
            )));
        }
    };
    let text = text(platform, planned).await?;
    Ok(TrainingLog { step: planned.name.to_string(), state: planned.state.word().to_owned(), text })
}

async fn text(platform: &Platform, planned: &PlannedStep) -> Answer<String> {
    match &planned.state {
        StepState::Done { outcome: Outcome::ModelTrained(ModelTrained { log: Some(log), .. }) } => {
            kept(platform, log).await
        }
        StepState::Owed { command, .. } => {
            let Work::TrainModel(work) = &command.work else { return Ok(String::new()) };
            match platform.back_ends.log(work.compute.run_on, &command.step.job_id(), SHOWN).await {
                Err(error) if error.kind() == ErrorKind::NotFound => Ok(String::new()),
                read => Ok(read?),
            }
        }
        StepState::Failed { reason: Reason { detail, kept: files, .. } } => {
            match files.iter().find(|file| file.name().ends_with("log.txt")) {
                Some(log) => kept(platform, log).await,
                None => Ok(detail.clone().unwrap_or_default()),
            }
        }
        _ => Ok(String::new()),
    }
}

async fn kept(platform: &Platform, log: &ObjectPath) -> Answer<String> {
    let bytes = platform.store.read(log, READ).await?;
    let from = bytes.len().saturating_sub(SHOWN);
    Ok(String::from_utf8_lossy(&bytes[from..]).into_owned())
}
