//! Long operations: started by one call, looked at by others, waited for within bounds.

use millstream_ports::{ErrorKind, PortError, PortResult};
use serde::Deserialize;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::{
    api::{Api, Call},
    errors::{RpcStatus, of_operation},
    settings::VertexSettings,
};

/// An operation as Google answers it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Operation {
    /// What it is asked for by.
    pub(crate) name: String,
    done: bool,
    error: Option<RpcStatus>,
    response: Value,
}

/// Where an operation stands after it was waited for.
#[derive(Debug)]
pub(crate) enum Ended {
    /// It ended well, with this.
    Well(Value),
    /// It ended badly.
    Badly(PortError),
    /// Nobody knows it any more: what it has made or not made says how it ended.
    Forgotten,
    /// Not yet.
    Running,
}

/// How long one call of a port may wait for operations, all of them together.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    until: Instant,
    pause: std::time::Duration,
}

impl Patience {
    /// From now on.
    pub(crate) fn of(settings: &VertexSettings) -> Self {
        Self { until: Instant::now() + settings.patience, pause: settings.pause }
    }
}

impl Api {
    /// Waits for an operation that was started; `doing` completes "cannot ..".
    pub(crate) async fn wait(&self, doing: &str, name: &str, patience: Patience) -> PortResult<Ended> {
        loop {
            let operation: Operation = match self.call(doing, Call::get(name)).await {
                Ok(operation) => operation,
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Ended::Forgotten),
                Err(error) => return Err(error),
            };
            if operation.done {
                return Ok(operation.ended(doing));
            }
            if Instant::now() + patience.pause >= patience.until {
                return Ok(Ended::Running);
            }
            sleep(patience.pause).await;
        }
    }
}

impl Operation {
    fn ended(self, doing: &str) -> Ended {
        match self.error {
            Some(status) => Ended::Badly(of_operation(&status, doing)),
            None => Ended::Well(self.response),
        }
    }
}

/// What a port answers while an operation runs on: its next call finds how it went.
pub(crate) fn still_running(doing: &str) -> PortError {
    PortError::unavailable(format!(
        "Vertex AI has been asked to {doing} and is not done yet; asked again, it is looked at"
    ))
}
