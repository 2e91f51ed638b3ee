//! The uploaded bytes: counted, decompressed within bounds, cut into blocks at record boundaries.

use std::{
    fs::File,
    io::{self, Cursor, Read, Seek, SeekFrom},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use flate2::read::MultiGzDecoder;

use crate::{
    cells::Cell,
    csv::{split::Splitter, tokenize::count_lines},
    decode::TextBlock,
    error::{IngestError, Rejection, RejectionKind},
    limits::Limits,
};

/// Where a file comes from.
pub enum Input {
    /// A stream, read once. What needs random access (Parquet, `on_new_column: add` for JSON Lines) is spooled to an unnamed
    /// temporary file.
    Stream(Box<dyn Read + Send>),
    /// A file, read from its start.
    File(File),
}

impl Input {
    /// The input as a file.
    pub(crate) fn into_file(self) -> io::Result<File> {
        match self {
            Self::File(file) => Ok(file),
            Self::Stream(mut stream) => {
                let mut spool = tempfile::tempfile()?;
                io::copy(&mut stream, &mut spool)?;
                spool.seek(SeekFrom::Start(0))?;
                Ok(spool)
            }
        }
    }

    pub(crate) fn into_read(self) -> io::Result<Box<dyn Read + Send>> {
        match self {
            Self::Stream(stream) => Ok(stream),
            Self::File(mut file) => {
                file.seek(SeekFrom::Start(0))?;
                Ok(Box::new(file))
            }
        }
    }
}

/// Counts raw bytes, and marks the source's own errors so that they are not taken for a damaged file.
struct Source {
    inner: Box<dyn Read + Send>,
    raw: Arc<AtomicU64>,
}

#[derive(Debug, thiserror::Error)]
#[error(transparent)]
struct SourceError(io::Error);

impl Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.inner.read(buffer) {
            Ok(count) => {
                self.raw.fetch_add(count as u64, Ordering::Relaxed);
                Ok(count)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(error),
            Err(error) => Err(io::Error::new(error.kind(), SourceError(error))),
        }
    }
}

/// Ends a stream that decompresses to too much.
struct Bounded {
    inner: Box<dyn Read + Send>,
    raw: Arc<AtomicU64>,
    read: u64,
    limits: Limits,
}

impl Read for Bounded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.read += count as u64;
        let ratio_limit = self.raw.load(Ordering::Relaxed).saturating_mul(self.limits.decompression_ratio);
        let message = if self.read > self.limits.decompressed_bytes {
            format!("the file decompresses to more than {} bytes", self.limits.decompressed_bytes)
        } else if self.read > self.limits.ratio_from_bytes && self.read > ratio_limit {
            format!("the file decompresses to more than {} times its size", self.limits.decompression_ratio)
        } else {
            return Ok(count);
        };
        Err(io::Error::other(
            Rejection::new(RejectionKind::DecompressionLimit, message)
                .hint("upload it in smaller parts, or uncompressed"),
        ))
    }
}

/// What an error of a text stream means: the limit it met, the source's failure, or else a damaged file.
pub(crate) fn read_error(error: io::Error) -> IngestError {
    if error.get_ref().is_some_and(|inner| inner.is::<Rejection>()) {
        return match error.into_inner().map(|inner| inner.downcast::<Rejection>()) {
            Some(Ok(rejection)) => IngestError::Rejected(rejection),
            _ => IngestError::Io(io::ErrorKind::Other.into()),
        };
    }
    if error.get_ref().is_some_and(|inner| inner.is::<SourceError>()) {
        return match error.into_inner().map(|inner| inner.downcast::<SourceError>()) {
            Some(Ok(source)) => IngestError::Io(source.0),
            _ => IngestError::Io(io::ErrorKind::Other.into()),
        };
    }
    Rejection::new(RejectionKind::Corrupt, format!("the compressed file is damaged or cut short: {error}"))
        .hint("upload it again")
        .into()
}

/// The text of an input: decompressed if its first bytes say gzip or zstd, its UTF-8 byte order mark removed.
pub(crate) fn open_text(
    mut inner: Box<dyn Read + Send>,
    raw: Arc<AtomicU64>,
    limits: &Limits,
) -> Result<Box<dyn Read + Send>, IngestError> {
    let mut magic = Vec::with_capacity(4);
    inner.by_ref().take(4).read_to_end(&mut magic)?;
    raw.store(0, Ordering::Relaxed);
    let kind: [u8; 4] = std::array::from_fn(|index| magic.get(index).copied().unwrap_or_default());
    let source = Source { inner: Box::new(Cursor::new(magic).chain(inner)), raw: Arc::clone(&raw) };
    let bounded = |inner| Bounded { inner, raw, read: 0, limits: limits.clone() };
    let mut text: Box<dyn Read + Send> = match kind {
        [0x1F, 0x8B, ..] => {
            Box::new(bounded(Box::new(MultiGzDecoder::new(io::BufReader::with_capacity(1 << 16, source)))))
        }
        [0x28, 0xB5, 0x2F, 0xFD] => Box::new(bounded(Box::new(zstd::stream::read::Decoder::new(source)?))),
        _ => Box::new(source),
    };
    let mut start = Vec::with_capacity(8);
    text.by_ref().take(8).read_to_end(&mut start).map_err(read_error)?;
    crate::format::check_text_start(&start)?;
    if start.starts_with(b"\xEF\xBB\xBF") {
        start.drain(..3);
    }
    Ok(Box::new(Cursor::new(start).chain(text)))
}

