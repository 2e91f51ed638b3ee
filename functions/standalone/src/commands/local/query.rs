//! `millstream query`: SQL on the warehouse.

use super::{Ended, session::Session, text_or_stdin};
use crate::{cli::Format, project::Project, render};

pub(super) async fn run(
    project: Project,
    sql: &str,
    format: Format,
    limit: usize,
    as_json: bool,
) -> anyhow::Result<Ended> {
    let sql = text_or_stdin(sql)?;
    let session = Session::to_read(project).await?;
    let rows = session.query(&sql, limit).await?;
    session.close().await?;
    match format {
        _ if as_json => render::json(&render::by_name(&rows)),
        Format::Json => render::json(&render::by_name(&rows)),
        Format::Csv => render::csv(&rows),
        Format::Table => render::rows(&rows),
    }
    if rows.truncated && format != Format::Table && !as_json {
        render::note(&format!("only the first {limit} rows; --limit asks for more"));
    }
    Ok(Ended::Well)
}
