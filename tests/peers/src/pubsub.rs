//! Google's Pub/Sub emulator and its REST API.
//!
//! The emulator keeps everything in memory: what one [`PubSubEmulator`] held is gone with it. What it does differently from
//! the service is listed in `shared/gcp/pubsub/README.md`.

use std::{
    collections::BTreeMap,
    env,
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, Mutex, Weak},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Map, Value, json};

use crate::{Peer, free_port, http, process};

/// The project of every topic. The emulator takes any.
pub const PROJECT: &str = "p1";

const PROGRAM: &str = "cloud-pubsub-emulator";

const HINT: &str = "install it with `gcloud components install pubsub-emulator`, or from Google's apt repository with \
                    `apt-get install google-cloud-cli-pubsub-emulator`, and a Java runtime of version 17 or newer; \
                    PUBSUB_EMULATOR_BIN names the program where it is somewhere else";

/// The most messages one pull asks for.
const PULL: u32 = 1_000;

/// A running emulator, ended with this value.
#[derive(Debug)]
pub struct PubSubEmulator {
    /// Kept for its end.
    _peer: Peer,
    port: u16,
}

/// A subscription to create. [`Subscription::pull`] and [`Subscription::push`] make the plain ones.
#[derive(Debug, Clone)]
pub struct Subscription<'a> {
    /// Its id.
    pub name: &'a str,
    /// The id of its topic.
    pub topic: &'a str,
    /// Where messages are pushed to; without one they are pulled.
    pub push: Option<Push<'a>>,
    /// Which messages: the emulator keeps it and delivers all the same.
    pub filter: &'a str,
    /// How long a delivery may take, in seconds.
    pub ack_deadline: u32,
    /// Whether messages of one ordering key come in order.
    pub ordered: bool,
    /// The id of the topic for what is refused, and after how many deliveries.
    pub dead_letter: Option<(&'a str, u32)>,
}

/// How messages are pushed.
#[derive(Debug, Clone, Copy)]
pub struct Push<'a> {
    /// The whole URL.
    pub endpoint: &'a str,
    /// The data as the body and the attributes as headers, instead of JSON around both.
    pub unwrapped: bool,
}

impl<'a> Subscription<'a> {
    /// A subscription to pull from.
    #[must_use]
    pub fn pull(name: &'a str, topic: &'a str) -> Self {
        Self { name, topic, push: None, filter: "", ack_deadline: 10, ordered: false, dead_letter: None }
    }

    /// A subscription that pushes to an endpoint.
    #[must_use]
    pub fn push(name: &'a str, topic: &'a str, endpoint: &'a str, unwrapped: bool) -> Self {
        Self { push: Some(Push { endpoint, unwrapped }), ..Self::pull(name, topic) }
    }

    fn resource(&self) -> Value {
        let mut resource = json!({"topic": topic_name(self.topic), "ackDeadlineSeconds": self.ack_deadline,
            "filter": self.filter, "enableMessageOrdering": self.ordered});
        if let Some(push) = self.push {
            resource["pushConfig"] = json!({"pushEndpoint": push.endpoint});
            if push.unwrapped {
                resource["pushConfig"]["noWrapper"] = json!({"writeMetadata": true});
            }
        }
        if let Some((topic, attempts)) = self.dead_letter {
            resource["deadLetterPolicy"] =
                json!({"deadLetterTopic": topic_name(topic), "maxDeliveryAttempts": attempts});
        }
        resource
    }
}

/// A message that was pulled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pulled {
    /// The bytes.
    pub data: Vec<u8>,
    /// What the publisher said of them.
    pub attributes: BTreeMap<String, String>,
    /// Empty where there is none.
    pub ordering_key: String,
}

impl PubSubEmulator {
    /// Starts an emulator of one's own, on a free port.
    ///
    /// # Panics
    /// When it is not installed or does not come up.
    #[must_use]
    pub fn start() -> Self {
        let (port, folder) = (free_port(), tempfile::tempdir().unwrap());
        let mut command = Command::new(program());
        command.arg("--host=127.0.0.1").arg(format!("--port={port}")).current_dir(folder.path());
        let mut peer = Peer::start("the Pub/Sub emulator", folder, &mut command, HINT);
        let url = format!("http://127.0.0.1:{port}/v1/projects/{PROJECT}/topics");
        // The port is open a while before topics are served.
        peer.wait_until(|| http::try_send("GET", &url, &[], Vec::new()).is_ok_and(|answer| answer.status == 200));
        Self { _peer: peer, port }
    }

