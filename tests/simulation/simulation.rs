//! One seed: a world, a process in it, and a scheduler that is out to break it.

use std::{
    collections::BTreeMap,
    future::Future,
    pin::Pin,
    sync::{Arc, OnceLock, atomic::AtomicU64},
    task::{Context, Poll, Wake, Waker},
    thread::Thread,
    time::Duration,
};

use millstream_events::{
    Envelope, Event,
    compute::{Compute, RunOn},
    names::{ModelName, ObjectPath},
    trigger::{ObjectFinalized, SweepDue},
    work::Canary,
};
use millstream_pipeline::{
    Pipelines,
    model::Training,
    plan::{RunState, plan},
};
use millstream_ports::{
    Clock, Endpoints, EventBus, Ledger, ModelRegistry, ObjectLedger, ObjectStore, ObjectStoreExt, Precondition,
    Warehouse,
};
use millstream_runtime::{Ack, Handler};
use millstream_tests::example::{self, World};

use crate::{
    canary::{Watched, rows_of, wrong_moves},
    durable::{Durable, is_preempted},
    faults::{Faults, Faulty},
    mutations::{Forgetful, Mutation, NamedByDelivery},
    random::Random,
};

/// What became of a seed.
#[derive(Debug)]
pub(crate) enum Outcome {
    Right,
    Wrong(String),
}

/// The uploads of every seed, in the order in which they are made: a file told of twice under two generations, a replaced
/// file that returns, two merged files, and files that are gathered.
const UPLOADS: &[(&str, &str)] = &[
    ("sales/a.csv", "id\n1\n"),
    ("products.csv", "id\n10\n"),
    ("customers/a.csv", "id\n100\n"),
    ("clicks/a.csv", "id\n1000\n"),
    ("clicks/b.csv", "id\n1001\n"),
    ("sales/b.csv", "id\n2\n"),
    ("products.csv", "id\n11\n"),
    ("sales/a.csv", "id\n1\n"),
    ("customers/b.csv", "id\n101\n"),
    ("clicks/c.csv", "id\n1002\n"),
    ("products.csv", "id\n10\n"),
];

/// Which of them come before the platform comes to rest, thrice: each day brings a version of the model, and so a canary.
const DAYS: [std::ops::Range<usize>; 3] = [0..5, 5..8, 8..UPLOADS.len()];

/// Rounds of delivering everything and sweeping after which a healthy platform has long come to rest.
const ROUNDS_TO_REST: usize = 60;

/// The example's pipeline with its model rolled out in steps, and one more model that is learned on machines with a price.
fn pipelines() -> Pipelines {
    let mut pipelines = example::pipelines();
    for pipeline in pipelines.by_name.values_mut() {
        let demand = &mut pipeline.trainings[0];
        let risk = Training {
            model: "risk".parse().unwrap(),
            data: "staging.sales".parse().unwrap(),
            compute: Compute { run_on: RunOn::Vertex, max_cost_usd: Some(50.0), ..Compute::default() },
            serving: None,
            ..demand.clone()
        };
        let canary = Canary {
            steps: vec![10, 50, 100],
            bake_seconds: 30,
            max_error_rate: 0.05,
            max_latency_ms: None,
            max_score_shift: None,
        };
        demand.serving.as_mut().unwrap().canary = Some(canary);
        pipeline.trainings.push(risk);
    }
    pipelines
}

type Deliveries = Vec<(Envelope, Pin<Box<dyn Future<Output = Ack>>>)>;

struct Simulation {
    durable: Durable,
    faults: Arc<Faults>,
    mutation: Option<Mutation>,
    random: Random,
    scratch: tempfile::TempDir,
    runtime: tokio::runtime::Runtime,
    waker: Waker,
    process: Vec<Arc<dyn Handler>>,
    queue: Vec<Envelope>,
    under_way: Deliveries,
    told: bool,
}

/// Runs one seed.
pub(crate) fn simulate(seed: u64, mutation: Option<Mutation>, told: bool) -> Outcome {
    let mut disturbed = Simulation::new(seed, mutation, told);
    for uploads in DAYS.map(|day| &UPLOADS[day]) {
        disturbed.disturb(uploads);
        if let Err(why) = disturbed.come_to_rest() {
            return Outcome::Wrong(why);
        }
    }
    match disturbed.differs_from(undisturbed()) {
        None => Outcome::Right,
        Some(why) => Outcome::Wrong(why),
    }
}

