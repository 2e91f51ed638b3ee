//! `millstream sources inspect`.

use millstream_events::extract::Selection;
use millstream_ports::source::Sources;

use super::{Columns, Ended, Reach, TableColumns, Tables, tables, which::Chosen};
use crate::{cli::Inspect, project::Project, render};

pub(super) async fn run(project: &Project, reach: &Reach, asked: &Inspect, as_json: bool) -> anyhow::Result<Ended> {
    let chosen = Chosen::new(project, &asked.which)?;
    let source = reach.sources().connect(&chosen.connection).await?;
    let kind = chosen.connection.from;
    // What a query or a sheet gives is no list of tables.
    let has_tables = matches!(&chosen.select, None | Some(Selection::Table(_)));
    if asked.table.is_none() && has_tables {
        let found = Tables { kind, tables: source.tables().await? };
        if as_json {
            render::json(&found);
        } else if found.tables.is_empty() {
            render::line("There is no table that this user may read.");
        } else {
            render::source_tables(&found.tables);
        }
        return Ok(Ended::Well);
    }
    let patterns: Vec<String> = asked.table.iter().cloned().collect();
    let looked = tables::look(&source, &chosen, &patterns).await?;
    let found = Columns { kind, tables: looked.into_iter().map(TableColumns::from).collect() };
    if as_json {
        render::json(&found);
    } else {
        render::source_columns(&found.tables);
    }
    Ok(Ended::Well)
}
