//! The messages of the output plugin `pgoutput`, protocol version 1.
//!
//! Source: <https://www.postgresql.org/docs/current/protocol-logicalrep-message-formats.html>.

use millstream_ports::{PortError, PortResult};

use super::lsn::Lsn;

/// The first byte of a message that tells of a table's columns.
pub(crate) const RELATION: u8 = b'R';
/// The first byte of a message that tells of tables that were emptied.
pub(crate) const TRUNCATE: u8 = b'T';

/// One message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Message<'a> {
    /// A transaction starts.
    Begin {
        /// Where its commit record begins.
        commit: Lsn,
        /// Its number.
        transaction: u32,
    },
    /// It ends.
    Commit,
    /// What a table looks like in the messages that follow.
    Relation(Relation),
    /// A row came.
    Insert { table: u32, new: Tuple<'a> },
    /// A row changed. The old one is there where its identity changed, or where the identity is the whole row.
    Update { table: u32, old: Option<Old<'a>>, new: Tuple<'a> },
    /// A row went.
    Delete { table: u32, old: Old<'a> },
    /// These tables were emptied.
    Truncate(Vec<u32>),
    /// What says nothing of rows: types and origins.
    Other,
}

/// A table as it was when the rows that follow were written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Relation {
    /// The table's OID.
    pub(crate) table: u32,
    /// Its columns, in the order of tuples.
    pub(crate) columns: Vec<RelationColumn>,
}

/// A column of a [`Relation`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RelationColumn {
    /// Its name.
    pub(crate) name: String,
    /// Whether it is part of the replica identity.
    pub(crate) identity: bool,
    /// Its type's OID.
    pub(crate) kind: u32,
    /// The type's modifier, -1 for none.
    pub(crate) modifier: i32,
}

/// What a message has of a row as it was.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Old<'a> {
    /// Whether every column has its value; otherwise those of the replica identity have.
    pub(crate) whole: bool,
    /// The values.
    pub(crate) values: Tuple<'a>,
}

/// The values of a row, in its relation's order.
pub(crate) type Tuple<'a> = Vec<Value<'a>>;

/// One value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    /// NULL, or not told.
    Null,
    /// A long value (TOAST) that the update did not touch and that is not sent.
    Unchanged,
    /// The value in its type's binary form; as text where the type has none.
    Sent(&'a [u8]),
}

/// Reads one message.
///
/// # Errors
/// `Internal` for bytes that the protocol does not allow.
pub(crate) fn read(bytes: &[u8]) -> PortResult<Message<'_>> {
    let mut input = Input(bytes);
    input.message().ok_or_else(|| {
        let kind = bytes.first().copied().map_or('?', char::from);
        PortError::internal(format!("a message {kind:?} of PostgreSQL's plugin pgoutput cannot be read"))
    })
}

