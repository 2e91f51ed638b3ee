//! The contract of [`Source`](crate::Source), as far as it is about what changed since the last reading.

use std::collections::{BTreeMap, BTreeSet};

use millstream_events::extract::{Changes, Cursor, Lookback};

use super::source::{Item, SourceFixture, assert_is_not_there, extract, read_of, rows_of, sorted, sorted_items};
use crate::source::{Read, Ties};

/// What changed by the suite's cursor.
pub(super) fn by_cursor(fixture: &dyn SourceFixture) -> Changes {
    by_column(&fixture.columns()[2], None)
}

fn by_column(column: &str, lookback: Option<Lookback>) -> Changes {
    Changes::Cursor(Cursor { column: column.to_owned(), lookback, deleted: None })
}

fn read_by_cursor(fixture: &dyn SourceFixture, ties: Ties, since: Option<String>) -> Read {
    Read { changes: by_cursor(fixture), ties, since, range_rows: 7, ..read_of(fixture.table()) }
}

/// Numbers that only look random: every run is the same.
struct Numbers(u64);

impl Numbers {
    /// A number below `limit`.
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// Rounds of inserts and updates whose cursors repeat, also across rounds: at the newest value that the last round read.
struct Rounds {
    numbers: Numbers,
    tick: i64,
    next_id: i64,
    written: u64,
    table: BTreeMap<i64, Item>,
}

impl Rounds {
    fn new() -> Self {
        Self { numbers: Numbers(6), tick: 1, next_id: 1, written: 0, table: BTreeMap::new() }
    }

    /// Every write has a text of its own, so that what was read tells which write it saw.
    fn write(&mut self, id: i64) -> Item {
        self.written += 1;
        let item = Item { id, name: Some(format!("write {}", self.written)), changed: self.tick };
        self.table.insert(id, item.clone());
        item
    }

