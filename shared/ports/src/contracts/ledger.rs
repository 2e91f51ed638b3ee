//! The contract of [`Ledger`].

use std::sync::Arc;

use futures::future::join_all;
use millstream_events::{
    Fingerprint, StepRef,
    history::Record,
    names::{RunId, TableName},
};

use crate::ledger::{Ledger, Recorded, TurnHolder};

/// Every rule. `open_ledger` gives another handle on one and the same ledger each time, as another process would have it.
pub async fn all(open_ledger: &impl Fn() -> Arc<dyn Ledger>) {
    run_rules!((open_ledger):
        a_record_is_kept_once,
        concurrent_records_under_one_id_have_one_winner,
        a_snapshot_sees_what_others_recorded,
        order_and_repetition_do_not_matter,
        a_run_is_open_until_it_is_closed,
        a_close_on_old_knowledge_fails,
        every_run_is_listed_once,
        a_turn_is_taken_by_one_and_on_what_is_known_now,
    );
}

fn run(text: &str) -> RunId {
    text.parse().unwrap()
}

fn started(by: &str) -> Record {
    Record::Started { by: by.to_owned(), extracts: None, full_refresh: false }
}

fn requested(run: &RunId, name: &str) -> Record {
    Record::Requested(StepRef {
        run: run.clone(),
        step: format!("load/{name}").parse().unwrap(),
        fingerprint: Fingerprint::of("contract", [name.as_bytes()]),
        attempt: 1,
    })
}

async fn records(ledger: &dyn Ledger, run: &RunId) -> Vec<Record> {
    ledger.snapshot(run).await.unwrap().history.records().cloned().collect()
}

/// The first record under an id stays; a later one is `Known`, on every handle.
pub async fn a_record_is_kept_once(open_ledger: &impl Fn() -> Arc<dyn Ledger>) {
    let (one, two) = (open_ledger(), open_ledger());
    let run = run("kept-once");
    assert_eq!(one.record(&run, started("first")).await.unwrap(), Recorded::New);
    assert_eq!(one.record(&run, started("first")).await.unwrap(), Recorded::Known);
    assert_eq!(two.record(&run, started("second")).await.unwrap(), Recorded::Known);
    for ledger in [one, two, open_ledger()] {
        assert_eq!(records(&*ledger, &run).await, [started("first")]);
    }
}

/// Many handles at once: one is told `New`, and all read that one's record.
pub async fn concurrent_records_under_one_id_have_one_winner(open_ledger: &impl Fn() -> Arc<dyn Ledger>) {
    let ledgers: Vec<Arc<dyn Ledger>> = (0..8).map(|_| open_ledger()).collect();
    let run = run("one-winner");
    let all = ledgers.iter().enumerate().map(|(at, ledger)| ledger.record(&run, started(&at.to_string())));
    let answers: Vec<Recorded> = join_all(all).await.into_iter().map(Result::unwrap).collect();
    let winners: Vec<usize> = (0..8).filter(|at| answers[*at] == Recorded::New).collect();
    assert_eq!(winners.len(), 1, "{answers:?}");
    for ledger in ledgers {
        assert_eq!(records(&*ledger, &run).await, [started(&winners[0].to_string())]);
    }
}

/// Also when this handle has read the run before; an unknown run is empty and closed.
pub async fn a_snapshot_sees_what_others_recorded(open_ledger: &impl Fn() -> Arc<dyn Ledger>) {
    let (reader, writer) = (open_ledger(), open_ledger());
    let run = run("sees/date=2026-11-24,region=eu");
    let unknown = reader.snapshot(&run).await.unwrap();
    assert!(unknown.history.is_empty() && unknown.open.is_none());
    assert_eq!(unknown.history.run, run);
    for count in 1..=3 {
        writer.record(&run, requested(&run, &count.to_string())).await.unwrap();
        assert_eq!(records(&*reader, &run).await.len(), count);
    }
}

/// A history is a set.
pub async fn order_and_repetition_do_not_matter(open_ledger: &impl Fn() -> Arc<dyn Ledger>) {
    let ledger = open_ledger();
    let (forwards, backwards) = (run("order/forwards"), run("order/backwards"));
    let recorded: Vec<Record> = ["a", "b", "c", "d"].iter().map(|name| requested(&forwards, name)).collect();
    for record in &recorded {
        ledger.record(&forwards, record.clone()).await.unwrap();
    }
    for record in recorded.iter().rev().chain(&recorded) {
        ledger.record(&backwards, record.clone()).await.unwrap();
    }
    let read = records(&*ledger, &forwards).await;
    assert_eq!(read.len(), recorded.len());
    assert_eq!(read, records(&*ledger, &backwards).await);
}

