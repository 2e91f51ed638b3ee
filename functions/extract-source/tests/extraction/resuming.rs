//! Readings that are cut off, given up, doubled.

use std::{sync::Arc, time::Duration};

use millstream_events::{Command, Envelope, Event, work::Work};
use millstream_ports::{SystemClock, memory::MemoryBus};
use millstream_runtime::{Ack, Failure, Function, Handler, Progress, StepHandler};

use crate::world::{
    BATCHES, QUARANTINE, Rigged, World, command, everything, extracted, item, item_rows, items, sorted, until,
};

const TWO_GOES: &str = "read in two goes, after it was interrupted: what changed in between may be in some ranges only";

#[tokio::test]
async fn a_lost_connection_costs_only_the_ranges_it_was_in() {
    let world = World::with(items(10));
    world.source.cut_into(2, 1);
    let mut work = everything("1");
    work.limits.parallel = 1;
    // The third range's second batch never comes.
    world.source.drop_connections_after([usize::MAX, usize::MAX, 1]);
    let error = world.function().ensure(&command(&work)).await.unwrap_err();
    assert!(
        matches!(&error, Failure::Retry(error) if error.to_string().contains("the connection was lost")),
        "{error}"
    );
    let first = world.source.ranges_read();
    assert_eq!(first.len(), 3);
    let extracted = world.extract(&work).await;
    assert_eq!(world.rows(&extracted).await, item_rows(1..=10));
    assert_eq!(extracted.notes, [TWO_GOES]);
    let second = world.source.ranges_read()[3..].to_vec();
    assert_eq!((second.len(), &second[0]), (3, &first[2]), "it goes on with the range that was lost");
    assert_eq!(world.source.plans_and_openings(), (1, 2));
    assert!(world.scratch_is_empty());
}

#[tokio::test]
async fn ranges_that_are_under_way_when_another_is_lost_are_read_to_their_end() {
    let world = World::with(items(12));
    world.source.cut_into(2, 1);
    let mut work = everything("1");
    work.limits.parallel = 3;
    world.source.drop_connections_after([0]);
    world.function().ensure(&command(&work)).await.unwrap_err();
    let read = world.source.ranges_read().len();
    assert!((3..=5).contains(&read), "{read}");
    let extracted = world.extract(&work).await;
    assert_eq!(world.rows(&extracted).await, item_rows(1..=12));
    assert_eq!(world.source.ranges_read().len(), 7, "one range was read twice");
}

#[tokio::test]
async fn where_no_range_was_read_before_it_is_one_go() {
    let world = World::with(items(4));
    world.source.drop_connections_after([0]);
    world.function().ensure(&command(&everything("1"))).await.unwrap_err();
    assert!(world.extract(&everything("1")).await.notes.is_empty());
}

#[tokio::test]
async fn rows_that_come_between_goes_are_left_for_the_next_by_a_cursor() {
    let world = World::with(items(6));
    world.source.cut_into(3, 3);
    let mut work = crate::world::changes("1", None);
    work.limits.parallel = 1;
    world.source.drop_connections_after([usize::MAX, 0]);
    world.function().ensure(&command(&work)).await.unwrap_err();
    world.source.upsert("items", item(7, "item 7", 7));
    world.source.upsert("items", item(-1, "early", 8));
    let extracted = world.extract(&work).await;
    assert_eq!(world.rows(&extracted).await, item_rows(1..=6));
    assert_eq!(extracted.bookmark.position.as_deref(), Some("6"));
}

#[tokio::test]
async fn an_extraction_cut_off_at_any_write_is_the_same_when_asked_for_again() {
    let mut table = items(6);
    table.rows[3] = item(4, "", 4);
    let bad = |work: &mut millstream_events::extract::ExtractSource| {
        work.contract.expect = vec!["name <> ''".into()];
        work.limits.parallel = 1;
    };
    let mut work = everything("1");
    bad(&mut work);
    let whole = World::with(table.clone());
    whole.source.cut_into(2, 2);
    let mut expected = whole.extract(&work).await;
    let names = whole.names().await;
    assert_eq!(names.len(), 3 + 3 + 1 + 1 + 1 + 1, "batches, accounts, plan, report, shape, quarantine: {names:?}");
    for happens in [false, true] {
        for nth in 1..=names.len() as i32 {
            let world = World::with(table.clone());
            world.source.cut_into(2, 2);
            let rigged = Arc::new(Rigged::cut_off_at(world.store.clone(), nth, happens));
            let error = world.function_on(rigged.clone()).ensure(&command(&work)).await.unwrap_err();
            assert!(matches!(error, Failure::Retry(_)) && rigged.has_cut(), "write {nth}: {error}");
            assert!(world.scratch_is_empty() || nth <= 2, "write {nth}");
            let mut again = world.extract(&work).await;
            // In how many goes it was read is told, and nothing else differs.
            (again.notes, expected.notes) = (Vec::new(), Vec::new());
            assert_eq!(again, expected, "write {nth}");
            assert_eq!(world.names().await, names, "write {nth}");
            for batch in &again.batches {
                assert_eq!(world.batch(batch).await, whole.batch(batch).await, "write {nth}");
            }
        }
    }
}

