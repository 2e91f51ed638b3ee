//! Objects by kind, namespace and name, each with the version of its last change.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde_json::{Value, json};

use super::{
    apply::{self, Owners},
    objects::{Key, RESOURCES, Resource, text},
    schema, selector,
    status::Refusal,
};

/// An object, and whose fields it has.
#[derive(Debug)]
struct Stored {
    object: Value,
    owners: Owners,
}

/// Which part of an object a request is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// All but its status, where that is a subresource.
    Main,
    /// Its status alone.
    Status,
}

/// A page of a list.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) items: Vec<Value>,
    pub(super) version: u64,
    pub(super) next: Option<String>,
}

/// What a delete is allowed to delete.
#[derive(Debug, Default)]
pub(super) struct Preconditions {
    pub(super) uid: Option<String>,
    pub(super) version: Option<String>,
}

/// Which object a request is about, and how it is meant.
#[derive(Debug)]
pub(super) struct Target<'a> {
    pub(super) resource: &'a Resource,
    /// The version that the client speaks.
    pub(super) version: &'a str,
    pub(super) key: Key,
    pub(super) part: Part,
    /// Who writes.
    pub(super) manager: &'a str,
    /// Nothing is stored.
    pub(super) dry_run: bool,
}

impl Target<'_> {
    fn not_found(&self) -> Refusal {
        Refusal::not_found(self.resource, &self.key)
    }

    fn conflict(&self, why: &str) -> Refusal {
        Refusal::conflict(self.resource, &self.key, why)
    }

    /// The object as this client sees it.
    fn served(&self, object: &Value) -> Value {
        served(self.resource, self.version, object)
    }
}

/// Everything that is there.
#[derive(Debug)]
pub(super) struct Store {
    objects: BTreeMap<Key, Stored>,
    version: u64,
    expire_next: bool,
    ahead: TimeDelta,
    logs: BTreeMap<(String, String, String), String>,
    missing: BTreeSet<String>,
    /// The bearer token that every request brings, where one is needed.
    pub(super) token: Option<String>,
    /// Method and path of each request.
    pub(super) requests: Vec<String>,
}

impl Store {
    pub(super) fn new(missing: &[&str]) -> Self {
        let mut store = Self {
            objects: BTreeMap::new(),
            version: 0,
            expire_next: false,
            ahead: TimeDelta::zero(),
            logs: BTreeMap::new(),
            missing: missing.iter().map(|plural| (*plural).to_owned()).collect(),
            token: None,
            requests: Vec::new(),
        };
        let namespaces = &RESOURCES[0];
        let key = Key { resource: namespaces.qualified(), namespace: String::new(), name: "default".to_owned() };
        let target =
            Target { resource: namespaces, version: "v1", key, part: Part::Main, manager: "server", dry_run: false };
        store.create(&target, json!({"metadata": {"name": "default"}})).unwrap();
        store
    }

