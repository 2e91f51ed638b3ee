//! The notations of the protocol's specification: `[int]`, `[string]`, `[bytes]`, `[option]` and so on.

use bytes::{Buf, BufMut};
use scylla::frame::response::result::{CollectionType, ColumnType, NativeType};

/// Reads a request's body.
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl Reader<'_> {
    pub(crate) fn short(&mut self) -> u16 {
        self.0.get_u16()
    }

    pub(crate) fn int(&mut self) -> i32 {
        self.0.get_i32()
    }

    pub(crate) fn byte(&mut self) -> u8 {
        self.0.get_u8()
    }

    fn take(&mut self, length: usize) -> Vec<u8> {
        let (taken, rest) = self.0.split_at(length);
        self.0 = rest;
        taken.to_vec()
    }

    pub(crate) fn long_string(&mut self) -> String {
        let length = self.int() as usize;
        String::from_utf8(self.take(length)).unwrap()
    }

    pub(crate) fn short_bytes(&mut self) -> Vec<u8> {
        let length = usize::from(self.short());
        self.take(length)
    }

    /// NULL and "not set" are none.
    pub(crate) fn bytes(&mut self) -> Option<Vec<u8>> {
        let length = self.int();
        usize::try_from(length).ok().map(|length| self.take(length))
    }
}

pub(crate) fn string(out: &mut Vec<u8>, text: &str) {
    out.put_u16(text.len() as u16);
    out.extend(text.as_bytes());
}

pub(crate) fn bytes(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    match bytes {
        Some(bytes) => {
            out.put_i32(bytes.len() as i32);
            out.extend(bytes);
        }
        None => out.put_i32(-1),
    }
}

/// A type's `[option]`.
pub(crate) fn option(out: &mut Vec<u8>, cql: &ColumnType<'_>) {
    match cql {
        ColumnType::Native(native) => out.put_u16(match native {
            NativeType::Ascii => 0x01,
            NativeType::BigInt => 0x02,
            NativeType::Blob => 0x03,
            NativeType::Boolean => 0x04,
            NativeType::Counter => 0x05,
            NativeType::Decimal => 0x06,
            NativeType::Double => 0x07,
            NativeType::Float => 0x08,
            NativeType::Int => 0x09,
            NativeType::Timestamp => 0x0b,
            NativeType::Uuid => 0x0c,
            NativeType::Text => 0x0d,
            NativeType::Varint => 0x0e,
            NativeType::Timeuuid => 0x0f,
            NativeType::Inet => 0x10,
            NativeType::Date => 0x11,
            NativeType::Time => 0x12,
            NativeType::SmallInt => 0x13,
            NativeType::TinyInt => 0x14,
            NativeType::Duration => 0x15,
            other => panic!("{other:?} has no code"),
        }),
        ColumnType::Collection { typ, .. } => match typ {
            CollectionType::List(item) => {
                out.put_u16(0x20);
                option(out, item);
            }
            CollectionType::Map(key, value) => {
                out.put_u16(0x21);
                option(out, key);
                option(out, value);
            }
            CollectionType::Set(item) => {
                out.put_u16(0x22);
                option(out, item);
            }
            other => panic!("{other:?} has no code"),
        },
        ColumnType::UserDefinedType { definition, .. } => {
            out.put_u16(0x30);
            string(out, &definition.keyspace);
            string(out, &definition.name);
            out.put_u16(definition.field_types.len() as u16);
            for (name, field) in &definition.field_types {
                string(out, name);
                option(out, field);
            }
        }
        ColumnType::Tuple(items) => {
            out.put_u16(0x31);
            out.put_u16(items.len() as u16);
            items.iter().for_each(|item| option(out, item));
        }
        // Cassandra 5 names it as a class of its own.
        ColumnType::Vector { typ, dimensions } => {
            let marshal = "org.apache.cassandra.db.marshal";
            let item = match &**typ {
                ColumnType::Native(NativeType::Float) => "FloatType",
                ColumnType::Native(NativeType::Int) => "Int32Type",
                ColumnType::Native(NativeType::Text) => "UTF8Type",
                other => panic!("{other:?} has no class here"),
            };
            out.put_u16(0x00);
            string(out, &format!("{marshal}.VectorType({marshal}.{item}, {dimensions})"));
        }
        other => panic!("{other:?} has no code"),
    }
}
