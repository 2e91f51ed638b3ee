//! The rows of a `COPY ... TO STDOUT (FORMAT binary)`.
//!
//! A signature and a header, then for each row the number of its columns and, for each, the length of its value (-1 for NULL)
//! and its bytes; -1 instead of a number of columns is the end.

use std::collections::VecDeque;

use millstream_ports::{BatchSize, PortError, PortResult, Rows, SourceColumn};
use millstream_source_columns::Columns;

use crate::decode::Decoder;

const SIGNATURE: &[u8; 11] = b"PGCOPY\n\xff\r\n\0";

/// Rows as they are read from the messages of a copy.
#[derive(Debug)]
pub(crate) struct CopyRows {
    decoders: Vec<Decoder>,
    columns: Columns,
    /// Where the current row's values are: offset and length, or NULL.
    fields: Vec<Option<(usize, usize)>>,
    /// The beginning of a row whose end is in a later message. Servers send whole rows; what is between may cut them.
    part: Vec<u8>,
    place: Place,
    ready: VecDeque<Rows>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Header,
    Rows,
    End,
}

impl CopyRows {
    /// Before the first message.
    pub(crate) fn new(columns: &[SourceColumn], decoders: Vec<Decoder>, batch: BatchSize) -> PortResult<Self> {
        Ok(Self {
            fields: Vec::with_capacity(decoders.len()),
            columns: Columns::new(columns, batch)?,
            decoders,
            part: Vec::new(),
            place: Place::Header,
            ready: VecDeque::new(),
        })
    }

    /// A full batch.
    pub(crate) fn ready(&mut self) -> Option<Rows> {
        self.ready.pop_front()
    }

    /// Reads the rows of a message.
    pub(crate) fn message(&mut self, message: &[u8]) -> PortResult<()> {
        if self.part.is_empty() {
            let read = self.read(message)?;
            self.part.extend_from_slice(&message[read..]);
        } else {
            let mut part = std::mem::take(&mut self.part);
            part.extend_from_slice(message);
            let read = self.read(&part)?;
            part.drain(..read);
            self.part = part;
        }
        Ok(())
    }

    /// After the last message: the rows that fill no batch.
    pub(crate) fn end(&mut self) -> PortResult<Option<Rows>> {
        if self.place != Place::End {
            return Err(PortError::unavailable("the server ended the rows before their end: extract again"));
        }
        self.columns.take()
    }

    /// Reads whole rows; how many bytes they were.
    fn read(&mut self, bytes: &[u8]) -> PortResult<usize> {
        let mut at = 0;
        if self.place == Place::Header {
            match header(bytes)? {
                Some(length) => at = length,
                None => return Ok(0),
            }
            self.place = Place::Rows;
        }
        while self.place == Place::Rows {
            match self.row(&bytes[at..])? {
                Some(length) => at += length,
                None => return Ok(at),
            }
        }
        Ok(at)
    }

    /// Reads a row; how many bytes it was, `None` where its end is not there.
    fn row(&mut self, bytes: &[u8]) -> PortResult<Option<usize>> {
        let Some((count, _)) = bytes.split_first_chunk() else { return Ok(None) };
        let count = i16::from_be_bytes(*count);
        if count == -1 {
            self.place = Place::End;
            return Ok(Some(2));
        }
        if usize::try_from(count) != Ok(self.decoders.len()) {
            let expected = self.decoders.len();
            return Err(PortError::internal(format!("the server sent a row of {count} columns, not of {expected}")));
        }
        // Only a row that is whole gets into the columns.
        let mut at = 2;
        self.fields.clear();
        for _ in 0..self.decoders.len() {
            let Some((length, _)) = bytes.get(at..).and_then(|rest| rest.split_first_chunk()) else { return Ok(None) };
            at += 4;
            self.fields.push(match usize::try_from(i32::from_be_bytes(*length)) {
                Ok(length) => {
                    at += length;
                    Some((at - length, length))
                }
                Err(_) => None,
            });
        }
        if at > bytes.len() {
            return Ok(None);
        }
        for (index, (decoder, field)) in self.decoders.iter().zip(&self.fields).enumerate() {
            let cell = self.columns.cell(index);
            match field {
                Some((at, length)) => {
                    decoder.decode(&bytes[*at..at + length], cell).map_err(|_| {
                        PortError::internal(format!("the server sent {length} bytes that are no {decoder:?}"))
                    })?;
                }
                None => cell.null(),
            }
        }
        if self.columns.end_row() {
            self.ready.extend(self.columns.take()?);
        }
        Ok(Some(at))
    }
}

