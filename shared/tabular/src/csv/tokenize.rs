//! Splits a block into cells, 64 bytes at a time.
//!
//! A vector compare marks the bytes that can mean anything (delimiter, quote, newlines); only those are looked at.

use wide::u8x16;

use crate::{
    cells::{BadRecord, Cell, Chunk},
    fault::Fault,
};

const WINDOW: usize = 64;

/// Walks the records of one block.
#[derive(Debug)]
pub(crate) struct Tokenizer<'a> {
    block: &'a [u8],
    delimiter: u8,
    window: usize,
    /// The special bytes of the current window that are not dealt with yet.
    mask: u64,
    /// Where the next record starts.
    at: usize,
    longest: usize,
    last_fields: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Plain,
    Quoted,
    /// After the closing quote, which is at this position.
    Closed(usize),
}

impl<'a> Tokenizer<'a> {
    /// Starts at `start`, which is where a record starts.
    pub(crate) fn new(block: &'a [u8], start: usize, delimiter: u8) -> Self {
        let window = start - start % WINDOW;
        let mut tokenizer = Self { block, delimiter, window, mask: 0, at: start, longest: 0, last_fields: 0 };
        tokenizer.mask = tokenizer.specials(window) & (u64::MAX << (start - window));
        tokenizer
    }

    /// Where the next record starts.
    pub(crate) fn position(&self) -> usize {
        self.at
    }

    /// The length of the longest record so far.
    pub(crate) fn longest(&self) -> usize {
        self.longest
    }

    /// Reads up to `rows` records: those of `width` fields into `chunk`, others into `bad`. False at the end of the block.
    pub(crate) fn fill(&mut self, rows: usize, width: usize, chunk: &mut Chunk, bad: &mut Vec<BadRecord>) -> bool {
        let block = self.block;
        let mut record = self.at;
        let mut field = record;
        let (mut state, mut escaped, mut spoiled) = (State::Plain, false, false);
        let (mut fields, mut records) = (0, 0);
        // Bytes before this one are dealt with: the second of a doubled quote, the newline of a CRLF.
        let mut resume = record;
        loop {
            while self.mask == 0 {
                self.window += WINDOW;
                if self.window >= block.len() {
                    if record < block.len() {
                        // The last record has no newline.
                        spoiled |= state == State::Quoted;
                        let cell = close(field, block.len(), state, escaped, &mut spoiled);
                        push(chunk, &mut fields, width, cell);
                        self.end_record(record, block.len(), fields, width, spoiled, chunk, bad);
                    }
                    self.at = block.len();
                    return false;
                }
                self.mask = self.specials(self.window);
            }
            let at = self.window + self.mask.trailing_zeros() as usize;
            self.mask &= self.mask - 1;
            if at < resume {
                continue;
            }
            let byte = block[at];
            if byte == b'"' {
                match state {
                    State::Plain if at == field => state = State::Quoted,
                    State::Quoted if block.get(at + 1) == Some(&b'"') => {
                        escaped = true;
                        resume = at + 2;
                    }
                    State::Quoted => state = State::Closed(at),
                    // An ordinary character, or one after a closing quote, which the end of the field finds out.
                    State::Plain | State::Closed(_) => {}
                }
                continue;
            }
            if state == State::Quoted {
                continue;
            }
            let cell = close(field, at, state, escaped, &mut spoiled);
            push(chunk, &mut fields, width, cell);
            (state, escaped) = (State::Plain, false);
            field = at + 1;
            if byte == self.delimiter {
                continue;
            }
            if byte == b'\r' && block.get(at + 1) == Some(&b'\n') {
                field = at + 2;
                resume = field;
            }
            self.end_record(record, at, fields, width, spoiled, chunk, bad);
            record = field;
            (fields, spoiled) = (0, false);
            records += 1;
            if records >= rows {
                self.at = record;
                if record < block.len() {
                    self.skip_to(record);
                    return true;
                }
                return false;
            }
        }
    }

    /// The fields of the record here, whatever their number.
    pub(crate) fn count_fields(mut self) -> usize {
        let (mut chunk, mut bad) = (Chunk::default(), Vec::new());
        self.fill(1, 0, &mut chunk, &mut bad);
        self.last_fields
    }

    /// Drops the special bytes before `position` from the mask.
    fn skip_to(&mut self, position: usize) {
        if position >= self.window + WINDOW {
            self.window = position - position % WINDOW;
            self.mask = self.specials(self.window);
        }
        self.mask &= u64::MAX << (position - self.window);
    }

