//! A sheet as it is read.

use async_trait::async_trait;
use futures::{StreamExt, stream};
use millstream_events::extract::Sheet;
use millstream_ports::{BatchSize, KeyRange, OpenSource, PortResult, RowStream, Rows, SourceColumn};
use millstream_source_columns::Columns;
use millstream_tabular::{
    Limits,
    workbook::{Block, Workbook},
};
use tokio::sync::mpsc;

use crate::{cells, object::Copy, sheet::refused};

/// Batches that are ready before they are taken.
const AHEAD: usize = 2;

/// A sheet's copy and what is wanted of it.
#[derive(Debug, Clone)]
pub(crate) struct OpenSheet {
    pub(crate) copy: Copy,
    pub(crate) sheet: Sheet,
    /// How many columns the sheet has.
    pub(crate) width: usize,
    /// Where among them those of the plan are.
    pub(crate) places: Vec<usize>,
    pub(crate) columns: Vec<SourceColumn>,
    pub(crate) batch: BatchSize,
}

#[async_trait]
impl OpenSource for OpenSheet {
    async fn read(&self, _range: &KeyRange) -> PortResult<RowStream> {
        let (sender, mut receiver) = mpsc::channel(AHEAD);
        let this = self.clone();
        tokio::task::spawn_blocking(move || {
            if let Err(error) = this.give(&mut |rows| sender.blocking_send(Ok(rows)).is_ok()) {
                // Whoever dropped the stream wants no error either.
                let _ = sender.blocking_send(Err(error));
            }
        });
        Ok(stream::poll_fn(move |context| receiver.poll_recv(context)).boxed())
    }
}

impl OpenSheet {
    /// Gives batch after batch to `take`, until there are none or it says that it wants no more.
    fn give(&self, take: &mut dyn FnMut(Rows) -> bool) -> PortResult<()> {
        let told = |error| refused(&self.sheet.object, error);
        let mut book = Workbook::open(self.copy.file()?, &Limits::default()).map_err(told)?;
        let mut table = book.table(&self.sheet.cells, Some(self.width)).map_err(told)?;
        let mut columns = Columns::new(&self.columns, self.batch)?;
        let mut block = Block::default();
        while let Some(read) = table.next(block, self.batch.bytes.min(1 << 20)).map_err(told)? {
            for row in 0..read.len() {
                for (index, (place, column)) in self.places.iter().zip(&self.columns).enumerate() {
                    if let Ok(kind) = &column.kind {
                        cells::fill(columns.cell(index), read.value(row, *place), kind);
                    }
                }
                if columns.end_row()
                    && let Some(rows) = columns.take()?
                    && !take(rows)
                {
                    return Ok(());
                }
            }
            block = read;
        }
        if let Some(rows) = columns.take()? {
            take(rows);
        }
        Ok(())
    }
}
