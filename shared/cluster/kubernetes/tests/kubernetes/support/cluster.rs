//! An API server, a namespace of one's own on it, and what an operator writes there.

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use http::Request;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod};
use kube::{
    Api, Client, Config,
    api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams},
    client::Body,
    config::{KubeConfigOptions, Kubeconfig},
    core::{ApiResource, GroupVersionKind},
};
use millstream_cluster_kubernetes::{KubernetesSettings, KubernetesTrainer};
use millstream_peers::{http as plain, kubernetes::ApiServer};
use serde_json::{Value, json};

use super::{Kind, jobs::JobPod};

/// A namespace on an API server.
pub(crate) struct Cluster {
    pub(crate) client: Client,
    pub(crate) namespace: String,
    /// The whole cluster, or beside a real one who answers for its pods' logs.
    small: Arc<ApiServer>,
    logs: Option<Client>,
    /// Set to have the next page of a list expire.
    expire: Arc<AtomicBool>,
}

impl Cluster {
    /// On the server that `MILLSTREAM_TEST_KUBERNETES` names, else on a small one of its own.
    pub(crate) async fn start() -> Self {
        match std::env::var_os("MILLSTREAM_TEST_KUBERNETES") {
            None => Self::small().await,
            Some(file) => Self::real(Kubeconfig::read_from(&file).expect("a kubeconfig")).await,
        }
    }

    /// On a small server, whatever the environment says: for what a real one cannot be brought to do.
    pub(crate) async fn small() -> Self {
        Self::on(ApiServer::start()).await
    }

    /// On this small server.
    pub(crate) async fn on(server: ApiServer) -> Self {
        let client = client_of(&server);
        let cluster = Self {
            client,
            namespace: unique("t"),
            small: Arc::new(server),
            logs: None,
            expire: Arc::new(AtomicBool::new(false)),
        };
        create_namespace(&cluster.client, &cluster.namespace).await;
        cluster
    }

    async fn real(kubeconfig: Kubeconfig) -> Self {
        let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
        let (real, namespace) = (client(config), unique("t"));
        let small = ApiServer::start();
        let logs = client_of(&small);
        create_namespace(&real, &namespace).await;
        create_namespace(&logs, &namespace).await;
        let expire = Arc::new(AtomicBool::new(false));
        let client = {
            let (real, logs, expire) = (real.clone(), logs.clone(), Arc::clone(&expire));
            let route = tower::service_fn(move |request: Request<Body>| {
                let is_log = request.uri().path().ends_with("/log");
                let goes_on = request.uri().query().is_some_and(|query| query.contains("continue="));
                let to = if is_log { logs.clone() } else { real.clone() };
                let expires = goes_on && expire.swap(false, Ordering::SeqCst);
                async move {
                    if expires {
                        tokio::task::spawn_blocking(compact_etcd).await.unwrap();
                    }
                    to.send(request).await
                }
            });
            Client::new(route, namespace.clone())
        };
        Self { client, namespace, small: Arc::new(small), logs: Some(logs), expire }
    }

    pub(crate) fn server(&self) -> &ApiServer {
        &self.small
    }

    pub(crate) fn settings(&self) -> KubernetesSettings {
        KubernetesSettings { namespace: self.namespace.clone(), ..KubernetesSettings::default() }
    }

    pub(crate) fn trainer(&self) -> KubernetesTrainer {
        KubernetesTrainer::new(self.client.clone(), self.settings())
    }