    /// The kind at this path, where it is served.
    pub(super) fn resource(&self, group: &str, version: &str, plural: &str) -> Result<&'static Resource, Refusal> {
        RESOURCES
            .iter()
            .find(|one| one.group == group && one.plural == plural && one.versions.contains(&version))
            .filter(|one| !self.missing.contains(one.plural))
            .ok_or_else(Refusal::no_such_resource)
    }

    pub(super) fn set_log(&mut self, namespace: &str, pod: &str, container: &str, text: &str) {
        self.logs.insert((namespace.to_owned(), pod.to_owned(), container.to_owned()), text.to_owned());
    }

    pub(super) fn expire_next_page(&mut self) {
        self.expire_next = true;
    }

    pub(super) fn pass(&mut self, time: Duration) {
        self.ahead += TimeDelta::from_std(time).unwrap();
    }

    #[expect(clippy::disallowed_methods, reason = "the peer has the machine's clock, as the real one has")]
    fn now(&self) -> DateTime<Utc> {
        Utc::now() + self.ahead
    }

    fn stamp(&self) -> String {
        self.now().to_rfc3339_opts(SecondsFormat::Secs, true)
    }

    pub(super) fn get(&self, target: &Target<'_>) -> Result<Value, Refusal> {
        let stored = self.objects.get(&target.key).ok_or_else(|| target.not_found())?;
        Ok(target.served(&stored.object))
    }

    pub(super) fn create(&mut self, target: &Target<'_>, mut object: Value) -> Result<Value, Refusal> {
        let Target { resource, key, .. } = target;
        if resource.namespaced && !self.has_namespace(&key.namespace) {
            return Err(Refusal::no_namespace(&key.namespace));
        }
        if self.objects.contains_key(key) {
            return Err(Refusal::already_exists(resource, key));
        }
        if text(&object, "/metadata/resourceVersion").is_some() {
            return Err(Refusal::bad_request("resourceVersion should not be set on objects to be created"));
        }
        if resource.has_status {
            object.as_object_mut().map(|fields| fields.remove("status"));
        }
        check(resource, key, &object)?;
        let mut owners = Owners::new();
        apply::written(&mut owners, &Value::Null, &object, target.manager);
        object["metadata"]["name"] = json!(key.name);
        object["metadata"]["uid"] = json!(uid(self.version + 1));
        object["metadata"]["creationTimestamp"] = json!(self.stamp());
        if resource.namespaced {
            object["metadata"]["namespace"] = json!(key.namespace);
        }
        Ok(self.put(target, Stored { object, owners }))
    }

    fn has_namespace(&self, namespace: &str) -> bool {
        let key = Key { resource: "namespaces".to_owned(), namespace: String::new(), name: namespace.to_owned() };
        self.objects.contains_key(&key)
    }

    /// Stores it under a new version.
    fn put(&mut self, target: &Target<'_>, mut stored: Stored) -> Value {
        let next = self.version + 1;
        stored.object["metadata"]["resourceVersion"] = json!(next.to_string());
        let answer = target.served(&stored.object);
        if !target.dry_run {
            self.version = next;
            self.objects.insert(target.key.clone(), stored);
        }
        answer
    }

    /// Changes an object by `change`, which turns what is there into what is to be.
    fn change(
        &mut self,
        target: &Target<'_>,
        change: impl FnOnce(&mut Value, &mut Owners) -> Result<(), Refusal>,
    ) -> Result<Value, Refusal> {
        let stored = self.objects.get(&target.key).ok_or_else(|| target.not_found())?;
        let before = &stored.object;
        let (mut object, mut owners) = (before.clone(), stored.owners.clone());
        change(&mut object, &mut owners)?;
        let sent = text(&object, "/metadata/resourceVersion");
        if sent.is_some() && sent != text(before, "/metadata/resourceVersion") {
            let why = "the object has been modified; please apply your changes to the latest version and try again";
            return Err(target.conflict(why));
        }
        let mut after = match target.part {
            Part::Status => {
                let mut after = before.clone();
                after["status"] = object.get("status").cloned().unwrap_or(Value::Null);
                after
            }
            Part::Main if target.resource.has_status => {
                match before.get("status") {
                    Some(status) => object["status"] = status.clone(),
                    None => drop(object.as_object_mut().map(|fields| fields.remove("status"))),
                }
                object
            }
            Part::Main => object,
        };
        for field in ["name", "namespace", "uid", "creationTimestamp", "resourceVersion"] {
            if let Some(value) = before["metadata"].get(field) {
                after["metadata"][field] = value.clone();
            }
        }
        check(target.resource, &target.key, &after)?;
        if after == *before {
            // Nothing is written where nothing changes.
            let answer = target.served(before);
            if let Some(stored) = self.objects.get_mut(&target.key).filter(|_| !target.dry_run) {
                stored.owners = owners;
            }
            return Ok(answer);
        }
        let answer = self.put(target, Stored { object: after, owners });
        self.finish_deletion(&target.key);
        Ok(answer)
    }

    pub(super) fn replace(&mut self, target: &Target<'_>, by: Value) -> Result<Value, Refusal> {
        self.change(target, |object, owners| {
            apply::written(owners, object, &by, target.manager);
            *object = by;
            Ok(())
        })
    }

    pub(super) fn merge(&mut self, target: &Target<'_>, patch: &Value) -> Result<Value, Refusal> {
        self.change(target, |object, owners| {
            let before = object.clone();
            apply::merge(object, patch);
            apply::written(owners, &before, object, target.manager);
            Ok(())
        })
    }

    pub(super) fn apply(&mut self, target: &Target<'_>, patch: &Value, force: bool) -> Result<Value, Refusal> {
        if !self.objects.contains_key(&target.key) {
            if target.part == Part::Status {
                return Err(target.not_found());
            }
            // Kubernetes 1.20 does not mind a version that such a patch names.
            let mut object = patch.clone();
            object["metadata"].as_object_mut().map(|metadata| metadata.remove("resourceVersion"));
            let created = self.create(target, object)?;
            if let Some(stored) = self.objects.get_mut(&target.key) {
                stored.owners.values_mut().for_each(|owner| owner.by_apply = true);
            }
            return Ok(created);
        }
        self.change(target, |object, owners| {
            apply::apply(object, owners, patch, target.manager, force).map_err(|conflicts| {
                let fields: Vec<_> = conflicts.iter().map(|(path, owner)| format!("{path} of {owner:?}")).collect();
                target.conflict(&format!("conflict with {}", fields.join(", ")))
            })?;
            if let Some(version) = text(patch, "/metadata/resourceVersion") {
                object["metadata"]["resourceVersion"] = json!(version);
            }
            Ok(())
        })
    }

    pub(super) fn delete(&mut self, target: &Target<'_>, only: &Preconditions) -> Result<Value, Refusal> {
        let stored = self.objects.get(&target.key).ok_or_else(|| target.not_found())?;
        let is = |field: &str, expected: &Option<String>| {
            expected.as_deref().is_none_or(|expected| stored.object["metadata"][field].as_str() == Some(expected))
        };
        if !is("uid", &only.uid) || !is("resourceVersion", &only.version) {
            return Err(target.conflict("Precondition failed"));
        }
        let answer = target.served(&stored.object);
        let stamp = self.stamp();
        if let Some(stored) = self.objects.get_mut(&target.key)
            && stored.object["metadata"]["deletionTimestamp"].is_null()
        {
            stored.object["metadata"]["deletionTimestamp"] = json!(stamp);
        }
        self.version += 1;
        self.finish_deletion(&target.key);
        Ok(answer)
    }

    /// An object that is to be deleted goes with its last finalizer.
    fn finish_deletion(&mut self, key: &Key) {
        let goes = self.objects.get(key).is_some_and(|stored| {
            let metadata = &stored.object["metadata"];
            !metadata["deletionTimestamp"].is_null()
                && metadata["finalizers"].as_array().is_none_or(|finalizers| finalizers.is_empty())
        });
        if goes {
            self.objects.remove(key);
            self.logs.retain(|(namespace, pod, _), _| {
                key.resource != "pods" || (namespace, pod) != (&key.namespace, &key.name)
            });
        }
    }

    pub(super) fn list(
        &mut self,
        resource: &Resource,
        version: &str,
        namespace: Option<&str>,
        selector: &str,
        limit: usize,
        token: Option<&str>,
    ) -> Result<Page, Refusal> {
        let after = match token {
            None => None,
            Some(token) => {
                if std::mem::take(&mut self.expire_next) {
                    return Err(Refusal::expired());
                }
                Some(decode_token(token).ok_or_else(|| Refusal::bad_request("continue key is not valid"))?)
            }
        };
        let mut items = Vec::new();
        let mut next = None;
        for (key, stored) in self.objects.iter().filter(|(key, _)| key.resource == resource.qualified()) {
            let place = format!("{}/{}", key.namespace, key.name);
            if namespace.is_some_and(|namespace| namespace != key.namespace)
                || after.as_ref().is_some_and(|after| place <= *after)
                || !selector::matches(selector, &stored.object)?
            {
                continue;
            }
            if limit > 0 && items.len() == limit {
                let last: &Value = &items[limit - 1];
                let last = format!(
                    "{}/{}",
                    text(last, "/metadata/namespace").unwrap_or_default(),
                    text(last, "/metadata/name").unwrap_or_default()
                );
                next = Some(URL_SAFE_NO_PAD.encode(last));
                break;
            }
            items.push(served(resource, version, &stored.object));
        }
        Ok(Page { items, version: self.version, next })
    }

    /// A container's log.
    pub(super) fn log(&self, resource: &Resource, key: &Key, container: Option<&str>) -> Result<&str, Refusal> {
        let pod = &self.objects.get(key).ok_or_else(|| Refusal::not_found(resource, key))?.object;
        let containers: Vec<_> = pod["spec"]["containers"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|container| container["name"].as_str())
            .collect();
        let pod = &key.name;
        let container = match (container, containers.as_slice()) {
            (Some(container), _) if containers.contains(&container) => container,
            (Some(container), _) => {
                return Err(Refusal::bad_request(format!("container {container} is not valid for pod {pod}")));
            }
            (None, [only]) => *only,
            (None, _) => {
                return Err(Refusal::bad_request(format!(
                    "a container name must be specified for pod {pod}, choose one of: {containers:?}"
                )));
            }
        };
        self.logs.get(&(key.namespace.clone(), pod.clone(), container.to_owned())).map(String::as_str).ok_or_else(
            || {
                Refusal::bad_request(format!(
                    "container \"{container}\" in pod \"{pod}\" is waiting to start: ContainerCreating"
                ))
            },
        )
    }
}

