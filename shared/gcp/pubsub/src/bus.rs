//! Publishing.

use std::time::Duration;

use async_trait::async_trait;
use google_cloud_gax::{
    exponential_backoff::{ExponentialBackoff, ExponentialBackoffBuilder},
    retry_policy::RetryPolicyExt,
};
use google_cloud_pubsub::{
    client::BasePublisher, model::Message, publisher::PublishFuture, retry_policy::RetryableErrors,
};
use millstream_events::Envelope;
use millstream_gcp_client::{Connection, Service, install_tls};
use millstream_ports::{EventBus, PortError, PortResult};

use crate::{failure::failure, message::message, topic::Topic};

/// How long what Pub/Sub refuses for the moment is tried again: well within the minute that a request may take, and that its
/// sender waits.
pub const RETRY_LIMIT: Duration = Duration::from_secs(30);

/// The pauses between two tries: the client's own grow to a minute, past any limit set here.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(4);

/// The topic that a project's events go to.
#[derive(Debug)]
pub struct PubSubBus {
    client: BasePublisher,
    topic: Topic,
    limit: Duration,
}

impl PubSubBus {
    /// A bus on the topic with this id in the connection's project. Whether the topic is there is known at the first event.
    ///
    /// # Errors
    /// When the id breaks Pub/Sub's rule or the client cannot be made.
    pub async fn connect(connection: &Connection, topic: &str) -> PortResult<Self> {
        Self::connect_within(connection, topic, RETRY_LIMIT).await
    }

    /// As [`connect`](Self::connect), trying what fails again for another time than [`RETRY_LIMIT`]. Events that go out in
    /// more than one request may take half as long again.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub async fn connect_within(connection: &Connection, topic: &str, limit: Duration) -> PortResult<Self> {
        install_tls();
        let topic = Topic::new(&connection.project, topic)?;
        let mut builder = BasePublisher::builder()
            .with_credentials(connection.credentials(Service::PubSub))
            .with_retry_policy(RetryableErrors.with_time_limit(limit))
            .with_backoff_policy(backoff());
        if let Some(emulator) = connection.emulator(Service::PubSub) {
            builder = builder.with_endpoint(emulator);
        }
        let client = builder.build().await.map_err(|error| {
            PortError::invalid(format!("no Pub/Sub client can be made for the project {}: {error}", topic.project))
                .caused_by(error)
        })?;
        Ok(Self { client, topic, limit })
    }

    /// Hands all messages to the client, which makes requests of them, and waits for every answer.
    ///
    /// The publisher is this call's own; the connection is shared. The client's publisher keeps a task for each ordering key
    /// it has ever seen and pauses a key that failed: in a long-lived publisher, every run would leave a task behind, and one
    /// caller's failure would be another's. With one for each call, both end with the call.
    async fn send(&self, messages: Vec<Message>) -> PortResult<()> {
        let publisher = self.client.publisher(self.topic.resource()).build();
        let taken: Vec<PublishFuture> = messages.into_iter().map(|message| publisher.publish(message)).collect();
        publisher.flush().await;
        for taken in taken {
            taken.await.map_err(|error| failure(&self.topic, error))?;
        }
        Ok(())
    }
}

#[async_trait]
impl EventBus for PubSubBus {
    async fn publish(&self, events: Vec<Envelope>) -> PortResult<()> {
        if events.is_empty() {
            return Ok(());
        }
        let messages = events.iter().map(message).collect::<PortResult<Vec<_>>>()?;
        tokio::time::timeout(self.limit.saturating_mul(3) / 2, self.send(messages)).await.unwrap_or_else(|_| {
            let (count, topic) = (events.len(), &self.topic.id);
            Err(PortError::unavailable(format!(
                "Pub/Sub did not take all {count} events for the topic {topic} in time"
            )))
        })
    }
}

fn backoff() -> ExponentialBackoff {
    ExponentialBackoffBuilder::new().with_initial_delay(FIRST_PAUSE).with_maximum_delay(LONGEST_PAUSE).clamp()
}
