//! A sheet of a workbook in the object store as a source of rows, on a schedule.
//!
//! In: a [`Selection::Sheet`](millstream_events::extract::Selection). Out: its rows as Arrow batches, each column of the type
//! that all its cells have. Uploaded workbooks come another way, through `ingest-file`; both read cells by the same rules
//! (`millstream_tabular::workbook`).

mod cells;
mod object;
mod open;
mod sheet;

use std::{path::PathBuf, sync::Arc};

use async_trait::async_trait;
use millstream_events::extract::{Changes, Selection, Sheet};
use millstream_ports::{
    KeyRange, ObjectStore, OpenSource, PortError, PortResult, Read, ReadPlan, Shape, Source, SourceColumn, TableSummary,
};

use crate::{object::Copy, open::OpenSheet, sheet::Described};

/// Workbooks of an object store.
#[derive(Debug)]
pub struct ExcelSource {
    store: Arc<dyn ObjectStore>,
    scratch: PathBuf,
}

impl ExcelSource {
    /// Workbooks of `store`. A workbook is copied into `scratch`, a folder of this machine, while it is read.
    pub fn new(store: Arc<dyn ObjectStore>, scratch: PathBuf) -> Self {
        Self { store, scratch }
    }

    async fn describe_sheet(&self, sheet: &Sheet) -> PortResult<(Copy, Described)> {
        let copy = object::copy(&*self.store, &sheet.object, &self.scratch).await?;
        let described = sheet::describe(copy.clone(), sheet.clone()).await?;
        Ok((copy, described))
    }
}

#[async_trait]
impl Source for ExcelSource {
    /// None: workbooks are named by their objects.
    async fn tables(&self) -> PortResult<Vec<TableSummary>> {
        Ok(Vec::new())
    }

    async fn describe(&self, select: &Selection) -> PortResult<Shape> {
        let (copy, Described { columns, rows }) = self.describe_sheet(sheet_of(select)?).await?;
        Ok(Shape { columns, key: Vec::new(), cursors: Vec::new(), rows: Some(rows), bytes: Some(copy.meta().size) })
    }

    async fn plan(&self, read: &Read) -> PortResult<ReadPlan> {
        if read.changes != Changes::Everything {
            return Err(PortError::invalid(
                "a workbook is read whole each time: take `cursor` and `log` out of the source's `extract`",
            ));
        }
        let (_, Described { columns, rows }) = self.describe_sheet(sheet_of(&read.select)?).await?;
        Ok(ReadPlan {
            columns: asked_for(&columns, &read.only)?,
            everything: true,
            split_by: None,
            ranges: vec![KeyRange::whole()],
            position: None,
            rows: Some(rows),
        })
    }

    async fn open(&self, read: &Read, plan: &ReadPlan) -> PortResult<Arc<dyn OpenSource>> {
        let sheet = sheet_of(&read.select)?;
        let (copy, Described { columns, .. }) = self.describe_sheet(sheet).await?;
        // Types are those of the cells: of another workbook they may be others than the plan was made with.
        let same = |planned: &SourceColumn| columns.iter().any(|column| column == planned);
        if let Some(changed) = plan.columns.iter().find(|column| !same(column)) {
            return Err(PortError::invalid(format!(
                "the column {:?} of {} is another or gone since the extraction was planned: start a new one",
                changed.name, sheet.object
            )));
        }
        let places =
            plan.columns.iter().filter_map(|column| columns.iter().position(|known| known.name == column.name));
        Ok(Arc::new(OpenSheet {
            copy,
            sheet: sheet.clone(),
            width: columns.len(),
            places: places.collect(),
            columns: plan.columns.clone(),
            batch: read.batch,
        }))
    }
}

fn sheet_of(select: &Selection) -> PortResult<&Sheet> {
    match select {
        Selection::Sheet(sheet) => Ok(sheet),
        Selection::Table(_) | Selection::Query(_) => {
            Err(PortError::invalid("a workbook has no tables and queries: name it by `object`, and its `sheet`"))
        }
    }
}

/// The columns of these names, in their order; all where there are none.
fn asked_for(columns: &[SourceColumn], names: &[String]) -> PortResult<Vec<SourceColumn>> {
    if names.is_empty() {
        return Ok(columns.to_vec());
    }
    let find = |name: &String| {
        columns.iter().find(|column| column.name == *name).cloned().ok_or_else(|| {
            let known: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
            PortError::invalid(format!("the sheet has no column {name:?}; it has {}", known.join(", ")))
        })
    };
    names.iter().map(find).collect()
}