type Holdings = BTreeMap<String, Vec<String>>;

/// What a platform holds to which everything was told once, in order, without a fault.
fn undisturbed() -> &'static Holdings {
    static HOLDINGS: OnceLock<Holdings> = OnceLock::new();
    HOLDINGS.get_or_init(|| {
        let mut calm = Simulation::new(0, None, false);
        calm.faults.switch_off();
        for (name, text) in UPLOADS {
            let told_of = calm.upload(name, text);
            calm.queue.push(told_of);
            calm.come_to_rest().expect("an undisturbed platform comes to rest");
        }
        calm.holdings()
    })
}

impl Simulation {
    fn new(seed: u64, mutation: Option<Mutation>, told: bool) -> Self {
        let mut new = Self {
            durable: Durable::new(),
            faults: Faults::new(seed ^ 0xfa17),
            mutation,
            random: Random::new(seed),
            scratch: tempfile::tempdir().unwrap(),
            // For functions that hand work to threads; the simulation itself polls by hand.
            runtime: tokio::runtime::Builder::new_current_thread().build().unwrap(),
            waker: Waker::from(Arc::new(Unpark(std::thread::current()))),
            process: Vec::new(),
            queue: Vec::new(),
            under_way: Vec::new(),
            told,
        };
        new.start_process();
        new
    }

    /// A new process over what is durable: its caches and the deliveries under way are gone.
    fn start_process(&mut self) {
        let Durable { store, warehouse, trainer, models, bus, clock } = &self.durable;
        let faults = &self.faults;
        let ledger = Arc::new(ObjectLedger::new(store.clone(), "ledger", clock.clone()));
        let ledger: Arc<dyn Ledger> = match self.mutation {
            Some(Mutation::RecordsForgotten) => Arc::new(Forgetful { inner: ledger }),
            _ => ledger,
        };
        let warehouse: Arc<dyn Warehouse> = match self.mutation {
            Some(Mutation::JobsNamedByDelivery) => {
                Arc::new(NamedByDelivery { inner: warehouse.clone(), asks: AtomicU64::new(0) })
            }
            _ => warehouse.clone(),
        };
        let blind = self.mutation == Some(Mutation::CanaryUnwatched);
        let world = World {
            store: Arc::new(Faulty::<dyn ObjectStore> { inner: store.clone(), faults: faults.clone() }),
            warehouse: Arc::new(Faulty::<dyn Warehouse> { inner: warehouse, faults: faults.clone() }),
            trainer: Arc::new(Faulty::<dyn millstream_ports::Trainer> {
                inner: trainer.clone(),
                faults: faults.clone(),
            }),
            registry: Arc::new(Faulty::<dyn ModelRegistry> { inner: models.clone(), faults: faults.clone() }),
            endpoints: Arc::new(Faulty::<dyn Endpoints> {
                inner: Arc::new(Watched { models: models.clone(), store: store.clone(), blind }),
                faults: faults.clone(),
            }),
            scorer: Arc::new(Faulty::<dyn millstream_ports::Scorer> { inner: models.clone(), faults: faults.clone() }),
            ledger: Arc::new(Faulty::<dyn Ledger> { inner: ledger, faults: faults.clone() }),
            bus: Arc::new(Faulty::<dyn EventBus> { inner: bus.clone(), faults: faults.clone() }),
            clock: clock.clone(),
        };
        self.under_way.clear();
        self.process = example::functions(pipelines(), &world, self.scratch.path());
    }

    fn tell(&self, what: impl FnOnce() -> String) {
        if self.told {
            println!("{}", what());
        }
    }

    fn envelope(&self, event: Event) -> Envelope {
        Envelope { event, time: self.durable.clock.now(), traceparent: None }
    }

    fn upload(&mut self, name: &str, text: &str) -> Envelope {
        self.tell(|| format!("upload {name}"));
        let path = ObjectPath::new("landing", name).unwrap();
        let put = self.durable.store.put(&path, text.to_owned(), Precondition::None);
        let meta = futures::executor::block_on(put).unwrap();
        let object =
            ObjectFinalized { object: meta.path, generation: meta.generation, size: meta.size, crc32c: meta.crc32c };
        self.envelope(Event::ObjectFinalized(object))
    }