/// What is left of a message.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn message(&mut self) -> Option<Message<'a>> {
        Some(match self.byte()? {
            b'B' => {
                let commit = Lsn(u64::from_be_bytes(self.array()?));
                // When it was committed.
                self.array::<8>()?;
                Message::Begin { commit, transaction: self.u32()? }
            }
            b'C' => Message::Commit,
            RELATION => Message::Relation(self.relation()?),
            b'I' => {
                let table = self.u32()?;
                self.expect(b'N')?;
                Message::Insert { table, new: self.tuple()? }
            }
            b'U' => {
                let table = self.u32()?;
                let old = match self.0.first()? {
                    b'K' | b'O' => Some(self.old()?),
                    _ => None,
                };
                self.expect(b'N')?;
                Message::Update { table, old, new: self.tuple()? }
            }
            b'D' => Message::Delete { table: self.u32()?, old: self.old()? },
            TRUNCATE => {
                let tables = self.u32()?;
                // Whether CASCADE or RESTART IDENTITY was said.
                self.byte()?;
                Message::Truncate((0..tables).map(|_| self.u32()).collect::<Option<_>>()?)
            }
            b'Y' | b'O' | b'M' => Message::Other,
            _ => return None,
        })
    }

    fn relation(&mut self) -> Option<Relation> {
        let table = self.u32()?;
        // The schema and the name: the OID is what counts, a table may be renamed.
        self.text()?;
        self.text()?;
        // The kind of the replica identity; the columns' flags say what follows from it.
        self.byte()?;
        let columns = self.u16()?;
        let column = |_| {
            Some(RelationColumn {
                identity: self.byte()? & 1 == 1,
                name: self.text()?.to_owned(),
                kind: self.u32()?,
                modifier: i32::from_be_bytes(self.array()?),
            })
        };
        Some(Relation { table, columns: (0..columns).map(column).collect::<Option<_>>()? })
    }

    fn old(&mut self) -> Option<Old<'a>> {
        let whole = match self.byte()? {
            b'O' => true,
            b'K' => false,
            _ => return None,
        };
        Some(Old { whole, values: self.tuple()? })
    }

    fn tuple(&mut self) -> Option<Tuple<'a>> {
        let columns = self.u16()?;
        (0..columns).map(|_| self.value()).collect()
    }

    fn value(&mut self) -> Option<Value<'a>> {
        Some(match self.byte()? {
            b'n' => Value::Null,
            b'u' => Value::Unchanged,
            b'b' | b't' => {
                let length = usize::try_from(self.u32()?).ok()?;
                Value::Sent(self.bytes(length)?)
            }
            _ => return None,
        })
    }

    fn expect(&mut self, wanted: u8) -> Option<()> {
        (self.byte()? == wanted).then_some(())
    }

    fn byte(&mut self) -> Option<u8> {
        self.array().map(|[byte]| byte)
    }

    fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    /// A text that ends with a zero byte.
    fn text(&mut self) -> Option<&'a str> {
        let length = self.0.iter().position(|byte| *byte == 0)?;
        let text = std::str::from_utf8(self.bytes(length)?).ok()?;
        self.byte()?;
        Some(text)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*array)
    }

    fn bytes(&mut self, length: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A message of these parts.
    fn message(parts: &[&[u8]]) -> Vec<u8> {
        parts.concat()
    }

    const TABLE: &[u8] = &[0, 0, 0x40, 1];

    #[test]
    fn an_update_has_its_old_key_and_what_was_not_sent() {
        let bytes = message(&[b"U", TABLE, b"K\0\x02b\0\0\0\x01an", b"N\0\x02b\0\0\0\x02bcu"]);
        let old = Some(Old { whole: false, values: vec![Value::Sent(b"a"), Value::Null] });
        let new = vec![Value::Sent(b"bc"), Value::Unchanged];
        assert_eq!(read(&bytes).unwrap(), Message::Update { table: 0x4001, old, new });
    }

    #[test]
    fn a_relation_has_its_columns() {
        let column = b"\x01id\0\0\0\0\x14\xff\xff\xff\xff";
        let bytes = message(&[b"R", TABLE, b"public\0items\0d\0\x01", column]);
        let columns = vec![RelationColumn { name: "id".to_owned(), identity: true, kind: 20, modifier: -1 }];
        assert_eq!(read(&bytes).unwrap(), Message::Relation(Relation { table: 0x4001, columns }));
    }

    #[test]
    fn transactions_and_emptied_tables_are_told() {
        let begin = message(&[b"B", &0x16_B374_D848_u64.to_be_bytes(), &[0; 11], &[7]]);
        assert_eq!(read(&begin).unwrap(), Message::Begin { commit: Lsn(0x16_B374_D848), transaction: 7 });
        let truncate = message(&[b"T\0\0\0\x01\0", TABLE]);
        assert_eq!(read(&truncate).unwrap(), Message::Truncate(vec![0x4001]));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64), kind in "[BCRIUDTY]") {
            let bytes = [kind.as_bytes(), &bytes].concat();
            let _ = read(&bytes);
        }
    }
}
