//! The contract of sources on a workbook of the object store.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::sync::Arc;

use async_trait::async_trait;
use millstream_events::extract::{Cells, Selection, Sheet};
use millstream_ports::{
    ObjectStore, ObjectStoreExt, Precondition, Source,
    contracts::{Abilities, Item, SourceFixture, source},
    memory::MemoryObjectStore,
};
use millstream_source_excel::ExcelSource;
use rust_xlsxwriter::Workbook;

struct Fixture {
    store: Arc<MemoryObjectStore>,
    source: Arc<ExcelSource>,
    items: Vec<Item>,
    _scratch: tempfile::TempDir,
}

fn sheet(object: &str) -> Selection {
    let cells = Cells { sheet: Some("Items".into()), ..Cells::default() };
    Selection::Sheet(Sheet { object: format!("gs://finance/{object}").parse().unwrap(), cells })
}

impl Fixture {
    async fn save(&self) {
        let mut book = Workbook::new();
        let sheet = book.add_worksheet().set_name("Items").unwrap();
        for (column, name) in ["id", "name", "changed"].iter().enumerate() {
            sheet.write(0, column as u16, *name).unwrap();
        }
        for (row, item) in self.items.iter().enumerate() {
            let row = row as u32 + 1;
            sheet.write(row, 0, item.id as f64).unwrap();
            if let Some(name) = &item.name {
                sheet.write(row, 1, name).unwrap();
            }
            sheet.write(row, 2, item.changed as f64).unwrap();
        }
        let bytes = book.save_to_buffer().unwrap();
        self.store.put(&"gs://finance/items.xlsx".parse().unwrap(), bytes, Precondition::None).await.unwrap();
    }
}

#[async_trait]
impl SourceFixture for Fixture {
    fn source(&self) -> Arc<dyn Source> {
        Arc::clone(&self.source) as Arc<dyn Source>
    }

    fn table(&self) -> Selection {
        sheet("items.xlsx")
    }

    fn unknown_table(&self) -> Selection {
        sheet("no-such.xlsx")
    }

    fn abilities(&self) -> Abilities {
        Abilities {
            tables: false,
            columns_when_empty: true,
            key: false,
            required: false,
            queries: false,
            cursor: false,
            unique_cursor: false,
            ranges: false,
        }
    }

    async fn recreate(&mut self) {
        self.items.clear();
        self.save().await;
    }

    async fn remove(&mut self) {
        self.store.delete(&"gs://finance/items.xlsx".parse().unwrap(), Precondition::None).await.unwrap();
    }

    async fn insert(&mut self, items: &[Item]) {
        self.items.extend_from_slice(items);
        self.save().await;
    }

    async fn update(&mut self, item: &Item) {
        *self.items.iter_mut().find(|known| known.id == item.id).unwrap() = item.clone();
        self.save().await;
    }

    async fn delete(&mut self, id: i64) {
        self.items.retain(|item| item.id != id);
        self.save().await;
    }
}

#[tokio::test]
async fn a_workbook_keeps_the_contract_of_sources() {
    let store = Arc::new(MemoryObjectStore::new());
    let scratch = tempfile::tempdir().unwrap();
    let source_of = ExcelSource::new(Arc::clone(&store) as Arc<dyn ObjectStore>, scratch.path().join("workbooks"));
    let mut fixture = Fixture { store, source: Arc::new(source_of), items: Vec::new(), _scratch: scratch };
    source(&mut fixture).await;
}
