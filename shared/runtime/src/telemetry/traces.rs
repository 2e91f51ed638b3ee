//! Deliveries as OpenTelemetry spans, exported by OTLP over HTTP.
//!
//! The environment's own variables (`OTEL_TRACES_SAMPLER`, `OTEL_BSP_*`, `OTEL_EXPORTER_OTLP_HEADERS`) are read by
//! OpenTelemetry's SDK.

use std::{error::Error, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use opentelemetry::{
    KeyValue, SpanId, TraceFlags, TraceId,
    trace::{SpanContext, TraceContextExt, TraceState, TracerProvider},
};
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::{
    Resource,
    trace::{SdkTracerProvider, Tracer},
};
use tokio::runtime::Handle;
use tracing::{Span, Subscriber};
use tracing_opentelemetry::{OpenTelemetryLayer, OpenTelemetrySpanExt};
use tracing_subscriber::registry::LookupSpan;

use super::Process;
use crate::trace_context::TraceContext;

/// How long sending one batch of spans may take: it must fit what is left of the ten seconds after SIGTERM.
const SEND_TIME: Duration = Duration::from_secs(2);

/// The exporting of spans.
#[derive(Debug)]
pub(super) struct Traces {
    provider: SdkTracerProvider,
}

impl Traces {
    /// Exports to where the process says; `None` where it says nothing.
    pub(super) fn export(process: &Process) -> Result<Option<Self>, Box<dyn Error + Send + Sync>> {
        let Some(to) = &process.traces_to else { return Ok(None) };
        crate::tls::install();
        let client =
            OnTokio { client: reqwest::Client::builder().timeout(SEND_TIME).build()?, runtime: Handle::try_current()? };
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(client)
            .with_endpoint(format!("{}/v1/traces", to.trim_end_matches('/')))
            .with_timeout(SEND_TIME)
            .build()?;
        let resource = Resource::builder()
            .with_service_name(process.service.clone())
            .with_attribute(KeyValue::new("service.version", process.version.clone()))
            .build();
        let provider = SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build();
        Ok(Some(Self { provider }))
    }

    /// What turns `tracing`'s spans into OpenTelemetry's.
    pub(super) fn layer<S>(&self) -> OpenTelemetryLayer<S, Tracer>
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        tracing_opentelemetry::layer().with_tracer(self.provider.tracer("millstream"))
    }

    /// Sends what is left.
    pub(super) async fn shutdown(self) {
        // It blocks until its own thread has sent everything.
        let ended = tokio::task::spawn_blocking(move || self.provider.shutdown_with_timeout(SEND_TIME)).await;
        match ended {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the last traces could not be sent"),
            Err(error) => tracing::warn!(%error, "the last traces could not be sent"),
        }
    }
}

/// Begins a delivery's span under the span of the event that is delivered. Returns the span's own context, which is what the
/// delivery's events come under; `None` where nothing records spans.
pub(crate) fn begin(span: &Span, parent: Option<TraceContext>) -> Option<TraceContext> {
    if let Some(parent) = parent {
        let flags = if parent.is_sampled { TraceFlags::SAMPLED } else { TraceFlags::default() };
        let context = SpanContext::new(
            TraceId::from_bytes(parent.trace_id.to_be_bytes()),
            SpanId::from_bytes(parent.span_id.to_be_bytes()),
            flags,
            true,
            TraceState::default(),
        );
        // Refused where no layer records spans, which the context below says as well.
        let _ = span.set_parent(opentelemetry::Context::new().with_remote_span_context(context));
    }
    let own = span.context().span().span_context().clone();
    own.is_valid().then(|| TraceContext {
        trace_id: u128::from_be_bytes(own.trace_id().to_bytes()),
        span_id: u64::from_be_bytes(own.span_id().to_bytes()),
        is_sampled: own.is_sampled(),
    })
}

/// Sends from the process's runtime what OpenTelemetry's own thread, which has none, hands over.
#[derive(Debug)]
struct OnTokio {
    client: reqwest::Client,
    runtime: Handle,
}

#[async_trait]
impl HttpClient for OnTokio {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let request = reqwest::Request::try_from(request)?;
        let client = self.client.clone();
        let sent = self.runtime.spawn(async move {
            let response = client.execute(request).await?;
            let status = response.status();
            Ok::<_, reqwest::Error>((status, response.bytes().await?))
        });
        let (status, body) = sent.await??;
        Ok(Response::builder().status(status).body(body)?)
    }
}

#[cfg(test)]
mod tests {
    use axum::{Router, extract::State, routing::post};
    use tokio::{net::TcpListener, sync::mpsc};
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    fn process(traces_to: Option<String>) -> Process {
        Process { service: "load-table".to_owned(), version: "load-table-00007".to_owned(), project: None, traces_to }
    }

    #[tokio::test]
    async fn spans_are_at_the_collector_before_the_process_ends() {
        let (sent, mut received) = mpsc::unbounded_channel();
        let collect = async |State(sent): State<mpsc::UnboundedSender<Bytes>>, body: Bytes| sent.send(body).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let router = Router::new().route("/v1/traces", post(collect)).with_state(sent);
        tokio::spawn(async move { axum::serve(listener, router).await });

        let traces = Traces::export(&process(Some(url))).unwrap().unwrap();
        let recording = tracing::subscriber::set_default(tracing_subscriber::registry().with(traces.layer()));
        drop(tracing::error_span!("delivery"));
        drop(recording);
        traces.shutdown().await;

        let body = received.try_recv().unwrap().escape_ascii().to_string();
        for part in ["delivery", "load-table", "load-table-00007"] {
            assert!(body.contains(part), "{part} is not in {body}");
        }
    }

    #[tokio::test]
    async fn without_an_endpoint_nothing_is_exported() {
        assert!(Traces::export(&process(None)).unwrap().is_none());
    }
}