    pub(crate) fn jobs(&self, kind: Kind) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), &self.namespace, &kind.resource())
    }

    pub(crate) fn pods(&self) -> Api<Pod> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    pub(crate) fn records(&self) -> Api<ConfigMap> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// The object of a job, as JSON.
    pub(crate) async fn object(&self, kind: Kind, name: &str) -> Option<Value> {
        let object = self.jobs(kind).get_opt(name).await.unwrap();
        object.map(|object| serde_json::to_value(object).unwrap())
    }

    /// Deletes the object of a job behind the platform's back.
    pub(crate) async fn delete(&self, kind: Kind, name: &str) {
        self.jobs(kind).delete(name, &DeleteParams::default()).await.unwrap();
    }

    /// As the operator does.
    pub(crate) async fn set_status(&self, kind: Kind, name: &str, status: Value) {
        // A merge patch leaves what it does not name: the whole status is replaced.
        let mut object = self.jobs(kind).get(name).await.unwrap();
        object.data["status"] = status;
        self.jobs(kind).replace_status(name, &PostParams::default(), &object).await.unwrap();
    }

    /// Makes a pod as an operator does; `state` is what its container does.
    pub(crate) async fn create_pod(&self, pod: &JobPod, state: Value) {
        let object: Pod = serde_json::from_value(json!({
            "metadata": {"name": pod.name, "labels": pod.labels},
            "spec": {"containers": [{"name": pod.container, "image": "example.com/program"}]},
        }))
        .unwrap();
        for client in [Some(&self.client), self.logs.as_ref()].into_iter().flatten() {
            let pods: Api<Pod> = Api::namespaced(client.clone(), &self.namespace);
            pods.create(&PostParams::default(), &object).await.unwrap();
        }
        self.set_pod(pod, state).await;
    }

    /// What a pod's container does: `{"running": {"startedAt": ..}}`.
    pub(crate) async fn set_pod(&self, pod: &JobPod, state: Value) {
        let status = json!({"status": {"containerStatuses": [{
            "name": pod.container,
            "image": "example.com/program",
            "imageID": "",
            "ready": true,
            "restartCount": 0,
            "state": state,
        }]}});
        self.pods().patch_status(&pod.name, &PatchParams::default(), &Patch::Merge(&status)).await.unwrap();
    }

    /// What a pod's container has said so far.
    pub(crate) fn set_log(&self, pod: &JobPod, text: &str) {
        self.small.set_log(&self.namespace, &pod.name, pod.container, text);
    }

    /// Deletes a pod, and with it its log.
    pub(crate) async fn delete_pod(&self, name: &str) {
        for client in [Some(&self.client), self.logs.as_ref()].into_iter().flatten() {
            let pods: Api<Pod> = Api::namespaced(client.clone(), &self.namespace);
            pods.delete(name, &DeleteParams::default().grace_period(0)).await.unwrap();
        }
    }

    /// Makes a Kueue queue.
    pub(crate) async fn create_queue(&self, name: &str) {
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("kueue.x-k8s.io", "v1beta2", "LocalQueue"));
        let queue = DynamicObject::new(name, &resource).data(json!({"spec": {"clusterQueue": "training"}}));
        let queues: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), &self.namespace, &resource);
        queues.create(&PostParams::default(), &queue).await.unwrap();
    }

    /// The page of a list that is asked for next has expired by then.
    pub(crate) fn expire_next_page(&self) {
        self.expire.store(true, Ordering::SeqCst);
        self.small.expire_next_page();
    }
}

fn client_of(server: &ApiServer) -> Client {
    client(Config::new(server.url().parse().unwrap()))
}

/// A client of the tests' own.
pub(crate) fn client(config: Config) -> Client {
    // Whichever test is the first: there is one TLS provider for the process.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::try_from(config).unwrap()
}

async fn create_namespace(client: &Client, name: &str) {
    let object: Namespace = serde_json::from_value(json!({"metadata": {"name": name}})).unwrap();
    Api::all(client.clone()).create(&PostParams::default(), &object).await.unwrap();
}

/// A name that no other test and no earlier run on the same server has.
fn unique(prefix: &str) -> String {
    format!("{prefix}-{:016x}", RandomState::new().build_hasher().finish())
}

/// Makes etcd forget what was before, as it does by itself every few minutes.
fn compact_etcd() {
    let url = std::env::var_os("MILLSTREAM_TEST_ETCD").expect("MILLSTREAM_TEST_ETCD names the real server's etcd");
    let url = url.into_string().unwrap();
    // What was read last is kept: it has to be older than the newest. The key is base64.
    let put = plain::json("POST", &format!("{url}/v3/kv/put"), &json!({"key": "bWlsbHN0cmVhbQ==", "value": ""}));
    let revision = &put["header"]["revision"];
    plain::json("POST", &format!("{url}/v3/kv/compaction"), &json!({"revision": revision, "physical": true}));
}
