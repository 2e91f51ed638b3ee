//! HTTP: paths, query parameters and content types.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Query, State},
    http::{HeaderMap, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use super::{
    lock,
    objects::{Key, Resource, text},
    status::Refusal,
    store::{Page, Part, Preconditions, Store, Target},
};

/// As much as a real server takes.
const LARGEST: usize = 3 << 20;

type Shared = Arc<Mutex<Store>>;
type Parameters = BTreeMap<String, String>;

pub(super) fn router(store: Shared) -> Router {
    Router::new().fallback(answer).layer(DefaultBodyLimit::max(LARGEST)).with_state(store)
}

async fn answer(
    State(store): State<Shared>,
    method: Method,
    uri: Uri,
    Query(parameters): Query<Parameters>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mut store = lock(&store);
    store.requests.push(format!("{method} {}", uri.path()));
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    if store.token.as_deref().is_some_and(|token| bearer != Some(token)) {
        return Refusal::unauthorized().into_response();
    }
    match Request::read(&store, &method, uri.path(), parameters, headers, body) {
        Ok(request) => request.answer(&mut store).unwrap_or_else(Refusal::into_response),
        Err(refusal) => refusal.into_response(),
    }
}

/// A request whose path is understood.
struct Request {
    method: Method,
    resource: &'static Resource,
    version: String,
    namespace: Option<String>,
    name: Option<String>,
    subresource: Option<String>,
    parameters: Parameters,
    headers: HeaderMap,
    body: Bytes,
}

impl Request {
    fn read(
        store: &Store,
        method: &Method,
        path: &str,
        parameters: Parameters,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Self, Refusal> {
        let segments: Vec<_> = path.trim_matches('/').split('/').collect();
        let (group, version, rest) = match segments.as_slice() {
            ["api", version, rest @ ..] => ("", *version, rest),
            ["apis", group, version, rest @ ..] => (*group, *version, rest),
            _ => return Err(Refusal::no_such_resource()),
        };
        let (namespace, plural, rest) = match rest {
            ["namespaces", namespace, plural, rest @ ..] => (Some(*namespace), *plural, rest),
            [plural, rest @ ..] => (None, *plural, rest),
            [] => return Err(Refusal::no_such_resource()),
        };
        let resource = store.resource(group, version, plural)?;
        let (name, subresource) = match rest {
            [] => (None, None),
            [name] => (Some(*name), None),
            [name, subresource] => (Some(*name), Some(*subresource)),
            _ => return Err(Refusal::no_such_resource()),
        };
        let owned = |text: Option<&str>| text.map(str::to_owned);
        Ok(Self {
            method: method.clone(),
            resource,
            version: version.to_owned(),
            namespace: owned(namespace),
            name: owned(name),
            subresource: owned(subresource),
            parameters,
            headers,
            body,
        })
    }

    fn answer(&self, store: &mut Store) -> Result<Response, Refusal> {
        let Some(name) = &self.name else {
            return match self.method {
                Method::GET => self.list(store),
                Method::POST => {
                    let object = self.json()?;
                    let name = text(&object, "/metadata/name")
                        .ok_or_else(|| Refusal::bad_request("name or generateName is required"))?;
                    self.same_kind(&object)?;
                    let created = store.create(&self.target(name, Part::Main), object.clone())?;
                    Ok((StatusCode::CREATED, Json(created)).into_response())
                }
                _ => Err(Refusal::unsupported(405, "the method is not allowed here")),
            };
        };
        let target = match self.subresource.as_deref() {
            None => self.target(name, Part::Main),
            Some("status") if self.resource.has_status => self.target(name, Part::Status),
            Some("log") if self.resource.plural == "pods" && self.method == Method::GET => {
                return self.log(store, &self.target(name, Part::Main).key);
            }
            Some(_) => return Err(Refusal::no_such_resource()),
        };
        let answered = match self.method {
            Method::GET => store.get(&target),
            Method::PUT => {
                let object = self.json()?;
                self.same_kind(&object)?;
                store.replace(&target, object)
            }
            Method::PATCH => self.patch(store, &target),
            Method::DELETE => store.delete(&target, &self.preconditions()?),
            _ => Err(Refusal::unsupported(405, "the method is not allowed here")),
        }?;
        Ok(Json(answered).into_response())
    }

    fn patch(&self, store: &mut Store, target: &Target<'_>) -> Result<Value, Refusal> {
        let patch = self.json()?;
        let kind = self.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        match kind.split(';').next().unwrap_or_default() {
            "application/apply-patch+yaml" => {
                self.same_kind(&patch)?;
                if self.parameters.get("fieldManager").is_none_or(String::is_empty) {
                    return Err(Refusal::bad_request("fieldManager: Required value: is required for apply patch"));
                }
                let force = self.parameters.get("force").is_some_and(|force| force == "true");
                store.apply(target, &patch, force)
            }
            // Lists are replaced by both here; a strategic merge of lists is not played.
            "application/merge-patch+json" | "application/strategic-merge-patch+json" => store.merge(target, &patch),
            other => Err(Refusal::unsupported(415, &format!("{other} is no patch that this server takes"))),
        }
    }

    fn list(&self, store: &mut Store) -> Result<Response, Refusal> {
        let parameter = |name: &str| self.parameters.get(name).map(String::as_str).filter(|value| !value.is_empty());
        if parameter("watch").is_some_and(|watch| watch != "false" && watch != "0") {
            return Err(Refusal::unsupported(405, "this server has no watches"));
        }
        let limit = parameter("limit").map(str::parse).transpose();
        let limit = limit.map_err(|_| Refusal::bad_request("limit: must be a number"))?.unwrap_or(0);
        let Page { mut items, version, next } = store.list(
            self.resource,
            &self.version,
            self.namespace.as_deref(),
            parameter("labelSelector").unwrap_or_default(),
            limit,
            parameter("continue"),
        )?;
        let accept = self.headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let (kind, api_version) = if accept.contains("as=PartialObjectMetadataList") {
            for item in &mut items {
                *item = json!({
                    "kind": "PartialObjectMetadata",
                    "apiVersion": "meta.k8s.io/v1",
                    "metadata": item["metadata"],
                });
            }
            ("PartialObjectMetadataList".to_owned(), "meta.k8s.io/v1".to_owned())
        } else {
            (format!("{}List", self.resource.kind), self.resource.api_version(&self.version))
        };
        let mut metadata = json!({"resourceVersion": version.to_string()});
        if let Some(next) = next {
            metadata["continue"] = json!(next);
        }
        Ok(Json(json!({"kind": kind, "apiVersion": api_version, "metadata": metadata, "items": items})).into_response())
    }

    fn log(&self, store: &Store, key: &Key) -> Result<Response, Refusal> {
        let number = |name: &str| {
            let value = self.parameters.get(name).map(|value| value.parse::<usize>());
            value.transpose().map_err(|_| Refusal::bad_request(format!("{name}: must be a number")))
        };
        let text = store.log(self.resource, key, self.parameters.get("container").map(String::as_str))?;
        let lines: Vec<_> = text.split_inclusive('\n').collect();
        let first = number("tailLines")?.map_or(0, |count| lines.len().saturating_sub(count));
        let mut bytes = lines[first..].concat().into_bytes();
        bytes.truncate(number("limitBytes")?.unwrap_or(usize::MAX));
        Ok(([(header::CONTENT_TYPE, "text/plain")], bytes).into_response())
    }

    fn preconditions(&self) -> Result<Preconditions, Refusal> {
        if self.body.is_empty() {
            return Ok(Preconditions::default());
        }
        let options = self.json()?;
        let field = |name: &str| text(&options, &format!("/preconditions/{name}")).map(str::to_owned);
        Ok(Preconditions { uid: field("uid"), version: field("resourceVersion") })
    }

    fn json(&self) -> Result<Value, Refusal> {
        let value: Value =
            serde_json::from_slice(&self.body).map_err(|error| Refusal::bad_request(error.to_string()))?;
        if value.is_object() { Ok(value) } else { Err(Refusal::bad_request("the body is no object")) }
    }

    fn same_kind(&self, object: &Value) -> Result<(), Refusal> {
        let (kind, version) = (self.resource.kind, self.resource.api_version(&self.version));
        if object["kind"] == kind && object["apiVersion"] == version.as_str() {
            Ok(())
        } else {
            Err(Refusal::bad_request(format!("the object is no {kind} of {version}, which the path names")))
        }
    }

    fn target(&self, name: &str, part: Part) -> Target<'_> {
        Target {
            resource: self.resource,
            version: &self.version,
            key: Key {
                resource: self.resource.qualified(),
                namespace: self.namespace.clone().unwrap_or_default(),
                name: name.to_owned(),
            },
            part,
            manager: self.parameters.get("fieldManager").map_or("unknown", String::as_str),
            dry_run: self.parameters.get("dryRun").is_some_and(|value| value == "All"),
        }
    }
}
