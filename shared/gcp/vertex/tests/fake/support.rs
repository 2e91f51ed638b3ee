//! A fake of one's own, and adapters of it.

use std::{sync::Arc, time::Duration};

use millstream_events::names::{ModelName, ObjectPath};
use millstream_gcp_client::{Connection, Emulators, Service};
use millstream_gcp_vertex::{VertexEndpoints, VertexRegistry, VertexSettings};
use millstream_peers::vertex::FakeVertex;
use millstream_ports::{ErrorKind, ObjectStore, PortResult, SystemClock, memory::MemoryObjectStore};
use serde_json::{Value, json};

/// Where the fake names resources.
pub(crate) const PARENT: &str = "projects/123456789012/locations/us-central1";

/// A connection to a fake; what the other services are is not asked for.
pub(crate) fn connection(fake: &FakeVertex) -> Connection {
    let all = [Service::Storage, Service::PubSub, Service::BigQuery];
    let nowhere = all.into_iter().fold(Emulators::default(), |all, service| all.with(service, "127.0.0.1:1"));
    Connection::new("shop", nowhere.with(Service::Vertex, &fake.url())).unwrap()
}

/// Operations are done after two requests: a call of a port waits for them.
pub(crate) fn settings() -> VertexSettings {
    VertexSettings {
        service_account: Some("models@shop.iam.gserviceaccount.com".to_owned()),
        tabular_image: Some("us-docker.pkg.dev/shop/images/millstream@sha256:0".to_owned()),
        patience: Duration::from_secs(30),
        pause: Duration::from_millis(1),
        ..VertexSettings::new("us-central1", "us-docker.pkg.dev/shop/images/serve-model@sha256:0")
    }
}

/// Settings with which no call waits.
pub(crate) fn impatient() -> VertexSettings {
    VertexSettings { patience: Duration::ZERO, ..settings() }
}

/// A registry and endpoints of one fake and one bucket.
pub(crate) struct Models {
    pub(crate) fake: FakeVertex,
    pub(crate) store: Arc<dyn ObjectStore>,
}

impl Models {
    pub(crate) fn start() -> Self {
        Self { fake: FakeVertex::start(None), store: Arc::new(MemoryObjectStore::new()) }
    }

    /// With nothing in it, which is faster than another one.
    pub(crate) fn begin(&mut self) {
        self.fake.control(&json!({"begin": true}));
        self.store = Arc::new(MemoryObjectStore::new());
    }

    /// A registry, as another process would have it.
    pub(crate) fn registry(&self) -> VertexRegistry {
        self.registry_with(settings())
    }

    pub(crate) fn registry_with(&self, settings: VertexSettings) -> VertexRegistry {
        VertexRegistry::new(connection(&self.fake), settings, self.store.clone(), Arc::new(SystemClock)).unwrap()
    }

    /// Endpoints, as another process would have them.
    pub(crate) fn endpoints(&self) -> VertexEndpoints {
        self.endpoints_with(settings())
    }

    pub(crate) fn endpoints_with(&self, settings: VertexSettings) -> VertexEndpoints {
        VertexEndpoints::new(connection(&self.fake), settings, self.store.clone(), Arc::new(SystemClock)).unwrap()
    }

    /// A model's versions on Vertex AI.
    pub(crate) fn uploaded(&self, model: &str) -> Vec<Value> {
        let seen = self.fake.seen();
        seen["models"][format!("{PARENT}/models/{model}")].as_array().cloned().unwrap_or_default()
    }
}

/// What a call answers, asked again where the one request that a test makes fail was one of its.
pub(crate) async fn asked_again<T>(ask: impl AsyncFn() -> PortResult<T>) -> T {
    match ask().await {
        Err(error) if error.kind() == ErrorKind::Unavailable => ask().await.unwrap(),
        answer => answer.unwrap(),
    }
}

pub(crate) fn name(text: &str) -> ModelName {
    text.parse().unwrap()
}

/// A folder with a model's files.
pub(crate) fn artifact() -> ObjectPath {
    "gs://models/trained/5f1d/model".parse().unwrap()
}
