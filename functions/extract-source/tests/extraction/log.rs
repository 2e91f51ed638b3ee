//! A source that tells of changes by a log: every change is a row, with the mark of deleted ones.

use std::sync::Arc;

use arrow::{
    array::{BooleanArray, Int64Array, RecordBatch, StringArray},
    datatypes::{DataType, Field, Schema},
};
use async_trait::async_trait;
use futures::{StreamExt, stream};
use millstream_events::{
    contract::ColumnType,
    extract::{
        Bookmark, ChangeLog, Changes, Connection, DELETED_COLUMN, ExtractSource as Extract, Selection, SourceKind,
    },
};
use millstream_ports::{
    KeyRange, OpenSource, PortResult, Read, ReadPlan, RowStream, Rows, Shape, Source, SourceColumn, Sources,
    TableSummary,
};
use millstream_runtime::Function;

use crate::world::{World, columns, command, everything, extracted, items};

/// Its changes: a key, a name that a deletion has not, and whether it is one.
const CHANGES: [(i64, Option<&str>, bool); 5] = [
    (1, Some("one"), false),
    (2, Some("two"), false),
    (1, None, true),
    (1, Some("one again"), false),
    (3, None, false),
];

#[derive(Debug, Clone)]
struct Log {
    /// Whether the plan names the mark among its columns.
    names_mark: bool,
}

impl Log {
    fn columns(&self) -> Vec<SourceColumn> {
        let column = |name: &str, kind: ColumnType, required| SourceColumn {
            name: name.into(),
            source_type: "its own".into(),
            kind: Ok(kind),
            required,
            description: None,
        };
        let mut columns = vec![column("id", ColumnType::Int64, true), column("name", ColumnType::String, true)];
        columns.extend(self.names_mark.then(|| column(DELETED_COLUMN, ColumnType::Bool, true)));
        columns
    }
}

#[async_trait]
impl Source for Log {
    async fn tables(&self) -> PortResult<Vec<TableSummary>> {
        Ok(Vec::new())
    }

    async fn describe(&self, _: &Selection) -> PortResult<Shape> {
        let columns = Log { names_mark: false }.columns();
        Ok(Shape { columns, key: vec!["id".into()], cursors: Vec::new(), rows: None, bytes: None })
    }

    async fn plan(&self, read: &Read) -> PortResult<ReadPlan> {
        let ranges = vec![KeyRange { from: None, until: None }];
        let everything = read.since.is_none();
        let position = Some("0/16B3748".into());
        Ok(ReadPlan { columns: self.columns(), everything, split_by: None, ranges, position, rows: None })
    }

    async fn open(&self, _: &Read, _: &ReadPlan) -> PortResult<Arc<dyn OpenSource>> {
        Ok(Arc::new(self.clone()))
    }
}

#[async_trait]
impl OpenSource for Log {
    async fn read(&self, _: &KeyRange) -> PortResult<RowStream> {
        let schema = Schema::new(vec![
            Field::new("id", DataType::Int64, true),
            Field::new("name", DataType::Utf8, true),
            Field::new(DELETED_COLUMN, DataType::Boolean, true),
        ]);
        let batch = RecordBatch::try_new(
            Arc::new(schema),
            vec![
                Arc::new(Int64Array::from_iter_values(CHANGES.iter().map(|change| change.0))),
                Arc::new(StringArray::from_iter(CHANGES.iter().map(|change| change.1))),
                Arc::new(BooleanArray::from_iter(CHANGES.iter().map(|change| Some(change.2)))),
            ],
        );
        Ok(stream::iter([Ok(Rows { batch: batch.unwrap(), faults: Vec::new() })]).boxed())
    }
}

#[async_trait]
impl Sources for Log {
    async fn connect(&self, _: &Connection) -> PortResult<Arc<dyn Source>> {
        Ok(Arc::new(self.clone()))
    }

    fn kinds(&self) -> Vec<SourceKind> {
        Vec::new()
    }
}

fn work(step: &str, since: Option<Bookmark>) -> Extract {
    let log = ChangeLog { publication: "millstream".into(), slot: "items".into() };
    let mut work = Extract { changes: Changes::Log(log), since, ..everything(step) };
    work.contract.expect = vec!["unique(id)".into()];
    work
}

#[tokio::test]
async fn changes_are_batches_in_their_order_with_their_mark() {
    let world = World::with(items(0));
    for names_mark in [false, true] {
        let function = world.function_with(Arc::new(Log { names_mark }), world.store.clone());
        let ask = async |work: &Extract| extracted(function.ensure(&command(work)).await.unwrap());
        let first = ask(&work(&format!("first-{names_mark}"), None)).await;
        assert!(first.everything && first.deletes);
        assert_eq!(first.columns, columns("id INT64 required, name STRING required"));
        let second = ask(&work(&format!("second-{names_mark}"), Some(first.bookmark.clone()))).await;
        assert_eq!((second.everything, second.deletes, &second.bookmark), (false, true, &first.bookmark));
        // The key is there several times, which is what a log is; the row without a name is not deleted.
        assert_eq!(
            world.rows(&second).await,
            [["1", "one", "false"], ["2", "two", "false"], ["1", "NULL", "true"], ["1", "one again", "false"]]
        );
        assert_eq!(second.bad_rows, 1);
        assert_eq!(second.notes, ["unique(..) is not judged over a log's changes"]);
    }
}
