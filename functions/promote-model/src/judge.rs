//! Which version a training is, and what the gate says of it. Both are said once and kept by the registry.

use std::{collections::BTreeMap, sync::Arc};

use millstream_events::{
    Command, Fingerprint,
    fact::GateCheck,
    names::ObjectPath,
    work::{PromoteModel, Serving},
};
use millstream_pipeline::gate::Gate;
use millstream_ports::{ErrorKind, ModelRegistry, ModelVersion, NewVersion, PortResult, Scorer, Verdict};
use millstream_runtime::Failure;

use crate::PRODUCTION;

/// Registers versions and judges them.
#[derive(Debug)]
pub(crate) struct Judge {
    registry: Arc<dyn ModelRegistry>,
    scorer: Arc<dyn Scorer>,
}

/// The version to compare with, and its metrics on the challenger's held-out rows.
struct Champion {
    version: u64,
    metrics: BTreeMap<String, f64>,
    /// Why the metrics are on the champion's own rows instead.
    remark: Option<String>,
}

impl Judge {
    pub(crate) fn new(registry: Arc<dyn ModelRegistry>, scorer: Arc<dyn Scorer>) -> Self {
        Self { registry, scorer }
    }

    /// The command's version, registered.
    pub(crate) async fn register(&self, command: &Command<PromoteModel>) -> PortResult<ModelVersion> {
        self.registry.ensure_version(&new_version(command)).await
    }

    /// The command's version, registered and judged by the command's gate.
    ///
    /// A version's first verdict stays. When a person changes the gate, the same training is registered once more, as a
    /// version of its own that is judged by the new gate: what was said under the old one remains on record.
    pub(crate) async fn judge(
        &self,
        command: &Command<PromoteModel>,
        serving: &Serving,
    ) -> Result<(ModelVersion, Verdict), Failure> {
        let version = self.register(command).await?;
        let verdict = self.verdict(&version, serving).await?;
        if is_by_this_gate(&verdict, serving) {
            return Ok((version, verdict));
        }
        let again =
            NewVersion { fingerprint: under_gate(&version.registered.fingerprint, serving), ..version.registered };
        let version = self.registry.ensure_version(&again).await?;
        let verdict = self.verdict(&version, serving).await?;
        Ok((version, verdict))
    }

    async fn verdict(&self, version: &ModelVersion, serving: &Serving) -> Result<Verdict, Failure> {
        if let Some(verdict) = &version.verdict {
            return Ok(verdict.clone());
        }
        let gates = serving.promote_when.iter().map(|text| parse(text)).collect::<Result<Vec<_>, _>>()?;
        let compares = gates.iter().any(Gate::mentions_champion);
        let champion = if compares { self.champion(version).await? } else { None };
        let checks: Vec<GateCheck> = gates.iter().map(|gate| check(gate, version, champion.as_ref())).collect();
        let verdict = Verdict {
            promoted: checks.iter().all(|check| check.passed),
            checks,
            champion: champion.map(|champion| champion.version),
        };
        Ok(self.registry.judge(&version.registered.model, version.version, &verdict).await?)
    }

    /// The version that serves now. A model is never compared with itself: not with an earlier registration of it either.
    async fn champion(&self, challenger: &ModelVersion) -> PortResult<Option<Champion>> {
        let model = &challenger.registered.model;
        let Some(production) = self.registry.aliases(model).await?.get(PRODUCTION).copied() else { return Ok(None) };
        let versions = self.registry.versions(model).await?;
        let champion = versions.into_iter().find(|known| known.version == production);
        let Some(champion) = champion.filter(|known| known.registered.artifact != challenger.registered.artifact)
        else {
            return Ok(None);
        };
        let (metrics, remark) = match self.score(&champion.registered.artifact, &challenger.registered.artifact).await?
        {
            Ok(metrics) => (metrics, None),
            Err(why) => (champion.registered.metrics, Some(why)),
        };
        Ok(Some(Champion { version: production, metrics, remark }))
    }

    /// The champion's metrics on the challenger's rows, or why it cannot be scored on them. A champion whose files are
    /// broken must not keep its successor out.
    async fn score(
        &self,
        champion: &ObjectPath,
        challenger: &ObjectPath,
    ) -> PortResult<Result<BTreeMap<String, f64>, String>> {
        match self.scorer.score(champion, challenger).await {
            Ok(Some(metrics)) => Ok(Ok(metrics)),
            Ok(None) => Ok(Err("there are no held-out rows or no model.onnx to score".to_owned())),
            Err(error) if matches!(error.kind(), ErrorKind::Invalid | ErrorKind::NotFound) => {
                Ok(Err(error.to_string()))
            }
            Err(error) => Err(error),
        }
    }
}

/// A training's version. Its fingerprint is the training's own: the name of the folder that the job wrote to, without the
/// attempt. A folder named otherwise stands for itself.
fn new_version(command: &Command<PromoteModel>) -> NewVersion {
    let PromoteModel { trained, data, sequence, .. } = &command.work;
    let folder = trained.artifact.name().trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    let named = folder.get(..32).and_then(|start| start.parse().ok());
    let fingerprint = named.unwrap_or_else(|| {
        Fingerprint::of("version/1", [trained.model.as_str().as_bytes(), trained.artifact.to_string().as_bytes()])
    });
    NewVersion {
        model: trained.model.clone(),
        fingerprint,
        run: command.step.run.clone(),
        data: data.clone(),
        sequence: *sequence,
        artifact: trained.artifact.clone(),
        metrics: trained.metrics.clone(),
        cost: trained.cost.clone(),
    }
}

/// The same training under another gate.
fn under_gate(training: &Fingerprint, serving: &Serving) -> Fingerprint {
    let expressions = serving.promote_when.iter().map(String::as_bytes);
    Fingerprint::of("version-under-gate/1", std::iter::once(training.as_str().as_bytes()).chain(expressions))
}

fn is_by_this_gate(verdict: &Verdict, serving: &Serving) -> bool {
    verdict.checks.iter().map(|check| &check.expression).eq(&serving.promote_when)
}

fn parse(expression: &str) -> Result<Gate, Failure> {
    Gate::parse(expression).map_err(|error| {
        Failure::permanent(format!("the gate `{expression}` cannot be read at byte {}: {error}", error.offset))
    })
}

fn check(gate: &Gate, version: &ModelVersion, champion: Option<&Champion>) -> GateCheck {
    let checked = gate.check(&version.registered.metrics, champion.map(|champion| &champion.metrics));
    let remark = champion.filter(|_| gate.mentions_champion()).and_then(|champion| champion.remark.as_ref());
    GateCheck {
        expression: checked.expression,
        passed: checked.passed,
        because: match remark {
            Some(why) => {
                format!("{}; the champion's numbers are those of its own held-out rows: {why}", checked.because)
            }
            None => checked.because,
        },
    }
}
