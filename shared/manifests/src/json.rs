//! JSON to documents and back: one object after another, as `kubectl` takes them.

use std::{cell::Cell, fmt};

use serde::{
    Deserializer, Serialize, Serializer,
    de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor},
    ser::{SerializeMap, SerializeSeq},
};
use serde_json::Value;

use crate::{
    MAX_NODES,
    read::Document,
    tree::{Node, Quoting, Scalar, Style},
    write::{Form, Frame},
};

/// Reads every document; nothing where the text is not JSON.
pub(crate) fn documents(text: &str) -> Option<Vec<Document>> {
    let left = Cell::new(MAX_NODES);
    let mut documents: Vec<Document> = Vec::new();
    let mut start = 0;
    loop {
        let rest = &text[start..];
        let body = rest.trim_start();
        if body.is_empty() {
            if let Some(last) = documents.last_mut() {
                last.whole.end = text.len();
                last.frame.tail.end = text.len();
            }
            return Some(documents);
        }
        let mut values = serde_json::Deserializer::from_str(rest).into_iter::<IgnoredAny>();
        values.next()?.ok()?;
        let end = start + values.byte_offset();
        let raw = &text[start + rest.len() - body.len()..end];
        let root = Budget(&left).deserialize(&mut serde_json::Deserializer::from_str(raw)).ok()?;
        let frame = Frame {
            head: rest[..rest.len() - body.len()].to_owned(),
            tail: end..end,
            form: Form::Json { compact: !raw.contains('\n') },
        };
        documents.push(Document { root, whole: start..end, frame });
        start = end;
    }
}

/// How many more values may come.
#[derive(Clone, Copy)]
struct Budget<'a>(&'a Cell<usize>);

impl Budget<'_> {
    fn spend<E: Error>(self) -> Result<(), E> {
        let left = self.0.get().checked_sub(1).ok_or_else(|| E::custom("too many values"))?;
        self.0.set(left);
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Budget<'_> {
    type Value = Node;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        deserializer.deserialize_any(self)
    }
}

fn plain(text: impl ToString) -> Node {
    Node::Scalar(Scalar { text: text.to_string(), quoting: Quoting::Plain, tag: None })
}

fn quoted(text: &str) -> Node {
    Node::Scalar(Scalar { text: text.to_owned(), quoting: Quoting::Double, tag: None })
}

impl<'de> Visitor<'de> for Budget<'_> {
    type Value = Node;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Node, E> {
        self.spend().map(|()| plain("null"))
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Node, E> {
        self.spend().map(|()| plain(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Node, E> {
        self.spend().map(|()| plain(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Node, E> {
        self.spend().map(|()| plain(value))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Node, E> {
        // As JSON writes it.
        self.spend().map(|()| plain(Value::from(value)))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Node, E> {
        self.spend().map(|()| quoted(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Node, A::Error> {
        self.spend()?;
        let mut items = Vec::new();
        while let Some(item) = list.next_element_seed(self)? {
            items.push(item);
        }
        Ok(Node::List { items, style: Style::Flow, tag: None })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        self.spend()?;
        let mut entries = Vec::new();
        while let Some(key) = map.next_key::<String>()? {
            self.spend()?;
            entries.push((quoted(&key), map.next_value_seed(self)?));
        }
        Ok(Node::Map { entries, style: Style::Flow, tag: None })
    }
}

/// Writes a document that was JSON, on one line or indented.
pub(crate) fn write(root: &Node, compact: bool) -> serde_json::Result<String> {
    if compact { serde_json::to_string(&Json(root)) } else { serde_json::to_string_pretty(&Json(root)) }
}

struct Json<'a>(&'a Node);

impl Serialize for Json<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Node::Scalar(Scalar { text, quoting: Quoting::Plain, .. }) => {
                let value: Value = serde_json::from_str(text).map_err(serde::ser::Error::custom)?;
                value.serialize(serializer)
            }
            Node::Scalar(Scalar { text, .. }) => serializer.serialize_str(text),
            Node::List { items, .. } => {
                let mut list = serializer.serialize_seq(Some(items.len()))?;
                for item in items {
                    list.serialize_element(&Json(item))?;
                }
                list.end()
            }
            Node::Map { entries, .. } => {
                let mut map = serializer.serialize_map(Some(entries.len()))?;
                for (key, value) in entries {
                    map.serialize_entry(key.text().unwrap_or_default(), &Json(value))?;
                }
                map.end()
            }
        }
    }
}