async fn is_open(ledger: &dyn Ledger, run: &RunId) -> bool {
    let listed = ledger.open_runs().await.unwrap().iter().filter(|open| *open == run).count();
    let marked = ledger.snapshot(run).await.unwrap().open.is_some();
    assert_eq!(listed, usize::from(marked), "the list of open runs and the snapshot of {run} disagree");
    marked
}

/// Opening twice is opening once; the records stay when it is closed.
pub async fn a_run_is_open_until_it_is_closed(open_ledger: &impl Fn() -> Arc<dyn Ledger>) {
    let (one, two) = (open_ledger(), open_ledger());
    let run = run("opened");
    assert!(!is_open(&*one, &run).await);
    one.open(&run).await.unwrap();
    one.open(&run).await.unwrap();
    one.record(&run, started("test")).await.unwrap();
    assert!(is_open(&*one, &run).await && is_open(&*two, &run).await);
    let seen = two.snapshot(&run).await.unwrap().open.unwrap();
    assert!(two.close(&run, seen).await.unwrap());
    assert!(!is_open(&*one, &run).await && !is_open(&*two, &run).await);
    assert!(!one.close(&run, seen).await.unwrap(), "it was closed already");
    assert_eq!(records(&*one, &run).await.len(), 1);
}

/// What opened the run again after the snapshot must be looked at before the run may be closed.
pub async fn a_close_on_old_knowledge_fails(open_ledger: &impl Fn() -> Arc<dyn Ledger>) {
    let (one, two) = (open_ledger(), open_ledger());
    let run = run("reopened");
    one.open(&run).await.unwrap();
    let old = one.snapshot(&run).await.unwrap().open.unwrap();
    two.open(&run).await.unwrap();
    assert!(!one.close(&run, old).await.unwrap());
    assert!(is_open(&*one, &run).await);
    let new = one.snapshot(&run).await.unwrap().open.unwrap();
    assert!(one.close(&run, new).await.unwrap());
    two.open(&run).await.unwrap();
    assert!(!one.close(&run, new).await.unwrap(), "a mark is of one opening, also after a close");
}

/// Names that begin alike, or like the ledger's own folders, are kept apart.
pub async fn every_run_is_listed_once(open_ledger: &impl Fn() -> Arc<dyn Ledger>) {
    let ledger = open_ledger();
    let mut ours: Vec<RunId> =
        ["listed", "listed/1", "listed/1.2", "listed/10", "listed-2/1", "runs/1", "open/1", "runs/open"]
            .map(run)
            .into();
    for run in &ours {
        ledger.open(run).await.unwrap();
        ledger.record(run, started("test")).await.unwrap();
        ledger.record(run, requested(run, "a")).await.unwrap();
    }
    ours.sort();
    for listed in [ledger.runs().await.unwrap(), ledger.open_runs().await.unwrap()] {
        let mut found: Vec<RunId> = listed.into_iter().filter(|run| ours.contains(run)).collect();
        found.sort();
        assert_eq!(found, ours);
    }
    assert_eq!(records(&*ledger, &run("listed/1")).await.len(), 2);
}

/// Of those who would have the turn in one state one gets it; old knowledge gets none; everybody reads the same holder.
pub async fn a_turn_is_taken_by_one_and_on_what_is_known_now(open_ledger: &impl Fn() -> Arc<dyn Ledger>) {
    let table: TableName = "source.turns".parse().unwrap();
    let holder = |number: u32, run: &str| TurnHolder {
        number,
        sequence: u64::from(number) * 10,
        run: run.parse().unwrap(),
        claim: 1,
        of: Fingerprint::of("contract", [b"customers".as_slice()]),
        loaded: None,
    };
    assert_eq!(open_ledger().turn(&table).await.unwrap(), None);
    let ledgers: Vec<Arc<dyn Ledger>> = (0..8).map(|_| open_ledger()).collect();
    let all = ledgers.iter().enumerate().map(|(at, ledger)| {
        let holder = holder(1, &format!("shop/{at}"));
        let table = &table;
        async move { ledger.take_turn(table, holder.clone(), None).await.unwrap().then_some(holder) }
    });
    let winners: Vec<TurnHolder> = join_all(all).await.into_iter().flatten().collect();
    let (now, mark) = open_ledger().turn(&table).await.unwrap().unwrap();
    assert_eq!(winners, [now]);
    assert!(open_ledger().take_turn(&table, holder(2, "shop/next"), Some(mark)).await.unwrap());
    assert!(!open_ledger().take_turn(&table, holder(2, "shop/late"), Some(mark)).await.unwrap(), "on old knowledge");
    assert!(!open_ledger().take_turn(&table, holder(1, "shop/late"), None).await.unwrap(), "there is a holder");
    assert_eq!(open_ledger().turn(&table).await.unwrap().unwrap().0, holder(2, "shop/next"));
    let other = "source.other".parse().unwrap();
    assert_eq!(open_ledger().turn(&other).await.unwrap(), None, "a table's turns are its own");
}
