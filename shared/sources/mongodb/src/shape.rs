//! The shape of documents, inferred from a sample.

use std::collections::{BTreeSet, HashMap, HashSet};

use millstream_events::contract::ColumnType;
use millstream_ports::SourceColumn;
use mongodb::bson::{RawBsonRef, RawDocument, spec::BinarySubtype};

use crate::url::Nested;

/// The column of the fields that the sample did not show.
pub(crate) const OTHER: &str = "_other";

/// The source type of that column, by which a reading knows it.
pub(crate) const OTHER_TYPE: &str = "fields of no column";

/// Top-level fields that become columns, at most; the others go where unknown ones go.
const COLUMNS: usize = 1_000;

/// Fields of a STRUCT, at most: a document with more is a map whose keys are data.
const FIELDS: usize = 100;

/// The deepest STRUCT that BigQuery stores.
const DEPTH: usize = 15;

/// A kind of value, as far as columns tell them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Int,
    Double,
    Decimal,
    Bool,
    Text,
    ObjectId,
    Uuid,
    Date,
    Timestamp,
    Bytes,
    Document,
    Array,
    Other,
}

/// What was seen of a field.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    kinds: BTreeSet<Kind>,
    /// The fields of its documents.
    fields: Fields,
    /// The items of its arrays.
    items: Option<Box<Seen>>,
    /// NULL, also as an item of an array.
    null: bool,
}

/// The fields of some documents, in the order they were first seen in.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fields {
    names: Vec<String>,
    seen: HashMap<String, Seen>,
    /// More were seen than are kept.
    too_many: bool,
}

impl Fields {
    /// Learns from a document of a collection.
    pub(crate) fn add(&mut self, document: &RawDocument) {
        self.learn(document, COLUMNS);
    }

    fn learn(&mut self, document: &RawDocument, limit: usize) {
        // Bytes that are no BSON teach nothing; reading them is an error of its own.
        for element in document.iter_elements().map_while(Result::ok) {
            let name = element.key().as_str();
            if !self.seen.contains_key(name) {
                if self.names.len() == limit {
                    self.too_many = true;
                    continue;
                }
                self.names.push(name.to_owned());
            }
            let seen = self.seen.entry(name.to_owned()).or_default();
            match element.value() {
                Ok(value) => seen.add(value),
                // A text that is no UTF-8 is one all the same.
                Err(_) => _ = seen.kinds.insert(Kind::Text),
            }
        }
    }

    /// What was seen of a field.
    pub(crate) fn get(&self, name: &str) -> Option<&Seen> {
        self.seen.get(name)
    }

    /// Whether there was no document with a field.
    pub(crate) fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Every field as a column.
    pub(crate) fn columns(&self, nested: Nested, required: impl Fn(&str) -> bool) -> Vec<SourceColumn> {
        let column = |name: &String| self.seen[name].column(name, nested, required(name));
        self.names.iter().map(column).collect()
    }

    /// A name for the column of other fields that no field has.
    pub(crate) fn name_for_other(&self) -> String {
        let mut name = OTHER.to_owned();
        while self.seen.contains_key(&name) {
            name.push('_');
        }
        name
    }

    /// As the fields of a STRUCT, if BigQuery can have them.
    fn structure(&self, nested: Nested, depth: usize) -> Option<ColumnType> {
        let mut lower = HashSet::new();
        let fits = |name: &String| is_field_name(name) && lower.insert(name.to_ascii_lowercase());
        if self.is_empty() || self.too_many || depth == DEPTH || !self.names.iter().all(fits) {
            return None;
        }
        let field = |name: &String| (name.clone(), self.seen[name].kind(nested, depth + 1));
        Some(ColumnType::Struct(self.names.iter().map(field).collect()))
    }
}

/// The column of the fields that have none of their own.
pub(crate) fn other_column(name: String) -> SourceColumn {
    SourceColumn {
        name,
        source_type: OTHER_TYPE.into(),
        kind: Ok(ColumnType::Json),
        required: false,
        description: Some("the fields that no other column holds, by their paths".into()),
    }
}

