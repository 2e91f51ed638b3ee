//! The flow of one ingest: a reader, workers, and a writer that puts their results back in order.
//!
//! The reader cuts the file into blocks; each worker decodes, checks and encodes whole blocks; the caller's thread writes row
//! groups and bad rows in the file's order, so that the same file gives the same bytes whatever the threads did. A fixed number
//! of buffers goes round: a block is read into one, and it is free again when the block's results are written. That bounds memory,
//! and how far the workers run ahead.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, Write},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{self, Receiver, Sender, SyncSender},
    },
    thread,
};

use millstream_events::contract::MaxBad;
use parquet::{
    arrow::arrow_writer::ArrowColumnChunk,
    errors::ParquetError,
    file::writer::{SerializedFileWriter, SerializedRowGroupWriter},
};

use crate::{
    cells::BadRecord,
    check::{Checks, keep_good},
    decode::{Block, Decode, Decoded},
    encode::Encoder,
    error::{IngestError, Rejection, RejectionKind},
    limits::Limits,
    quarantine::Quarantine,
};

/// A block or its outcome, or why there are no more, with its place in the file.
type Numbered<B> = (u64, Result<B, IngestError>);

/// What a worker made of one block.
struct Outcome<B> {
    block: B,
    rows: u64,
    bad: Vec<BadRecord>,
    chunks: Vec<ArrowColumnChunk>,
    unknown: Vec<String>,
    lines: u64,
}

/// What the run adds up to.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    pub(crate) rows: u64,
    pub(crate) unknown: BTreeSet<String>,
}

/// What every thread shares.
pub(crate) struct Engine<'a, D> {
    pub(crate) decoder: &'a D,
    pub(crate) checks: &'a Checks,
    pub(crate) encoder: &'a Encoder,
    pub(crate) max_bad: MaxBad,
    pub(crate) limits: &'a Limits,
}

impl<D: Decode> Engine<'_, D> {
    /// Ingests all the blocks that `next` gives into `file` and `quarantine`.
    pub(crate) fn run<W: Write + Send, Q: Write>(
        &self,
        mut next: impl FnMut(Vec<u8>) -> Result<Option<D::Block>, IngestError> + Send,
        file: &mut SerializedFileWriter<W>,
        quarantine: &mut Quarantine<'_, Q>,
    ) -> Result<Totals, IngestError> {
        let threads = self.limits.worker_threads();
        let (free_sender, free) = mpsc::channel();
        for _ in 0..threads + 2 {
            // The receiver is right here.
            let _ = free_sender.send(Vec::new());
        }
        let (block_sender, blocks) = mpsc::sync_channel(1);
        // The workers own the receiver: when they are gone, the reader's next send fails and it ends too.
        let blocks = Arc::new(Mutex::new(blocks));
        let (outcome_sender, outcomes) = mpsc::channel();
        thread::scope(|scope| {
            scope.spawn(move || read(&mut next, &free, &block_sender));
            for _ in 0..threads {
                let outcome_sender = outcome_sender.clone();
                let blocks = Arc::clone(&blocks);
                scope.spawn(move || self.work(&blocks, &outcome_sender));
            }
            drop((outcome_sender, blocks));
            let totals = self.write_in_order(&outcomes, free_sender, file, quarantine);
            // On a failure the others may be waiting: for a turn, for a buffer (its sender is gone), to hand something on.
            self.checks.unique.cancel();
            drop(outcomes);
            totals
        })
    }

    fn work(&self, blocks: &Mutex<Receiver<Numbered<D::Block>>>, outcomes: &Sender<Numbered<Outcome<D::Block>>>) {
        let _cancel = CancelOnPanic(self.checks);
        loop {
            let received = blocks.lock().unwrap_or_else(PoisonError::into_inner).recv();
            let Ok((number, block)) = received else { return };
            let outcome = match block.and_then(|block| self.process(number, block)) {
                Ok(Some(outcome)) => Ok(outcome),
                Ok(None) => return,
                Err(error) => Err(error),
            };
            if outcomes.send((number, outcome)).is_err() {
                return;
            }
        }
    }

    /// All of a worker's part in one block; `None` when the ingest has ended meanwhile.
    fn process(&self, number: u64, block: D::Block) -> Result<Option<Outcome<D::Block>>, IngestError> {
        let mut decoded = self.decoder.decode(&block)?;
        let Some(good) = self.checks.apply(number, &mut decoded)? else { return Ok(None) };
        let bad = bad_records(&mut decoded);
        let (arrays, rows) = keep_good(decoded.arrays, good)?;
        let chunks = if rows == 0 { Vec::new() } else { self.encoder.encode(&arrays).map_err(write_error)? };
        let (unknown, lines) = (decoded.unknown, decoded.lines);
        Ok(Some(Outcome { block, rows: rows as u64, bad, chunks, unknown, lines }))
    }

    fn write_in_order<W: Write + Send, Q: Write>(
        &self,
        outcomes: &Receiver<Numbered<Outcome<D::Block>>>,
        free: Sender<Vec<u8>>,
        file: &mut SerializedFileWriter<W>,
        quarantine: &mut Quarantine<'_, Q>,
    ) -> Result<Totals, IngestError> {
        let mut totals = Totals::default();
        let (mut early, mut number, mut lines) = (BTreeMap::new(), 0, 0);
        for (arrived, outcome) in outcomes {
            early.insert(arrived, outcome);
            while let Some(outcome) = early.remove(&number) {
                let outcome = outcome.map_err(|error| shift_line(error, lines))?;
                number += 1;
                self.write_bad(&outcome, lines, totals.rows, quarantine)?;
                write_row_group(file, outcome.chunks)?;
                totals.rows += outcome.rows;
                totals.unknown.extend(outcome.unknown);
                lines += outcome.lines;
                // The reader may have ended; then nobody needs the buffer.
                let _ = free.send(outcome.block.recycle());
            }
        }
        if let MaxBad::Share(share) = self.max_bad {
            let all = totals.rows + quarantine.rows;
            if all > 0 && quarantine.rows as f64 > share * all as f64 {
                return Err(too_many(
                    quarantine,
                    &format!("{} of {all} rows are bad; the contract allows {share}", quarantine.rows),
                ));
            }
        }
        Ok(totals)
    }

    fn write_bad<Q: Write>(
        &self,
        outcome: &Outcome<D::Block>,
        lines_before: u64,
        rows_before: u64,
        quarantine: &mut Quarantine<'_, Q>,
    ) -> Result<(), IngestError> {
        let (mut position, mut line) = (0, lines_before + 1);
        for record in &outcome.bad {
            line += outcome.block.lines_between(position, record.position);
            position = record.position;
            let column = record.column.map(|index| self.decoder.layout().columns[usize::from(index)].name.as_str());
            quarantine
                .add(line, column, *record, || self.decoder.excerpt(&outcome.block, record.position, record.column))?;
            if let MaxBad::Rows(most) = self.max_bad
                && quarantine.rows > most
            {
                let message = format!("more than {most} rows are bad, after {rows_before} good ones or more");
                return Err(too_many(quarantine, &message));
            }
        }
        Ok(())
    }
}

