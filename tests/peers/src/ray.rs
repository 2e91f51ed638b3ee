//! Ray itself, as a cluster of one node.
//!
//! Ray runs what anybody on its ports asks for. Here it listens on 127.0.0.1 alone and wants a token, since it cannot be told
//! who else is on the machine.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, Mutex, Weak},
};

use crate::{Peer, free_port, http, process};

const HINT: &str = "run `make peers`";

const VENV: &str = "venv-ray";

/// The token of every cluster here.
const TOKEN: &str = "f2a1c0b95d7e48d68a4f3b6c7d8e9f00";

/// What else listens, at a port that has to be named. Everything else takes a free one by itself.
const PORTS: [&str; 6] = [
    "port",
    "dashboard-agent-listen-port",
    "dashboard-agent-grpc-port",
    "metrics-export-port",
    "runtime-env-agent-port",
    "ray-client-server-port",
];

/// A running cluster, ended with this value. What it runs ends a few seconds after it.
#[derive(Debug)]
pub struct RayCluster {
    /// `None` only while it is started again.
    peer: Option<Peer>,
    dashboard: u16,
}

impl RayCluster {
    /// CPUs that it believes to have.
    pub const CPUS: u32 = 8;

    /// GPUs that it believes to have, of the type `L4`.
    pub const GPUS: u32 = 2;

    /// Starts a cluster of one's own.
    ///
    /// # Panics
    /// When it is not installed or does not come up.
    #[must_use]
    pub fn start() -> Self {
        let mut cluster = Self { peer: None, dashboard: free_port() };
        cluster.run();
        cluster
    }

    /// The cluster that the tests running in this process share: started by the first, ended by the last. Starting one takes
    /// 8 seconds and 1 GB of memory. Each test uses jobs of its own.
    ///
    /// # Panics
    /// As [`start`](Self::start).
    #[must_use]
    pub fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<RayCluster>> = Mutex::new(Weak::new());
        process::shared(&SHARED, Self::start)
    }

    /// Kills the cluster and starts another at the same address, which knows nothing of the first one's jobs.
    ///
    /// # Panics
    /// As [`start`](Self::start).
    pub fn restart(&mut self) {
        self.peer = None;
        self.run();
    }

    fn run(&mut self) {
        // Its sockets have paths of 107 bytes at most.
        let folder = tempfile::tempdir_in("/tmp").unwrap();
        let mut command = Command::new(process::installed(VENV, "ray"));
        command
            .args(["start", "--head", "--block", "--disable-usage-stats", "--include-dashboard=true"])
            .args(["--node-ip-address=127.0.0.1", "--dashboard-host=127.0.0.1"])
            .arg(format!("--dashboard-port={}", self.dashboard))
            .arg(format!("--num-cpus={}", Self::CPUS))
            .arg(format!("--num-gpus={}", Self::GPUS))
            .arg(format!("--resources={{\"accelerator_type:L4\": {}}}", Self::GPUS))
            // Counted, not taken: whatever the machine has, jobs of the default size find room.
            .arg(format!("--memory={}", 64_u64 << 30))
            .arg(format!("--object-store-memory={}", 100 << 20))
            .arg("--temp-dir")
            .arg(folder.path().join("ray"))
            .args(["--node-manager-port=0", "--object-manager-port=0", "--min-worker-port=0", "--max-worker-port=0"]);
        for port in PORTS {
            command.arg(format!("--{port}={}", free_port()));
        }
        command
            .env("DASHBOARD_METRIC_PORT", free_port().to_string())
            .env("AUTOSCALER_METRIC_PORT", free_port().to_string())
            // What Ray does where a firewall would ask the user: 127.0.0.1 stays what it is.
            .env("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
            .env("RAY_AUTH_MODE", "token")
            .env("RAY_AUTH_TOKEN", TOKEN)
            .current_dir(folder.path());
        let mut peer = Peer::start("Ray", folder, &mut command, HINT);
        let (url, authorization) = (format!("{}/api/jobs/", self.address()), format!("Bearer {TOKEN}"));
        let headers = [("authorization", authorization.as_str())];
        // The dashboard answers before there is a node that takes jobs.
        let nodes = format!("{}/nodes?view=summary", self.address());
        peer.wait_until(|| {
            http::try_send("GET", &url, &headers, Vec::new()).is_ok_and(|answer| answer.status == 200)
                && http::try_send("GET", &nodes, &headers, Vec::new())
                    .is_ok_and(|answer| answer.text().contains("ALIVE"))
        });
        self.peer = Some(peer);
    }

    /// The dashboard's base URL, which the Jobs API is below.
    #[must_use]
    pub fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.dashboard)
    }

    /// The bearer token of its API.
    #[must_use]
    pub fn token(&self) -> &'static str {
        TOKEN
    }

    /// Submits a job as any other program would.
    pub fn submit(&self, body: &serde_json::Value) {
        let url = format!("{}/api/jobs/", self.address());
        let headers = [("content-type", "application/json"), ("authorization", &format!("Bearer {TOKEN}"))];
        _ = http::send("POST", &url, &headers, body.to_string().into_bytes()).success("submitting a job");
    }

    /// The Python that has Ray.
    ///
    /// # Panics
    /// When it is not installed.
    #[must_use]
    pub fn python() -> PathBuf {
        process::installed(VENV, "python")
    }

    /// The folder of the recipes in Python, which programs find by `PYTHONPATH`.
    #[must_use]
    pub fn recipes() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../functions/train-model/recipes")
    }
}