/// The length of the header; `None` where its end is not there.
fn header(bytes: &[u8]) -> PortResult<Option<usize>> {
    let beginning = bytes.len().min(SIGNATURE.len());
    if bytes[..beginning] != SIGNATURE[..beginning] {
        return Err(PortError::internal("the server's COPY does not begin as the binary format does"));
    }
    // Flags of four bytes, none of which changes the rows, then the length of an extension.
    let Some((extension, _)) = bytes.get(15..).and_then(|rest| rest.split_first_chunk()) else { return Ok(None) };
    let length = 19 + u32::from_be_bytes(*extension) as usize;
    Ok((bytes.len() >= length).then_some(length))
}

#[cfg(test)]
mod tests {
    use arrow::{array::AsArray, datatypes::Int64Type};
    use millstream_events::contract::ColumnType;

    use super::*;

    fn columns() -> Vec<SourceColumn> {
        let column = |name: &str, kind| SourceColumn {
            name: name.to_owned(),
            source_type: String::new(),
            kind: Ok(kind),
            required: false,
            description: None,
        };
        vec![column("id", ColumnType::Int64), column("name", ColumnType::String)]
    }

    fn rows() -> Vec<u8> {
        let mut bytes = SIGNATURE.to_vec();
        bytes.extend([0; 4]);
        bytes.extend([0, 0, 0, 3, 1, 2, 3]);
        for (id, name) in [(7_i32, Some("seven")), (8, None), (-9, Some(""))] {
            bytes.extend([0, 2, 0, 0, 0, 4]);
            bytes.extend(id.to_be_bytes());
            match name {
                Some(name) => {
                    bytes.extend((name.len() as i32).to_be_bytes());
                    bytes.extend(name.as_bytes());
                }
                None => bytes.extend((-1_i32).to_be_bytes()),
            }
        }
        bytes.extend([0xff, 0xff]);
        bytes
    }

    fn copy(rows: usize) -> CopyRows {
        CopyRows::new(&columns(), vec![Decoder::Int4, Decoder::Text], BatchSize { rows, bytes: 1 << 20 }).unwrap()
    }

    #[test]
    fn rows_are_read_however_the_messages_cut_them() {
        for size in 1..rows().len() {
            let mut copy = copy(2);
            for message in rows().chunks(size) {
                copy.message(message).unwrap();
            }
            let mut batches: Vec<_> = std::iter::from_fn(|| copy.ready()).collect();
            batches.extend(copy.end().unwrap());
            assert_eq!(
                batches.iter().map(|rows| rows.batch.num_rows()).collect::<Vec<_>>(),
                [2, 1],
                "pieces of {size}"
            );
            let ids = |at: usize| batches[at].batch.column(0).as_primitive::<Int64Type>().values().to_vec();
            assert_eq!((ids(0), ids(1)), (vec![7, 8], vec![-9]));
            let names: Vec<_> = batches[0].batch.column(1).as_string::<i32>().iter().collect();
            assert_eq!(names, [Some("seven"), None]);
        }
    }

    #[test]
    fn rows_that_end_too_early_are_no_whole_reading() {
        let mut copy = copy(100);
        let bytes = rows();
        copy.message(&bytes[..bytes.len() - 2]).unwrap();
        assert!(copy.end().unwrap_err().is_retryable());
    }

    #[test]
    fn what_is_no_copy_or_no_value_of_the_column_is_refused() {
        assert!(copy(1).message(b"PGCOPY\n\xff\n\0 and more").is_err());
        let mut of_longs =
            CopyRows::new(&columns(), vec![Decoder::Int8, Decoder::Text], BatchSize { rows: 9, bytes: 1 << 20 })
                .unwrap();
        assert!(of_longs.message(&rows()).unwrap_err().to_string().contains("Int8"));
    }
}
