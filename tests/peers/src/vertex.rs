//! A fake Vertex AI, with the parts of Cloud Logging and Cloud Monitoring that go with it.
//!
//! Google has no emulator of it. Every request is read by Google's own message definitions, so that a wrong field, enum or form
//! is refused as there; what the fake makes of it is ours, and `shared/gcp/vertex/README.md` says what it cannot show. The
//! program is `tests/python/fake_vertex`; its control words stand there.

use std::{path::Path, process::Command};

use serde_json::{Value, json};

use crate::{Peer, free_port, http, peers_bin};

const HINT: &str = "run `make peers`";

/// A running fake, ended with this value.
#[derive(Debug)]
pub struct FakeVertex {
    /// Kept for its end.
    _peer: Peer,
    port: u16,
}

impl FakeVertex {
    /// Starts a fake of one's own. `storage` is the base URL of the Cloud Storage that the programs of its jobs write to.
    ///
    /// # Panics
    /// When Google's definitions are not installed or it does not come up.
    #[must_use]
    pub fn start(storage: Option<&str>) -> Self {
        let (port, folder) = (free_port(), tempfile::tempdir().unwrap());
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../python/fake_vertex");
        let mut command = Command::new(peers_bin("python"));
        command.arg(program).args(["--port", &port.to_string()]).env("PYTHONDONTWRITEBYTECODE", "1");
        if let Some(storage) = storage {
            command.args(["--storage", storage]);
        }
        let mut peer = Peer::start("the fake Vertex AI", folder, &mut command, HINT);
        peer.wait_for_port(([127, 0, 0, 1], port).into());
        Self { _peer: peer, port }
    }

    /// The base URL, as `VERTEX_EMULATOR_HOST` takes it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// A test's word: settings, failures, states of jobs, hand-made changes of endpoints, what is measured.
    ///
    /// # Panics
    /// When it is no word that the fake knows.
    pub fn control(&self, words: &Value) {
        let answer = http::json("POST", &format!("{}/control", self.url()), words);
        assert_eq!(answer, json!({}), "{words}");
    }

    /// What there is, and the methods that were asked for, in their order.
    ///
    /// # Panics
    /// When it does not answer.
    #[must_use]
    pub fn seen(&self) -> Value {
        http::send("GET", &format!("{}/control", self.url()), &[], Vec::new()).success("control").json()
    }

    /// How often a method was asked for, such as `CreateCustomJob`.
    ///
    /// # Panics
    /// When it does not answer.
    #[must_use]
    pub fn asked(&self, method: &str) -> usize {
        let seen = self.seen();
        seen["requests"].as_array().into_iter().flatten().filter(|asked| *asked == method).count()
    }
}
