//! A run's plan: every step, its identity, and where it stands.

mod direct;
mod extraction;
mod gathering;
mod sources;
mod state;

use std::collections::BTreeMap;

use millstream_events::{
    Command, Fingerprint, StepRef,
    fact::{Outcome, Reason},
    history::History,
    names::{ObjectPath, RunId, StepName, TableName},
    work::{ExportTable, PromoteModel, TrainModel, TransformTable, Work},
};

pub use self::state::{PlannedStep, RunState, StepState};
pub use self::{
    extraction::{TurnEnd, TurnWanted, turn_end},
    gathering::Gathering,
};
use crate::{
    identity,
    known::{Known, Standing},
    model::{Export, Pipeline, Pipelines, SqlModel, Training},
    pattern::captures_of,
};

/// Every step of a run and where it stands, each step after those it needs.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The run.
    pub run: RunId,
    /// Its steps.
    pub steps: Vec<PlannedStep>,
    /// Files that wait for others to be loaded with: the run goes on when they have waited long enough.
    pub gatherings: Vec<Gathering>,
    /// Turns at extracting that the run waits for: whoever plans it takes them when those before have ended.
    pub turns: Vec<TurnWanted>,
}

impl Plan {
    /// The commands that are owed.
    pub fn owed(&self) -> impl Iterator<Item = &Command> {
        self.steps.iter().filter_map(|step| match &step.state {
            StepState::Owed { command, .. } => Some(&**command),
            _ => None,
        })
    }

    /// Where the run as a whole stands.
    #[must_use]
    pub fn state(&self) -> RunState {
        let any = |is: fn(&StepState) -> bool| self.steps.iter().any(|step| is(&step.state));
        if any(|state| matches!(state, StepState::Owed { .. })) {
            RunState::Running
        } else if !self.gatherings.is_empty() || !self.turns.is_empty() {
            RunState::Waiting
        } else if any(|state| matches!(state, StepState::Failed { .. } | StepState::Refused { .. })) {
            RunState::Failed
        } else if any(|state| matches!(state, StepState::Waiting { .. } | StepState::Blocked { .. })) {
            RunState::Waiting
        } else {
            RunState::Succeeded
        }
    }

    /// A hash of the steps and how they ended.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        let lines: Vec<String> = self
            .steps
            .iter()
            .map(|step| {
                let job = step.step.as_ref().map(StepRef::job_id).unwrap_or_default();
                format!("{} {job} {}", step.name, step.state.word())
            })
            .collect();
        Fingerprint::of("plan/1", [lines.join("\n").as_bytes()])
    }
}

/// Plans a run of a pipeline from what is known of it.
#[must_use]
pub fn plan(pipelines: &Pipelines, pipeline: &Pipeline, history: &History) -> Plan {
    let mut planner = Planner {
        pipelines,
        pipeline,
        run: &history.run,
        known: Known::of(history),
        tables: BTreeMap::new(),
        steps: Vec::new(),
        gatherings: Vec::new(),
        turns: Vec::new(),
    };
    for source in &pipeline.sources {
        planner.source(source);
    }
    for extract in &pipeline.extracts {
        planner.extract(extract);
    }
    for model in &pipeline.models {
        planner.model(model);
    }
    for export in &pipeline.exports {
        planner.export(export);
    }
    for training in &pipeline.trainings {
        planner.training(training);
    }
    Plan { run: history.run.clone(), steps: planner.steps, gatherings: planner.gatherings, turns: planner.turns }
}

/// What a step that reads a table finds.
#[derive(Debug, Clone)]
enum Input {
    /// The table is as this run wants it.
    Ready(Fingerprint),
    /// The step that fills it is not done yet, or waits for an upload.
    NotYet(String),
    /// The step that fills it cannot be done.
    Blocked(StepName),
}

struct Planner<'a> {
    pipelines: &'a Pipelines,
    pipeline: &'a Pipeline,
    run: &'a RunId,
    known: Known<'a>,
    tables: BTreeMap<&'a TableName, Input>,
    steps: Vec<PlannedStep>,
    gatherings: Vec<Gathering>,
    turns: Vec<TurnWanted>,
}

impl<'a> Planner<'a> {
    fn first_attempt(&self, name: &StepName, fingerprint: Fingerprint) -> StepRef {
        StepRef { run: self.run.clone(), step: name.clone(), fingerprint, attempt: 1 }
    }