    #[expect(clippy::too_many_arguments, reason = "the record's whole state, on the hot path")]
    fn end_record(
        &mut self,
        start: usize,
        end: usize,
        fields: usize,
        width: usize,
        spoiled: bool,
        chunk: &mut Chunk,
        bad: &mut Vec<BadRecord>,
    ) {
        self.longest = self.longest.max(end - start);
        self.last_fields = fields;
        if fields == width && !spoiled && (end > start || width > 1) {
            chunk.starts.push(start as u32);
            return;
        }
        chunk.cells.truncate(chunk.starts.len() * width);
        if end == start {
            return;
        }
        let fault = if spoiled {
            Fault::TextAfterQuote
        } else if fields < width {
            Fault::TooFewFields
        } else {
            Fault::TooManyFields
        };
        bad.push(BadRecord { position: start as u32, column: None, fault });
    }

    fn specials(&self, window: usize) -> u64 {
        match self.block[window.min(self.block.len())..].first_chunk::<WINDOW>() {
            Some(bytes) => specials(bytes, self.delimiter),
            None => {
                // Zeros are never special: a delimiter is not zero.
                let rest = &self.block[window.min(self.block.len())..];
                let mut bytes = [0; WINDOW];
                bytes[..rest.len()].copy_from_slice(rest);
                specials(&bytes, self.delimiter)
            }
        }
    }
}

/// The cell of a field that ends at `end`.
fn close(field: usize, end: usize, state: State, escaped: bool, spoiled: &mut bool) -> Cell {
    match state {
        State::Plain => Cell::new(field, end),
        State::Quoted => Cell::quoted(field + 1, end, escaped),
        State::Closed(quote) => {
            *spoiled |= quote + 1 != end;
            Cell::quoted(field + 1, quote, escaped)
        }
    }
}

/// Keeps a record's first `width` cells; a record of a million fields must not cost a million cells.
fn push(chunk: &mut Chunk, fields: &mut usize, width: usize, cell: Cell) {
    if *fields < width {
        chunk.cells.push(cell);
    }
    *fields += 1;
}

#[inline]
fn specials(bytes: &[u8; WINDOW], delimiter: u8) -> u64 {
    let mut mask = 0;
    for (index, lane) in bytes.as_chunks::<16>().0.iter().enumerate() {
        let lane = u8x16::new(*lane);
        let found = lane.simd_eq(u8x16::splat(delimiter))
            | lane.simd_eq(u8x16::splat(b'"'))
            | lane.simd_eq(u8x16::splat(b'\n'))
            | lane.simd_eq(u8x16::splat(b'\r'));
        mask |= u64::from(found.to_bitmask()) << (index * 16);
    }
    mask
}

/// The physical lines that end in `text`: `\n`, `\r\n` or a lone `\r`.
pub(crate) fn count_lines(text: &[u8]) -> u64 {
    let newlines = memchr::memchr_iter(b'\n', text).count();
    let returns = memchr::memchr_iter(b'\r', text).count();
    let pairs = if returns == 0 { 0 } else { memchr::memmem::find_iter(text, b"\r\n").count() };
    (newlines + returns - pairs) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str, width: usize) -> (Vec<Vec<String>>, Vec<Fault>) {
        let (mut chunk, mut bad, mut rows) = (Chunk::default(), Vec::new(), Vec::new());
        let mut tokenizer = Tokenizer::new(text.as_bytes(), 0, b',');
        loop {
            chunk.clear();
            let more = tokenizer.fill(2, width, &mut chunk, &mut bad);
            for row in chunk.cells.chunks(width) {
                rows.push(row.iter().map(|c| String::from_utf8_lossy(c.bytes(text.as_bytes())).into_owned()).collect());
            }
            if !more {
                return (rows, bad.into_iter().map(|record| record.fault).collect());
            }
        }
    }

    #[test]
    fn records_end_at_any_newline_and_the_last_needs_none() {
        let (read, bad) = rows("a,b\r\nc,d\re,f\n\n\"g\n,\",h", 2);
        assert_eq!(read, [["a", "b"], ["c", "d"], ["e", "f"], ["g\n,", "h"]]);
        assert!(bad.is_empty());
        assert_eq!(rows("a,", 2).0, [["a", ""]]);
    }

    #[test]
    fn records_of_another_shape_are_bad_and_the_rest_go_on() {
        let (read, bad) = rows("a\nb,c\nd,e,f\n\"g\"x,h\ni,j\nk,\"l", 2);
        assert_eq!(read, [["b", "c"], ["i", "j"]]);
        assert_eq!(bad, [Fault::TooFewFields, Fault::TooManyFields, Fault::TextAfterQuote, Fault::TextAfterQuote]);
    }

    #[test]
    fn a_quote_inside_a_plain_field_is_a_character() {
        assert_eq!(rows("5\" pipe,a\nb,c\n", 2).0, [["5\" pipe", "a"], ["b", "c"]]);
    }

    #[test]
    fn lines_are_counted_by_any_ending() {
        assert_eq!(count_lines(b"a\nb\r\nc\rd"), 3);
        assert_eq!(count_lines(b""), 0);
    }
}
