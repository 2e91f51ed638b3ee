//! Judges decoded rows by the contract: required columns, keys, expectations.

use arrow::{
    array::{Array, ArrayRef, AsArray, BooleanArray},
    compute::filter,
    datatypes::{DataType, Float64Type},
};
use millstream_events::contract::Column;

use crate::{
    cells::BadRecord,
    decode::Decoded,
    error::{Rejection, RejectionKind},
    expect::{self, Compiled, Row},
    fault::Fault,
    unique::{UniqueRule, UniqueSets},
};

/// A contract's rules about rows, ready to run.
#[derive(Debug)]
pub(crate) struct Checks {
    required: Vec<usize>,
    keys: Vec<usize>,
    /// The array that says which rows were deleted at their source: of those only the keys count.
    deleted: Option<usize>,
    /// Columns in which a NaN could not be told from another.
    not_nan: Vec<usize>,
    not_null: Vec<(u16, usize)>,
    rows: Vec<(u16, Row)>,
    pub(crate) unique: UniqueSets,
}

impl Checks {
    /// Compiles the expectations against the table's columns. `keys` are required whatever their columns say.
    pub(crate) fn new(columns: &[Column], expectations: &[String], keys: &[String]) -> Result<Self, Rejection> {
        let contract = |message: String| Rejection::new(RejectionKind::Contract, message);
        let mut checks = Self {
            required: (0..columns.len()).filter(|index| columns[*index].required).collect(),
            keys: Vec::new(),
            deleted: None,
            not_nan: Vec::new(),
            not_null: Vec::new(),
            rows: Vec::new(),
            unique: UniqueSets::new(Vec::new()),
        };
        for key in keys {
            let index = columns
                .iter()
                .position(|column| column.name.eq_ignore_ascii_case(key))
                .ok_or_else(|| contract(format!("the key {key:?} is no column of the table")).in_column(key))?;
            checks.required.push(index);
            checks.not_nan.push(index);
            checks.keys.push(index);
        }
        let mut unique = Vec::new();
        for (number, text) in expectations.iter().enumerate() {
            let number = number as u16;
            let compiled = expect::parse(text)
                .and_then(|expectation| expectation.compile(columns))
                .map_err(|error| contract(format!("the expectation `{text}` is wrong: {error}")))?;
            match compiled {
                Compiled::Unique(columns) => {
                    checks.not_nan.extend(&columns);
                    unique.push(UniqueRule { expectation: number, columns });
                }
                Compiled::NotNull(columns) => {
                    checks.not_null.extend(columns.into_iter().map(|column| (number, column)))
                }
                Compiled::Row(row) => checks.rows.push((number, row)),
            }
        }
        checks.unique = UniqueSets::new(unique);
        Ok(checks)
    }

    /// Judges deleted rows by their keys alone: `deleted` is the array that says which they are.
    pub(crate) fn with_deleted(self, deleted: usize) -> Self {
        Self { deleted: Some(deleted), ..self }
    }

    /// Lets rows repeat, as the changes in a log do.
    pub(crate) fn without_unique(self) -> Self {
        Self { unique: UniqueSets::new(Vec::new()), ..self }
    }

    /// Adds faults to `decoded` for the rows that break a rule, and says which rows are good; `None` when the ingest has ended
    /// meanwhile. `number` is the block's place in the file.
    pub(crate) fn apply(&self, number: u64, decoded: &mut Decoded) -> Result<Option<Vec<bool>>, Rejection> {
        let rows = decoded.arrays.first().map_or(0, |array| array.len());
        let deleted = self.deleted.map(|index| decoded.arrays[index].as_boolean().clone());
        let is_deleted =
            |row: usize| deleted.as_ref().is_some_and(|deleted| deleted.is_valid(row) && deleted.value(row));
        let is_key = |column: usize| self.keys.contains(&column);
        if deleted.is_some() {
            let counts = |fault: &BadRecord| {
                !is_deleted(fault.position as usize) || fault.column.is_some_and(|column| is_key(column.into()))
            };
            decoded.faults.retain(counts);
        }
        let mut good = vec![true; rows];
        for fault in &decoded.faults {
            good[fault.position as usize] = false;
        }
        for column in &self.required {
            mark_nulls(decoded, &mut good, *column, Fault::Missing, |row| is_key(*column) || !is_deleted(row));
        }
        for (expectation, column) in &self.not_null {
            mark_nulls(decoded, &mut good, *column, Fault::NotNull(*expectation), |row| !is_deleted(row));
        }
        for column in &self.not_nan {
            let array = ArrayRef::clone(&decoded.arrays[*column]);
            if *array.data_type() == DataType::Float64 {
                let values = array.as_primitive::<Float64Type>();
                let is_nan = |row: usize| {
                    values.is_valid(row) && values.value(row).is_nan() && (is_key(*column) || !is_deleted(row))
                };
                mark(&mut decoded.faults, &mut good, Some(*column), Fault::NanKey, is_nan);
            }
        }
        for (expectation, row) in &self.rows {
            let verdict = row.evaluate(&decoded.arrays, rows);
            // NULL is no verdict, as in SQL's CHECK.
            let fails = |row: usize| verdict.holds.is_valid(row) && !verdict.holds.value(row) && !is_deleted(row);
            mark(&mut decoded.faults, &mut good, row.column(), Fault::Expectation(*expectation), fails);
            let errs = |row: usize| verdict.errors.binary_search(&row).is_ok() && !is_deleted(row);
            mark(&mut decoded.faults, &mut good, row.column(), Fault::Evaluation(*expectation), errs);
        }
        let mut keys = self.unique.keys(&decoded.arrays)?;
        if deleted.is_some() {
            keys.iter_mut().for_each(|keys| keys.forget(is_deleted));
        }
        Ok(self.unique.check(number, &keys, &mut good, decoded).then_some(good))
    }
}

fn mark_nulls(decoded: &mut Decoded, good: &mut [bool], column: usize, fault: Fault, counts: impl Fn(usize) -> bool) {
    let array = ArrayRef::clone(&decoded.arrays[column]);
    if array.null_count() > 0 {
        mark(&mut decoded.faults, good, Some(column), fault, |row| array.is_null(row) && counts(row));
    }
}

/// Marks the rows that are good so far and for which `is_bad`.
fn mark(
    faults: &mut Vec<BadRecord>,
    good: &mut [bool],
    column: Option<usize>,
    fault: Fault,
    is_bad: impl Fn(usize) -> bool,
) {
    for (row, good) in good.iter_mut().enumerate() {
        if *good && is_bad(row) {
            *good = false;
            faults.push(BadRecord { position: row as u32, column: column.map(|column| column as u16), fault });
        }
    }
}

/// The good rows' values.
pub(crate) fn keep_good(arrays: Vec<ArrayRef>, good: Vec<bool>) -> Result<(Vec<ArrayRef>, usize), Rejection> {
    let rows = good.iter().filter(|good| **good).count();
    if rows == good.len() {
        return Ok((arrays, rows));
    }
    let mask = BooleanArray::from(good);
    Ok((arrays.iter().map(|array| filter(array, &mask)).collect::<Result<_, _>>()?, rows))
}
