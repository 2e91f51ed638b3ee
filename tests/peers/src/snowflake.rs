//! Snowflake's protocol, by fakesnow: the service's SQL on DuckDB.
//!
//! It takes any user, knows no session parameters and no time travel, answers every query at once and in one part;
//! `shared/sources/snowflake/README.md` says what that leaves untested here. The program is `tests/python/snowflake_peer.py`.

use std::{path::Path, process::Command};

use serde_json::{Value, json};

use crate::{Peer, free_port, http, process};

const HINT: &str = "run `make peers`";

/// A running server, ended with this value. Its database `SHOP` has a schema `PUBLIC`.
#[derive(Debug)]
pub struct Snowflake {
    /// Kept for its end.
    _peer: Peer,
    port: u16,
    token: String,
}

impl Snowflake {
    /// Starts a server without tables.
    ///
    /// # Panics
    /// When fakesnow is not installed or does not come up.
    #[must_use]
    pub fn start() -> Self {
        let (port, folder) = (free_port(), tempfile::tempdir().unwrap());
        let mut command = Command::new(process::installed("venv-sources", "python"));
        command
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("../python/snowflake_peer.py"))
            .arg(port.to_string())
            // DuckDB keeps extensions in the home: nothing is put into the user's own.
            .env("HOME", folder.path())
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .current_dir(folder.path());
        let mut peer = Peer::start("fakesnow", folder, &mut command, HINT);
        peer.wait_for_port(([127, 0, 0, 1], port).into());
        let url = format!("http://127.0.0.1:{port}/session/v1/login-request?databaseName=SHOP&schemaName=PUBLIC");
        let body = json!({"data": {"SESSION_PARAMETERS": {}}});
        let answer = http::send("POST", &url, &[("content-type", "application/json")], body.to_string().into_bytes());
        let token = answer.success("signing in to fakesnow").json()["data"]["token"].as_str().unwrap().to_owned();
        Self { _peer: peer, port, token }
    }

    /// A URL of it, as the source takes it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("snowflake://reader:secret@test/SHOP/PUBLIC?host=127.0.0.1&port={}&tls=off", self.port)
    }

    /// Runs a statement.
    ///
    /// # Panics
    /// When it is refused.
    pub fn execute(&self, sql: &str) {
        let answer = self.try_execute(sql);
        assert_eq!(answer["success"], true, "{sql}: {}", answer["message"]);
    }

    /// Runs a statement; the answer to it.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn try_execute(&self, sql: &str) -> Value {
        let url = format!("http://127.0.0.1:{}/queries/v1/query-request?requestId=test", self.port);
        let authorization = format!("Snowflake Token=\"{}\"", self.token);
        let headers = [("content-type", "application/json"), ("authorization", authorization.as_str())];
        let body = json!({"sqlText": sql, "asyncExec": false, "sequenceId": 1});
        http::send("POST", &url, &headers, body.to_string().into_bytes()).json()
    }
}