    /// Uploads everything while the scheduler does its worst.
    fn disturb(&mut self, uploads: &[(&str, &str)]) {
        self.faults.switch_on();
        let mut uploads = uploads.iter();
        for _ in 0..300 {
            self.durable.clock.advance(Duration::from_secs(1));
            match self.random.below(100) {
                0..3 => {
                    if let Some((name, text)) = uploads.next() {
                        let told_of = self.upload(name, text);
                        self.queue.push(told_of);
                    }
                }
                3..5 => {
                    let sweep = self.envelope(Event::SweepDue(SweepDue {}));
                    self.queue.push(sweep);
                }
                5..30 => self.take_from_queue(),
                _ => self.go_on(),
            }
            self.after_each_step();
        }
        for (name, text) in uploads {
            self.upload(name, text);
        }
    }

    fn after_each_step(&mut self) {
        self.queue.extend(self.durable.bus.take());
        if self.faults.take_crash() {
            self.tell(|| "crash".to_owned());
            // Some buses keep what was not acknowledged, some lose it: here each message has its own luck.
            let interrupted = std::mem::take(&mut self.under_way);
            self.queue.extend(interrupted.into_iter().map(|(envelope, _)| envelope));
            let random = &mut self.random;
            self.queue.retain(|_| random.happens(500));
            self.start_process();
        }
    }

    /// Delivers a message, or loses it, or delivers it and keeps it.
    fn take_from_queue(&mut self) {
        if self.queue.is_empty() {
            return;
        }
        let at = self.random.below(self.queue.len());
        let envelope = self.queue.swap_remove(at);
        if self.random.happens(50) {
            self.tell(|| format!("lose {}", envelope.event.event_type()));
            return;
        }
        if self.random.happens(100) {
            self.queue.push(envelope.clone());
        }
        self.deliver(envelope);
    }

    fn deliver(&mut self, envelope: Envelope) {
        let event_type = envelope.event.event_type();
        if self.mutation == Some(Mutation::NoSweep) && matches!(envelope.event, Event::SweepDue(_)) {
            return;
        }
        if self.mutation == Some(Mutation::EarlyAcknowledgement) && matches!(envelope.event, Event::SweepDue(_)) {
            return;
        }
        self.tell(|| format!("deliver {event_type} {}", envelope.event.subject().unwrap_or_default()));
        for handler in self.process.iter().filter(|handler| handler.takes(event_type)) {
            let (handler, delivery) = (handler.clone(), envelope.clone());
            self.under_way.push((envelope.clone(), Box::pin(async move { handler.handle(&delivery).await })));
        }
    }

    /// Lets one delivery go on to its next port call.
    fn go_on(&mut self) {
        if self.under_way.is_empty() {
            return;
        }
        let at = self.random.below(self.under_way.len());
        if let Some(ack) = self.poll(at) {
            let (envelope, _) = self.under_way.swap_remove(at);
            if let Ack::Retry { reason } = ack
                && self.mutation != Some(Mutation::EarlyAcknowledgement)
            {
                self.tell(|| format!("retry {}: {reason}", envelope.event.event_type()));
                self.queue.push(envelope);
            }
        }
    }

    /// Polls one delivery until it stops at a port call, ends, or ends the process.
    fn poll(&mut self, at: usize) -> Option<Ack> {
        let _runtime = self.runtime.enter();
        loop {
            let (_, delivery) = &mut self.under_way[at];
            match delivery.as_mut().poll(&mut Context::from_waker(&self.waker)) {
                Poll::Ready(ack) => return Some(ack),
                Poll::Pending if self.faults.take_yield() => return None,
                Poll::Pending if self.faults.crashed() => return None,
                // It waits for a thread: that is no scheduling point, or the seed would not decide what happens.
                Poll::Pending => std::thread::park(),
            }
        }
    }

