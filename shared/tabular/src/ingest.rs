//! The crate's one operation, by format.

use std::{
    io::Write,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use millstream_events::contract::{Contract, FileFormat, FileOptions, OnNewColumn};

use crate::{
    check::Checks,
    csv::{
        decode::{CsvDecoder, NullRules},
        header,
    },
    decode::{Decode, TextBlock},
    error::{IngestError, Rejection, RejectionKind},
    format,
    input::{Input, TextBlocks, open_text},
    job::Job,
    json::{decode::JsonDecoder, infer},
    layout::Layout,
    limits::Limits,
    parquet,
    report::Report,
    schema,
};

/// What to ingest a file by.
#[derive(Debug, Clone)]
pub struct IngestRequest<'a> {
    /// The object's name: it says the format where the options do not.
    pub object_name: &'a str,
    /// What the rows must be.
    pub contract: &'a Contract,
    /// How to read the file.
    pub options: &'a FileOptions,
    /// The columns that rows are merged by: a row without a value in one, or with NaN, is bad.
    pub keys: &'a [String],
    /// What the file may cost.
    pub limits: Limits,
}

/// Reads `input` to its end; writes the good rows as Parquet to `batch` and the bad ones as JSON Lines to `quarantine`.
///
/// The same request and bytes give the same two outputs. After an error `batch` is no Parquet file; `quarantine` has the bad
/// rows found until then and may be kept. Blocks: call it where blocking is allowed.
///
/// # Errors
///
/// [`IngestError::Rejected`] when the file is at fault, [`IngestError::Io`] when reading or writing failed.
pub fn ingest<B: Write + Send, Q: Write>(
    request: &IngestRequest<'_>,
    input: Input,
    batch: B,
    quarantine: Q,
) -> Result<Report, IngestError> {
    check_contract(request.contract)?;
    let raw = Arc::new(AtomicU64::new(0));
    let run = Run { request, raw: Arc::clone(&raw) };
    let mut report = match format::resolve(request.object_name, request.options)? {
        FileFormat::Csv => run.csv(input, batch, quarantine)?,
        FileFormat::JsonLines => run.json_lines(input, batch, quarantine)?,
        FileFormat::Parquet => run.parquet(input, batch, quarantine)?,
        FileFormat::Workbook => run.workbook(input, batch, quarantine)?,
    };
    report.bytes_read = raw.load(Ordering::Relaxed);
    Ok(report)
}

fn check_contract(contract: &Contract) -> Result<(), Rejection> {
    if contract.columns.is_empty() && contract.on_new_column != OnNewColumn::Add {
        return Err(Rejection::new(RejectionKind::Contract, "the contract has no columns"));
    }
    check_columns(contract)
}

/// No column is there twice.
pub(crate) fn check_columns(contract: &Contract) -> Result<(), Rejection> {
    for (index, column) in contract.columns.iter().enumerate() {
        if contract.columns[..index].iter().any(|earlier| earlier.name.eq_ignore_ascii_case(&column.name)) {
            let message = format!("the contract has the column {:?} twice", column.name);
            return Err(Rejection::new(RejectionKind::Contract, message));
        }
    }
    Ok(())
}

/// A cell is one value.
fn refuse_nested(contract: &Contract, format: &str) -> Result<(), Rejection> {
    match contract.columns.iter().find(|column| crate::schema::is_nested(&column.kind)) {
        None => Ok(()),
        Some(column) => {
            let message = format!("{format} cannot hold the column {:?} of type {}", column.name, column.kind);
            Err(Rejection::new(RejectionKind::Contract, message)
                .in_column(&column.name)
                .hint("upload JSON Lines or Parquet, or make the column JSON"))
        }
    }
}

struct Run<'a> {
    request: &'a IngestRequest<'a>,
    raw: Arc<AtomicU64>,
}

