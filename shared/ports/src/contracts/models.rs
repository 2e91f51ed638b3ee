//! The contract of [`ModelRegistry`].

use std::collections::BTreeMap;

use futures::future::join_all;
use millstream_events::{
    Fingerprint,
    compute::Cost,
    fact::GateCheck,
    names::{ModelName, ObjectPath},
};

use crate::{
    error::ErrorKind,
    models::{ModelRegistry, ModelVersion, NewVersion, Verdict},
};

/// Every rule. `artifact` is a folder with a model's files; every version is registered with it.
pub async fn all(registry: &dyn ModelRegistry, artifact: &ObjectPath) {
    run_rules!((registry, artifact):
        versions_are_numbered_from_one,
        a_training_is_registered_once,
        concurrent_registrations_of_a_training_make_one_version,
        concurrent_registrations_of_several_trainings_get_a_number_each,
        what_is_registered_reads_back,
        the_first_verdict_stays,
        an_alias_moves,
        what_is_unknown_is_empty_or_not_found,
    );
}

pub(super) fn name(text: &str) -> ModelName {
    text.parse().unwrap()
}

pub(super) fn new_version(model: &str, training: &str, artifact: &ObjectPath) -> NewVersion {
    NewVersion {
        model: name(model),
        fingerprint: Fingerprint::of("contract", [model.as_bytes(), training.as_bytes()]),
        run: "contract".parse().unwrap(),
        sequence: 1,
        data: "production.features".parse().unwrap(),
        artifact: artifact.clone(),
        metrics: BTreeMap::from([("auc_pr".to_owned(), 0.75), ("rmse".to_owned(), 0.1)]),
        cost: Some(Cost { estimated_usd: Some(2.5), usd: 1.25, book: "list-2026-07".to_owned() }),
    }
}

async fn register(registry: &dyn ModelRegistry, model: &str, training: &str, artifact: &ObjectPath) -> ModelVersion {
    registry.ensure_version(&new_version(model, training, artifact)).await.unwrap()
}

fn numbers(versions: &[ModelVersion]) -> Vec<u64> {
    versions.iter().map(|version| version.version).collect()
}

/// 1, 2, 3 for each model by itself.
pub async fn versions_are_numbered_from_one(registry: &dyn ModelRegistry, artifact: &ObjectPath) {
    for (training, number) in [("a", 1), ("b", 2), ("c", 3)] {
        assert_eq!(register(registry, "numbered", training, artifact).await.version, number);
    }
    assert_eq!(register(registry, "numbered-too", "a", artifact).await.version, 1);
    assert_eq!(numbers(&registry.versions(&name("numbered")).await.unwrap()), [1, 2, 3]);
}

/// The same fingerprint again is the same version, whatever was registered in between.
pub async fn a_training_is_registered_once(registry: &dyn ModelRegistry, artifact: &ObjectPath) {
    let first = register(registry, "once", "a", artifact).await;
    register(registry, "once", "b", artifact).await;
    assert_eq!(register(registry, "once", "a", artifact).await, first);
    assert_eq!(numbers(&registry.versions(&name("once")).await.unwrap()), [1, 2]);
}

/// A redelivered command may run beside the first.
pub async fn concurrent_registrations_of_a_training_make_one_version(
    registry: &dyn ModelRegistry,
    artifact: &ObjectPath,
) {
    let all = join_all((0..8).map(|_| register(registry, "one-version", "a", artifact))).await;
    assert_eq!(numbers(&all), [1; 8]);
    assert_eq!(registry.versions(&name("one-version")).await.unwrap().len(), 1);
}

/// No number is given twice and none is left out.
pub async fn concurrent_registrations_of_several_trainings_get_a_number_each(
    registry: &dyn ModelRegistry,
    artifact: &ObjectPath,
) {
    let trainings = ["a", "b", "c", "d", "e", "f"];
    let all = join_all(trainings.map(|training| register(registry, "a-number-each", training, artifact))).await;
    let mut given = numbers(&all);
    given.sort_unstable();
    assert_eq!(given, [1, 2, 3, 4, 5, 6]);
    assert_eq!(numbers(&registry.versions(&name("a-number-each")).await.unwrap()), given);
}

/// With everything that was given.
pub async fn what_is_registered_reads_back(registry: &dyn ModelRegistry, artifact: &ObjectPath) {
    let made = register(registry, "reads-back", "a", artifact).await;
    assert_eq!(made.registered, new_version("reads-back", "a", artifact));
    assert_eq!(made.verdict, None);
    assert_eq!(registry.versions(&name("reads-back")).await.unwrap(), [made]);
    assert!(registry.models().await.unwrap().contains(&name("reads-back")));
}

/// A version is judged once: a later verdict is not kept, and its judge is told the first.
pub async fn the_first_verdict_stays(registry: &dyn ModelRegistry, artifact: &ObjectPath) {
    let model = name("judged");
    register(registry, "judged", "a", artifact).await;
    register(registry, "judged", "b", artifact).await;
    let check =
        |passed| GateCheck { expression: "auc_pr >= 0.7".to_owned(), passed, because: "auc_pr 0.75".to_owned() };
    let first = Verdict { promoted: true, checks: vec![check(true)], champion: None };
    let second = Verdict { promoted: false, checks: vec![check(false)], champion: Some(1) };
    assert_eq!(registry.judge(&model, 1, &first).await.unwrap(), first);
    assert_eq!(registry.judge(&model, 1, &second).await.unwrap(), first);
    let verdicts: Vec<Option<Verdict>> =
        registry.versions(&model).await.unwrap().into_iter().map(|version| version.verdict).collect();
    assert_eq!(verdicts, [Some(first.clone()), None]);
    assert_eq!(register(registry, "judged", "a", artifact).await.verdict, Some(first));
}

/// An alias names one version; a version may have several.
pub async fn an_alias_moves(registry: &dyn ModelRegistry, artifact: &ObjectPath) {
    let model = name("aliased");
    register(registry, "aliased", "a", artifact).await;
    register(registry, "aliased", "b", artifact).await;
    assert_eq!(registry.aliases(&model).await.unwrap(), BTreeMap::new());
    registry.set_alias(&model, "production", 1).await.unwrap();
    registry.set_alias(&model, "first", 1).await.unwrap();
    registry.set_alias(&model, "production", 2).await.unwrap();
    registry.set_alias(&model, "production", 2).await.unwrap();
    let expected = BTreeMap::from([("first".to_owned(), 1), ("production".to_owned(), 2)]);
    assert_eq!(registry.aliases(&model).await.unwrap(), expected);
}

/// Reading an unknown model is empty; judging or naming an unknown version is `NotFound`.
pub async fn what_is_unknown_is_empty_or_not_found(registry: &dyn ModelRegistry, artifact: &ObjectPath) {
    let unknown = name("unknown");
    assert_eq!(registry.versions(&unknown).await.unwrap(), []);
    assert_eq!(registry.aliases(&unknown).await.unwrap(), BTreeMap::new());
    register(registry, "known", "a", artifact).await;
    let verdict = Verdict { promoted: true, checks: Vec::new(), champion: None };
    for (model, version) in [(&unknown, 1), (&name("known"), 2)] {
        assert_eq!(registry.judge(model, version, &verdict).await.unwrap_err().kind(), ErrorKind::NotFound);
        let error = registry.set_alias(model, "production", version).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
    }
    assert!(!registry.models().await.unwrap().contains(&unknown), "asking for a model does not make it");
}