impl Seen {
    fn add(&mut self, value: RawBsonRef<'_>) {
        let kind = match value {
            RawBsonRef::Null | RawBsonRef::Undefined => return self.null = true,
            RawBsonRef::Int32(_) | RawBsonRef::Int64(_) => Kind::Int,
            RawBsonRef::Double(_) => Kind::Double,
            RawBsonRef::Decimal128(_) => Kind::Decimal,
            RawBsonRef::Boolean(_) => Kind::Bool,
            RawBsonRef::String(_) | RawBsonRef::Symbol(_) => Kind::Text,
            RawBsonRef::ObjectId(_) => Kind::ObjectId,
            RawBsonRef::Binary(binary) if is_uuid(binary.subtype, binary.bytes) => Kind::Uuid,
            RawBsonRef::Binary(_) => Kind::Bytes,
            RawBsonRef::DateTime(_) => Kind::Date,
            RawBsonRef::Timestamp(_) => Kind::Timestamp,
            RawBsonRef::Document(document) => {
                self.fields.learn(document, FIELDS);
                Kind::Document
            }
            RawBsonRef::Array(array) => {
                let items = self.items.get_or_insert_default();
                array.into_iter().map_while(Result::ok).for_each(|item| items.add(item));
                Kind::Array
            }
            _ => Kind::Other,
        };
        self.kinds.insert(kind);
    }

    /// As a column.
    pub(crate) fn column(&self, name: &str, nested: Nested, required: bool) -> SourceColumn {
        let kind = self.kind(nested, 0);
        SourceColumn {
            name: name.to_owned(),
            source_type: self.source_type(&kind).to_owned(),
            kind: Ok(kind),
            required,
            description: None,
        }
    }

    /// What holds every value that was seen.
    fn kind(&self, nested: Nested, depth: usize) -> ColumnType {
        use Kind::{Array, Bool, Bytes, Date, Decimal, Document, Double, Int, ObjectId, Text, Uuid};
        let only = |kinds: &[Kind]| !self.kinds.is_empty() && self.kinds.iter().all(|kind| kinds.contains(kind));
        if only(&[Int]) {
            ColumnType::Int64
        } else if only(&[Int, Double]) {
            ColumnType::Float64
        } else if only(&[Int, Decimal]) {
            ColumnType::BigNumeric { precision: 76, scale: 38 }
        } else if only(&[Bool]) {
            ColumnType::Bool
        } else if only(&[Text, ObjectId, Uuid]) {
            ColumnType::String
        } else if only(&[Date]) {
            ColumnType::Timestamp
        } else if only(&[Bytes]) {
            ColumnType::Bytes
        } else if only(&[Document]) && nested == Nested::Struct {
            self.fields.structure(nested, depth).unwrap_or(ColumnType::Json)
        } else if only(&[Array]) {
            self.array(nested, depth).unwrap_or(ColumnType::Json)
        } else {
            ColumnType::Json
        }
    }

    /// As an ARRAY, if BigQuery can have its items: no NULL among them, no arrays, and all of one type.
    fn array(&self, nested: Nested, depth: usize) -> Option<ColumnType> {
        let items = self.items.as_ref().filter(|items| !items.null)?;
        let item = items.kind(nested, depth);
        match item {
            ColumnType::Json | ColumnType::Array(_) => None,
            item => Some(ColumnType::Array(Box::new(item))),
        }
    }

