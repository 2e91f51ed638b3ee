//! What goes wrong at the source, and what becomes of the step.

use millstream_events::contract::ColumnType;
use millstream_ports::{ErrorKind, ObjectStoreExt, Precondition};
use millstream_runtime::{Failure, Function};

use crate::world::{World, command, everything, item_rows, items, path, permanent};

#[tokio::test]
async fn a_source_that_will_not_do_fails_the_step_and_one_that_may_is_tried_again() {
    let world = World::with(items(3));
    let asked = command(&everything("1"));
    for kind in [ErrorKind::Denied, ErrorKind::NotFound, ErrorKind::Invalid] {
        world.source.refuse(Some((kind, "the password for user reader was refused by db:5432")));
        let reason = permanent(world.function().ensure(&asked).await.unwrap_err());
        assert_eq!(reason.message, "the password for user reader was refused by db:5432", "{kind:?}");
    }
    world.source.refuse(Some((ErrorKind::Unavailable, "db:5432 cannot be reached")));
    let error = world.function().ensure(&asked).await.unwrap_err();
    assert!(matches!(&error, Failure::Retry(error) if error.kind() == ErrorKind::Unavailable), "{error}");
    assert!(world.names().await.is_empty());
    world.source.refuse(None);
    assert_eq!(world.extract(&everything("1")).await.rows, 3);
}

#[tokio::test]
async fn a_table_that_is_not_there_or_an_unknown_source_fails_the_step() {
    let world = World::with(items(3));
    world.source.remove_table("items");
    assert_eq!(world.refusal(&everything("1")).await.message, "the table items does not exist");
    let mut work = everything("2");
    work.connection.secret = None;
    assert!(world.refusal(&work).await.message.contains("no postgres source"));
    let mut work = everything("3");
    work.only = vec!["colour".into()];
    world.source.put_table("items", items(1));
    assert!(world.refusal(&work).await.message.contains("the table has no column colour"));
}

#[tokio::test]
async fn a_table_that_vanishes_between_goes_fails_the_step() {
    let world = World::with(items(6));
    world.source.cut_into(2, 2);
    world.source.drop_connections_after([0, 0, 0, 0]);
    let asked = command(&everything("1"));
    assert!(matches!(world.function().ensure(&asked).await.unwrap_err(), Failure::Retry(_)));
    world.source.remove_table("items");
    assert_eq!(world.refusal(&everything("1")).await.message, "the table items does not exist");
}

#[tokio::test]
async fn a_column_that_changes_between_goes_fails_the_step() {
    let world = World::with(items(6));
    world.source.cut_into(2, 2);
    world.source.drop_connections_after([0, 0, 0, 0]);
    let asked = command(&everything("1"));
    assert!(matches!(world.function().ensure(&asked).await.unwrap_err(), Failure::Retry(_)));
    world.source.change("items", |table| table.columns[1].kind = Ok(ColumnType::Int64));
    let reason = world.refusal(&everything("1")).await;
    assert!(reason.message.contains("the column name was string when the reading was planned"), "{reason:?}");
}

#[tokio::test]
async fn a_permanent_failure_in_the_middle_ends_the_reading() {
    let world = World::with(items(10));
    world.source.cut_into(2, 1);
    world.source.hold();
    let function = world.function();
    let asked = command(&everything("1"));
    let reading = function.ensure(&asked);
    tokio::pin!(reading);
    assert!(futures::poll!(&mut reading).is_pending());
    crate::world::until(|| world.source.ranges_read().len() == 4).await;
    world.source.refuse(Some((ErrorKind::Denied, "the grant was taken back")));
    world.source.release();
    assert_eq!(permanent(reading.await.unwrap_err()).message, "the grant was taken back");
    assert_eq!(world.source.ranges_read().len(), 4);
    // A person gives it back and has the step delivered again.
    world.source.refuse(None);
    assert_eq!(world.rows(&world.extract(&everything("1")).await).await, item_rows(1..=10));
}

#[tokio::test]
async fn an_account_that_cannot_be_read_is_no_account() {
    let world = World::with(items(1));
    let report = path("gs://lake/batches/shop/items/1/report.json");
    world.store.put(&report, "{", Precondition::Absent).await.unwrap();
    let error = world.function().ensure(&command(&everything("1"))).await.unwrap_err();
    assert!(error.to_string().contains("report.json cannot be read"), "{error}");
}
