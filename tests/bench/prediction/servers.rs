//! The two servers as processes.

use std::{
    env, fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::OnceLock,
};

use millstream_peers::free_port;
use millstream_tests::{
    figures::memory,
    http::{Connection, request},
    up::wait_for,
};
use serde_json::Value;

use crate::model;

/// Processes of the Python server: one for each of two cores, as one interpreter uses one at a time.
const WORKERS: &str = "2";

/// Which server.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    ServeModel,
    Python,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::ServeModel => "`serve-model`",
            Self::Python => "Starlette and onnxruntime, 2 workers",
        }
    }

    fn command(self, folder: &Path, port: u16) -> Command {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let port = port.to_string();
        match self {
            Self::ServeModel => {
                let mut command = Command::new(serve_model());
                command.env("AIP_STORAGE_URI", folder).env("AIP_HTTP_PORT", port);
                command
            }
            Self::Python => {
                let python = root.join("target/venv-bench/bin/python");
                assert!(python.is_file(), "{} is not there: run `make bench`", python.display());
                let mut command = Command::new(python);
                command
                    .args(["-m", "uvicorn", "onnx_server:app", "--workers", WORKERS, "--port", &port])
                    .args(["--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning"])
                    .arg("--app-dir")
                    .arg(root.join("tests/bench/prediction"))
                    .env("MODEL_DIR", folder);
                command
            }
        }
    }
}

/// A running server; ended when dropped.
pub(crate) struct Server {
    process: Child,
    pub(crate) address: SocketAddr,
}

impl Server {
    /// Starts it and waits until it answers.
    pub(crate) fn start(kind: Kind, folder: &Path) -> Self {
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let mut command = kind.command(folder, address.port());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut process = command.spawn().unwrap();
        wait_for(
            || format!("{} to answer", kind.name()),
            || {
                assert!(process.try_wait().unwrap().is_none(), "{} ended by itself", kind.name());
                let health = request("GET", "/health", None, "");
                Connection::open(address).ok()?.send(&health).ok().filter(|response| response.status == 200)
            },
        );
        Self { process, address }
    }

    /// The probabilities it answers the first requests with.
    pub(crate) fn predict(&self, requests: usize) -> Vec<Vec<f64>> {
        let mut connection = Connection::open(self.address).unwrap();
        let answer = |number| {
            let response = connection.send(&request("POST", "/predict", None, &model::instance(number))).unwrap();
            let answer: Value = serde_json::from_slice(&response.body).unwrap();
            let probabilities = answer["predictions"][0]["probabilities"].as_object().unwrap();
            ["no", "yes"].map(|class| probabilities[class].as_f64().unwrap()).to_vec()
        };
        (0..requests).map(answer).collect()
    }

    /// Resident memory of all its processes together.
    pub(crate) fn memory(&self) -> String {
        let processes = [self.process.id()].into_iter().chain(children(self.process.id()));
        let each: Vec<String> = processes.map(|process| memory(process, "VmRSS")).collect();
        format!("{} resident", each.join(" + "))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Asked to end, uvicorn ends its workers; killed, it would leave them.
        let id = nix::unistd::Pid::from_raw(i32::try_from(self.process.id()).unwrap());
        nix::sys::signal::kill(id, nix::sys::signal::Signal::SIGTERM).unwrap();
        self.process.wait().unwrap();
    }
}

fn children(process: u32) -> Vec<u32> {
    let path = format!("/proc/{process}/task/{process}/children");
    fs::read_to_string(path).unwrap_or_default().split_whitespace().filter_map(|id| id.parse().ok()).collect()
}

/// The program as it is shipped, whatever profile measures it.
fn serve_model() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let this = env::current_exe().unwrap();
        // target/PROFILE/deps/this-benchmark
        let target = this.ancestors().nth(3).expect("a benchmark lies in target/PROFILE/deps");
        let built = Command::new(env!("CARGO"))
            .args(["build", "--locked", "--release", "--package", "millstream-serve-model", "--target-dir"])
            .arg(target)
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .status()
            .expect("cargo can be run");
        assert!(built.success(), "serve-model does not build: see cargo's messages above");
        target.join("release").join(format!("serve-model{}", env::consts::EXE_SUFFIX))
    })
}