/// As a client of this version sees it.
fn served(resource: &Resource, version: &str, object: &Value) -> Value {
    let mut object = object.clone();
    object["apiVersion"] = json!(resource.api_version(version));
    object["kind"] = json!(resource.kind);
    object
}

fn check(resource: &Resource, key: &Key, object: &Value) -> Result<(), Refusal> {
    let label = |text: &str| {
        let plain = |c: char| c.is_ascii_alphanumeric();
        text.len() <= 63
            && (text.is_empty() || text.starts_with(plain) && text.ends_with(plain))
            && text.chars().all(|c| plain(c) || "-_.".contains(c))
    };
    let name = key.name.as_str();
    let dns = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    if name.len() > 253
        || !name.starts_with(dns)
        || !name.ends_with(dns)
        || !name.chars().all(|c| dns(c) || "-.".contains(c))
    {
        return Err(Refusal::invalid(resource, key, "metadata.name: a lowercase RFC 1123 subdomain"));
    }
    let labels = object.pointer("/metadata/labels").and_then(Value::as_object);
    for (key_of, value) in labels.into_iter().flatten() {
        if !value.as_str().is_some_and(label) {
            return Err(Refusal::invalid(
                resource,
                key,
                &format!("metadata.labels: {key_of}: {value} is no label's value"),
            ));
        }
    }
    if resource.custom
        && let Some(problem) = schema::problem(resource.kind, object)
    {
        return Err(match problem.starts_with("strict decoding error") {
            true => Refusal::bad_request(problem),
            false => Refusal::invalid(resource, key, &problem),
        });
    }
    Ok(())
}

fn uid(number: u64) -> String {
    format!("00000000-0000-4000-8000-{number:012x}")
}

/// The place after which a page begins.
fn decode_token(token: &str) -> Option<String> {
    String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()
}
