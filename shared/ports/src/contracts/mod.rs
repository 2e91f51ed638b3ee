//! What every adapter of a port must do, as suites for its tests.
//!
//! A suite such as [`object_store()`] runs every rule of its port and panics at the first breach, after it has printed the
//! rule's name; each rule is also a function of its own in the module of the same name. A rule works under names of its
//! own, so that suites can share a bucket, a ledger or a warehouse that is empty at first.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a contract says that it is broken")]

use std::{future::Future, panic::AssertUnwindSafe, time::Duration};

use futures::FutureExt;

use crate::{error::PortResult, warehouse::JobState};

/// Runs rules one after the other, each with the same arguments.
macro_rules! run_rules {
    ($arguments:tt: $($rule:ident),* $(,)?) => {
        $($crate::contracts::run_rule(stringify!($rule), $rule $arguments).await;)*
    };
}

pub mod endpoints;
pub mod event_bus;
pub mod ledger;
pub mod models;
pub mod object_store;
pub mod secrets;
#[cfg(feature = "sources")]
pub mod source;
#[cfg(feature = "sources")]
pub mod source_changes;
#[cfg(feature = "sources")]
mod source_fixture;
pub mod trainer;
pub mod warehouse;
mod warehouse_batches;
mod warehouse_deletes;
pub mod warehouse_sql;

pub use endpoints::all as endpoints;
pub use event_bus::all as event_bus;
pub use ledger::all as ledger;
pub use models::all as models;
pub use object_store::all as object_store;
pub use secrets::{SecretsPeer, all as secrets};
#[cfg(feature = "sources")]
pub use source::{Abilities, Item, SourceFixture, all as source};
pub use trainer::{TrainerPeer, all as trainer};
pub use warehouse::{WarehousePeer, all as warehouse};
pub use warehouse_sql::all as warehouse_sql;

/// How often a slow peer is asked before a rule gives up on it.
const ASKS: u32 = 1_200;

/// The pause between two asks.
const PAUSE: Duration = Duration::from_millis(50);

async fn run_rule(name: &str, check: impl Future<Output = ()>) {
    if let Err(panic) = AssertUnwindSafe(check).catch_unwind().await {
        eprintln!("the rule {name} is broken");
        std::panic::resume_unwind(panic);
    }
}

/// Asks until there is an answer.
async fn until<T>(ask: impl AsyncFn() -> Option<T>) -> T {
    for _ in 0..ASKS {
        if let Some(answer) = ask().await {
            return answer;
        }
        tokio::time::sleep(PAUSE).await;
    }
    panic!("no answer after {ASKS} asks, {PAUSE:?} apart")
}

/// Asks for a job until it is done or fails.
async fn done<T>(ask: impl AsyncFn() -> PortResult<JobState<T>>) -> PortResult<T> {
    until(async || match ask().await {
        Ok(JobState::Running) => None,
        Ok(JobState::Done(done)) => Some(Ok(done)),
        Err(error) => Some(Err(error)),
    })
    .await
}