    /// The name of what the column holds. It depends on the column's type alone as far as it can, so that a sample with
    /// other documents makes the same columns.
    fn source_type(&self, kind: &ColumnType) -> &'static str {
        match kind {
            ColumnType::Int64 => "long",
            ColumnType::Float64 => "double",
            ColumnType::BigNumeric { .. } => "decimal",
            ColumnType::Bool => "bool",
            ColumnType::Timestamp => "date",
            ColumnType::Bytes => "binData",
            ColumnType::Array(_) => "array",
            ColumnType::Struct(_) => "object",
            ColumnType::String if self.kinds.len() > 1 => "string or id",
            ColumnType::String if self.kinds.contains(&Kind::ObjectId) => "objectId",
            ColumnType::String if self.kinds.contains(&Kind::Uuid) => "uuid",
            ColumnType::String => "string",
            _ => "any",
        }
    }

    /// The name of the one type of MongoDB that all values are of, as far as it compares them with each other; `None` where
    /// there are several or what is seen has no order to go by.
    pub(crate) fn order(&self) -> Option<&'static str> {
        let mut names = self.kinds.iter().map(|kind| match kind {
            Kind::Int | Kind::Double | Kind::Decimal => Some("number"),
            Kind::Text => Some("string"),
            Kind::ObjectId => Some("objectId"),
            Kind::Uuid | Kind::Bytes => Some("binData"),
            Kind::Date => Some("date"),
            Kind::Timestamp => Some("timestamp"),
            Kind::Bool | Kind::Document | Kind::Array | Kind::Other => None,
        });
        let first = names.next()??;
        names.all(|name| name == Some(first)).then_some(first)
    }

    /// Whether every value is NULL.
    pub(crate) fn is_null(&self) -> bool {
        self.kinds.is_empty()
    }

    /// Whether all of them are times.
    pub(crate) fn is_time(&self) -> bool {
        matches!(self.order(), Some("date" | "timestamp"))
    }

    /// Whether all of them are object ids.
    pub(crate) fn is_object_id(&self) -> bool {
        self.order() == Some("objectId")
    }
}

/// Whether a binary is a UUID whose bytes are in the standard's order.
pub(crate) fn is_uuid(subtype: BinarySubtype, bytes: &[u8]) -> bool {
    subtype == BinarySubtype::Uuid && bytes.len() == 16
}

/// Whether BigQuery takes it as the name of a field.
fn is_field_name(name: &str) -> bool {
    name.len() <= 300
        && name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name.chars().all(|next| next.is_ascii_alphanumeric() || next == '_')
}

#[cfg(test)]
mod tests {
    use mongodb::bson::{
        Binary, Bson, DateTime, Document, RawDocumentBuf, Regex, Timestamp, doc, oid::ObjectId, spec::BinarySubtype,
    };

    use super::*;

    fn kinds(documents: &[Document], nested: Nested) -> Vec<(String, String)> {
        let mut fields = Fields::default();
        for document in documents {
            fields.add(&RawDocumentBuf::try_from(document).unwrap());
        }
        let columns = fields.columns(nested, |_| false);
        columns.into_iter().map(|column| (column.name, column.kind.unwrap().to_string())).collect()
    }

    fn kind_of(values: impl IntoIterator<Item = Bson>, nested: Nested) -> String {
        let documents: Vec<Document> = values.into_iter().map(|value| doc! { "v": value }).collect();
        kinds(&documents, nested)[0].1.clone()
    }

