//! What is known of objects, and their end: Cloud Storage's JSON API.

use bytes::Bytes;
use futures::{Stream, stream};
use millstream_events::names::ObjectPath;
use millstream_gcp_client::{Connection, Service};
use millstream_ports::{ErrorKind, ObjectMeta, PortError, PortResult, Precondition, optional};
use reqwest::{Client, Method, Url, redirect};
use serde::de::DeserializeOwned;

use crate::{
    StoreOptions,
    errors::{failed, refused, unanswered},
    preconditions::if_generation_match,
    resource::{Listed, Page, Resource},
    retry::ApiAttempts,
};

/// Where Cloud Storage is.
const SERVICE: &str = "https://storage.googleapis.com";

/// The fields of a resource that make an [`ObjectMeta`], and those only: a whole resource is ten times the size.
const META: &str = "name,generation,size,crc32c";

/// Which fields of listed objects are asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fields {
    /// All of an [`ObjectMeta`].
    All,
    /// The name.
    Name,
}

/// The JSON API, called with retries.
#[derive(Debug, Clone)]
pub(crate) struct JsonApi {
    http: Client,
    base: Url,
    connection: Connection,
    options: StoreOptions,
}

/// How a call ended, and whether it was sent more than once.
struct Called {
    result: PortResult<Bytes>,
    retried: bool,
}

impl JsonApi {
    pub(crate) fn new(connection: &Connection, options: &StoreOptions) -> PortResult<Self> {
        let base = connection.emulator(Service::Storage).unwrap_or(SERVICE);
        let base = Url::parse(base).ok().filter(|url| !url.cannot_be_a_base()).ok_or_else(|| {
            PortError::invalid(format!("{base} is no address of Cloud Storage: STORAGE_EMULATOR_HOST is HOST:PORT"))
        })?;
        let http = Client::builder()
            .redirect(redirect::Policy::none())
            .timeout(options.patience)
            .build()
            .map_err(|error| unanswered("setting up HTTP", error))?;
        Ok(Self { http, base, connection: connection.clone(), options: options.clone() })
    }

    /// What is known of an object.
    pub(crate) async fn stat(&self, path: &ObjectPath) -> PortResult<ObjectMeta> {
        self.resource(path, META).await?.meta(path.clone())
    }

    /// The same, with the value that its writer put under `key`.
    pub(crate) async fn stat_with(&self, path: &ObjectPath, key: &str) -> PortResult<(ObjectMeta, Option<String>)> {
        let mut resource = self.resource(path, &format!("{META},metadata")).await?;
        let value = resource.metadata.remove(key);
        Ok((resource.meta(path.clone())?, value))
    }

    async fn resource(&self, path: &ObjectPath, fields: &str) -> PortResult<Resource> {
        let action = format!("looking at {path}");
        let mut url = self.url(path.bucket(), Some(path.name()));
        url.query_pairs_mut().append_pair("fields", fields);
        decode(&action, &self.call(&action, Method::GET, url, true).await.result?)
    }

    /// The pages of a listing, in name order. Objects that others gave a name which no [`ObjectPath`] can have are left out.
    pub(crate) fn pages(
        &self,
        bucket: &str,
        prefix: &str,
        fields: Fields,
    ) -> impl Stream<Item = PortResult<Vec<Listed>>> + Send + Unpin + use<> {
        let fields = match fields {
            Fields::All => format!("nextPageToken,items({META})"),
            Fields::Name => "nextPageToken,items(name)".to_owned(),
        };
        let mut first = self.url(bucket, None);
        first.query_pairs_mut().append_pair("prefix", prefix).append_pair("fields", &fields);
        let (api, bucket) = (self.clone(), bucket.to_owned());
        let action = format!("listing gs://{bucket}/{prefix}");
        let next = Some(first.clone());
        Box::pin(stream::try_unfold(next, move |next| {
            let (api, bucket, first, action) = (api.clone(), bucket.clone(), first.clone(), action.clone());
            async move {
                let Some(url) = next else { return Ok(None) };
                let page: Page = decode(&action, &api.call(&action, Method::GET, url, true).await.result?)?;
                let next = page.next_page_token.filter(|token| !token.is_empty()).map(|token| {
                    let mut url = first;
                    url.query_pairs_mut().append_pair("pageToken", &token);
                    url
                });
                Ok(Some((page.items.into_iter().filter_map(|resource| listed(&bucket, resource)).collect(), next)))
            }
        }))
    }

    /// Deletes an object. Only a deletion of one generation is tried again: any other might meet a newer object.
    pub(crate) async fn delete(&self, path: &ObjectPath, when: Precondition) -> PortResult<()> {
        let action = format!("deleting {path}");
        let expected = if_generation_match(path, when)?;
        if self.options.check_before_delete && expected.is_some() {
            let found = self.stat(path).await?.generation;
            if when != Precondition::Generation(found) {
                return Err(failed(action, ErrorKind::Conflict, format!("its generation is {found}")));
            }
        }
        let mut url = self.url(path.bucket(), Some(path.name()));
        if let Some(generation) = expected {
            url.query_pairs_mut().append_pair("ifGenerationMatch", &generation.to_string());
        }
        let called = self.call(&action, Method::DELETE, url, expected.is_some()).await;
        match optional(called.result)? {
            Some(_) => Ok(()),
            // The attempt before this one was not answered, but it was heard: the generation is gone, as asked.
            None if called.retried => Ok(()),
            None => Err(failed(action, ErrorKind::NotFound, "404")),
        }
    }

    /// The address of an object, or of a bucket's objects.
    fn url(&self, bucket: &str, name: Option<&str>) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(["storage", "v1", "b", bucket, "o"]).extend(name);
        }
        url
    }

    async fn call(&self, action: &str, method: Method, url: Url, again: bool) -> Called {
        let mut attempts = ApiAttempts::new(&self.options);
        let result = loop {
            let error = match self.attempt(action, method.clone(), url.clone()).await {
                Ok(body) => break Ok(body),
                Err(error) if again => error,
                Err(error) => break Err(error),
            };
            if let Err(last) = attempts.pause(error).await {
                break Err(last);
            }
        };
        Called { result, retried: attempts.retried() }
    }

    async fn attempt(&self, action: &str, method: Method, url: Url) -> PortResult<Bytes> {
        let mut request = self.http.request(method, url);
        if let Some(token) = self.connection.bearer(Service::Storage).await? {
            request = request.bearer_auth(token);
        }
        let answer = request.send().await.map_err(|error| unanswered(action, error))?;
        let status = answer.status();
        let body = answer.bytes().await.map_err(|error| unanswered(action, error))?;
        if status.is_success() { Ok(body) } else { Err(refused(action, status.as_u16(), &body)) }
    }
}

fn decode<T: DeserializeOwned>(action: &str, body: &[u8]) -> PortResult<T> {
    serde_json::from_slice(body).map_err(|error| failed(action, ErrorKind::Internal, &error).caused_by(error))
}

fn listed(bucket: &str, resource: Resource) -> Option<Listed> {
    match ObjectPath::new(bucket, resource.name.as_str()) {
        Ok(path) => Some(Listed { path, resource }),
        Err(error) => {
            tracing::warn!(bucket, name = resource.name, %error, "an object is left out of a listing");
            None
        }
    }
}