impl Run<'_> {
    fn csv<B: Write + Send, Q: Write>(&self, input: Input, batch: B, quarantine: Q) -> Result<Report, IngestError> {
        let IngestRequest { object_name, contract, options, limits, .. } = self.request;
        refuse_nested(contract, "CSV")?;
        let delimiter = format::delimiter(object_name, options)?;
        let text = open_text(input.into_read()?, Arc::clone(&self.raw), limits)?;
        let mut blocks = TextBlocks::new(text, Some(delimiter), limits);
        let mut first = blocks.next(Vec::new())?;
        let layout = match &mut first {
            _ if options.no_header => Layout::of_contract(contract),
            None => return Err(header::empty().into()),
            Some(block) => {
                // Empty lines may fill a block, or many; a header longer than a block is whole, as every record is.
                let (layout, start) = header::read(&block.bytes, delimiter, contract, limits)?;
                block.start = start;
                layout
            }
        };
        let decoder = CsvDecoder {
            layout,
            delimiter,
            rules: NullRules { null_values: options.null_values.clone() },
            record_limit: limits.record_bytes,
        };
        self.text(&decoder, first, blocks, batch, quarantine)
    }

    fn json_lines<B: Write + Send, Q: Write>(
        &self,
        input: Input,
        batch: B,
        quarantine: Q,
    ) -> Result<Report, IngestError> {
        let IngestRequest { contract, limits, .. } = self.request;
        let mut layout = Layout::of_contract(contract);
        let input = if contract.on_new_column == OnNewColumn::Add {
            let file = input.into_file()?;
            let scanned = Input::File(file.try_clone()?).into_read()?;
            let scan = open_text(scanned, Arc::new(AtomicU64::new(0)), limits)?;
            layout.added = infer::new_columns(scan, contract, limits)?;
            for column in layout.added.clone() {
                let source = layout.columns.len();
                layout.push(column, Some(source));
            }
            layout.width = layout.columns.len();
            Input::File(file)
        } else {
            input
        };
        let text = open_text(input.into_read()?, Arc::clone(&self.raw), limits)?;
        let mut blocks = TextBlocks::new(text, None, limits);
        let first = blocks.next(Vec::new())?;
        if first.as_ref().is_some_and(|block| block.bytes.trim_ascii_start().starts_with(b"[")) {
            return Err(Rejection::new(RejectionKind::WrongFormat, "the file is a JSON array, not JSON Lines")
                .at_line(1)
                .hint("write one object a line; `jq -c '.[]'` makes lines of an array")
                .into());
        }
        let decoder = JsonDecoder::new(layout, contract, limits.record_bytes, limits.columns);
        self.text(&decoder, first, blocks, batch, quarantine)
    }

    fn text<D: Decode<Block = TextBlock>, B: Write + Send, Q: Write>(
        &self,
        decoder: &D,
        mut first: Option<TextBlock>,
        mut blocks: TextBlocks,
        batch: B,
        quarantine: Q,
    ) -> Result<Report, IngestError> {
        let mut ended = first.is_none();
        let next = move |buffer| {
            if let Some(block) = first.take() {
                return Ok(Some(block));
            }
            if ended {
                return Ok(None);
            }
            let block = blocks.next(buffer)?;
            ended = block.is_none();
            Ok(block)
        };
        self.finish(decoder, next, batch, quarantine)
    }

    fn parquet<B: Write + Send, Q: Write>(&self, input: Input, batch: B, quarantine: Q) -> Result<Report, IngestError> {
        let IngestRequest { contract, limits, .. } = self.request;
        let file = input.into_file()?;
        self.raw.store(file.metadata()?.len(), Ordering::Relaxed);
        let (decoder, mut batches) = parquet::open(file, contract, limits)?;
        self.finish(&decoder, move |_| batches.next(), batch, quarantine)
    }

    #[cfg(feature = "workbooks")]
    fn workbook<B: Write + Send, Q: Write>(
        &self,
        input: Input,
        batch: B,
        quarantine: Q,
    ) -> Result<Report, IngestError> {
        use crate::workbook::{Block, Workbook, column_types, decode::WorkbookDecoder};

        let IngestRequest { contract, options, limits, .. } = self.request;
        refuse_nested(contract, "a workbook")?;
        let file = input.into_file()?;
        self.raw.store(file.metadata()?.len(), Ordering::Relaxed);
        let mut book = Workbook::open(file, limits)?;
        let mut cells = options.cells.clone().unwrap_or_default();
        if options.no_header {
            cells.header_row = Some(0);
        }
        let columns = Some(contract.columns.len());
        let kinds = match contract.on_new_column {
            OnNewColumn::Add => column_types(&mut book.table(&cells, columns)?)?.0,
            OnNewColumn::Ignore | OnNewColumn::Reject => Vec::new(),
        };
        let mut table = book.table(&cells, columns)?;
        let layout = if table.has_header() {
            let hint = "if the header is in another row, say which in `header_row`; 0 says that there is none";
            let mut layout = header::lay_out(table.names(), contract, hint)?;
            layout.give_added_types(&kinds);
            layout
        } else {
            Layout::of_contract(contract)
        };
        let decoder =
            WorkbookDecoder { layout, names: table.names().to_vec(), null_values: options.null_values.clone() };
        let next = |memory| table.next(Block::within(memory), limits.block_bytes);
        self.finish(&decoder, next, batch, quarantine)
    }

    #[cfg(not(feature = "workbooks"))]
    fn workbook<B: Write + Send, Q: Write>(&self, _: Input, _: B, _: Q) -> Result<Report, IngestError> {
        Err(Rejection::new(RejectionKind::WrongFormat, "this build reads no workbooks")
            .hint("build with `--features excel`, or export the sheet as CSV")
            .into())
    }

    fn finish<D: Decode, B: Write + Send, Q: Write>(
        &self,
        decoder: &D,
        next: impl FnMut(Vec<u8>) -> Result<Option<D::Block>, IngestError> + Send,
        batch: B,
        quarantine: Q,
    ) -> Result<Report, IngestError> {
        let IngestRequest { contract, keys, limits, .. } = self.request;
        let layout = decoder.layout();
        let checks = Checks::new(&layout.columns, &contract.expect, keys)?;
        let schema = schema::arrow_schema(&layout.columns);
        Job { decoder, checks, schema, contract, limits }.run(next, batch, quarantine)
    }
}
