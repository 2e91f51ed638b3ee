//! Whatever fails in whatever order, the rows are those of an extraction that nothing disturbed.

use std::sync::Arc;

use millstream_runtime::{Failure, Function, Progress};
use proptest::prelude::*;

use crate::world::{Rigged, World, command, everything, extracted, item_rows, items};

/// What happens to one try.
#[derive(Debug, Clone)]
enum Trouble {
    /// Connections are lost after so many batches of the ranges, in the order they are read.
    Lost(Vec<usize>),
    /// The nth write does not happen, or its answer does not come.
    Write { nth: i32, happens: bool },
    /// The process ends when so many ranges were begun.
    Killed(usize),
    /// Two processes do it at once, and the writes of one are cut off.
    Twice { nth: i32, happens: bool },
}

fn trouble() -> impl Strategy<Value = Trouble> {
    prop_oneof![
        prop::collection::vec(prop_oneof![0..3_usize, Just(usize::MAX)], 1..6).prop_map(Trouble::Lost),
        (1..14_i32, any::<bool>()).prop_map(|(nth, happens)| Trouble::Write { nth, happens }),
        (1..6_usize).prop_map(Trouble::Killed),
        (1..14_i32, any::<bool>()).prop_map(|(nth, happens)| Trouble::Twice { nth, happens }),
    ]
}

fn may_pass(outcome: Result<Progress, Failure>) {
    match outcome {
        Ok(_) | Err(Failure::Retry(_)) => {}
        Err(Failure::Permanent(reason)) => panic!("it would never be tried again: {reason:?}"),
    }
}

async fn survives(troubles: Vec<Trouble>, range_rows: u64, batch_rows: usize, parallel: u16) {
    let world = World::with(items(11));
    world.source.cut_into(range_rows, batch_rows);
    let mut work = everything("1");
    work.limits.parallel = parallel;
    let asked = command(&work);
    for trouble in troubles {
        match trouble {
            Trouble::Lost(after) => {
                world.source.drop_connections_after(after);
                may_pass(world.function().ensure(&asked).await);
                world.source.drop_connections_after([]);
            }
            Trouble::Write { nth, happens } => {
                let rigged = Rigged::cut_off_at(world.store.clone(), nth, happens);
                may_pass(world.function_on(Arc::new(rigged)).ensure(&asked).await);
            }
            Trouble::Killed(begun) => {
                let function = world.function();
                let before = world.source.ranges_read().len();
                let mut delivery = Box::pin(function.ensure(&asked));
                for _ in 0..200 {
                    if world.source.ranges_read().len() >= before + begun || futures::poll!(&mut delivery).is_ready() {
                        break;
                    }
                    tokio::task::yield_now().await;
                }
                // The one who waits goes with the process.
                drop(delivery);
                drop(function);
            }
            Trouble::Twice { nth, happens } => {
                let rigged = Rigged::cut_off_at(world.store.clone(), nth, happens);
                let (one, other) = (world.function_on(Arc::new(rigged)), world.function());
                let (one, other) = tokio::join!(one.ensure(&asked), other.ensure(&asked));
                may_pass(one);
                may_pass(other);
            }
        }
    }
    let told = extracted(world.function().ensure(&asked).await.unwrap());
    assert_eq!(world.rows(&told).await, item_rows(1..=11));
    assert_eq!(told.batches.len(), 11_usize.div_ceil(range_rows as usize));
    assert_eq!(extracted(world.function().ensure(&asked).await.unwrap()), told);
    for batch in &told.batches {
        assert!(!batch.name().contains("range-00000-"), "the same rows need no second name: {batch}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]
    #[test]
    fn any_interleaving_of_failures_ends_in_the_same_rows(
        troubles in prop::collection::vec(trouble(), 0..6),
        range_rows in 1..12_u64,
        batch_rows in 1..4_usize,
        parallel in 1..5_u16,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(survives(troubles, range_rows, batch_rows, parallel));
    }
}
