//! `unique(...)`: the first row of a value is good, later ones are not.
//!
//! A set remembers every value seen. A single column of at most 64 bits (INT64, DATE, TIME, DATETIME, TIMESTAMP) is kept as
//! itself: 8 bytes and one of overhead in a table that is at least 7/16 full, so 10 to 21 bytes a row. Anything else is kept as the
//! first 16 bytes of its BLAKE3 hash: 19 to 39 bytes a row. A row with a NULL in the columns equals nothing and is not kept.

use std::{
    collections::HashSet,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
};

use arrow::{
    array::{Array, ArrayRef, AsArray},
    datatypes::{DataType, Date32Type, Int64Type},
    util::display::{ArrayFormatter, FormatOptions},
};
use foldhash::fast::RandomState;

use crate::{cells::BadRecord, decode::Decoded, error::Rejection, fault::Fault, schema};

/// One `unique(...)` of a contract.
#[derive(Debug, Clone)]
pub(crate) struct UniqueRule {
    /// Its place among the contract's expectations.
    pub(crate) expectation: u16,
    /// The table's columns.
    pub(crate) columns: Vec<usize>,
}

/// The values of a block's rows under one rule; `None` for a row with a NULL.
#[derive(Debug)]
pub(crate) enum Keys {
    Small(Vec<Option<u64>>),
    Hashed(Vec<Option<u128>>),
}

impl Keys {
    /// Leaves rows out, as those with a NULL are.
    pub(crate) fn forget(&mut self, is_forgotten: impl Fn(usize) -> bool) {
        fn clear<T>(keys: &mut [Option<T>], is_forgotten: impl Fn(usize) -> bool) {
            keys.iter_mut().enumerate().filter(|(row, _)| is_forgotten(*row)).for_each(|(_, key)| *key = None);
        }
        match self {
            Self::Small(keys) => clear(keys, is_forgotten),
            Self::Hashed(keys) => clear(keys, is_forgotten),
        }
    }
}

#[derive(Debug, Default)]
struct Seen {
    small: HashSet<u64, RandomState>,
    hashed: HashSet<u128, RandomState>,
}

/// The sets of one file, entered by its blocks in their order whichever worker has them.
#[derive(Debug)]
pub(crate) struct UniqueSets {
    rules: Vec<UniqueRule>,
    turn: Mutex<Turn>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Turn {
    next: u64,
    cancelled: bool,
    seen: Vec<Seen>,
}

impl UniqueSets {
    pub(crate) fn new(rules: Vec<UniqueRule>) -> Self {
        let seen = rules.iter().map(|_| Seen::default()).collect();
        Self { rules, turn: Mutex::new(Turn { seen, ..Turn::default() }), changed: Condvar::new() }
    }

    /// The keys of a block's rows; no lock is held.
    pub(crate) fn keys(&self, arrays: &[ArrayRef]) -> Result<Vec<Keys>, Rejection> {
        self.rules.iter().map(|rule| keys(&rule.columns.iter().map(|c| &arrays[*c]).collect::<Vec<_>>())).collect()
    }

    /// Waits for block `number`'s turn, then finds the rows whose values were seen before, among those that are still good.
    /// False when the ingest has ended meanwhile.
    pub(crate) fn check(&self, number: u64, keys: &[Keys], good: &mut [bool], decoded: &mut Decoded) -> bool {
        if self.rules.is_empty() {
            return true;
        }
        let mut turn = self.lock();
        while turn.next != number && !turn.cancelled {
            turn = self.changed.wait(turn).unwrap_or_else(PoisonError::into_inner);
        }
        if turn.cancelled {
            return false;
        }
        for ((rule, keys), seen) in self.rules.iter().zip(keys).zip(&mut turn.seen) {
            let fault = Fault::Duplicate(rule.expectation);
            let column = rule.columns.first().map(|column| *column as u16);
            for (row, good) in good.iter_mut().enumerate().filter(|(_, good)| **good) {
                let first = match keys {
                    Keys::Small(keys) => keys[row].is_none_or(|key| seen.small.insert(key)),
                    Keys::Hashed(keys) => keys[row].is_none_or(|key| seen.hashed.insert(key)),
                };
                if !first {
                    *good = false;
                    decoded.faults.push(BadRecord { position: row as u32, column, fault });
                }
            }
        }
        turn.next = number + 1;
        self.changed.notify_all();
        true
    }

    /// Lets every waiting worker go.
    pub(crate) fn cancel(&self) {
        self.lock().cancelled = true;
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Turn> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn keys(arrays: &[&ArrayRef]) -> Result<Keys, Rejection> {
    let rows = arrays.first().map_or(0, |array| array.len());
    if let [array] = arrays {
        let small = match array.data_type() {
            DataType::Int64 => {
                Some(array.as_primitive::<Int64Type>().iter().map(|v| v.map(i64::cast_unsigned)).collect())
            }
            DataType::Date32 => Some(
                array.as_primitive::<Date32Type>().iter().map(|v| v.map(|v| i64::from(v).cast_unsigned())).collect(),
            ),
            DataType::Timestamp(..) | DataType::Time64(_) => {
                let values = arrow::compute::cast(array, &DataType::Int64)?;
                Some(values.as_primitive::<Int64Type>().iter().map(|v| v.map(i64::cast_unsigned)).collect())
            }
            _ => None,
        };
        if let Some(keys) = small {
            return Ok(Keys::Small(keys));
        }
    }
    let arrays = arrays.iter().map(|array| schema::without_zone(array)).collect::<Result<Vec<_>, _>>()?;
    let options = FormatOptions::default();
    let formatters =
        arrays.iter().map(|array| ArrayFormatter::try_new(array.as_ref(), &options)).collect::<Result<Vec<_>, _>>()?;
    let mut text = String::new();
    let mut keys = Vec::with_capacity(rows);
    for row in 0..rows {
        if arrays.iter().any(|array| array.is_null(row)) {
            keys.push(None);
            continue;
        }
        let mut hash = blake3::Hasher::new();
        for (array, formatter) in arrays.iter().zip(&formatters) {
            text.clear();
            // Strings go in as they are; other values by their text, which is the same for equal values of one type.
            let bytes = match array.as_string_opt::<i32>() {
                Some(strings) => strings.value(row).as_bytes(),
                None => {
                    formatter.value(row).write(&mut text)?;
                    if text == "-0.0" { b"0.0" } else { text.as_bytes() }
                }
            };
            hash.update(&(bytes.len() as u64).to_le_bytes()).update(bytes);
        }
        let mut half = [0; 16];
        hash.finalize_xof().fill(&mut half);
        keys.push(Some(u128::from_le_bytes(half)));
    }
    Ok(Keys::Hashed(keys))
}
