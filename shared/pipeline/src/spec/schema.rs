//! The JSON Schema of a pipeline file, for editors.

use schemars::{Schema, schema_for};
use serde_json::json;

use super::file::PipelineFile;

/// The schema, published as `schema/pipeline.schema.json`.
#[must_use]
pub fn schema() -> Schema {
    let mut schema = schema_for!(PipelineFile);
    schema.insert("title".into(), json!("Millstream pipeline"));
    schema.insert(
        "examples".into(),
        json!([{
            "apiVersion": "millstream.dev/v1",
            "name": "iris",
            "sources": {"iris": {
                "upload": "iris/*.csv",
                "columns": {"sepal_length": "FLOAT64 required", "species": "STRING required"},
                "table": "source.iris",
            }},
            "models": ["staging/iris.sql"],
            "training": {"iris": {"data": "staging.iris", "target": "species", "recipe": "tabular"}},
            "serving": {"iris": {"endpoint": "iris", "promote_when": ["accuracy >= 0.9"]}},
        }]),
    );
    schema
}
