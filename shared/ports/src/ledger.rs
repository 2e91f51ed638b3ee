//! What is known of every run.

use std::fmt::Debug;

use async_trait::async_trait;
use millstream_events::{
    history::{History, Record},
    names::RunId,
};

use crate::error::PortResult;

/// Whether a record was new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recorded {
    /// It is in the ledger now.
    New,
    /// It was there already; the earlier one stays.
    Known,
}

/// A run's history and the mark that it is open, read in an order that makes [`Ledger::close`] safe.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The records.
    pub history: History,
    /// The open mark seen before the records were read; absent when the run was closed.
    pub open: Option<OpenMark>,
}

/// One opening of a run. A later opening is another mark, so that closing on old knowledge fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenMark(pub u64);

/// The record of every run. Records are created once under their derived id and never change.
#[async_trait]
pub trait Ledger: Debug + Send + Sync {
    /// Marks the run as open (again): the sweep will look at it until it is closed. Call it before recording what opens it.
    async fn open(&self, run: &RunId) -> PortResult<()>;

    /// Keeps a record.
    async fn record(&self, run: &RunId, record: Record) -> PortResult<Recorded>;

    /// The run as it is known: the open mark is read first, then the records.
    async fn snapshot(&self, run: &RunId) -> PortResult<Snapshot>;

    /// Takes the open mark away if it is still `seen`; returns whether it was.
    async fn close(&self, run: &RunId, seen: OpenMark) -> PortResult<bool>;

    /// The runs that are open.
    async fn open_runs(&self) -> PortResult<Vec<RunId>>;

    /// Every run, by name.
    async fn runs(&self) -> PortResult<Vec<RunId>>;
}
