//! One block's columns to an encoded Parquet row group, on the worker that has them.

use std::{collections::HashSet, io, sync::Arc};

use arrow::{
    array::{Array, ArrayRef, AsArray},
    datatypes::{DataType, SchemaRef},
};
use foldhash::fast::FixedState;
use parquet::{
    arrow::{
        ArrowSchemaConverter,
        arrow_writer::{ArrowColumnChunk, ArrowRowGroupWriterFactory, compute_leaves},
    },
    basic::Compression,
    errors::ParquetError,
    file::{
        properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder},
        writer::SerializedFileWriter,
    },
    schema::types::{ColumnPath, TypePtr},
};
use std::hash::BuildHasher;

/// Encodes row groups of one file.
#[derive(Debug)]
pub(crate) struct Encoder {
    schema: SchemaRef,
    root: TypePtr,
}

/// Values looked at to tell whether a dictionary pays.
const SAMPLE: usize = 1024;

impl Encoder {
    pub(crate) fn new(schema: SchemaRef) -> Result<Self, ParquetError> {
        let root = ArrowSchemaConverter::new().convert(&schema)?.root_schema_ptr();
        Ok(Self { schema, root })
    }

    /// The file that the row groups go to.
    pub(crate) fn file<W: io::Write + Send>(&self, out: W) -> Result<SerializedFileWriter<W>, ParquetError> {
        SerializedFileWriter::new(out, TypePtr::clone(&self.root), Arc::new(properties().build()))
    }

    /// Encodes one row group.
    pub(crate) fn encode(&self, arrays: &[ArrayRef]) -> Result<Vec<ArrowColumnChunk>, ParquetError> {
        let mut properties = properties();
        for (field, array) in self.schema.fields().iter().zip(arrays) {
            if !repeats(array) {
                properties = properties.set_column_dictionary_enabled(ColumnPath::from(field.name().as_str()), false);
            }
        }
        // A file writer is the only way to a factory; this one has no rows and goes nowhere.
        let writer = SerializedFileWriter::new(io::sink(), TypePtr::clone(&self.root), Arc::new(properties.build()))?;
        let factory = ArrowRowGroupWriterFactory::new(&writer, SchemaRef::clone(&self.schema));
        let mut columns = factory.create_column_writers(0)?.into_iter();
        let mut chunks = Vec::new();
        for (field, array) in self.schema.fields().iter().zip(arrays) {
            for leaf in compute_leaves(field, array)? {
                let mut column =
                    columns.next().ok_or_else(|| ParquetError::General("a leaf without a writer".into()))?;
                column.write(&leaf)?;
                chunks.push(column.close()?);
            }
        }
        Ok(chunks)
    }
}

/// Snappy, which every reader of Parquet has; statistics for each column chunk, no page index.
fn properties() -> WriterPropertiesBuilder {
    WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_created_by("millstream".into())
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_offset_index_disabled(true)
}

/// Whether a column's values repeat enough for a dictionary: at most half of a sample is distinct. Building one for values
/// that are all different costs more than everything else about them.
fn repeats(array: &ArrayRef) -> bool {
    let step = (array.len() / SAMPLE).max(1);
    let rows = (0..array.len()).step_by(step);
    let hasher = FixedState::default();
    let mut distinct = HashSet::new();
    let sampled = rows.len();
    let data = array.to_data();
    for row in rows {
        let hash = match array.data_type() {
            DataType::Utf8 => hasher.hash_one(array.as_string::<i32>().value(row)),
            DataType::Binary => hasher.hash_one(array.as_binary::<i32>().value(row)),
            DataType::List(_) | DataType::Struct(_) => return true,
            _ => {
                let Some(width) = array.data_type().primitive_width() else { return true };
                let start = (data.offset() + row) * width;
                hasher.hash_one(&data.buffers()[0][start..start + width])
            }
        };
        distinct.insert(hash);
    }
    distinct.len() * 2 <= sampled
}
