//! The published JSON Schema.

use std::path::Path;

use millstream_pipeline::spec::schema;

#[test]
fn the_published_schema_is_what_the_reader_reads() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema/pipeline.schema.json");
    let published = std::fs::read_to_string(path).unwrap();
    let current = format!("{}\n", serde_json::to_string_pretty(&schema()).unwrap());
    assert_eq!(published, current, "write it anew: cargo run -p millstream-pipeline --example write_schema");
}

#[test]
fn a_field_has_its_documentation_and_what_has_to_be_there_is_required() {
    let schema = serde_json::to_value(schema()).unwrap();
    assert_eq!(schema["required"], serde_json::json!(["apiVersion", "name"]));
    assert_eq!(schema["additionalProperties"], false);
    let description = schema["properties"]["schedule"]["description"].as_str().unwrap();
    assert!(description.starts_with("A cron expression"), "{description}");
    let source = &schema["$defs"]["SourceSpec"];
    assert_eq!(source["required"], serde_json::json!(["table"]));
}
