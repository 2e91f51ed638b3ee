//! What an extraction comes to, and what each of its ranges does: kept as JSON beside the batches. Pure.
//!
//! An account is written last and once. Where a range's is there, its batch and its quarantine are too, and it is not read
//! again; where the extraction's is there, a redelivered command is answered from it.

use std::collections::{BTreeMap, BTreeSet};

use millstream_events::{
    contract::{Column, MaxBad},
    extract::{Bookmark, ExtractSource},
    fact::{Reason, SourceExtracted},
    names::ObjectPath,
};
use millstream_tabular::Report;
use serde::{Deserialize, Serialize};

use crate::planning::Kept;

/// How an extraction ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Account {
    /// The batches are there.
    Extracted(SourceExtracted),
    /// The rows were refused.
    Rejected(Reason),
}

/// How the reading of a range ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct RangeAccount {
    /// Good rows.
    pub(crate) rows: u64,
    /// Rows in quarantine.
    pub(crate) bad_rows: u64,
    /// Bytes of the rows in memory.
    pub(crate) bytes: u64,
    /// The batch; absent where it would have no row and is not needed.
    pub(crate) batch: Option<ObjectPath>,
    /// Where the bad rows are, if there are any.
    pub(crate) quarantine: Option<ObjectPath>,
    /// How many rows broke the contract in which way.
    pub(crate) reasons: BTreeMap<String, u64>,
    /// The first bad row, for a person.
    pub(crate) first_bad: Option<String>,
    /// Whether there were more bad rows than the quarantine keeps.
    pub(crate) truncated: bool,
    /// In which go it was read: 1 for the ranges that were read together first.
    pub(crate) go: u32,
}

impl RangeAccount {
    pub(crate) fn of_report(
        report: &Report,
        go: u32,
        batch: Option<ObjectPath>,
        quarantine: Option<ObjectPath>,
    ) -> Self {
        let first_bad = report.samples.first().map(|row| {
            let column = row.column.as_ref().map(|column| format!(", column {column}")).unwrap_or_default();
            format!("row {}{column}: {}", row.line, row.reason)
        });
        Self {
            rows: report.rows,
            bad_rows: report.bad_rows,
            bytes: report.bytes_read,
            batch,
            quarantine,
            reasons: reasons(report),
            first_bad,
            truncated: report.quarantine_truncated,
            go,
        }
    }
}

/// Bad rows by `column: kind of fault`; by the fault alone where no column is at fault.
fn reasons(report: &Report) -> BTreeMap<String, u64> {
    let named = report.reasons.iter().map(|reason| {
        let name = match &reason.column {
            Some(column) => format!("{column}: {}", reason.kind),
            None => reason.kind.clone(),
        };
        (name, reason.rows)
    });
    named.collect()
}

/// What the ranges, in their order, come to. `laid_out` is the account of a file without rows: what the columns are.
pub(crate) fn sum_up(
    work: &ExtractSource,
    kept: &Kept,
    laid_out: &Report,
    has_deletes: bool,
    ranges: &[RangeAccount],
) -> Account {
    let rows: u64 = ranges.iter().map(|range| range.rows).sum();
    let bad_rows: u64 = ranges.iter().map(|range| range.bad_rows).sum();
    if let Some(message) = too_many_bad(work.contract.max_bad, rows, bad_rows) {
        let first = ranges.iter().find_map(|range| range.first_bad.as_ref());
        let first = first.map(|first| format!(" (the first is {first})")).unwrap_or_default();
        let kept = ranges.iter().filter_map(|range| range.quarantine.clone()).collect();
        return Account::Rejected(Reason { message: format!("{message}{first}"), detail: None, kept });
    }
    let with_rows = ranges.iter().filter(|range| range.rows > 0).filter_map(|range| range.batch.clone());
    let mut batches: Vec<ObjectPath> = with_rows.collect();
    if batches.is_empty() && kept.plan.everything {
        batches.extend(ranges.first().and_then(|range| range.batch.clone()));
    }
    let mut reasons = BTreeMap::new();
    for (reason, rows) in ranges.iter().flat_map(|range| &range.reasons) {
        *reasons.entry(reason.clone()).or_default() += rows;
    }
    Account::Extracted(SourceExtracted {
        batches,
        rows,
        bad_rows,
        quarantine: ranges.iter().filter_map(|range| range.quarantine.clone()).collect(),
        reasons,
        columns: laid_out.columns.clone(),
        bookmark: Bookmark { shape: kept.shape.clone(), position: kept.position() },
        everything: kept.plan.everything,
        deletes: has_deletes,
        notes: notes(work, kept, laid_out, ranges),
    })
}

/// Judged over all ranges: a bad stretch of a good table is no bad table.
fn too_many_bad(max_bad: MaxBad, rows: u64, bad_rows: u64) -> Option<String> {
    let all = rows + bad_rows;
    match max_bad {
        MaxBad::Rows(most) if bad_rows > most => Some(format!("{bad_rows} of {all} rows are bad, more than {most}")),
        MaxBad::Share(share) if bad_rows as f64 > share * all as f64 => {
            Some(format!("{bad_rows} of {all} rows are bad, more than {}%", share * 100.0))
        }
        _ => None,
    }
}

fn notes(work: &ExtractSource, kept: &Kept, laid_out: &Report, ranges: &[RangeAccount]) -> Vec<String> {
    let about =
        |columns: Vec<String>, what: &str| (!columns.is_empty()).then(|| format!("{what}: {}", columns.join(", ")));
    let ignored = kept.ignored.iter().chain(&laid_out.ignored_columns).cloned().collect();
    let added = laid_out.added_columns.iter().map(|Column { name, kind, .. }| format!("{name} {kind}")).collect();
    let goes = ranges.iter().map(|range| range.go).collect::<BTreeSet<u32>>().len();
    let has_unique = work.contract.expect.iter().any(|text| {
        millstream_tabular::expect::parse(text).is_ok_and(|expectation| expectation.unique_columns().is_some())
    });
    let more = [
        about(ignored, "the source's columns that the contract has not were left out"),
        about(added, "the source's new columns were added"),
        about(laid_out.missing_columns.clone(), "the contract's columns that the source has not are NULL"),
        (kept.is_log(work) && has_unique).then(|| "unique(..) is not judged over a log's changes".to_owned()),
        (goes > 1).then(|| {
            let goes = if goes == 2 { "two".to_owned() } else { goes.to_string() };
            format!("read in {goes} goes, after it was interrupted: what changed in between may be in some ranges only")
        }),
        ranges
            .iter()
            .any(|range| range.truncated)
            .then(|| "there were more bad rows than the quarantine keeps".to_owned()),
    ];
    kept.notes.iter().cloned().chain(more.into_iter().flatten()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_rows_are_judged_by_number_or_by_share() {
        assert_eq!(too_many_bad(MaxBad::Rows(2), 10, 2), None);
        assert_eq!(too_many_bad(MaxBad::Rows(2), 7, 3).as_deref(), Some("3 of 10 rows are bad, more than 2"));
        assert_eq!(too_many_bad(MaxBad::Share(0.3), 7, 3), None);
        assert_eq!(too_many_bad(MaxBad::Share(0.25), 7, 3).as_deref(), Some("3 of 10 rows are bad, more than 25%"));
        assert_eq!(too_many_bad(MaxBad::Share(0.0), 0, 0), None);
    }
}
