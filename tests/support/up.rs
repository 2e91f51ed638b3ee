//! A project in a folder of its own, and the `millstream up` process that works on it.

use std::{
    collections::BTreeSet,
    fs::{self, File, OpenOptions},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{
    http::{Connection, request},
    program::millstream,
};

/// What does not come within this time never comes: far more than a busy machine needs.
const DEADLINE: Duration = Duration::from_secs(120);

/// The pause between two looks.
const PAUSE: Duration = Duration::from_millis(2);

/// Looks again and again until there is an answer.
///
/// # Panics
/// When there is none in two minutes; `what` says of what.
pub fn wait_for<T>(what: impl Fn() -> String, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + DEADLINE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited {} s for {}", DEADLINE.as_secs(), what());
        std::thread::sleep(PAUSE);
    }
}

/// A project folder that is removed in the end.
#[derive(Debug)]
pub struct Project {
    folder: tempfile::TempDir,
}

impl Project {
    /// The demo's pipelines, `more` pipelines' folders, and these settings.
    #[must_use]
    pub fn new(settings: &str, more: &[&Path]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("millstream.toml"), settings).unwrap();
        for from in [&*demo().join("pipelines")].iter().chain(more) {
            copy_folder(from, &folder.path().join("pipelines"));
        }
        fs::create_dir_all(folder.path().join("data/buckets/landing")).unwrap();
        Self { folder }
    }

    /// The project's folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A bucket's folder.
    #[must_use]
    pub fn bucket(&self, name: &str) -> PathBuf {
        self.path().join("data/buckets").join(name)
    }

    /// Puts an object into the landing bucket by moving a finished file in.
    pub fn upload(&self, name: &str, content: &[u8]) {
        let incoming = self.path().join("incoming");
        fs::write(&incoming, content).unwrap();
        let object = self.bucket("landing").join(name);
        fs::create_dir_all(object.parent().unwrap()).unwrap();
        fs::rename(incoming, object).unwrap();
    }

    /// What the platform said so far, for the message of a failure.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.path().join("up.log")).unwrap_or_default()
    }
}

/// The demo: its pipelines and the files that they take.
#[must_use]
pub fn demo() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../functions/standalone/demo")
}

/// Every file of the demo's uploads, by name.
#[must_use]
pub fn demo_uploads() -> Vec<(String, Vec<u8>)> {
    let read = |entry: fs::DirEntry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap());
    let mut uploads: Vec<_> = fs::read_dir(demo().join("uploads")).unwrap().map(|entry| read(entry.unwrap())).collect();
    uploads.sort();
    uploads
}

/// A running `millstream up`; killed when dropped.
#[derive(Debug)]
pub struct Up<'p> {
    project: &'p Project,
    process: Child,
    address: Option<(SocketAddr, String)>,
}

impl<'p> Up<'p> {
    /// Starts the process. It takes a moment until it [answers](Up::wait_until_ready).
    #[must_use]
    pub fn start(project: &'p Project) -> Self {
        let log = OpenOptions::new().create(true).append(true).open(project.path().join("up.log")).unwrap();
        let process = Command::new(millstream())
            .args(["up", "--address", "127.0.0.1:0", "--project"])
            .arg(project.path())
            .stdin(Stdio::null())
            .stdout(File::try_clone(&log).unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        Self { project, process, address: None }
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Where it answers, once it does.
    pub fn wait_until_ready(&mut self) -> SocketAddr {
        if let Some((address, _)) = &self.address {
            return *address;
        }
        let announced = self.project.path().join("data/up.json");
        let found = wait_for(
            || format!("the platform to start. It said:\n{}", self.project.log()),
            || {
                if let Some(status) = self.process.try_wait().unwrap() {
                    panic!("`millstream up` ended by itself ({status}). It said:\n{}", self.project.log());
                }
                let up: Value = serde_json::from_slice(&fs::read(&announced).ok()?).ok()?;
                // One that was killed has left its announcement behind.
                (up["pid"] == self.process.id()).then(|| {
                    (up["address"].as_str().unwrap().parse().unwrap(), up["token"].as_str().unwrap().to_owned())
                })
            },
        );
        let ready = request("GET", "/readyz", None, "");
        wait_for(
            || "the platform to be ready".to_owned(),
            || Connection::open(found.0).ok()?.send(&ready).ok().filter(|response| response.status == 200),
        );
        let address = found.0;
        self.address = Some(found);
        address
    }

    /// Asks the API; `path` comes after `/api/v1`.
    ///
    /// # Panics
    /// When the answer is a refusal.
    pub fn ask(&mut self, method: &str, path: &str, body: &Value) -> Value {
        let address = self.wait_until_ready();
        let token = self.address.as_ref().map(|(_, token)| token.as_str());
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let request = request(method, &format!("/api/v1{path}"), token, &body);
        let response = Connection::open(address).and_then(|mut connection| connection.send(&request)).unwrap();
        let text = String::from_utf8_lossy(&response.body);
        assert!(response.status == 200, "{method} {path} was answered with {}: {text}", response.status);
        serde_json::from_slice(&response.body).unwrap_or(Value::Null)
    }

    /// Asks without a body.
    pub fn get(&mut self, path: &str) -> Value {
        self.ask("GET", path, &Value::Null)
    }

    /// Waits until every one of `uploads` belongs to a run and every run has succeeded, and a sweep finds nothing more.
    ///
    /// # Panics
    /// When a run fails.
    pub fn wait_until_settled(&mut self, uploads: &[&str]) {
        let uploads: BTreeSet<String> = uploads.iter().map(|name| (*name).to_owned()).collect();
        let mut unsettled = String::new();
        let project = self.project;
        let deadline = Instant::now() + DEADLINE;
        let mut calm_looks = 0;
        while calm_looks < 2 {
            match self.look(&uploads) {
                Ok(()) => {
                    calm_looks += 1;
                    // Returns once everything that is still owed is asked for; the second look then sees it.
                    self.ask("POST", "/sweep", &Value::Null);
                }
                Err(why) => {
                    calm_looks = 0;
                    unsettled = why;
                    std::thread::sleep(PAUSE);
                }
            }
            assert!(Instant::now() < deadline, "the platform does not settle: {unsettled}\n{}", project.log());
        }
    }

    /// What is not done yet.
    fn look(&mut self, uploads: &BTreeSet<String>) -> Result<(), String> {
        let runs = self.get("/runs");
        let mut taken = BTreeSet::new();
        for summary in runs.as_array().unwrap() {
            let run = summary["run"].as_str().unwrap();
            assert!(summary["state"] != "failed", "{run} failed: {}\n{}", summary["reason"], self.project.log());
            if summary["state"] != "succeeded" || summary["open"] != false {
                return Err(format!("{run} is {}", summary["state"]));
            }
            let details = self.get(&format!("/runs/{run}"));
            let started_by = details["started_by"].as_array().unwrap().iter();
            taken.extend(started_by.filter_map(|upload| upload.as_str().map(str::to_owned)));
        }
        let missing: Vec<&String> = uploads.difference(&taken).collect();
        if missing.is_empty() { Ok(()) } else { Err(format!("no run has {missing:?}")) }
    }

    /// `kill -9`, at once.
    pub fn kill(mut self) {
        self.end();
    }

    fn end(&mut self) {
        // Either fails only where the process has ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Drop for Up<'_> {
    fn drop(&mut self) {
        self.end();
    }
}

/// Copies a folder with everything in it.
pub fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap_or_else(|error| panic!("{}: {error}", from.display())) {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
