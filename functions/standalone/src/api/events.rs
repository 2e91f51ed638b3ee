//! Events in a person's words.

use std::sync::Arc;

use futures::{StreamExt, stream::BoxStream};
use millstream_events::{
    Envelope, Event,
    extract::Selection,
    fact::{
        BatchIngested, ModelJudged, ModelTrained, Outcome, SourceExtracted, TableExported, TableUpdated, TrafficMove,
        TrafficMoved,
    },
    work::Work,
};
use tokio::sync::broadcast::{Receiver, error::RecvError};

use super::views::EventView;

/// What a dispatcher's observer sees, as views; the sweep's ticks are left out.
pub(crate) fn stream(observed: Receiver<Arc<Envelope>>) -> BoxStream<'static, EventView> {
    futures::stream::unfold(observed, |mut observed| async move {
        loop {
            match observed.recv().await {
                Ok(envelope) if !matches!(envelope.event, Event::SweepDue(_)) => {
                    return Some((view(&envelope), observed));
                }
                Ok(_) | Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return None,
            }
        }
    })
    .boxed()
}

fn view(envelope: &Envelope) -> EventView {
    let step = envelope.event.step();
    let moved_in = match &envelope.event {
        Event::TrafficMoved(moved) => Some(&moved.run),
        _ => None,
    };
    EventView {
        time: envelope.time,
        event_type: envelope.event.event_type().to_owned(),
        run: step.map(|step| &step.run).or(moved_in).map(ToString::to_string),
        step: step.map(|step| step.step.to_string()),
        says: says(&envelope.event),
    }
}

fn says(event: &Event) -> String {
    match event {
        Event::ObjectFinalized(object) => {
            format!("{} uploaded, {}", object.object.name(), crate::render::bytes(object.size))
        }
        Event::MessagePublished(message) => format!("message on {}", message.topic),
        Event::ScheduleFired(tick) => format!("schedule of {} fired", tick.pipeline),
        Event::SweepDue(_) => "sweep".to_owned(),
        Event::RunRequested(request) => format!("run of {} asked for", request.pipeline),
        Event::RetryRequested(retry) => format!("retry of {} asked for", retry.run),
        Event::Command(command) => asked(&command.work),
        Event::StepDone(fact) => outcome(&fact.fact),
        Event::StepFailed(fact) => format!("failed: {}", fact.fact.message),
        Event::StepDeferred(fact) => format!("put off: {}", fact.fact.message),
        Event::TrafficMoved(moved) => moved_traffic(moved),
    }
}

/// A move of an endpoint's traffic, in a few words.
pub(crate) fn moved_traffic(moved: &TrafficMoved) -> String {
    let TrafficMoved { model, version, endpoint, .. } = moved;
    let of_it = moved.traffic.iter().find(|share| share.model == *model && share.version == *version);
    let percent = of_it.map_or(0, |share| share.percent);
    let why = moved.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
    match moved.kind {
        TrafficMove::Started => format!("version {version} gets {percent} % of endpoint {endpoint}: its canary begins"),
        TrafficMove::Stepped => format!("version {version} gets {percent} % of endpoint {endpoint}"),
        TrafficMove::Finished => format!("version {version} has all the traffic of endpoint {endpoint}"),
        TrafficMove::RolledBack => format!("version {version} loses the traffic of endpoint {endpoint}{why}"),
        TrafficMove::PromotedByHand => format!("version {version} has all the traffic of endpoint {endpoint}, by hand"),
        TrafficMove::RolledBackByHand => format!("version {version} loses the traffic of endpoint {endpoint}, by hand"),
    }
}

fn asked(work: &Work) -> String {
    match work {
        Work::IngestFile(work) => format!("read {} under its contract", work.object.name()),
        Work::ExtractSource(work) => match &work.select {
            Selection::Table(table) => format!("extract {table}"),
            Selection::Query(_) => "extract what a query gives".to_owned(),
            Selection::Sheet(sheet) => format!("extract {}", sheet.object.name()),
        },
        Work::LoadTable(work) => format!("load into {}", work.table),
        Work::TransformTable(work) => format!("fill {}", work.table),
        Work::ExportTable(work) => format!("copy {} to {}", work.table, work.to),
        Work::TrainModel(work) => format!("train {} on {}", work.model, work.data),
        Work::PromoteModel(work) => format!("judge {} by its gate", work.trained.model),
    }
}

/// What a finished step has made true, in a few words.
pub(crate) fn outcome(outcome: &Outcome) -> String {
    match outcome {
        Outcome::BatchIngested(BatchIngested { rows, bad_rows: 0, .. }) => format!("{rows} rows keep the contract"),
        Outcome::BatchIngested(BatchIngested { rows, bad_rows, .. }) => {
            format!("{rows} rows keep the contract, {bad_rows} in quarantine")
        }
        Outcome::SourceExtracted(SourceExtracted { rows, bad_rows, everything, .. }) => {
            let rows = if *everything { format!("all {rows} rows") } else { format!("{rows} changed rows") };
            if *bad_rows == 0 {
                format!("{rows} extracted")
            } else {
                format!("{rows} extracted, {bad_rows} in quarantine")
            }
        }
        Outcome::TableUpdated(TableUpdated { table, superseded: true, .. }) => {
            format!("{table} holds a newer upload already")
        }
        Outcome::TableUpdated(TableUpdated { table, total_rows, .. }) => format!("{table} has {total_rows} rows"),
        Outcome::TableExported(TableExported { files, rows, .. }) => match files.as_slice() {
            [file] => format!("{rows} rows in {file}"),
            files => format!("{rows} rows in {} files", files.len()),
        },
        Outcome::ModelTrained(ModelTrained { metrics, seconds, cost, .. }) => {
            let cost = cost.as_ref().map(|cost| format!(" for {:.2} USD", cost.usd)).unwrap_or_default();
            format!("trained in {}{cost}{}", crate::render::seconds(*seconds), headline(metrics))
        }
        Outcome::ModelPromoted(ModelJudged { version, endpoint: Some(endpoint), .. }) => {
            format!("version {version} serves on endpoint {endpoint}")
        }
        Outcome::ModelPromoted(ModelJudged { version, endpoint: None, .. }) => format!("version {version} registered"),
        Outcome::ModelRejected(judged) => match (&judged.rolled_back, judged.checks.iter().find(|check| !check.passed))
        {
            (Some(why), _) => format!("version {} rolled back: {why}", judged.version),
            (None, Some(check)) => {
                format!("version {} rejected: {} ({})", judged.version, check.expression, check.because)
            }
            (None, None) => format!("version {} rejected", judged.version),
        },
    }
}

/// The metric that says most, of those that there are.
fn headline(metrics: &std::collections::BTreeMap<String, f64>) -> String {
    ["accuracy", "rmse", "auc_roc"]
        .iter()
        .find_map(|name| metrics.get(*name).map(|value| format!(", {name} {value:.4}")))
        .unwrap_or_default()
}
