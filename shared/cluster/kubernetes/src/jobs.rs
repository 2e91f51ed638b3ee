//! The cluster's objects of the three kinds, and their pods.

use std::fmt::{self, Debug};

use futures::{FutureExt, future::BoxFuture};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, Client,
    api::{DeleteParams, DynamicObject, ListParams, PostParams, Preconditions},
    core::{ApiResource, GroupVersionKind, PartialObjectMeta},
};
use millstream_ports::error::{PortError, PortResult};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{
    errors::{self, port_error},
    kind::Kind,
    manifest::Manifest,
    names::{FIELD_MANAGER, MANAGED_BY, MANIFEST_HASH, OUTPUT},
};

/// The most objects of one page of a list.
const PAGE: u32 = 200;

/// How often a list whose continuation has expired is begun again.
const LISTINGS: usize = 5;

/// The versions of Kueue's LocalQueue, the newest first.
const QUEUE_VERSIONS: [&str; 2] = ["v1beta2", "v1beta1"];

/// What a create found.
#[derive(Debug)]
pub(crate) enum Created {
    /// It is new.
    New(Box<DynamicObject>),
    /// There was one already.
    Exists,
}

/// The objects of one namespace.
#[derive(Clone)]
pub(crate) struct Jobs {
    client: Client,
    namespace: String,
}

impl Debug for Jobs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jobs").field("namespace", &self.namespace).finish_non_exhaustive()
    }
}

impl Jobs {
    /// Those of `namespace`.
    pub(crate) fn new(client: Client, namespace: String) -> Self {
        Self { client, namespace }
    }

    fn api(&self, resource: &ApiResource) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), &self.namespace, resource)
    }

    /// Pods.
    pub(crate) fn pods(&self) -> Api<Pod> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// The job's object; none where the cluster has no such kind either.
    pub(crate) async fn get(&self, kind: Kind, name: &str) -> PortResult<Option<Value>> {
        let object = self
            .api(&kind.resource())
            .get_opt(name)
            .await
            .map_err(|error| port_error(&format!("{} {name}: read", kind.as_str()), error))?;
        object.map(to_value).transpose()
    }

    /// Creates the object, or finds that the name is taken.
    pub(crate) async fn create(&self, manifest: &Manifest) -> PortResult<Created> {
        let (kind, name) = (manifest.kind, &manifest.name);
        let what = format!("{} {name}: create", kind.as_str());
        let object: DynamicObject = serde_json::from_value(manifest.object.clone())
            .map_err(|error| PortError::internal(format!("{what}: it is no object")).caused_by(error))?;
        let by = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
        match self.api(&kind.resource()).create(&by, &object).await {
            Ok(created) => Ok(Created::New(Box::new(created))),
            Err(error) if errors::is_conflict(&error) => Ok(Created::Exists),
            Err(error) if errors::is_not_found(&error) => Err(self.missing(kind, error)),
            Err(error) => Err(port_error(&what, error)),
        }
    }

    /// The namespace is not there, or else the kind.
    fn missing(&self, kind: Kind, error: kube::Error) -> PortError {
        let no_namespace = matches!(&error, kube::Error::Api(status)
            if status.details.as_ref().is_some_and(|details| details.kind == "namespaces"));
        let message = if no_namespace {
            format!("the cluster has no namespace `{}`: apply infra/kubernetes, or name another one", self.namespace)
        } else {
            format!(
                "compute.run_on: the cluster has no {} ({}): install {}, or run it elsewhere",
                kind.as_str(),
                kind.api_version(),
                kind.operator()
            )
        };
        PortError::invalid(message).caused_by(error)
    }

    /// Deletes the object of this identity and all that is its own; one that is gone is as good.
    pub(crate) async fn delete(&self, kind: Kind, object: &Value) -> PortResult<()> {
        let name = text(object, "/metadata/name");
        let uid = text(object, "/metadata/uid").to_owned();
        let only = DeleteParams::background().preconditions(Preconditions { uid: Some(uid), resource_version: None });
        match self.api(&kind.resource()).delete(name, &only).await {
            Ok(_) => Ok(()),
            // Another object under the name is not this one.
            Err(error) if errors::is_not_found(&error) || errors::is_conflict(&error) => Ok(()),
            Err(error) => Err(port_error(&format!("{} {name}: delete", kind.as_str()), error)),
        }
    }

    /// Refuses a queue that is not there: Kueue would leave its jobs suspended for ever.
    pub(crate) async fn check_queue(&self, queue: &str) -> PortResult<()> {
        for version in QUEUE_VERSIONS {
            let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("kueue.x-k8s.io", version, "LocalQueue"));
            let found = self.api(&resource).get_opt(queue).await;
            if found.map_err(|error| port_error(&format!("LocalQueue {queue}: read"), error))?.is_some() {
                return Ok(());
            }
        }
        Err(PortError::invalid(format!(
            "compute.queue: there is no LocalQueue `{queue}` in the namespace `{}`; `kubectl get localqueues` shows them",
            self.namespace
        )))
    }

    /// The platform's own objects of this kind, without their content; none where the cluster has no such kind.
    pub(crate) async fn own(&self, kind: Kind) -> PortResult<Vec<PartialObjectMeta<DynamicObject>>> {
        let api = self.api(&kind.resource());
        let what = format!("{}s: list", kind.as_str());
        match own_metadata(&api).await {
            Err(error) if errors::is_not_found(&error) => Ok(Vec::new()),
            listed => listed.map_err(|error| port_error(&what, error)),
        }
    }

    /// The pods that a label selector finds.
    pub(crate) async fn pods_of(&self, selector: &str) -> PortResult<Vec<Pod>> {
        let pods = self.pods();
        let listed = pages(|page| {
            let page = page.labels(selector);
            let pods = &pods;
            async move {
                let list = pods.list(&page).await?;
                Ok((list.metadata.continue_, list.items))
            }
            .boxed()
        });
        listed.await.map_err(|error| port_error("pods: list", error))
    }
}