#[tokio::test]
async fn a_batch_and_its_account_are_of_one_reading() {
    // The first batch is there, its account is not.
    let nth = 4;
    let world = World::with(items(4));
    world.source.cut_into(2, 2);
    let mut work = everything("1");
    work.limits.parallel = 1;
    let rigged = Arc::new(Rigged::cut_off_at(world.store.clone(), nth, false));
    world.function_on(rigged).ensure(&command(&work)).await.unwrap_err();
    let names = world.names().await;
    assert!(names.contains(&format!("{BATCHES}/1/range-00000.parquet")), "{names:?}");
    assert!(!names.contains(&format!("{BATCHES}/1/range-00000.report.json")), "{names:?}");
    world.source.change("items", |table| {
        table.rows.retain(|row| row[0] != 2.into());
        table.rows[0] = item(1, "renamed", 1);
    });
    let extracted = world.extract(&work).await;
    let rows = world.rows(&extracted).await;
    assert_eq!(rows[0], ["1", "renamed", "1"]);
    assert_eq!(rows[1..], item_rows([3, 4]));
    assert!(extracted.batches[0].name().starts_with("batches/shop/items/1/range-00000-"), "{extracted:?}");
}

#[tokio::test]
async fn a_process_that_ends_in_the_middle_is_gone_on_from() {
    let world = World::with(items(10));
    world.source.cut_into(2, 1);
    world.source.hold();
    let function = Arc::new(world.function());
    let asked = command(&everything("1"));
    let delivery = tokio::spawn({
        let (function, asked) = (function.clone(), asked.clone());
        async move { function.ensure(&asked).await }
    });
    until(|| !world.source.ranges_read().is_empty()).await;
    delivery.abort();
    assert!(delivery.await.unwrap_err().is_cancelled());
    drop(function);
    world.source.release();
    assert_eq!(world.rows(&world.extract(&everything("1")).await).await, item_rows(1..=10));
}

#[tokio::test]
async fn a_delivery_that_is_given_up_does_not_end_the_extraction() {
    let world = World::with(items(10));
    world.source.cut_into(2, 1);
    world.source.hold();
    let function = world.function();
    let asked = command(&everything("1"));
    let mut given_up = Box::pin(function.ensure(&asked));
    assert!(futures::poll!(&mut given_up).is_pending());
    drop(given_up);
    until(|| !world.source.ranges_read().is_empty()).await;
    // The next one waits in its place, and one more need not.
    let mut waiting = Box::pin(function.ensure(&asked));
    assert!(futures::poll!(&mut waiting).is_pending());
    assert!(matches!(function.ensure(&asked).await.unwrap(), Progress::Pending { .. }));
    world.source.release();
    let done = extracted(waiting.await.unwrap());
    assert_eq!(world.rows(&done).await, item_rows(1..=10));
    assert_eq!(world.source.plans_and_openings(), (1, 1));
    assert_eq!(extracted(function.ensure(&asked).await.unwrap()), done);
}

#[tokio::test]
async fn an_extraction_that_ends_while_nobody_waits_is_answered_from_what_it_has_kept() {
    let world = World::with(items(10));
    let function = world.function();
    let asked = command(&everything("1"));
    let mut given_up = Box::pin(function.ensure(&asked));
    assert!(futures::poll!(&mut given_up).is_pending());
    drop(given_up);
    let mut names = Vec::new();
    while !names.contains(&format!("{BATCHES}/1/report.json")) {
        tokio::task::yield_now().await;
        names = world.names().await;
    }
    world.source.remove_table("items");
    assert_eq!(extracted(function.ensure(&asked).await.unwrap()).rows, 10);
}

#[tokio::test(start_paused = true)]
async fn a_delivery_is_answered_before_it_is_taken_for_lost() {
    let world = World::with(items(4));
    world.source.hold();
    let function = world.function();
    let asked = command(&everything("1"));
    let mut waiting = Box::pin(function.ensure(&asked));
    assert!(futures::poll!(&mut waiting).is_pending());
    tokio::time::advance(Duration::from_secs(541)).await;
    let Progress::Pending { reason, check_after } = waiting.await.unwrap() else { panic!("it cannot be done") };
    assert!(reason.starts_with("the extraction is"), "{reason}");
    assert!(check_after > Duration::ZERO);
}

#[tokio::test]
async fn processes_that_do_the_same_at_once_tell_the_same() {
    for _ in 0..20 {
        let world = World::with(items(20));
        world.source.cut_into(3, 2);
        let asked = command(&everything("1"));
        let (one, other, third) = (world.function(), world.function(), world.function());
        let (one, other, third) = tokio::join!(one.ensure(&asked), other.ensure(&asked), third.ensure(&asked));
        let one = extracted(one.unwrap());
        assert_eq!(one, extracted(other.unwrap()));
        assert_eq!(one, extracted(third.unwrap()));
        assert_eq!(world.rows(&one).await, item_rows(1..=20));
        let names = world.names().await;
        assert!(names.iter().all(|name| name.starts_with(BATCHES) && !name.starts_with(QUARANTINE)), "{names:?}");
    }
}

#[tokio::test]
async fn redelivered_commands_publish_one_and_the_same_fact() {
    let world = World::with(items(4));
    let Command { step, work } = command(&everything("1"));
    let bus = Arc::new(MemoryBus::new());
    let handler = StepHandler::new(world.function(), bus.clone(), Arc::new(SystemClock));
    let event = Event::Command(Command { step, work: Work::ExtractSource(work) });
    let delivery = Envelope { event, time: "2026-01-01T00:00:00Z".parse().unwrap(), traceparent: None };
    assert_eq!(handler.handle(&delivery).await, Ack::Done);
    assert_eq!(handler.handle(&delivery).await, Ack::Done);
    let facts = bus.events();
    assert_eq!((facts.len(), facts[0] == facts[1]), (2, true));
}

#[tokio::test]
async fn ranges_are_in_their_order_whichever_is_read_first() {
    let world = World::with(items(40));
    world.source.cut_into(1, 1);
    let mut work = everything("1");
    work.limits.parallel = 16;
    let extracted = world.extract(&work).await;
    assert_eq!(world.rows(&extracted).await, item_rows(1..=40));
    assert_eq!(sorted(extracted.batches.clone()), extracted.batches);
}
