//! An event as a Pub/Sub message.

use google_cloud_pubsub::model::Message;
use millstream_events::{Envelope, Event};
use millstream_ports::{PortError, PortResult};
use millstream_runtime::cloudevent::to_binary;

/// The largest publish request: <https://cloud.google.com/pubsub/quotas#resource_limits>.
const LARGEST_REQUEST: usize = 10_000_000;

/// What a request takes besides its messages' text, and each attribute besides its own: the topic's name, lengths, tags.
const REQUEST_FRAME: usize = 512;
const ATTRIBUTE_FRAME: usize = 16;

/// The largest attribute value, in bytes, of the same list.
const LARGEST_VALUE: usize = 1_024;

/// The attribute that tells a command, a fact and a trigger apart: a subscription's filter may have 256 characters, too few
/// to list every type.
const KIND: &str = "kind";

/// The event with its CloudEvents attributes, `content-type` and [`KIND`] as attributes, its data as the data, and its run
/// as the ordering key.
pub(crate) fn message(envelope: &Envelope) -> PortResult<Message> {
    let event = &envelope.event;
    let (headers, data) = to_binary(envelope).map_err(|error| {
        PortError::invalid(format!("the event {} cannot be published: {error}", event.id())).caused_by(error)
    })?;
    let mut attributes = vec![(KIND.to_owned(), kind(event).to_owned())];
    for (name, value) in &headers {
        // The codec writes printable ASCII only, so that an unwrapped push can send them as headers.
        let value = value.to_str().map_err(|error| {
            PortError::internal(format!("the event {} has an attribute {name} that is no text", event.id()))
                .caused_by(error)
        })?;
        attributes.push((name.as_str().to_owned(), value.to_owned()));
    }
    let value_of = |wanted: &str| attributes.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str());
    let ordering_key = match (value_of("ce-pipeline"), value_of("ce-run")) {
        (Some(pipeline), Some(run)) => format!("{pipeline}/{run}"),
        // Most triggers find their run only in plan-run. No key: nothing to be kept in order with.
        _ => String::new(),
    };
    within_limits(event, &attributes, data.len() + ordering_key.len())?;
    Ok(Message::new().set_data(data).set_attributes(attributes).set_ordering_key(ordering_key))
}

fn kind(event: &Event) -> &'static str {
    match event {
        Event::Command(_) => "command",
        Event::StepDone(_) | Event::StepFailed(_) | Event::StepDeferred(_) | Event::TrafficMoved(_) => "fact",
        Event::ObjectFinalized(_)
        | Event::MessagePublished(_)
        | Event::ScheduleFired(_)
        | Event::SweepDue(_)
        | Event::RunRequested(_)
        | Event::RetryRequested(_) => "trigger",
    }
}

/// Says which event is too large for Pub/Sub, and by what: the service's answer names neither.
fn within_limits(event: &Event, attributes: &[(String, String)], rest: usize) -> PortResult<()> {
    let refused = |what: String| {
        let (event_type, id) = (event.event_type(), event.id());
        PortError::invalid(format!(
            "the {event_type} event {id} is too large for Pub/Sub: {what}; upload what is large to a bucket and send its name"
        ))
    };
    let mut size = rest + REQUEST_FRAME;
    for (name, value) in attributes {
        if value.len() > LARGEST_VALUE {
            return Err(refused(format!(
                "its attribute {name} has {} bytes of the {LARGEST_VALUE} allowed",
                value.len()
            )));
        }
        size += name.len() + value.len() + ATTRIBUTE_FRAME;
    }
    if size > LARGEST_REQUEST {
        return Err(refused(format!("it takes {size} bytes of the {LARGEST_REQUEST} allowed")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use millstream_events::trigger::{MessagePublished, ObjectFinalized, RetryRequested};
    use millstream_ports::ErrorKind;

    use super::*;

    fn envelope(event: Event) -> Envelope {
        Envelope { event, time: DateTime::UNIX_EPOCH, traceparent: None }
    }

    fn published(length: usize) -> Envelope {
        envelope(Event::MessagePublished(MessagePublished { topic: "transactions".into(), data: "x".repeat(length) }))
    }

    #[test]
    fn an_event_of_more_than_ten_megabytes_is_refused_with_its_name_and_size() {
        assert!(message(&published(9_998_000)).is_ok());
        let error = message(&published(10_000_000)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        let text = error.to_string();
        assert!(text.contains("messagePublished") && text.contains("of the 10000000 allowed"), "{text}");
    }

    #[test]
    fn an_attribute_longer_than_pubsub_takes_is_refused_by_name() {
        let object = ObjectFinalized {
            object: format!("gs://landing/{}", "ü".repeat(300)).parse().unwrap(),
            generation: 1,
            size: 1,
            crc32c: 0,
        };
        let error = message(&envelope(Event::ObjectFinalized(object))).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.to_string().contains("its attribute ce-subject has 18"), "{error}");
    }

    #[test]
    fn an_event_that_names_its_run_is_ordered_by_it_and_others_by_nothing() {
        let retry = RetryRequested { run: "fraud/date=2026-11-24".parse().unwrap(), step: None };
        let ordered = message(&envelope(Event::RetryRequested(retry))).unwrap();
        assert_eq!(ordered.ordering_key, "fraud/date=2026-11-24");
        assert_eq!(ordered.attributes["kind"], "trigger");
        assert_eq!(message(&published(1)).unwrap().ordering_key, "");
    }

    #[test]
    fn every_golden_example_fits_a_message_and_is_of_the_kind_its_name_says() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../events/examples");
        let mut kinds = std::collections::BTreeMap::<String, Vec<String>>::new();
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|extension| extension != "json") {
                continue;
            }
            let example: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
            let event_type = example["type"].as_str().unwrap().to_owned();
            let event = Event::from_parts(&event_type, example["data"].clone()).unwrap();
            let kind = message(&envelope(event)).unwrap().attributes["kind"].clone();
            kinds.entry(kind).or_default().push(event_type);
        }
        assert_eq!(kinds.keys().collect::<Vec<_>>(), ["command", "fact", "trigger"]);
        assert!(kinds["command"].iter().all(|name| name.ends_with(".requested.v1")), "{kinds:?}");
        assert!(!kinds["fact"].iter().any(|name| name.ends_with(".requested.v1")), "{kinds:?}");
        let mut triggers = kinds["trigger"].clone();
        triggers.sort();
        triggers.dedup();
        assert_eq!(
            triggers,
            [
                "dev.millstream.retry.requested.v1",
                "dev.millstream.run.requested.v1",
                "dev.millstream.schedule.fired.v1",
                "dev.millstream.sweep.due.v1",
                "google.cloud.pubsub.topic.v1.messagePublished",
                "google.cloud.storage.object.v1.finalized",
            ]
        );
    }
}