/// The metadata of everything of the platform's in a collection.
pub(crate) async fn own_metadata<K>(api: &Api<K>) -> Result<Vec<PartialObjectMeta<K>>, kube::Error>
where
    K: Clone + DeserializeOwned + Debug + Send + Sync,
{
    let selector = format!("{}={}", MANAGED_BY.0, MANAGED_BY.1);
    pages(|page| {
        let page = page.labels(&selector);
        async move {
            let list = api.list_metadata(&page).await?;
            Ok((list.metadata.continue_, list.items))
        }
        .boxed()
    })
    .await
}

/// A page, and where the next one begins.
type Page<T> = Result<(Option<String>, Vec<T>), kube::Error>;

/// All pages of a list. A continuation that has expired (410) says that what came before is out of date too: list again.
async fn pages<'a, T>(list: impl Fn(ListParams) -> BoxFuture<'a, Page<T>>) -> Result<Vec<T>, kube::Error> {
    let mut listings = 0;
    let (mut all, mut token) = (Vec::new(), None);
    loop {
        let page = ListParams { limit: Some(PAGE), continue_token: token.take(), ..ListParams::default() };
        match list(page).await {
            Ok((next, items)) => {
                all.extend(items);
                token = next.filter(|token| !token.is_empty());
                if token.is_none() {
                    return Ok(all);
                }
            }
            Err(error) if errors::is_gone(&error) && listings < LISTINGS => {
                listings += 1;
                all.clear();
            }
            Err(error) => return Err(error),
        }
    }
}

/// An object as plain JSON.
fn to_value(object: DynamicObject) -> PortResult<Value> {
    serde_json::to_value(object).map_err(|error| PortError::internal("an object is no JSON").caused_by(error))
}

/// A text in an object; empty where it is not there.
pub(crate) fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// Whether the platform made it.
pub(crate) fn is_own(object: &Value) -> bool {
    let label = object.pointer("/metadata/labels").and_then(|labels| labels.get(MANAGED_BY.0)).and_then(Value::as_str);
    label == Some(MANAGED_BY.1) && manifest_hash(object).is_some()
}

/// The hash of the manifest it was made from.
pub(crate) fn manifest_hash(object: &Value) -> Option<&str> {
    annotation(object, MANIFEST_HASH)
}

/// The folder it writes to.
pub(crate) fn output(object: &Value) -> Option<&str> {
    annotation(object, OUTPUT)
}

fn annotation<'o>(object: &'o Value, name: &str) -> Option<&'o str> {
    object.pointer("/metadata/annotations")?.get(name)?.as_str()
}