    /// The emulator that the tests running in this process share: started by the first, ended by the last. Starting one
    /// takes a Java machine's 8 seconds. Each test uses topics of its own.
    ///
    /// # Panics
    /// As [`start`](Self::start).
    #[must_use]
    pub fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<PubSubEmulator>> = Mutex::new(Weak::new());
        process::shared(&SHARED, Self::start)
    }

    /// `HOST:PORT`, as `PUBSUB_EMULATOR_HOST` takes it.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Creates a topic.
    pub fn create_topic(&self, topic: &str) {
        http::json("PUT", &self.url(&topic_name(topic)), &json!({}));
    }

    /// Creates a subscription.
    pub fn subscribe(&self, subscription: &Subscription<'_>) {
        http::json("PUT", &self.url(&subscription_name(subscription.name)), &subscription.resource());
    }

    /// Deletes a subscription: its messages are gone and its pushes end.
    pub fn unsubscribe(&self, subscription: &str) {
        let url = self.url(&subscription_name(subscription));
        let _ = http::send("DELETE", &url, &[], Vec::new()).success("delete a subscription");
    }

    /// Publishes a message and gives its id.
    pub fn publish(&self, topic: &str, data: &[u8], attributes: &[(&str, &str)]) -> String {
        let attributes: Map<String, Value> =
            attributes.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
        let message = json!({"data": BASE64_STANDARD.encode(data), "attributes": attributes});
        let url = format!("{}:publish", self.url(&topic_name(topic)));
        let answer = http::json("POST", &url, &json!({"messages": [message]}));
        answer["messageIds"][0].as_str().unwrap().to_owned()
    }

    /// Takes and acknowledges what is there now; nothing is there where nothing is found.
    #[must_use]
    pub fn pull(&self, subscription: &str) -> Vec<Pulled> {
        let url = self.url(&subscription_name(subscription));
        let answer =
            http::json("POST", &format!("{url}:pull"), &json!({"maxMessages": PULL, "returnImmediately": true}));
        let received = answer["receivedMessages"].as_array().cloned().unwrap_or_default();
        if !received.is_empty() {
            let ids: Vec<&Value> = received.iter().map(|message| &message["ackId"]).collect();
            http::json("POST", &format!("{url}:acknowledge"), &json!({"ackIds": ids}));
        }
        received.iter().map(|received| pulled(&received["message"])).collect()
    }

    fn url(&self, resource: &str) -> String {
        format!("http://{}/v1/{resource}", self.address())
    }
}

fn topic_name(topic: &str) -> String {
    format!("projects/{PROJECT}/topics/{topic}")
}

fn subscription_name(subscription: &str) -> String {
    format!("projects/{PROJECT}/subscriptions/{subscription}")
}

fn pulled(message: &Value) -> Pulled {
    let attributes = message["attributes"].as_object().cloned().unwrap_or_default();
    Pulled {
        data: BASE64_STANDARD.decode(message["data"].as_str().unwrap_or_default()).unwrap(),
        attributes: attributes.into_iter().map(|(name, value)| (name, value.as_str().unwrap().to_owned())).collect(),
        ordering_key: message["orderingKey"].as_str().unwrap_or_default().to_owned(),
    }
}

/// Where the emulator is: as told, in the path, or beside the Google Cloud CLI that is in the path.
fn program() -> PathBuf {
    if let Some(told) = env::var_os("PUBSUB_EMULATOR_BIN") {
        return told.into();
    }
    in_path(PROGRAM)
        .or_else(|| beside(&in_path("gcloud")?))
        .unwrap_or_else(|| panic!("{PROGRAM} is neither in PATH nor in the Google Cloud CLI's folder: {HINT}"))
}

fn in_path(program: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?).map(|folder| folder.join(program)).find(|path| path.is_file())
}

/// `gcloud` is often a link into the CLI's own folder, `ROOT/bin`.
fn beside(gcloud: &Path) -> Option<PathBuf> {
    let root = gcloud.canonicalize().ok()?.parent()?.parent()?.to_owned();
    Some(root.join("platform/pubsub-emulator/bin").join(PROGRAM)).filter(|path| path.is_file())
}
