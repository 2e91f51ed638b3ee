//! A run's plan and history as people look at them. Pure.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use millstream_events::{
    StepRef,
    fact::{Outcome, Reason, TrafficMoved},
    history::{Finished, History, Record},
    names::StepName,
};
use millstream_pipeline::plan::{Plan, PlannedStep, RunState, StepState};
use millstream_ports::Snapshot;

use super::views::{RunDetails, RunStatus, RunSummary, StepView};

/// A run as it stands; as it ended, where it has ended and its definition has changed or is gone.
pub(crate) fn details(snapshot: &Snapshot, plan: Option<&Plan>) -> RunDetails {
    let known = Known::of(&snapshot.history);
    let is_open = snapshot.open.is_some();
    let ended =
        known.finished.filter(|finished| !is_open && plan.is_none_or(|plan| plan.fingerprint() != finished.plan));
    let (state, steps) = match (ended, plan) {
        (Some(finished), _) => {
            let state = if finished.succeeded { RunStatus::Succeeded } else { RunStatus::Failed };
            (state, as_it_ended(finished, &known))
        }
        (None, Some(plan)) => (status(plan.state()), plan.steps.iter().map(|step| known.planned(step)).collect()),
        // Its pipeline was removed before it ended: it goes no further.
        (None, None) => (RunStatus::Waiting, Vec::new()),
    };
    let reason = match (state, plan) {
        (RunStatus::Waiting, None) => Some("its pipeline is not defined any more".to_owned()),
        _ => reason(state, &steps),
    };
    let summary = RunSummary {
        run: snapshot.history.run.to_string(),
        state,
        open: is_open,
        started_at: snapshot.history.entries().map(|entry| entry.at).min(),
        last_activity: snapshot.history.last_activity(),
        steps_done: steps.iter().filter(|step| step.state == "done").count(),
        steps_total: steps.len(),
        bad_rows: steps.iter().map(bad_rows).sum(),
        reason,
    };
    RunDetails {
        summary,
        started_by: known.started_by.clone(),
        definition_changed: ended.is_some(),
        steps,
        moves: known.moves.into_iter().cloned().collect(),
    }
}

fn status(state: RunState) -> RunStatus {
    match state {
        RunState::Running => RunStatus::Running,
        RunState::Waiting => RunStatus::Waiting,
        RunState::Failed => RunStatus::Failed,
        RunState::Succeeded => RunStatus::Succeeded,
    }
}

/// The first failure, the first thing waited for, or why the first step that was put off was.
fn reason(state: RunStatus, steps: &[StepView]) -> Option<String> {
    let wanted: &[&str] = match state {
        RunStatus::Failed => &["failed"],
        RunStatus::Waiting => &["waiting"],
        RunStatus::Running => &["running", "owed"],
        RunStatus::Succeeded => return None,
    };
    steps.iter().filter(|step| wanted.contains(&step.state.as_str())).find_map(|step| step.reason.clone())
}

fn bad_rows(step: &StepView) -> u64 {
    match &step.outcome {
        Some(Outcome::BatchIngested(batch)) => batch.bad_rows,
        _ => 0,
    }
}

fn as_it_ended(finished: &Finished, known: &Known<'_>) -> Vec<StepView> {
    let steps = finished.steps.iter().zip(&finished.refs);
    steps
        .map(|(name, step)| {
            let outcome = step.as_ref().and_then(|step| known.done.get(step).copied());
            let failure = step.as_ref().and_then(|step| known.failed.get(step).copied());
            let state = match (outcome, failure) {
                (Some(_), _) => "done",
                (None, Some(_)) => "failed",
                (None, None) => "blocked",
            };
            known.view(name, step.as_ref(), state, outcome, failure)
        })
        .collect()
}

/// A history by what a view asks of it.
#[derive(Default)]
struct Known<'a> {
    started_by: Vec<String>,
    requested: HashMap<&'a StepRef, DateTime<Utc>>,
    ended: HashMap<&'a StepRef, DateTime<Utc>>,
    done: HashMap<&'a StepRef, &'a Outcome>,
    failed: HashMap<&'a StepRef, &'a Reason>,
    finished: Option<&'a Finished>,
    moves: Vec<&'a TrafficMoved>,
}

impl<'a> Known<'a> {
    fn of(history: &'a History) -> Self {
        let mut known = Self::default();
        let mut entries: Vec<_> = history.entries().collect();
        entries.sort_by_key(|entry| entry.at);
        for entry in entries {
            match &entry.record {
                Record::Uploaded { object, .. } => known.started_by.push(object.object.name().to_owned()),
                Record::Started { by, .. } => known.started_by.push(by.clone()),
                Record::Requested(step) => drop(known.requested.insert(step, entry.at)),
                Record::Done(fact) => {
                    known.ended.insert(&fact.step, entry.at);
                    known.done.insert(&fact.step, &fact.fact);
                }
                Record::Failed(fact) => {
                    known.ended.insert(&fact.step, entry.at);
                    known.failed.insert(&fact.step, &fact.fact);
                }
                Record::Finished(finished) => known.finished = Some(finished),
                Record::Moved(moved) => known.moves.push(moved),
                Record::Deferred(_) | Record::Retried(_) | Record::Gathered { .. } | Record::Turn(_) => {}
            }
        }
        known.started_by.dedup();
        // They are recorded as they are told, which may be late.
        known.moves.sort_by_key(|moved| (moved.at, moved.number));
        known
    }

    fn planned(&self, planned: &PlannedStep) -> StepView {
        let (outcome, failure) = match &planned.state {
            StepState::Done { outcome } => (Some(outcome), None),
            StepState::Failed { reason } | StepState::Refused { reason } => (None, Some(reason)),
            StepState::Owed { deferred, .. } => (None, deferred.as_ref()),
            StepState::Blocked { .. } | StepState::Waiting { .. } => (None, None),
        };
        let mut view = self.view(&planned.name, planned.step.as_ref(), planned.state.word(), outcome, failure);
        view.needs = planned.needs.iter().map(ToString::to_string).collect();
        match &planned.state {
            StepState::Blocked { by } => view.reason = Some(format!("{by} has failed")),
            StepState::Waiting { reason } => view.reason = Some(reason.clone()),
            _ => {}
        }
        view
    }

    fn view(
        &self,
        name: &StepName,
        step: Option<&StepRef>,
        state: &str,
        outcome: Option<&Outcome>,
        reason: Option<&Reason>,
    ) -> StepView {
        let requested_at = step.and_then(|step| self.requested.get(step).copied());
        let ended_at = step.and_then(|step| self.ended.get(step).copied());
        // That a command was asked for is noted after asking, so a quick answer may be noted first.
        let seconds = |from: DateTime<Utc>, to: DateTime<Utc>| (to - from).as_seconds_f64().max(0.0);
        StepView {
            step: name.to_string(),
            state: state.to_owned(),
            fingerprint: step.map(|step| step.fingerprint.to_string()),
            attempt: step.map(|step| step.attempt),
            needs: Vec::new(),
            requested_at,
            ended_at,
            seconds: requested_at.zip(ended_at).map(|(from, to)| seconds(from, to)),
            outcome: outcome.cloned(),
            reason: reason.map(|reason| reason.message.clone()),
            detail: reason.and_then(|reason| reason.detail.clone()),
            kept: reason.map(|reason| reason.kept.clone()).unwrap_or_default(),
        }
    }
}
