//! What is read: a collection, or what a pipeline makes of one.

use millstream_events::extract::Selection;
use millstream_ports::{PortError, PortResult};
use mongodb::bson::{Bson, Document};
use serde::Deserialize;

/// A collection or view, and the stages that its documents go through first.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Selected {
    pub(crate) collection: String,
    pub(crate) pipeline: Vec<Document>,
    pub(crate) is_query: bool,
}

/// A query as a pipeline file writes it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Query {
    collection: String,
    pipeline: Vec<Document>,
}

/// Stages that write, and one that never ends.
const REFUSED: [&str; 3] = ["$out", "$merge", "$changeStream"];

impl Selected {
    /// Reads a selection.
    pub(crate) fn of(select: &Selection) -> PortResult<Self> {
        match select {
            Selection::Table(name) => {
                check_name(name)?;
                Ok(Self { collection: name.clone(), pipeline: Vec::new(), is_query: false })
            }
            Selection::Query(text) => {
                let Query { collection, pipeline } = serde_json::from_str(text).map_err(|error| {
                    PortError::invalid(format!(
                        "the query is not what MongoDB's source takes ({error}): write \
                         {{\"collection\": \"orders\", \"pipeline\": [{{\"$match\": {{}}}}]}} as JSON"
                    ))
                })?;
                check_name(&collection)?;
                if let Some(stage) = pipeline.iter().find_map(refused) {
                    return Err(PortError::invalid(format!(
                        "the query's pipeline has {stage}, which does not end or writes: a source is only read; take it out"
                    )));
                }
                Ok(Self { collection, pipeline, is_query: true })
            }
            Selection::Sheet(_) => {
                Err(PortError::invalid("a sheet is of a workbook: of MongoDB, name a collection or write a query"))
            }
        }
    }

    /// Its stages, and more after them.
    pub(crate) fn stages(&self, more: Vec<Document>) -> Vec<Document> {
        self.pipeline.iter().cloned().chain(more).collect()
    }

    /// For messages.
    pub(crate) fn doing(&self, what: &str) -> String {
        let of = if self.is_query { "the query on the collection" } else { "the collection" };
        format!("{of} {} cannot be {what}", self.collection)
    }
}

/// The first stage that is refused, at any depth: `$lookup`, `$facet` and `$unionWith` have pipelines of their own.
fn refused(document: &Document) -> Option<&'static str> {
    document
        .iter()
        .find_map(|(name, value)| REFUSED.into_iter().find(|refused| name == refused).or_else(|| refused_within(value)))
}

fn refused_within(value: &Bson) -> Option<&'static str> {
    match value {
        Bson::Document(document) => refused(document),
        Bson::Array(items) => items.iter().find_map(refused_within),
        _ => None,
    }
}

fn check_name(name: &str) -> PortResult<()> {
    if name.is_empty() || name.contains(['\0', '$']) || name.starts_with("system.") {
        return Err(PortError::invalid(format!(
            "{name:?} is no collection to read: its name is not empty, has no `$` and does not start with `system.`"
        )));
    }
    Ok(())
}

/// Whether a field can be named in a stage: MongoDB reads dots as paths and a dollar as an operator.
pub(crate) fn is_plain(field: &str) -> bool {
    !field.is_empty() && !field.starts_with('$') && !field.contains(['.', '\0'])
}

#[cfg(test)]
mod tests {
    use millstream_ports::ErrorKind;
    use mongodb::bson::doc;

    use super::*;

    fn query(text: &str) -> PortResult<Selected> {
        Selected::of(&Selection::Query(text.into()))
    }

    #[test]
    fn a_query_keeps_the_order_of_its_fields_and_their_types() {
        let text = r#"{"collection": "orders", "pipeline": [
            {"$match": {"_id": {"$gt": {"$oid": "507f1f77bcf86cd799439011"}}}}, {"$sort": {"b": 1, "a": -1}}]}"#;
        let selected = query(text).unwrap();
        assert_eq!(selected.collection, "orders");
        assert_eq!(
            selected.pipeline[1].get_document("$sort").unwrap().keys().collect::<Vec<_>>(),
            ["b", "a"],
            "the order decides how it is sorted"
        );
        let id = mongodb::bson::oid::ObjectId::parse_str("507f1f77bcf86cd799439011").unwrap();
        assert_eq!(selected.pipeline[0], doc! { "$match": { "_id": { "$gt": id } } });
    }

    #[test]
    fn a_query_that_writes_is_refused_wherever_it_does() {
        for stage in [
            r#"{"$out": "other"}"#,
            r#"{"$merge": {"into": "other"}}"#,
            r#"{"$lookup": {"from": "b", "pipeline": [{"$match": {}}, {"$merge": "other"}], "as": "x"}}"#,
            r#"{"$facet": {"one": [{"$out": "other"}]}}"#,
            r#"{"$changeStream": {}}"#,
        ] {
            let error = query(&format!(r#"{{"collection": "orders", "pipeline": [{stage}]}}"#)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid, "{stage}");
            assert!(error.to_string().contains("take it out"), "{error}");
        }
        assert!(
            query(r#"{"collection": "a", "pipeline": [{"$group": {"_id": 1, "x": {"$mergeObjects": "$y"}}}]}"#).is_ok()
        );
    }

    #[test]
    fn what_is_no_query_or_no_collection_says_what_one_is() {
        assert!(query("SELECT 1").unwrap_err().to_string().contains(r#""pipeline""#));
        assert!(query(r#"{"collection": "a", "pipeline": [], "x": 1}"#).is_err());
        assert!(query(r#"{"collection": "system.users", "pipeline": []}"#).is_err());
        for name in ["", "a$b", "system.profile", "a\0"] {
            assert!(Selected::of(&Selection::Table(name.into())).is_err(), "{name:?}");
        }
    }
}