/// The bad records in the order of the file, each with the fault of its leftmost column.
fn bad_records(decoded: &mut Decoded) -> Vec<BadRecord> {
    let mut bad = std::mem::take(&mut decoded.broken);
    bad.extend(decoded.faults.iter().map(|fault| match &decoded.positions {
        Some(positions) => BadRecord { position: positions[fault.position as usize], ..*fault },
        None => *fault,
    }));
    bad.sort_by_key(|record| (record.position, record.column));
    bad.dedup_by_key(|record| record.position);
    bad
}

fn read<B>(
    next: &mut impl FnMut(Vec<u8>) -> Result<Option<B>, IngestError>,
    free: &Receiver<Vec<u8>>,
    blocks: &SyncSender<Numbered<B>>,
) {
    let mut number = 0;
    while let Ok(buffer) = free.recv() {
        let Some(block) = next(buffer).transpose() else { return };
        let ended = block.is_err();
        if blocks.send((number, block)).is_err() || ended {
            return;
        }
        number += 1;
    }
}

/// Lets the other workers go when one panics: they may be waiting for its turn.
struct CancelOnPanic<'a>(&'a Checks);

impl Drop for CancelOnPanic<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.unique.cancel();
        }
    }
}

fn write_row_group<W: Write + Send>(
    file: &mut SerializedFileWriter<W>,
    chunks: Vec<ArrowColumnChunk>,
) -> Result<(), IngestError> {
    if chunks.is_empty() {
        return Ok(());
    }
    let mut group = file.next_row_group().map_err(write_error)?;
    for chunk in chunks {
        chunk.append_to_row_group(&mut group).map_err(write_error)?;
    }
    SerializedRowGroupWriter::close(group).map_err(write_error)?;
    Ok(())
}

/// Writing fails only where the output does.
pub(crate) fn write_error(error: ParquetError) -> IngestError {
    match error {
        ParquetError::External(inner) => match inner.downcast::<io::Error>() {
            Ok(error) => IngestError::Io(*error),
            Err(inner) => IngestError::Io(io::Error::other(inner)),
        },
        error => IngestError::Io(io::Error::other(error)),
    }
}

fn shift_line(error: IngestError, lines: u64) -> IngestError {
    match error {
        IngestError::Rejected(mut rejection) => {
            rejection.line = rejection.line.map(|line| line + lines);
            IngestError::Rejected(rejection)
        }
        other => other,
    }
}

fn too_many<Q: Write>(quarantine: &Quarantine<'_, Q>, message: &str) -> IngestError {
    let mut rejection = Rejection::new(RejectionKind::TooManyBadRows, message);
    if let Some(first) = quarantine.samples.first() {
        rejection = rejection.hint(format!("the first is on line {}: {}", first.line, first.reason));
        rejection.column.clone_from(&first.column);
    }
    rejection.into()
}
