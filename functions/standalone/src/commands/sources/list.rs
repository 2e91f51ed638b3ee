//! `millstream sources list`.

use millstream_events::extract::Bookmark;
use millstream_pipeline::{
    model::{Extract, Pipeline},
    plan::{TurnEnd, turn_end},
};
use millstream_ports::{Ledger, PortResult};

use super::{Ended, Extracted, Reach};
use crate::{project::Project, render};

pub(super) async fn run(project: &Project, reach: &Reach, as_json: bool) -> anyhow::Result<Ended> {
    let pipelines = project.load_pipelines()?;
    let mut found = Vec::new();
    for pipeline in pipelines.by_name.values() {
        for extract in &pipeline.extracts {
            found.push(extracted(pipeline, extract, loaded(&*reach.ledger, extract).await?));
        }
    }
    if as_json {
        render::json(&found);
    } else if found.is_empty() {
        render::line("No pipeline extracts anything. `millstream sources plan --help` shows how to begin.");
    } else {
        render::extracted(&found);
    }
    Ok(Ended::Well)
}

fn extracted(pipeline: &Pipeline, extract: &Extract, bookmark: Option<Bookmark>) -> Extracted {
    Extracted {
        source: format!("{}.{}", pipeline.name, extract.name),
        connection: extract.connection.clone(),
        select: extract.select.clone(),
        schedule: extract.schedule.clone().or_else(|| pipeline.schedule.clone()),
        changes: extract.changes.clone(),
        table: extract.table.clone(),
        bookmark,
    }
}

/// How far a table's latest extraction that was loaded has come.
async fn loaded(ledger: &dyn Ledger, extract: &Extract) -> PortResult<Option<Bookmark>> {
    let Some((holder, _)) = ledger.turn(&extract.table).await? else { return Ok(None) };
    let snapshot = ledger.snapshot(&holder.run).await?;
    Ok(match turn_end(&snapshot.history, snapshot.open.is_some(), &extract.table, holder.number) {
        TurnEnd::Loaded(bookmark) => Some(bookmark),
        TurnEnd::NotYet | TurnEnd::GivenUp => holder.loaded.map(|(_, bookmark)| bookmark),
    })
}