    /// What distinguishes this run where its inputs do not: a run over the tables as they stand happens each time.
    fn occasion(&self) -> Option<&'a str> {
        self.known.started.then_some(self.run.key.as_str())
    }

    fn input(&self, table: &TableName) -> Input {
        self.tables.get(table).cloned().unwrap_or_else(|| Input::Ready(identity::standing_table(table)))
    }

    /// Adds a step and says where it stands.
    fn add(
        &mut self,
        name: StepName,
        needs: Vec<StepName>,
        fingerprint: Fingerprint,
        is_stale: impl Fn(&Outcome) -> bool,
        work: impl FnOnce(&StepRef) -> Result<Work, Reason>,
    ) -> Standing<'a> {
        let standing = self.known.standing(self.first_attempt(&name, fingerprint), 1, is_stale);
        self.add_standing(name, needs, standing, work)
    }

    fn add_standing(
        &mut self,
        name: StepName,
        needs: Vec<StepName>,
        standing: Standing<'a>,
        work: impl FnOnce(&StepRef) -> Result<Work, Reason>,
    ) -> Standing<'a> {
        let (step, state) = match &standing {
            Standing::Done(step, outcome) => (step.clone(), StepState::Done { outcome: (*outcome).clone() }),
            Standing::Failed(step, reason) => (step.clone(), StepState::Failed { reason: (*reason).clone() }),
            Standing::Owed(step) => match work(step) {
                Ok(work) => {
                    let state = StepState::Owed {
                        requested: self.known.was_requested(step),
                        deferred: self.known.deferred(step).cloned(),
                        command: Box::new(Command { step: step.clone(), work }),
                    };
                    (step.clone(), state)
                }
                Err(reason) => (step.clone(), StepState::Refused { reason }),
            },
        };
        self.steps.push(PlannedStep { name, needs, step: Some(step), state });
        standing
    }

    /// Adds a step whose inputs are not there.
    fn add_without_inputs(
        &mut self,
        name: StepName,
        needs: Vec<StepName>,
        blocked: Option<StepName>,
        reasons: Vec<String>,
    ) {
        let state = match blocked {
            Some(by) => StepState::Blocked { by },
            None => StepState::Waiting { reason: reasons.join("; ") },
        };
        self.steps.push(PlannedStep { name, needs, step: None, state });
    }

    /// The names of the steps that fill a table in this run.
    fn filled_by(&self, table: &TableName) -> Vec<StepName> {
        if self.pipeline.models.iter().any(|model| model.table == *table) {
            return vec![step_name(&format!("model/{table}"))];
        }
        let sources = self.pipeline.sources.iter().map(|source| (&source.table, &source.name));
        let extracts = self.pipeline.extracts.iter().map(|extract| (&extract.table, &extract.name));
        let Some((_, source)) = sources.chain(extracts).find(|(fills, _)| *fills == table) else {
            return Vec::new();
        };
        let prefix = format!("load/{source}");
        let mine = |name: &StepName| name.as_str() == prefix || name.as_str().starts_with(&format!("{prefix}/"));
        self.steps.iter().map(|step| &step.name).filter(|name| mine(name)).cloned().collect()
    }

    fn model(&mut self, model: &'a SqlModel) {
        let name = step_name(&format!("model/{}", model.table));
        let needs: Vec<StepName> = model.select.inputs.iter().flat_map(|table| self.filled_by(table)).collect();
        let (mut ready, mut reasons, mut blocked) = (Vec::new(), Vec::new(), None);
        for table in &model.select.inputs {
            match self.input(table) {
                Input::Ready(fingerprint) => ready.push((table.clone(), fingerprint)),
                Input::NotYet(reason) => reasons.push(reason),
                Input::Blocked(by) => blocked = blocked.or(Some(by)),
            }
        }
        if ready.len() < model.select.inputs.len() {
            let input = match &blocked {
                Some(by) => Input::Blocked(by.clone()),
                None => Input::NotYet(format!("{} is not built yet", model.table)),
            };
            self.tables.insert(&model.table, input);
            return self.add_without_inputs(name, needs, blocked, reasons);
        }
        let fingerprint = identity::on_occasion(identity::model(model, &ready), self.occasion());
        let later = self.known.latest_other_write(name.as_str(), &fingerprint);
        let standing = self.add(name.clone(), needs, fingerprint.clone(), written_over(later), |_| {
            Ok(Work::TransformTable(TransformTable {
                table: model.table.clone(),
                sql: model.select.text.clone(),
                inputs: model.select.inputs.clone(),
                write: model.write.clone(),
                layout: model.layout.clone(),
                expect: model.expect.clone(),
            }))
        });
        let input = match standing {
            Standing::Done(..) => Input::Ready(fingerprint),
            Standing::Owed(_) => Input::NotYet(format!("{} is being built", model.table)),
            Standing::Failed(..) => Input::Blocked(name),
        };
        self.tables.insert(&model.table, input);
    }

    /// Adds a step that reads one table, unless the table is not there yet.
    fn add_reading(
        &mut self,
        name: StepName,
        table: &TableName,
        fingerprint: impl FnOnce(&Fingerprint, Option<&str>) -> Fingerprint,
        work: impl FnOnce(&StepRef) -> Result<Work, Reason>,
    ) -> Option<Standing<'a>> {
        let needs = self.filled_by(table);
        match self.input(table) {
            Input::Ready(data) => {
                let fingerprint = fingerprint(&data, self.occasion());
                Some(self.add(name, needs, fingerprint, |_| false, work))
            }
            Input::NotYet(reason) => {
                self.add_without_inputs(name, needs, None, vec![reason]);
                None
            }
            Input::Blocked(by) => {
                self.add_without_inputs(name, needs, Some(by), Vec::new());
                None
            }
        }
    }

    fn export(&mut self, export: &'a Export) {
        let name = step_name(&format!("export/{}", export.name));
        let mut folder = export.to.replace("{run}", self.run.key.as_str());
        for (capture, value) in captures_of(&self.run.key) {
            folder = folder.replace(&format!("{{{capture}}}"), &value);
        }
        let to = format!("{}/{}.parquet", folder.trim_end_matches('/'), export.name);
        self.add_reading(
            name,
            &export.table,
            |table, occasion| identity::on_occasion(identity::export(export, &to, table), occasion),
            |_| match to.parse::<ObjectPath>() {
                Ok(to) => Ok(Work::ExportTable(ExportTable { table: export.table.clone(), to })),
                Err(error) => Err(Reason::new(format!("this run's export has no usable path: {error}"))),
            },
        );
    }

    fn training(&mut self, training: &'a Training) {
        let name = step_name(&format!("train/{}", training.model));
        let models = self.pipelines.buckets.models.clone();
        let standing = self.add_reading(
            name.clone(),
            &training.data,
            |data, occasion| identity::on_occasion(identity::training(training, data), occasion),
            |step| {
                let folder = |name: String| {
                    ObjectPath::new(models.clone(), format!("{}/{name}", training.model))
                        .map_err(|error| Reason::new(error.to_string()))
                };
                Ok(Work::TrainModel(TrainModel {
                    model: training.model.clone(),
                    data: training.data.clone(),
                    data_format: training.data_format,
                    target: training.target.clone(),
                    program: training.program.clone(),
                    args: training.args.clone(),
                    env: training.env.clone(),
                    wall_seconds: training.wall.as_secs(),
                    compute: training.compute.clone(),
                    output: folder(step.job_id())?,
                    // An attempt goes on from where the one before it was.
                    checkpoints: Some(folder(format!("{}-checkpoints", step.fingerprint))?),
                }))
            },
        );
        self.promotion(training, name, standing);
    }

    fn promotion(&mut self, training: &'a Training, needs: StepName, trained: Option<Standing<'a>>) {
        let name = step_name(&format!("promote/{}", training.model));
        match trained {
            Some(Standing::Done(step, Outcome::ModelTrained(trained))) => {
                let sequence = self.known.uploads.last().map_or(0, |object| object.generation);
                let fingerprint = identity::promotion(&training.model, &step.job_id(), training);
                self.add(
                    name,
                    vec![needs],
                    fingerprint,
                    |_| false,
                    |_| {
                        Ok(Work::PromoteModel(PromoteModel {
                            trained: trained.clone(),
                            data: training.data.clone(),
                            sequence,
                            serving: training.serving.clone(),
                        }))
                    },
                );
            }
            Some(Standing::Failed(..)) => self.add_without_inputs(name, vec![needs.clone()], Some(needs), Vec::new()),
            _ => {
                // A table that cannot be filled blocks the training, and through it the promotion.
                let blocked = match self.input(&training.data) {
                    Input::Blocked(by) => Some(by),
                    _ => None,
                };
                let reason = format!("{} is not trained yet", training.model);
                self.add_without_inputs(name, vec![needs], blocked, vec![reason]);
            }
        }
    }
}

/// Whether a write was followed by another step's: a command of an older definition that arrived late.
fn written_over(later: Option<u64>) -> impl Fn(&Outcome) -> bool {
    move |outcome| match (outcome, later) {
        (Outcome::TableUpdated(updated), Some(later)) => !updated.superseded && later > updated.version,
        _ => false,
    }
}

/// Step names are made of names that were checked when the pipeline was read.
fn step_name(text: &str) -> StepName {
    let plain: String =
        text.chars().map(|c| if c.is_ascii_alphanumeric() || "._-/".contains(c) { c } else { '-' }).collect();
    #[expect(clippy::expect_used, reason = "every character was made one that a step name may have")]
    StepName::new(plain).expect("a step name")
}
