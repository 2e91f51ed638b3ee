//! Writes `schema/pipeline.schema.json` anew, for editors and for whoever checks pipeline files elsewhere.

use std::{fs, io, path::Path};

fn main() -> io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema");
    fs::create_dir_all(&folder)?;
    let schema = serde_json::to_string_pretty(&millstream_pipeline::spec::schema())?;
    fs::write(folder.join("pipeline.schema.json"), format!("{schema}\n"))
}
