//! A promotion cut off before or after each of its effects, and asked for again.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicI32, Ordering},
    },
};

use async_trait::async_trait;
use millstream_events::names::ModelName;
use millstream_ports::{
    EndpointState, Endpoints, ModelRegistry, ModelVersion, NewVersion, PortError, PortResult, PredictError,
    ServingStats, Verdict, memory::MemoryModels,
};
use millstream_promote_model::PromoteModel;
use millstream_runtime::{Failure, Function};

use crate::world::{World, command, model, promoted, serving};

/// The effects of a promotion without a canary: register, judge, set the endpoint, set the alias.
const EFFECTS: i32 = 4;

/// The models in memory, whose nth effect is cut off: before it happens or before its answer comes.
#[derive(Debug)]
struct CutOff {
    inner: Arc<MemoryModels>,
    effects_left: AtomicI32,
    happens: bool,
}

impl CutOff {
    async fn effect<T>(&self, effect: impl Future<Output = PortResult<T>>) -> PortResult<T> {
        if self.effects_left.fetch_sub(1, Ordering::Relaxed) != 1 {
            return effect.await;
        }
        if self.happens {
            effect.await?;
        }
        Err(PortError::unavailable("cut off"))
    }
}

#[async_trait]
impl ModelRegistry for CutOff {
    async fn ensure_version(&self, version: &NewVersion) -> PortResult<ModelVersion> {
        self.effect(self.inner.ensure_version(version)).await
    }

    async fn judge(&self, model: &ModelName, version: u64, verdict: &Verdict) -> PortResult<Verdict> {
        self.effect(self.inner.judge(model, version, verdict)).await
    }

    async fn models(&self) -> PortResult<Vec<ModelName>> {
        self.inner.models().await
    }

    async fn versions(&self, model: &ModelName) -> PortResult<Vec<ModelVersion>> {
        self.inner.versions(model).await
    }

    async fn aliases(&self, model: &ModelName) -> PortResult<BTreeMap<String, u64>> {
        self.inner.aliases(model).await
    }

    async fn set_alias(&self, model: &ModelName, alias: &str, version: u64) -> PortResult<()> {
        self.effect(self.inner.set_alias(model, alias, version)).await
    }
}

#[async_trait]
impl Endpoints for CutOff {
    async fn endpoint(&self, endpoint: &ModelName) -> PortResult<EndpointState> {
        self.inner.endpoint(endpoint).await
    }

    async fn endpoints(&self) -> PortResult<Vec<EndpointState>> {
        self.inner.endpoints().await
    }

    async fn set(&self, state: &EndpointState, expected: Option<u64>) -> PortResult<EndpointState> {
        self.effect(self.inner.set(state, expected)).await
    }

    async fn stats(&self, endpoint: &ModelName, version: u64) -> PortResult<ServingStats> {
        self.inner.stats(endpoint, version).await
    }

    async fn predict(
        &self,
        endpoint: &ModelName,
        request: serde_json::Value,
    ) -> Result<serde_json::Value, PredictError> {
        self.inner.predict(endpoint, request).await
    }
}

#[tokio::test]
async fn a_promotion_cut_off_at_any_effect_is_the_same_when_asked_for_again() {
    for happens in [false, true] {
        for nth in 1..=EFFECTS {
            let world = World::new();
            world.promoted("first").await;
            let cut_off = Arc::new(CutOff { inner: world.models.clone(), effects_left: AtomicI32::new(nth), happens });
            let function = PromoteModel::new(cut_off.clone(), cut_off, world.models.clone(), world.clock.clone());
            let second = command("second", serving());
            let error = function.ensure(&second).await.unwrap_err();
            assert!(matches!(error, Failure::Retry(_)), "effect {nth}: {error}");

            let judged = promoted(function.ensure(&second).await.unwrap());
            assert_eq!(judged.version, 2);
            let state = world.endpoint().await;
            assert_eq!(state.revision, 2, "effect {nth}: the traffic moved once for each version");
            assert_eq!(state.previous.len(), 1);
            assert_eq!((world.traffic().await, world.production().await), (vec![(2, 100)], Some(2)));
            assert_eq!(world.models.versions(&model()).await.unwrap().len(), 2);
        }
    }
}