    async fn play(&mut self, fixture: &mut dyn SourceFixture) {
        for _ in 0..self.numbers.below(4) {
            self.tick += self.numbers.below(2) as i64;
            let inserted: Vec<Item> = (0..self.numbers.below(4))
                .map(|_| {
                    self.next_id += 1;
                    self.write(self.next_id)
                })
                .collect();
            fixture.insert(&inserted).await;
            for _ in 0..self.numbers.below(3) {
                let count = self.table.len() as u64;
                if count == 0 {
                    continue;
                }
                let nth = self.numbers.below(count) as usize;
                let id = self.table.keys().nth(nth).copied().unwrap();
                let updated = self.write(id);
                fixture.update(&updated).await;
            }
        }
    }
}

/// Merged by key, what was read is what is there, after every round.
pub async fn no_row_is_missed_when_ties_are_read_again(fixture: &mut dyn SourceFixture) {
    if !fixture.abilities().cursor {
        return;
    }
    fixture.recreate().await;
    let (mut rounds, mut since) = (Rounds::new(), None);
    let mut merged: BTreeMap<i64, Option<String>> = BTreeMap::new();
    for round in 0..25 {
        rounds.play(fixture).await;
        let read = read_by_cursor(fixture, Ties::Again, since);
        let plan = fixture.source().plan(&read).await.unwrap();
        assert_eq!(plan.everything, read.since.is_none(), "round {round}");
        let rows = rows_of(fixture, &read, &plan).await;
        let ids: BTreeSet<i64> = rows.iter().map(|(id, _)| *id).collect();
        assert_eq!(ids.len(), rows.len(), "round {round}: one reading gives no row twice: {rows:?}");
        merged.extend(rows);
        let there: BTreeMap<_, _> = rounds.table.values().map(|item| (item.id, item.name.clone())).collect();
        assert_eq!(merged, there, "round {round}");
        assert_eq!(plan.position.is_some(), !there.is_empty(), "round {round}");
        since = plan.position;
    }
}

/// Added to what was read, no write is there twice, and all of those that the next one has passed are there.
pub async fn no_row_is_missed_or_doubled_when_ties_wait(fixture: &mut dyn SourceFixture) {
    if !fixture.abilities().cursor {
        return;
    }
    fixture.recreate().await;
    let (mut rounds, mut since) = (Rounds::new(), None);
    let mut appended = BTreeSet::new();
    for round in 0..25 {
        rounds.play(fixture).await;
        let read = read_by_cursor(fixture, Ties::Once, since);
        let plan = fixture.source().plan(&read).await.unwrap();
        for (id, name) in rows_of(fixture, &read, &plan).await {
            assert!(appended.insert((id, name.clone())), "round {round}: {id} {name:?} was read twice");
        }
        let newest = rounds.table.values().map(|item| item.changed).max();
        for item in rounds.table.values() {
            let was_read = appended.contains(&(item.id, item.name.clone()));
            assert_eq!(was_read, Some(item.changed) < newest, "round {round}: {item:?}");
        }
        since = plan.position;
    }
}

/// Nothing can come beside it, so nothing is waited for; and it is not read again.
pub async fn a_unique_cursor_reads_its_newest_row_at_once(fixture: &mut dyn SourceFixture) {
    let abilities = fixture.abilities();
    if !(abilities.cursor && abilities.unique_cursor) {
        return;
    }
    fixture.recreate().await;
    let mut since = None;
    for ids in [1..2, 2..10, 10..10, 10..13] {
        let items: Vec<Item> = ids.map(|id| Item::new(id, "row", 5)).collect();
        fixture.insert(&items).await;
        let changes = by_column(&fixture.columns()[0], None);
        let read = Read { changes, ties: Ties::Once, since, range_rows: 3, ..read_of(fixture.table()) };
        let plan = fixture.source().plan(&read).await.unwrap();
        assert_eq!(sorted(rows_of(fixture, &read, &plan).await), sorted_items(&items));
        since = plan.position;
    }
}

/// As far back as it goes, and no further.
pub async fn rows_that_were_late_are_found_by_the_lookback(fixture: &mut dyn SourceFixture) {
    if !fixture.abilities().cursor {
        return;
    }
    fixture.recreate().await;
    let items = [Item::new(1, "old", 10), Item::new(2, "newer", 20), Item::new(3, "newest", 30)];
    fixture.insert(&items).await;
    let changes = by_column(&fixture.columns()[2], Some(fixture.lookback(7)));
    let first = Read { changes: changes.clone(), ..read_of(fixture.table()) };
    let plan = fixture.source().plan(&first).await.unwrap();
    assert_eq!(sorted(rows_of(fixture, &first, &plan).await), sorted_items(&items));
    let late = Item::new(4, "committed late", 25);
    fixture.insert(std::slice::from_ref(&late)).await;
    let again = Read { since: plan.position, ..first };
    assert_eq!(sorted(extract(fixture, &again).await), sorted_items(&[items[2].clone(), late]));
}

/// What comes between planning and reading, past the position, is the next reading's.
pub async fn a_reading_is_of_what_the_plan_covers(fixture: &mut dyn SourceFixture) {
    if !fixture.abilities().cursor {
        return;
    }
    for ties in [Ties::Again, Ties::Once] {
        fixture.recreate().await;
        let items = [Item::new(-1, "a", 10), Item::new(2, "b", 20), Item::new(3, "c", 30)];
        fixture.insert(&items).await;
        let first = read_by_cursor(fixture, ties, None);
        let plan = fixture.source().plan(&first).await.unwrap();
        let covered = if ties == Ties::Again { &items[..] } else { &items[..2] };
        assert_eq!(sorted(rows_of(fixture, &first, &plan).await), sorted_items(covered), "{ties:?}");
        fixture.insert(&[Item::new(-4, "d", 40), Item::new(5, None, 50)]).await;
        assert_eq!(sorted(rows_of(fixture, &first, &plan).await), sorted_items(covered), "{ties:?}");
        let second = read_by_cursor(fixture, ties, plan.position);
        let rows = extract(fixture, &second).await;
        let rest = if ties == Ties::Again {
            vec![items[2].clone(), Item::new(-4, "d", 40), Item::new(5, None, 50)]
        } else {
            vec![items[2].clone(), Item::new(-4, "d", 40)]
        };
        assert_eq!(sorted(rows), sorted_items(&rest), "{ties:?}");
    }
}

/// Not even when the newest rows are deleted: those before them would be read twice. Of an empty table there may be none.
pub async fn a_position_never_goes_back(fixture: &mut dyn SourceFixture) {
    if !fixture.abilities().cursor {
        return;
    }
    for ties in [Ties::Again, Ties::Once] {
        fixture.recreate().await;
        fixture.insert(&[Item::new(1, "a", 10), Item::new(2, "b", 20)]).await;
        let first = read_by_cursor(fixture, ties, None);
        let position = fixture.source().plan(&first).await.unwrap().position;
        assert!(position.is_some());
        fixture.delete(2).await;
        let again = read_by_cursor(fixture, ties, position.clone());
        let plan = fixture.source().plan(&again).await.unwrap();
        assert_eq!(plan.position, position, "{ties:?}");
        assert_eq!(rows_of(fixture, &again, &plan).await, [], "{ties:?}");
        fixture.delete(1).await;
        let plan = fixture.source().plan(&again).await.unwrap();
        assert!(plan.position.is_none() || plan.position == position, "{ties:?}: {plan:?}");
        assert_eq!(rows_of(fixture, &again, &plan).await, [], "{ties:?}");
    }
}

/// Before anything is read.
pub async fn an_unknown_cursor_is_told(fixture: &mut dyn SourceFixture) {
    if !fixture.abilities().cursor {
        return;
    }
    fixture.recreate().await;
    fixture.insert(&[Item::new(1, "a", 10)]).await;
    let read = Read { changes: by_column("no_such_column", None), ..read_of(fixture.table()) };
    assert_is_not_there(fixture.source().plan(&read).await, "an unknown cursor");
}
