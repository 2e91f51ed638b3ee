//! What the tests share: a service, a trainer on it, and trainings.

use std::{collections::BTreeMap, sync::Arc};

use millstream_cluster_pipelines::{PipelinesSettings, PipelinesTrainer};
use millstream_events::{
    Fingerprint, StepRef,
    compute::{Compute, RunOn},
    names::ObjectPath,
    work::{DataFormat, Program},
};
use millstream_ports::{SystemClock, Trainer, TrainingJob, TrainingState};
use serde_json::{Value, json};

use crate::stub::Stub;

pub(crate) const JOB: &str = "0123456789abcdef0123456789abcdef";

pub(crate) struct Site {
    pub(crate) stub: Stub,
    pub(crate) trainer: PipelinesTrainer,
}

impl Site {
    pub(crate) async fn new() -> Self {
        let stub = Stub::start().await;
        let trainer = trainer(PipelinesSettings::new(stub.url()));
        Self { stub, trainer }
    }

    /// The trainer of another process.
    pub(crate) fn other_trainer(&self) -> PipelinesTrainer {
        trainer(PipelinesSettings::new(self.stub.url()))
    }

    pub(crate) async fn ensure(&self, training: &TrainingJob) -> TrainingState {
        self.trainer.ensure(JOB, training).await.unwrap()
    }

    pub(crate) async fn end(&self, training: &TrainingJob) -> TrainingState {
        // The stub moves on at every look.
        for _ in 0..10 {
            let state = self.ensure(training).await;
            if !state.is_running() {
                return state;
            }
        }
        panic!("the run does not end: {:#?}", self.stub.runs());
    }
}

pub(crate) fn trainer(settings: PipelinesSettings) -> PipelinesTrainer {
    PipelinesTrainer::new(settings, Arc::new(SystemClock)).unwrap()
}

/// A compiled pipeline that declares these parameters, with their types.
pub(crate) fn spec(parameters: &[(&str, &str)]) -> Value {
    let declared: BTreeMap<_, _> =
        parameters.iter().map(|(name, kind)| (*name, json!({"parameterType": kind}))).collect();
    json!({
        "pipelineInfo": {"name": "train"},
        "root": {"dag": {"tasks": {}}, "inputDefinitions": {"parameters": declared}},
        "schemaVersion": "2.1.0",
        "sdkVersion": "kfp-2.14.0",
    })
}

pub(crate) fn pipeline(spec: Value, parameters: &[(&str, Value)]) -> TrainingJob {
    let parameters = parameters.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    let object = |what: &str| ObjectPath::new("models", format!("artifacts/{what}")).unwrap();
    TrainingJob {
        step: StepRef {
            run: "fraud".parse().unwrap(),
            step: "train/fraud".parse().unwrap(),
            fingerprint: Fingerprint::of("test", []),
            attempt: 1,
        },
        model: "fraud".parse().unwrap(),
        program: Program::KubeflowPipeline { spec, parameters },
        args: Vec::new(),
        env: BTreeMap::new(),
        data: Vec::new(),
        data_format: DataFormat::Csv,
        output: object("model"),
        checkpoints: object("checkpoints"),
        compute: Compute { run_on: RunOn::KubeflowPipeline, ..Compute::default() },
        wall_seconds: 600,
    }
}

/// A pipeline whose run the stub ends so.
pub(crate) fn behaving(behaviour: &str) -> TrainingJob {
    let spec = spec(&[("behaviour", "STRING"), ("model_dir", "STRING")]);
    pipeline(spec, &[("behaviour", behaviour.into())])
}
