//! A chain of deliveries is one trace, with spans exported and without.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

mod support;

use std::sync::Arc;

use async_trait::async_trait;
use millstream_events::{Command, Envelope, work::ExportTable};
use millstream_ports::{EventBus, memory::MemoryBus};
use millstream_runtime::{
    Ack, Failure, Function, Handler, Metrics, Progress, StepHandler,
    delivery::deliver,
    trace_context::{TraceContext, current},
};
use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider, SpanData};
use support::{clock, export, exported};
use tracing_subscriber::layer::SubscriberExt;

const INCOMING: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// Ensures everything at once.
struct Export;

#[async_trait]
impl Function for Export {
    const NAME: &'static str = "export-table";
    type Work = ExportTable;

    async fn ensure(&self, _: &Command<ExportTable>) -> Result<Progress, Failure> {
        Ok(Progress::Done(exported()))
    }
}

/// Asks for the next step when one is done, as `plan-run` does.
struct Plans(Arc<MemoryBus>);

#[async_trait]
impl Handler for Plans {
    fn name(&self) -> &'static str {
        "plan-run"
    }

    fn takes(&self, _: &str) -> bool {
        true
    }

    async fn handle(&self, _: &Envelope) -> Ack {
        self.0.publish(vec![Envelope { traceparent: current(), ..export(25) }]).await.unwrap();
        Ack::Done
    }
}

/// Three hops: a command, its fact, the next command. The contexts of what each of them published.
async fn three_hops(traceparent: Option<&str>) -> Vec<TraceContext> {
    let bus = Arc::new(MemoryBus::new());
    let metrics = Metrics::new().unwrap();
    let exports = StepHandler::new(Export, bus.clone(), clock());
    let plans = Plans(bus.clone());
    let hops: [&dyn Handler; 3] = [&exports, &plans, &exports];
    let mut delivery = Envelope { traceparent: traceparent.map(str::to_owned), ..export(24) };
    let mut contexts = Vec::new();
    for handler in hops {
        assert_eq!(deliver(handler, &delivery, &metrics).await, Ack::Done);
        delivery = bus.take().pop().unwrap();
        contexts.push(delivery.traceparent.as_deref().unwrap().parse().unwrap());
    }
    contexts
}

/// The same, with every span recorded.
async fn three_recorded_hops(traceparent: Option<&str>) -> (Vec<TraceContext>, Vec<SpanData>) {
    let exporter = InMemorySpanExporter::default();
    let provider = SdkTracerProvider::builder().with_simple_exporter(exporter.clone()).build();
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("tests"));
    let recording = tracing::subscriber::set_default(tracing_subscriber::registry().with(layer));
    let contexts = three_hops(traceparent).await;
    drop(recording);
    provider.force_flush().unwrap();
    (contexts, exporter.get_finished_spans().unwrap())
}

fn trace_of(span: &SpanData) -> u128 {
    u128::from_be_bytes(span.span_context.trace_id().to_bytes())
}

fn id_of(span: &SpanData) -> u64 {
    u64::from_be_bytes(span.span_context.span_id().to_bytes())
}

fn parent_of(span: &SpanData) -> u64 {
    u64::from_be_bytes(span.parent_span_id.to_bytes())
}

#[tokio::test]
async fn three_hops_are_one_trace_and_each_is_the_child_of_the_one_before() {
    let (contexts, spans) = three_recorded_hops(Some(INCOMING)).await;
    let incoming: TraceContext = INCOMING.parse().unwrap();
    assert_eq!(spans.len(), 3);
    assert!(spans.iter().all(|span| span.name == "delivery" && trace_of(span) == incoming.trace_id), "{spans:?}");
    let parents: Vec<u64> = spans.iter().map(parent_of).collect();
    assert_eq!(parents, [incoming.span_id, id_of(&spans[0]), id_of(&spans[1])]);
    let published: Vec<u64> = contexts.iter().map(|context| context.span_id).collect();
    assert_eq!(published, spans.iter().map(id_of).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_chain_whose_first_event_has_no_trace_begins_one() {
    let (contexts, spans) = three_recorded_hops(None).await;
    assert!(spans.iter().all(|span| trace_of(span) == contexts[0].trace_id), "{spans:?}");
    assert_eq!(parent_of(&spans[0]), 0);
    assert_eq!(parent_of(&spans[2]), id_of(&spans[1]));
}

#[tokio::test]
async fn a_trace_that_its_sender_does_not_record_is_not_recorded() {
    let not_sampled = INCOMING.replace("-01", "-00");
    let (contexts, spans) = three_recorded_hops(Some(&not_sampled)).await;
    assert!(spans.is_empty(), "{spans:?}");
    let incoming: TraceContext = INCOMING.parse().unwrap();
    assert!(contexts.iter().all(|context| context.trace_id == incoming.trace_id && !context.is_sampled));
}

#[tokio::test]
async fn without_recording_a_chain_is_one_trace_all_the_same() {
    for traceparent in [Some(INCOMING), None, Some("00-broken")] {
        let contexts = three_hops(traceparent).await;
        assert!(contexts.iter().all(|context| *context == contexts[0]), "{contexts:?}");
    }
    assert_eq!(three_hops(Some(INCOMING)).await[0].to_string(), INCOMING);
}
