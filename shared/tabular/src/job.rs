//! One ingest, whatever its rows come from: the engine with its outputs, and the account of what it did.

use std::io::{self, Write};

use arrow::datatypes::SchemaRef;
use millstream_events::contract::Contract;

use crate::{
    check::Checks,
    decode::Decode,
    encode::Encoder,
    engine::{Engine, write_error},
    error::IngestError,
    limits::Limits,
    quarantine::Quarantine,
    report::Report,
};

/// How the blocks that come are ingested.
pub(crate) struct Job<'a, D> {
    pub(crate) decoder: &'a D,
    pub(crate) checks: Checks,
    /// What the decoder's arrays are in the batch.
    pub(crate) schema: SchemaRef,
    pub(crate) contract: &'a Contract,
    pub(crate) limits: &'a Limits,
}

impl<D: Decode> Job<'_, D> {
    /// Ingests all the blocks that `next` gives.
    pub(crate) fn run<B: Write + Send, Q: Write>(
        self,
        next: impl FnMut(Vec<u8>) -> Result<Option<D::Block>, IngestError> + Send,
        batch: B,
        quarantine: Q,
    ) -> Result<Report, IngestError> {
        let Self { decoder, checks, schema, contract, limits } = self;
        let encoder = Encoder::new(schema).map_err(write_error)?;
        let engine = Engine { decoder, checks: &checks, encoder: &encoder, max_bad: contract.max_bad, limits };
        let mut quarantine = Quarantine::new(io::BufWriter::new(quarantine), limits, &contract.expect);
        let mut file = encoder.file(batch).map_err(write_error)?;
        let totals = engine.run(next, &mut file, &mut quarantine);
        quarantine.flush()?;
        let totals = totals?;
        file.close().map_err(write_error)?;
        let layout = decoder.layout();
        Ok(Report {
            rows: totals.rows,
            bad_rows: quarantine.rows,
            bytes_read: 0,
            columns: layout.columns.clone(),
            ignored_columns: layout.ignored.iter().cloned().chain(totals.unknown).collect(),
            added_columns: layout.added.clone(),
            missing_columns: layout.missing.clone(),
            reasons: quarantine.counts.into_sorted(),
            samples: quarantine.samples,
            quarantine_truncated: quarantine.truncated,
        })
    }
}
