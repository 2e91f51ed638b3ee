//! What the suite of [`Source`] needs of a peer.

use std::sync::Arc;

use async_trait::async_trait;
use millstream_events::extract::{Lookback, Selection};

use crate::source::Source;

/// A row of the suite's table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// The key, within 32 bits.
    pub id: i64,
    /// A text, or NULL.
    pub name: Option<String>,
    /// The cursor: ticks from 0. A peer whose cursor is a time makes seconds of them.
    pub changed: i64,
}

impl Item {
    /// A row.
    pub fn new(id: i64, name: impl Into<Option<&'static str>>, changed: i64) -> Self {
        Self { id, name: name.into().map(str::to_owned), changed }
    }
}

/// What a kind of source can do. Rules about what it cannot are left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Abilities {
    /// It lists its tables (a folder of workbooks does not).
    pub tables: bool,
    /// It knows the columns of a table without rows (a collection of documents has none).
    pub columns_when_empty: bool,
    /// It knows the key, and that the key is required.
    pub key: bool,
    /// It knows which columns are never NULL.
    pub required: bool,
    /// It answers queries.
    pub queries: bool,
    /// It reads what changed by a cursor.
    pub cursor: bool,
    /// It knows that the key as a cursor has no value twice.
    pub unique_cursor: bool,
    /// It reads ranges of the key.
    pub ranges: bool,
}

impl Default for Abilities {
    /// All of it.
    fn default() -> Self {
        Self {
            tables: true,
            columns_when_empty: true,
            key: true,
            required: true,
            queries: true,
            cursor: true,
            unique_cursor: true,
            ranges: true,
        }
    }
}

/// What the suite needs besides the source: a table `items` with a key, a text that may be NULL and a cursor, and a way to
/// change its rows that the next statement of the source sees.
#[async_trait]
pub trait SourceFixture: Send {
    /// The source.
    fn source(&self) -> Arc<dyn Source>;

    /// The table, as the source takes it.
    fn table(&self) -> Selection;

    /// A table that is not there.
    fn unknown_table(&self) -> Selection {
        Selection::Table("no_such_table".into())
    }

    /// A query that gives the table's rows.
    fn query(&self) -> Selection {
        Selection::Query("SELECT * FROM items".into())
    }

    /// The names of the key, the text and the cursor at the source.
    fn columns(&self) -> [String; 3] {
        ["id".into(), "name".into(), "changed".into()]
    }

    /// A lookback of so many ticks.
    fn lookback(&self, ticks: u64) -> Lookback {
        Lookback::Seconds(ticks)
    }

    /// What it can do.
    fn abilities(&self) -> Abilities {
        Abilities::default()
    }

    /// Makes the table anew, without rows; also when it is not there.
    async fn recreate(&mut self);

    /// Removes the table.
    async fn remove(&mut self);

    /// Adds rows.
    async fn insert(&mut self, items: &[Item]);

    /// Sets a row's text and cursor, by its key.
    async fn update(&mut self, item: &Item);

    /// Deletes a row.
    async fn delete(&mut self, id: i64);
}