    /// Switches the faults off, and delivers and sweeps until nothing is left to do.
    fn come_to_rest(&mut self) -> Result<(), String> {
        self.faults.switch_off();
        for _ in 0..ROUNDS_TO_REST {
            while !self.queue.is_empty() || !self.under_way.is_empty() {
                for envelope in std::mem::take(&mut self.queue) {
                    self.deliver(envelope);
                }
                while !self.under_way.is_empty() {
                    self.go_on();
                    self.queue.extend(self.durable.bus.take());
                }
            }
            self.durable.clock.advance(Duration::from_secs(60));
            let sweep = self.envelope(Event::SweepDue(SweepDue {}));
            self.deliver(sweep);
            while !self.under_way.is_empty() {
                self.go_on();
            }
            self.queue.extend(self.durable.bus.take());
            if self.queue.is_empty() && self.unfinished().is_none() {
                return Ok(());
            }
        }
        Err(self.unfinished().unwrap_or_else(|| "it never comes to rest".to_owned()))
    }

    /// What keeps the run from having ended well.
    fn unfinished(&self) -> Option<String> {
        let ledger = ObjectLedger::new(self.durable.store.clone(), "ledger", self.durable.clock.clone());
        let pipelines = pipelines();
        let runs = futures::executor::block_on(ledger.runs()).unwrap();
        for run in runs {
            let snapshot = futures::executor::block_on(ledger.snapshot(&run)).unwrap();
            let plan = plan(&pipelines, &pipelines.by_name[&run.pipeline], &snapshot.history);
            let waits_for_an_upload = self.queue.is_empty() && plan.state() == RunState::Waiting;
            if plan.state() != RunState::Succeeded && !waits_for_an_upload {
                let steps: Vec<String> =
                    plan.steps.iter().map(|step| format!("{} {}", step.name, step.state.word())).collect();
                return Some(format!("{run} is {:?}: {}", plan.state(), steps.join(", ")));
            }
            if snapshot.open.is_some() {
                return Some(format!("{run} is still open"));
            }
        }
        None
    }

    /// What the platform holds: every table, the lake's copy, and the data of the model that serves.
    fn holdings(&self) -> Holdings {
        let Durable { store, warehouse, models, .. } = &self.durable;
        let read = |path: &ObjectPath| {
            let bytes = futures::executor::block_on(store.read(path, 1 << 20));
            String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned()
        };
        let mut holdings = BTreeMap::new();
        for facts in futures::executor::block_on(warehouse.tables()).unwrap() {
            holdings.insert(facts.table.to_string(), warehouse.content(&facts.table));
        }
        let exported = ObjectPath::new("lake", "shop/latest/joined.parquet").unwrap();
        holdings.insert("lake".to_owned(), vec![read(&exported)]);
        let model: ModelName = "demand".parse().unwrap();
        let aliases = futures::executor::block_on(models.aliases(&model)).unwrap();
        let versions = futures::executor::block_on(models.versions(&model)).unwrap();
        let serving = versions.iter().find(|version| aliases.get("production") == Some(&version.version));
        if let Some(serving) = serving {
            let data = rows_of(store, serving);
            holdings.insert("the serving model's data".to_owned(), data);
        }
        holdings
    }

    /// The first rule that is broken.
    fn differs_from(&self, theirs: &Holdings) -> Option<String> {
        let mine = self.holdings();
        for name in theirs.keys().chain(mine.keys()) {
            if mine.get(name) != theirs.get(name) {
                return Some(format!(
                    "{name} is {:?} where an undisturbed platform has {:?}",
                    mine.get(name),
                    theirs.get(name)
                ));
            }
        }
        let owed = |job: &str| 1 + u32::from(is_preempted(job));
        let doubled = self.durable.trainer.all_starts().into_iter().find(|(job, starts)| *starts > owed(job));
        if let Some((job, starts)) = doubled {
            return Some(format!("the training {job} was started {starts} times"));
        }
        if let Some(why) = wrong_moves(&self.durable) {
            return Some(why);
        }
        let model: ModelName = "demand".parse().unwrap();
        let versions = futures::executor::block_on(self.durable.models.versions(&model)).unwrap();
        let distinct: std::collections::BTreeSet<_> =
            versions.iter().map(|version| &version.registered.fingerprint).collect();
        (distinct.len() != versions.len()).then(|| "one training was registered as two versions".to_owned())
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}