    #[test]
    fn a_column_is_of_the_type_that_holds_every_value_seen() {
        let id = ObjectId::from_bytes([1; 12]);
        let uuid = Binary { subtype: BinarySubtype::Uuid, bytes: vec![7; 16] };
        let bytes = Binary { subtype: BinarySubtype::Generic, bytes: vec![7; 16] };
        let decimal = || Bson::Decimal128("1.5".parse().unwrap());
        let regex = Regex { pattern: "a".to_owned().try_into().unwrap(), options: String::new().try_into().unwrap() };
        let cases: Vec<(Vec<Bson>, &str)> = vec![
            (vec![Bson::Int32(1), Bson::Int64(2), Bson::Null], "INT64"),
            (vec![Bson::Int32(1), Bson::Double(2.0)], "FLOAT64"),
            (vec![Bson::Int32(1), decimal()], "BIGNUMERIC"),
            (vec![Bson::Double(1.0), decimal()], "JSON"),
            (vec![Bson::Boolean(true)], "BOOL"),
            (vec![Bson::Boolean(true), Bson::Int32(1)], "JSON"),
            (vec!["a".into(), Bson::Symbol("b".into())], "STRING"),
            (vec![id.into(), "a".into(), uuid.into()], "STRING"),
            (vec![Bson::DateTime(DateTime::from_millis(0))], "TIMESTAMP"),
            (vec![Bson::Timestamp(Timestamp { time: 1, increment: 2 })], "JSON"),
            (vec![bytes.into()], "BYTES"),
            (vec![regex.into()], "JSON"),
            (vec![Bson::MinKey], "JSON"),
            (vec![Bson::Null, Bson::Undefined], "JSON"),
            (vec![Bson::Array(vec![1.into(), 2.into()]), Bson::Array(vec![])], "ARRAY<INT64>"),
            (vec![Bson::Array(vec![])], "JSON"),
            (vec![Bson::Array(vec![1.into(), Bson::Null])], "JSON"),
            (vec![Bson::Array(vec![Bson::Array(vec![1.into()])])], "JSON"),
            (vec![Bson::Array(vec![1.into(), "a".into()])], "JSON"),
            (vec![Bson::Array(vec![1.into()]), 1.into()], "JSON"),
        ];
        for (values, kind) in cases {
            assert_eq!(kind_of(values.clone(), Nested::Struct), kind, "{values:?}");
        }
    }

    #[test]
    fn nested_documents_are_structures_by_the_policy() {
        let values = || {
            [
                Bson::Document(doc! { "city": "Bern", "tags": [{ "n": 1 }] }),
                Bson::Document(doc! { "zip": 3_000, "tags": [{ "n": 2.5, "m": true }] }),
            ]
        };
        let structure = "STRUCT<city STRING, tags ARRAY<STRUCT<n FLOAT64, m BOOL>>, zip INT64>";
        assert_eq!(kind_of(values(), Nested::Struct), structure);
        assert_eq!(kind_of(values(), Nested::Json), "JSON");
        assert_eq!(kind_of([Bson::Array(vec![1.into()])], Nested::Json), "ARRAY<INT64>");
        assert_eq!(kind_of([Bson::Array(values().into())], Nested::Json), "JSON");
    }

    #[test]
    fn a_document_that_bigquery_cannot_have_as_a_structure_is_json() {
        for document in [
            doc! {},
            doc! { "a b": 1 },
            doc! { "2024": 1 },
            doc! { "a": 1, "A": 2 },
            (0..=FIELDS).map(|n| (format!("f{n}"), Bson::Int32(1))).collect(),
        ] {
            assert_eq!(kind_of([Bson::Document(document.clone())], Nested::Struct), "JSON", "{document:?}");
        }
        let deep = (0..20).fold(Bson::Int32(1), |inner, _| Bson::Document(doc! { "d": inner }));
        let kind = kind_of([deep], Nested::Struct);
        assert_eq!(kind.matches("STRUCT").count(), DEPTH, "{kind}");
        assert!(kind.contains("JSON"), "{kind}");
    }

    #[test]
    fn columns_come_in_the_order_they_were_first_seen_in() {
        let columns = kinds(&[doc! { "_id": 1, "b": 1 }, doc! { "_id": 2, "a": 1, "b": 1 }], Nested::Struct);
        assert_eq!(columns.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["_id", "b", "a"]);
    }

    #[test]
    fn values_of_one_order_can_be_gone_by() {
        let seen = |values: Vec<Bson>| {
            let mut fields = Fields::default();
            for value in values {
                fields.add(&RawDocumentBuf::try_from(&doc! { "v": value }).unwrap());
            }
            fields.get("v").unwrap().order()
        };
        assert_eq!(seen(vec![1.into(), 1.5.into(), Bson::Null]), Some("number"));
        assert_eq!(seen(vec![ObjectId::new().into()]), Some("objectId"));
        assert_eq!(seen(vec![1.into(), "a".into()]), None);
        assert_eq!(seen(vec![true.into()]), None);
        assert_eq!(seen(vec![Bson::Null]), None);
    }
}
