//! A project in a temporary folder and the program run in it.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Output, Stdio},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;
use tempfile::TempDir;

/// The day that the example's uploads are of.
pub(crate) const OBJECT: &str = "sales/2026-11-23/sales.csv";
pub(crate) const RUN: &str = "example/date=2026-11-23";

/// A project that `millstream init` made.
pub(crate) struct Project(TempDir);

/// What a command left.
pub(crate) struct Left {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Left {
    /// Standard output as the one JSON document that it has to be.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {}{}", self.stdout, self.stderr))
    }

    /// This, if the command ended well.
    pub(crate) fn well(self) -> Self {
        assert_eq!(self.code, 0, "{}{}", self.stdout, self.stderr);
        self
    }
}

impl From<Output> for Left {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// The program, free of the settings of whoever runs the tests.
pub(crate) fn program(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_millstream"));
    command.current_dir(folder).env_remove("MILLSTREAM_DATA_DIR").stdin(Stdio::null());
    command
}

impl Project {
    pub(crate) fn new() -> Self {
        let project = Self(tempfile::tempdir().unwrap());
        project.run(&["init"]).well();
        project
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Left {
        program(self.path()).args(arguments).output().unwrap().into()
    }

    pub(crate) fn upload(&self) -> Left {
        self.run(&["upload", "uploads/sales.csv", "--as", OBJECT, "--wait"])
    }

    /// Replaces text in a file of the project.
    pub(crate) fn edit(&self, file: &str, from: &str, to: &str) {
        let file = self.path().join(file);
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.contains(from), "{from:?} is not in {text}");
        fs::write(&file, text.replace(from, to)).unwrap();
    }

    /// The single value of a query's answer.
    pub(crate) fn value(&self, sql: &str) -> Value {
        let left = self.run(&["query", "--json", &format!("SELECT ({sql}) AS value")]).well();
        left.json()["rows"][0]["value"].clone()
    }

    pub(crate) fn up(&self) -> Up {
        let mut child = program(self.path())
            .args(["up", "--json", "--address", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut banner = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut banner).unwrap();
        let banner: Value = serde_json::from_str(&banner).unwrap();
        Up { child, address: banner["address"].as_str().unwrap().to_owned() }
    }
}

/// A running platform; killed when dropped.
pub(crate) struct Up {
    child: Child,
    pub(crate) address: String,
}

impl Up {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Asks it to stop and returns its exit code.
    pub(crate) fn stop(mut self) -> i32 {
        kill(Pid::from_raw(i32::try_from(self.pid()).unwrap()), Signal::SIGTERM).unwrap();
        self.child.wait().unwrap().code().unwrap_or(-1)
    }

    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
