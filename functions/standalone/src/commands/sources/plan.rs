//! `millstream sources plan`.

use std::{
    fs::OpenOptions,
    io::{ErrorKind, Write},
    path::Path,
};

use anyhow::{Context, bail};
use millstream_events::names::PipelineName;
use millstream_ports::source::Sources;

use super::{Ended, Planned, Reach, tables, which::Chosen, yaml};
use crate::{cli::Plan, project::Project, render};

pub(super) async fn run(project: &Project, reach: &Reach, asked: &Plan, as_json: bool) -> anyhow::Result<Ended> {
    let pipeline: PipelineName = asked.pipeline.parse().context("--pipeline")?;
    let chosen = Chosen::new(project, &asked.which)?;
    if asked.tables.is_empty() && chosen.workbook().is_none() {
        bail!("say which tables: --tables 'public.*', or several names; `millstream sources inspect` lists them");
    }
    let to_stdout = asked.output == Path::new("-");
    if !to_stdout && asked.output.exists() {
        bail!("{} is there already: name another file, or remove it", asked.output.display());
    }
    let source = reach.sources().connect(&chosen.connection).await?;
    let looked = tables::look(&source, &chosen, &asked.tables).await?;
    let made = yaml::pipeline(&pipeline, &chosen.connection, asked.schedule.as_deref(), &looked)?;
    // What is written must be a pipeline: a mistake in the schedule is found here too.
    project.check_alone(&pipeline, &made.yaml)?;
    if !to_stdout {
        write(&asked.output, &made.yaml)?;
    }
    let planned = Planned {
        pipeline: pipeline.to_string(),
        file: (!to_stdout).then(|| asked.output.clone()),
        sources: made.sources,
        left_out: made.left_out,
        yaml: made.yaml,
    };
    if as_json {
        render::json(&planned);
        return Ok(Ended::Well);
    }
    if to_stdout {
        render::verbatim(&planned.yaml);
    }
    for left_out in &planned.left_out {
        render::note(&format!("left out: {left_out}"));
    }
    if let Some(file) = &planned.file {
        render::line(&format!("{} extracts {} sources", file.display(), planned.sources.len()));
        render::note(&format!("Look at it, then: millstream check && millstream run {pipeline} --again"));
    }
    Ok(Ended::Well)
}

fn write(file: &Path, text: &str) -> anyhow::Result<()> {
    let shown = file.display();
    let mut to = OpenOptions::new().write(true).create_new(true).open(file).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => anyhow::anyhow!("{shown} is there already: name another file, or remove it"),
        ErrorKind::NotFound => anyhow::anyhow!("there is no folder for {shown}"),
        _ => anyhow::Error::new(error).context(format!("{shown} cannot be written")),
    })?;
    to.write_all(text.as_bytes()).with_context(|| format!("{shown} cannot be written"))
}
