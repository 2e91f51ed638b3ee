//! A client of the cluster that the settings name.

use std::{
    task::{Context, Poll, ready},
    time::Duration,
};

use futures::{
    FutureExt,
    future::{self, BoxFuture},
};
use http::{HeaderValue, Request, header::AUTHORIZATION};
use kube::{
    Client, Config,
    client::ClientBuilder,
    config::{
        AuthInfo, Cluster, Context as NamedUse, KubeConfigOptions, Kubeconfig, NamedAuthInfo, NamedCluster,
        NamedContext,
    },
};
use millstream_ports::error::{PortError, PortResult};
use tower::{BoxError, Layer, Service};

use crate::{KubernetesSettings, TokenSource, errors};

/// A server that says nothing for so long is not there.
const PATIENCE: Duration = Duration::from_secs(60);

/// The only entry of a kubeconfig that is made of the settings.
const ENTRY: &str = "millstream";

/// Reads the kubeconfig or the pod's own files; asks the cluster nothing.
pub(crate) async fn client(settings: &KubernetesSettings) -> PortResult<Client> {
    let mut config = config(settings).await?;
    config.read_timeout = Some(PATIENCE);
    config.reset_reader_on_write = true;
    config.default_namespace.clone_from(&settings.namespace);
    // An error says that another thread was faster: there is one TLS provider for every client in the process.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = ClientBuilder::try_from(config).map_err(|error| errors::port_error("the cluster's client", error))?;
    Ok(match &settings.token {
        Some(source) => builder.with_layer(&WithToken(source.clone())).build(),
        None => builder.build(),
    })
}

async fn config(settings: &KubernetesSettings) -> PortResult<Config> {
    let unreadable = |error: kube::config::KubeconfigError| {
        PortError::invalid("the kubeconfig cannot be used; `kubectl config view` shows it").caused_by(error)
    };
    let Some(url) = &settings.url else {
        return match &settings.context {
            Some(context) => {
                let options = KubeConfigOptions { context: Some(context.clone()), ..KubeConfigOptions::default() };
                Config::from_kubeconfig(&options).await.map_err(unreadable)
            }
            None => Config::infer().await.map_err(|error| {
                PortError::invalid(
                    "there is no kubeconfig, and this program runs in no cluster: name the cluster's URL",
                )
                .caused_by(error)
            }),
        };
    };
    let cluster = Cluster {
        server: Some(url.clone()),
        certificate_authority_data: settings.certificate_authority.clone(),
        ..Cluster::default()
    };
    let context = NamedUse { cluster: ENTRY.to_owned(), user: Some(ENTRY.to_owned()), ..NamedUse::default() };
    let file = Kubeconfig {
        clusters: vec![NamedCluster { name: ENTRY.to_owned(), cluster: Some(cluster), ..NamedCluster::default() }],
        contexts: vec![NamedContext { name: ENTRY.to_owned(), context: Some(context), ..NamedContext::default() }],
        auth_infos: vec![NamedAuthInfo {
            name: ENTRY.to_owned(),
            auth_info: Some(AuthInfo::default()),
            ..NamedAuthInfo::default()
        }],
        current_context: Some(ENTRY.to_owned()),
        ..Kubeconfig::default()
    };
    Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await.map_err(unreadable)
}

/// Puts a token that is valid now into every request.
struct WithToken(TokenSource);

impl<S> Layer<S> for WithToken {
    type Service = TokenService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        TokenService { source: self.0.clone(), asked: None, token: None, inner }
    }
}

/// Asks for the token while it becomes ready. A failure is the request's answer: a service that says that it will never be
/// ready is given up for good.
struct TokenService<S> {
    source: TokenSource,
    asked: Option<BoxFuture<'static, PortResult<String>>>,
    token: Option<PortResult<String>>,
    inner: S,
}

impl<S, B> Service<Request<B>> for TokenService<S>
where
    S: Service<Request<B>, Error = BoxError>,
    S::Response: Send + 'static,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<S::Response, BoxError>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        if self.token.is_none() {
            let asked = self.asked.get_or_insert_with(|| self.source.token());
            let token = ready!(asked.poll_unpin(context));
            self.asked = None;
            self.token = Some(token);
        }
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let token = self.token.take().unwrap_or_else(|| Err(PortError::internal("no token was asked for")));
        let header = token.and_then(|token| {
            HeaderValue::try_from(format!("Bearer {token}"))
                .map_err(|_| PortError::internal("a token is no header's value"))
        });
        match header {
            Ok(mut header) => {
                header.set_sensitive(true);
                request.headers_mut().insert(AUTHORIZATION, header);
                Box::pin(self.inner.call(request))
            }
            Err(error) => Box::pin(future::ready(Err(error.into()))),
        }
    }
}
