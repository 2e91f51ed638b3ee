//! What is known of every run.

use std::fmt::Debug;

use async_trait::async_trait;
use millstream_events::{
    Fingerprint,
    extract::Bookmark,
    history::{History, Record},
    names::{RunId, TableName},
};
use serde::{Deserialize, Serialize};

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

/// The latest turn at extracting into a table, and what had been loaded before it.
///
/// It says who is next, and is no fact itself: what an extraction has come to stands in the history of the run whose turn it
/// was, and is read there when the next turn is taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TurnHolder {
    /// 1, 2 and so on.
    pub number: u32,
    /// Orders the turns' writes: grows with each turn.
    pub sequence: u64,
    /// Whose turn it is.
    pub run: RunId,
    /// Which of the run's turns: a run whose extraction failed may take another one.
    pub claim: u32,
    /// What is extracted, hashed: where another thing was extracted before, its bookmark is no use.
    pub of: Fingerprint,
    /// Where the loaded extractions before this turn had come to, and what they extracted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loaded: Option<(Fingerprint, Bookmark)>,
}

/// A state of a table's turns. A later state has another mark, so that a turn taken on old knowledge is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TurnMark(pub u64);

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

    /// Whose turn it is to extract into a table; `None` before the first one.
    async fn turn(&self, table: &TableName) -> PortResult<Option<(TurnHolder, TurnMark)>>;

    /// Gives the turn to another holder, if its state is still `seen` (`None`: there is none); returns whether it was.
    async fn take_turn(&self, table: &TableName, holder: TurnHolder, seen: Option<TurnMark>) -> PortResult<bool>;

    /// Every run, by name.
    async fn runs(&self) -> PortResult<Vec<RunId>>;
}