/// Cuts a text into blocks of whole records.
pub(crate) struct TextBlocks {
    input: Box<dyn Read + Send>,
    /// CSV's delimiter; `None` for JSON Lines, which are cut at any newline.
    delimiter: Option<u8>,
    carry: Vec<u8>,
    block_bytes: usize,
    record_bytes: usize,
    started: bool,
    ended: bool,
}

impl TextBlocks {
    pub(crate) fn new(input: Box<dyn Read + Send>, delimiter: Option<u8>, limits: &Limits) -> Self {
        Self {
            input,
            delimiter,
            carry: Vec::new(),
            block_bytes: limits.block_bytes.clamp(1, Cell::MAX_BLOCK / 4),
            record_bytes: limits.record_bytes.min(Cell::MAX_BLOCK / 4),
            started: false,
            ended: false,
        }
    }

    /// The next block, in `bytes`'s memory; `None` at the end. A rejection's line counts from the block's start.
    pub(crate) fn next(&mut self, mut bytes: Vec<u8>) -> Result<Option<TextBlock>, IngestError> {
        bytes.clear();
        bytes.append(&mut self.carry);
        let mut splitter = self.delimiter.map(Splitter::new);
        let mut target = self.block_bytes.max(bytes.len());
        loop {
            while bytes.len() < target && !self.ended {
                let wanted = (target - bytes.len()) as u64;
                let read = self.input.by_ref().take(wanted).read_to_end(&mut bytes).map_err(read_error)?;
                self.ended = (read as u64) < wanted;
            }
            let boundary = match &mut splitter {
                Some(splitter) => {
                    splitter.advance(&bytes);
                    splitter.boundary()
                }
                None => memchr::memrchr(b'\n', &bytes).map_or(0, |newline| newline + 1),
            };
            let open_quote = splitter.as_ref().and_then(Splitter::open_quote);
            if self.ended {
                // A quote as the very last byte closes; the splitter was waiting for the byte after it.
                let closes = bytes.last() == Some(&b'"') && !open_to_the_end(&bytes, open_quote);
                return match open_quote {
                    Some(quote) if !closes => Err(unclosed(&bytes, quote, "never ends")),
                    _ if bytes.is_empty() => Ok(None),
                    _ => Ok(Some(TextBlock { bytes, start: 0 })),
                };
            }
            // The header has to be in the first block, after however many empty lines.
            let is_empty = |text: &[u8]| text.iter().all(|byte| matches!(byte, b'\r' | b'\n'));
            let waits_for_header = !self.started && is_empty(&bytes[..boundary]) && bytes.len() <= self.record_bytes;
            if boundary > 0 && !waits_for_header {
                self.started = true;
                self.carry.extend_from_slice(&bytes[boundary..]);
                bytes.truncate(boundary);
                return Ok(Some(TextBlock { bytes, start: 0 }));
            }
            if bytes.len() > self.record_bytes {
                return Err(match open_quote {
                    Some(quote) => unclosed(
                        &bytes,
                        quote,
                        &format!("does not end within the limit of {} bytes", self.record_bytes),
                    ),
                    None => Rejection::new(
                        RejectionKind::RecordTooLong,
                        format!("a record is longer than the limit of {} bytes", self.record_bytes),
                    )
                    .at_line(1)
                    .hint("check that the file is text with line endings")
                    .into(),
                });
            }
            target = (bytes.len() * 2).min(self.record_bytes + 1).max(bytes.len() + 1);
        }
    }
}

/// Whether the text from an opening quote on has no closing one: the quotes after it pair up.
fn open_to_the_end(bytes: &[u8], open_quote: Option<usize>) -> bool {
    let Some(open) = open_quote else { return false };
    let trailing = bytes[open + 1..].iter().rev().take_while(|byte| **byte == b'"').count();
    trailing % 2 == 0
}

fn unclosed(bytes: &[u8], quote: usize, what: &str) -> IngestError {
    Rejection::new(RejectionKind::UnclosedQuote, format!("the quoted field that opens on this line {what}"))
        .at_line(1 + count_lines(&bytes[..quote]))
        .hint("a quote inside a quoted field is written twice")
        .into()
}
