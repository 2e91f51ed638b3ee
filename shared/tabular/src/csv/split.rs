//! Finds where a block may be cut: at the end of a record, that is at a newline outside quotes.
//!
//! Only quotes are looked at, each found by `memchr`; the state is the tokeniser's, so both agree on any bytes whatever.

use memchr::{memchr, memrchr, memrchr2};

/// The scan of one block that is still being read.
#[derive(Debug)]
pub(crate) struct Splitter {
    delimiter: u8,
    scanned: usize,
    open_quote: Option<usize>,
    boundary: usize,
}

impl Splitter {
    pub(crate) fn new(delimiter: u8) -> Self {
        Self { delimiter, scanned: 0, open_quote: None, boundary: 0 }
    }

    /// The end of the last record that is known to be whole; zero while there is none.
    pub(crate) fn boundary(&self) -> usize {
        self.boundary
    }

    /// Where the quoted field starts that is still open at the end of what was scanned.
    pub(crate) fn open_quote(&self) -> Option<usize> {
        self.open_quote
    }

    /// Scans what was appended to the block since the last call.
    pub(crate) fn advance(&mut self, block: &[u8]) {
        let mut segment = self.scanned;
        while let Some(found) = memchr(b'"', &block[self.scanned..]) {
            let quote = self.scanned + found;
            if self.open_quote.is_some() {
                match block.get(quote + 1) {
                    // The next byte decides, and is not here yet.
                    None => {
                        self.scanned = quote;
                        return;
                    }
                    Some(b'"') => self.scanned = quote + 2,
                    Some(_) => {
                        self.open_quote = None;
                        self.scanned = quote + 1;
                        segment = self.scanned;
                    }
                }
            } else {
                if self.starts_field(block, quote) {
                    self.note_boundary(block, segment, quote);
                    self.open_quote = Some(quote);
                }
                self.scanned = quote + 1;
            }
        }
        self.scanned = block.len();
        if self.open_quote.is_none() {
            self.note_boundary(block, segment, block.len());
        }
    }

    fn starts_field(&self, block: &[u8], at: usize) -> bool {
        at.checked_sub(1).is_none_or(|before| matches!(block[before], b'\n' | b'\r') || block[before] == self.delimiter)
    }

    fn note_boundary(&mut self, block: &[u8], start: usize, end: usize) {
        let text = &block[start..end];
        if let Some(newline) = memrchr(b'\n', text) {
            self.boundary = start + newline + 1;
        } else if let Some(newline) = memrchr2(b'\n', b'\r', text) {
            // A carriage return that is the last byte may be half of a CRLF.
            if start + newline + 1 < block.len() && block[start + newline + 1] != b'\n' {
                self.boundary = start + newline + 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boundary(text: &str) -> usize {
        let mut splitter = Splitter::new(b',');
        splitter.advance(text.as_bytes());
        splitter.boundary()
    }

    #[test]
    fn a_block_is_cut_after_the_last_newline_outside_quotes() {
        assert_eq!(boundary("a,b\nc,d"), 4);
        assert_eq!(boundary("a,\"x\ny\"\nc"), 8);
        assert_eq!(boundary("a\nb,\"x\ny"), 2);
        assert_eq!(boundary("a,\"x\"\"\n\"\"y\"\nz"), 12);
        assert_eq!(boundary("5\" pipe\n6\" pipe"), 8);
        assert_eq!(boundary("a\rb\rc"), 4);
        assert_eq!(boundary("a\r"), 0);
        assert_eq!(boundary("abc"), 0);
    }

    #[test]
    fn a_quote_at_the_end_of_what_was_read_waits_for_the_next_byte() {
        let text = b"a,\"x\"\"y\"\nb\n";
        for cut in 0..text.len() {
            let mut splitter = Splitter::new(b',');
            splitter.advance(&text[..cut]);
            splitter.advance(text);
            assert_eq!(splitter.boundary(), text.len(), "cut at {cut}");
        }
    }
}
