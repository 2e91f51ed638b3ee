//! Writes bad rows as JSON Lines, and counts them.

use std::io::{self, Write};

use base64::{Engine, prelude::BASE64_STANDARD};

use crate::{
    cells::BadRecord,
    decode::Excerpt,
    limits::Limits,
    report::{BadRow, ReasonCounts},
};

/// The longest value shown beside a reason, in bytes.
const VALUE_BYTES: usize = 256;

/// The quarantine of one file.
pub(crate) struct Quarantine<'a, W> {
    out: W,
    limits: &'a Limits,
    expectations: &'a [String],
    written: u64,
    pub(crate) rows: u64,
    pub(crate) truncated: bool,
    pub(crate) counts: ReasonCounts,
    pub(crate) samples: Vec<BadRow>,
}

impl<'a, W: Write> Quarantine<'a, W> {
    pub(crate) fn new(out: W, limits: &'a Limits, expectations: &'a [String]) -> Self {
        let counts = ReasonCounts::default();
        Self { out, limits, expectations, written: 0, rows: 0, truncated: false, counts, samples: Vec::new() }
    }

    /// Adds one bad row. `excerpt` is asked for only while there is room to write it.
    pub(crate) fn add(
        &mut self,
        line: u64,
        column: Option<&str>,
        record: BadRecord,
        excerpt: impl FnOnce() -> Excerpt,
    ) -> io::Result<()> {
        self.rows += 1;
        self.counts.add(column, record.fault.kind());
        if self.truncated {
            return Ok(());
        }
        let excerpt = excerpt();
        let kept = truncate(&excerpt.raw, self.limits.raw_bytes);
        let (raw, raw_base64) = match std::str::from_utf8(kept) {
            Ok(raw) => (Some(raw.to_owned()), None),
            Err(_) => (None, Some(BASE64_STANDARD.encode(kept))),
        };
        let row = BadRow {
            line,
            column: column.map(str::to_owned),
            kind: record.fault.kind().to_owned(),
            reason: record.fault.message(self.expectations),
            value: excerpt.value.map(|value| String::from_utf8_lossy(truncate(&value, VALUE_BYTES)).into_owned()),
            raw_truncated: kept.len() < excerpt.raw.len(),
            raw,
            raw_base64,
        };
        let mut text = serde_json::to_vec(&row)?;
        text.push(b'\n');
        if self.written + text.len() as u64 > self.limits.quarantine_bytes {
            self.truncated = true;
            return Ok(());
        }
        self.out.write_all(&text)?;
        self.written += text.len() as u64;
        if self.samples.len() < self.limits.samples {
            self.samples.push(row);
        }
        Ok(())
    }

    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// At most `limit` bytes, not cutting a character in two.
fn truncate(text: &[u8], limit: usize) -> &[u8] {
    if text.len() <= limit {
        return text;
    }
    let start_of_character = (0..=limit).rev().take(4).find(|at| text[*at] & 0xC0 != 0x80);
    &text[..start_of_character.unwrap_or(limit)]
}
