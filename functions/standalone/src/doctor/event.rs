//! A test event through the whole deployment: an upload that no pipeline takes, and every function's answer to it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use chrono::{DateTime, Utc};
use futures::TryStreamExt;
use millstream_events::{
    Fingerprint,
    history::{History, Record},
    names::{ObjectPath, RunId},
    probe,
};
use millstream_ports::{Clock, ErrorKind, Ledger, ObjectLedger, ObjectStore, ObjectStoreExt, PortResult, Precondition};
use millstream_runtime::Settings;
use tokio::time::{Instant, sleep};

use super::{Finding, Report, State};
use crate::serve::Role;

const LINK: &str = "event";
/// The pause between two looks at the ledger.
const PAUSE: Duration = Duration::from_millis(300);
/// What an earlier test left is nobody's any more.
const LEFT_FOR: Duration = Duration::from_secs(3_600);

/// The test, while it goes on.
pub(super) struct Test<'a> {
    settings: &'a Settings,
    store: Arc<dyn ObjectStore>,
    ledger: ObjectLedger,
    clock: Arc<dyn Clock>,
    patience: Duration,
}

/// What the ledger says of a test so far.
#[derive(Default)]
struct Hops {
    /// When `plan-run` kept the upload.
    heard: Option<DateTime<Utc>>,
    /// How long each function took from being asked to its answer being kept.
    answered: BTreeMap<String, Duration>,
}

impl<'a> Test<'a> {
    pub(super) fn new(
        settings: &'a Settings,
        store: Arc<dyn ObjectStore>,
        clock: Arc<dyn Clock>,
        patience: Duration,
    ) -> Self {
        let ledger = ObjectLedger::new(store.clone(), &*settings.buckets.ledger, clock.clone());
        Self { settings, store, ledger, clock, patience }
    }

    /// Sends it, waits for every answer, and takes away what it left.
    pub(super) async fn run(&self, report: &mut Report) {
        let now = self.clock.now();
        let seed = format!("{} {}", now.timestamp_micros(), std::process::id());
        let name = probe::object_name(&Fingerprint::of(probe::NAME, [seed.as_bytes()]).to_string());
        let Some(run) = probe::run_of(&name) else { return };
        let object = match ObjectPath::new(self.settings.buckets.landing.clone(), name) {
            Ok(object) => object,
            Err(error) => return report.broken(LINK, "upload", error.to_string(), "correct buckets.landing"),
        };
        if let Err(error) = self.store.put(&object, "{}", Precondition::Absent).await {
            let todo = "see the bucket's finding; you need roles/storage.objectUser on it and on the ledger's";
            return report.broken(LINK, "upload", error.to_string(), todo);
        }
        match self.follow(&run).await {
            Ok(hops) => tell(report, now, &hops, self.patience),
            Err(error) if error.kind() == ErrorKind::Denied => {
                report.unchecked(LINK, "ledger", format!("you may not read what comes of {object}: {error}"));
            }
            Err(error) => {
                let detail = format!("what comes of {object} cannot be read: {error}");
                report.broken(LINK, "ledger", detail, "see the finding of the ledger's bucket");
            }
        }
        if let Err(error) = self.clean_up(&object, &run, now).await {
            report.unchecked(LINK, "clean-up", format!("something of {object} is left, and does no harm: {error}"));
        }
    }

    /// Looks until every function has answered, or one hop has taken too long.
    async fn follow(&self, run: &RunId) -> PortResult<Hops> {
        let mut since = Instant::now();
        let mut known = Hops::default();
        loop {
            let hops = hops(&self.ledger.snapshot(run).await?.history);
            if hops.heard.is_some() && known.heard.is_none() {
                // The next hop begins.
                since = Instant::now();
            }
            known = hops;
            if known.answered.len() == functions().count() || since.elapsed() > self.patience {
                return Ok(known);
            }
            sleep(PAUSE).await;
        }
    }

    async fn clean_up(&self, object: &ObjectPath, run: &RunId, now: DateTime<Utc>) -> PortResult<()> {
        let left = u64::try_from((now - LEFT_FOR).timestamp_micros()).unwrap_or(0);
        let ours = format!("runs/{run}/");
        let buckets = &self.settings.buckets;
        let prefixes =
            [(&buckets.ledger, format!("runs/{}/", probe::NAME)), (&buckets.landing, format!("{}/", probe::NAME))];
        for (bucket, prefix) in prefixes {
            let found: Vec<_> = self.store.list(bucket, &prefix).try_collect().await?;
            for meta in found {
                // A generation counts microseconds.
                let is_ours = meta.path == *object || meta.path.name().starts_with(&ours);
                if is_ours || meta.generation < left {
                    match self.store.delete(&meta.path, Precondition::Generation(meta.generation)).await {
                        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                        _ => {}
                    }
                }
            }
        }
        Ok(())
    }
}

/// The functions that answer; `plan-run` asks.
fn functions() -> impl Iterator<Item = &'static str> {
    Role::ALL.into_iter().filter(|role| *role != Role::PlanRun).map(|role| role.declaration().name)
}

fn hops(history: &History) -> Hops {
    let mut hops = Hops::default();
    let mut asked = BTreeMap::new();
    for entry in history.entries() {
        match &entry.record {
            Record::Uploaded { .. } => hops.heard = Some(entry.at),
            Record::Requested(step) => {
                asked.insert(step.step.to_string(), entry.at);
            }
            _ => {}
        }
    }
    for entry in history.entries() {
        if let Record::Deferred(fact) = &entry.record
            && let Some(at) = asked.get(fact.step.step.as_str())
        {
            hops.answered.insert(fact.step.step.to_string(), (entry.at - *at).to_std().unwrap_or_default());
        }
    }
    hops
}

fn tell(report: &mut Report, sent: DateTime<Utc>, hops: &Hops, patience: Duration) {
    let within = format!("in {} s", patience.as_secs());
    let ok = |subject: &str, detail: &str, took: Duration| Finding {
        seconds: Some(took.as_secs_f64()),
        ..Finding::new(LINK, subject, State::Ok, detail)
    };
    let Some(heard) = hops.heard else {
        let earlier: BTreeSet<&str> = report
            .findings
            .iter()
            .filter(|finding| finding.state == State::Broken)
            .map(|finding| finding.link)
            .collect();
        let todo = if earlier.is_empty() {
            "see that the landing bucket notifies its topic, that the topic's subscription pushes to plan-run, and plan-run's log"
                .to_owned()
        } else {
            format!("mend what is broken above: {}", earlier.into_iter().collect::<Vec<_>>().join(", "))
        };
        return report.broken(LINK, "upload to plan-run", format!("plan-run did not hear of it {within}"), todo);
    };
    // Two machines' clocks: a little less than nothing is nothing.
    report.push(ok("upload to plan-run", "heard and kept", (heard - sent).to_std().unwrap_or_default()));
    for function in functions() {
        let subject = format!("plan-run to {function} and back");
        match hops.answered.get(&probe::step_name(function)) {
            Some(took) => report.push(ok(&subject, "asked and answered", *took)),
            None => {
                let todo =
                    format!("see its subscription and the function above, then the logs of {function} and plan-run");
                report.broken(LINK, subject, format!("it did not answer {within}"), todo);
            }
        }
    }
}
