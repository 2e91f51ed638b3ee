//! What a hostile or mistaken file may cost.

/// Bounds on one ingest. Memory is about `threads + 2` blocks and what is made of them, whatever the file's size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of text handed to a worker at once; also the text behind one Parquet row group.
    pub block_bytes: usize,
    /// The longest record (a CSV record with its quoted newlines, a JSON line), in bytes.
    pub record_bytes: usize,
    /// The most columns a file may have.
    pub columns: usize,
    /// The most bytes a file may decompress to.
    pub decompressed_bytes: u64,
    /// How many times larger than its compressed form a file may be, once past `ratio_from_bytes`.
    pub decompression_ratio: u64,
    /// Decompressed bytes below which the ratio is not judged: a small file of zeros harms nobody.
    pub ratio_from_bytes: u64,
    /// The most bytes of a workbook that are in memory: its texts and styles, or all of an `.xls` or `.ods` one.
    pub workbook_bytes: u64,
    /// How much of a bad row's text the quarantine keeps, in bytes.
    pub raw_bytes: usize,
    /// The most bytes written to the quarantine; bad rows past it are counted and no longer written.
    pub quarantine_bytes: u64,
    /// How many bad rows the report shows.
    pub samples: usize,
    /// Worker threads; zero means one for each processor, at most eight.
    pub threads: usize,
}

impl Default for Limits {
    fn default() -> Self {
        const MIB: u64 = 1024 * 1024;
        Self {
            block_bytes: 8 * 1024 * 1024,
            record_bytes: 16 * 1024 * 1024,
            columns: 10_000,
            decompressed_bytes: 256 * 1024 * MIB,
            decompression_ratio: 200,
            ratio_from_bytes: 64 * MIB,
            workbook_bytes: 512 * MIB,
            raw_bytes: 64 * 1024,
            quarantine_bytes: 1024 * MIB,
            samples: 5,
            threads: 0,
        }
    }
}

impl Limits {
    pub(crate) fn worker_threads(&self) -> usize {
        match self.threads {
            0 => std::thread::available_parallelism().map_or(1, |n| n.get().min(8)),
            threads => threads,
        }
    }
}
