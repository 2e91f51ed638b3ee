//! Columns that have types of their own, a Parquet file's or a source's, to the table's.

mod convert;
mod layout;

use arrow::{
    array::{Array, ArrayRef, RecordBatch},
    error::ArrowError,
    util::display::array_value_to_string,
};

pub(crate) use self::{
    convert::{Conversion, conversion},
    layout::{Incoming, TypedLayout},
};
use crate::{cells::BadRecord, decode::Excerpt, error::Rejection, schema};

impl TypedLayout {
    /// The table's columns out of a batch; what cannot be converted is added to `faults`.
    pub(crate) fn decode(
        &self,
        columns: &[ArrayRef],
        rows: usize,
        faults: &mut Vec<BadRecord>,
    ) -> Result<Vec<ArrayRef>, Rejection> {
        let mut arrays = Vec::with_capacity(self.layout.columns.len() + 1);
        for (index, column) in self.layout.columns.iter().enumerate() {
            let array = match (self.layout.sources[index], self.conversions[index]) {
                (Some(source), Some(conversion)) => {
                    convert::convert(&columns[source], conversion, &column.kind, |row, fault| {
                        faults.push(BadRecord { position: row as u32, column: Some(index as u16), fault });
                    })?
                }
                _ => arrow::array::new_null_array(&schema::arrow_type(&column.kind), rows),
            };
            arrays.push(array);
        }
        Ok(arrays)
    }

    /// A row as a JSON object, and its value of one of the table's columns.
    pub(crate) fn excerpt(&self, row: &RecordBatch, column: Option<u16>) -> Excerpt {
        let value = column
            .and_then(|column| self.layout.sources[usize::from(column)])
            .map(|source| row.column(source))
            .filter(|array| array.is_valid(0))
            .and_then(|array| array_value_to_string(&schema::without_zone(array).ok()?, 0).ok());
        // A value that JSON cannot hold leaves the raw text empty; the line and the reason stay.
        let raw = as_json(row).unwrap_or_default();
        Excerpt { raw, value: value.map(String::into_bytes) }
    }
}

/// A one-row batch as a JSON object.
fn as_json(row: &RecordBatch) -> Result<Vec<u8>, ArrowError> {
    let columns = row.columns().iter().map(schema::without_zone).collect::<Result<Vec<_>, _>>()?;
    let schema = row.schema();
    let named = schema.fields().iter().map(|field| field.name()).zip(columns);
    let mut writer = arrow::json::LineDelimitedWriter::new(Vec::new());
    writer.write(&RecordBatch::try_from_iter(named)?)?;
    writer.finish()?;
    let mut json = writer.into_inner();
    json.truncate(json.trim_ascii_end().len());
    Ok(json)
}
