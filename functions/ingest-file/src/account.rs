//! What an ingest comes to, kept beside its batch as `{batch}.report.json`: pure.
//!
//! The account is written last and once. Where it is there, the batch and the quarantine are too, and a redelivered command
//! is answered from it without reading the upload again.

use std::collections::BTreeMap;

use millstream_events::{
    contract::Column,
    fact::{BatchIngested, Reason},
    names::{NameError, ObjectPath},
    work::IngestFile,
};
use millstream_tabular::{Rejection, Report};
use serde::{Deserialize, Serialize};

/// How an ingest ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Account {
    /// The batch is there.
    Ingested(BatchIngested),
    /// The file was refused: the same bytes would be refused again.
    Rejected(Reason),
}

impl Account {
    /// Where the account of a batch is kept.
    pub(crate) fn path(batch: &ObjectPath) -> Result<ObjectPath, NameError> {
        ObjectPath::new(batch.bucket(), format!("{}.report.json", batch.name()))
    }

    /// The account of a file whose good rows are in its batch.
    pub(crate) fn of_report(work: &IngestFile, report: Report) -> Self {
        let notes = notes(&report);
        Self::Ingested(BatchIngested {
            object: work.object.clone(),
            batch: work.batch.clone(),
            rows: report.rows,
            bad_rows: report.bad_rows,
            quarantine: (report.bad_rows > 0).then(|| work.quarantine.clone()),
            reasons: reasons(&report),
            columns: report.columns,
            notes,
        })
    }

    /// The account of a refused file; `kept` is the quarantine, if rows had gone there by then.
    pub(crate) fn of_rejection(work: &IngestFile, rejection: &Rejection, kept: Option<ObjectPath>) -> Self {
        let place = match (rejection.line, &rejection.column) {
            (Some(line), Some(column)) => format!(", line {line}, column {column}"),
            (Some(line), None) => format!(", line {line}"),
            (None, Some(column)) => format!(", column {column}"),
            (None, None) => String::new(),
        };
        let hint = rejection.hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default();
        Self::Rejected(Reason {
            message: format!("{} was rejected{place}: {}{hint}", work.object, rejection.message),
            detail: None,
            kept: kept.into_iter().collect(),
        })
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

fn notes(report: &Report) -> Vec<String> {
    let added: Vec<String> =
        report.added_columns.iter().map(|Column { name, kind, .. }| format!("{name} {kind}")).collect();
    let about =
        |columns: &[String], what: &str| (!columns.is_empty()).then(|| format!("{what}: {}", columns.join(", ")));
    [
        about(&report.ignored_columns, "the file's columns that the contract has not were left out"),
        about(&added, "the file's new columns were added"),
        about(&report.missing_columns, "the contract's columns that the file has not are NULL"),
        report.quarantine_truncated.then(|| "there were more bad rows than the quarantine keeps".to_owned()),
    ]
    .into_iter()
    .flatten()
    .collect()
}
