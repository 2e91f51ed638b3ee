//! Which database or workbook is meant: that of a source in the project, or one that the command line names.

use anyhow::{Context, bail};
use millstream_events::{
    extract::{Cells, Connection, Selection, Sheet, SourceKind},
    names::ObjectPath,
    secret_name::SecretName,
};
use millstream_pipeline::{Pipelines, model::Extract};

use crate::{cli::Which, project::Project};

/// A database, or a part of a workbook.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Chosen {
    pub(super) connection: Connection,
    /// What a source of the project reads of it, or the workbook.
    pub(super) select: Option<Selection>,
}

impl Chosen {
    /// What the command line means.
    pub(super) fn new(project: &Project, which: &Which) -> anyhow::Result<Self> {
        match &which.name {
            Some(name) => {
                let pipelines = project.load_pipelines()?;
                let extract = named(&pipelines, name)?;
                Ok(Self { connection: extract.connection.clone(), select: Some(extract.select.clone()) })
            }
            None => said(which),
        }
    }

    /// The workbook that is read, if it is one.
    pub(super) fn workbook(&self) -> Option<&Sheet> {
        match &self.select {
            Some(Selection::Sheet(sheet)) => Some(sheet),
            _ => None,
        }
    }
}

/// Every extraction of the project by its pipeline's name and its own.
pub(super) fn extracts(pipelines: &Pipelines) -> impl Iterator<Item = (String, &Extract)> {
    pipelines.by_name.values().flat_map(|pipeline| {
        pipeline.extracts.iter().map(|extract| (format!("{}.{}", pipeline.name, extract.name), extract))
    })
}

fn named<'a>(pipelines: &'a Pipelines, name: &str) -> anyhow::Result<&'a Extract> {
    let all: Vec<(String, &Extract)> = extracts(pipelines).collect();
    let found: Vec<&(String, &Extract)> =
        all.iter().filter(|(full, extract)| full == name || extract.name == name).collect();
    match found.as_slice() {
        [(_, extract)] => Ok(extract),
        [] if all.is_empty() => bail!("no pipeline of this project extracts anything; name a database with --from"),
        [] => {
            let known: Vec<&str> = all.iter().map(|(full, _)| full.as_str()).collect();
            bail!("there is no source {name} that is extracted; there are {}", known.join(", "))
        }
        several => {
            let names: Vec<&str> = several.iter().map(|(full, _)| full.as_str()).collect();
            bail!("several pipelines have a source {name}; say which: {}", names.join(" or "))
        }
    }
}

fn said(which: &Which) -> anyhow::Result<Chosen> {
    let from: SourceKind = which.from.as_deref().unwrap_or_default().parse().map_err(anyhow::Error::msg)?;
    let secret = which.connection.as_deref().map(|text| reference(text, "--connection")).transpose()?;
    let ca = which.ca.as_deref().map(|text| reference(text, "--ca")).transpose()?;
    let select = match (from, &which.object) {
        (SourceKind::Excel, Some(object)) => {
            let object: ObjectPath = object.parse().context("--object")?;
            Some(Selection::Sheet(Sheet { object, cells: Cells::default() }))
        }
        (SourceKind::Excel, None) => bail!("name the workbook: --object gs://BUCKET/NAME.xlsx"),
        (_, Some(_)) => {
            bail!("only a workbook is an object; name the secret with the database's URL: --connection secret:NAME")
        }
        (_, None) if secret.is_none() => {
            bail!("name the secret that holds the database's URL: --connection secret:NAME")
        }
        (_, None) => None,
    };
    Ok(Chosen { connection: Connection { from, secret, ca }, select })
}

/// What was written is not repeated: it may be the secret itself.
fn reference(text: &str, argument: &str) -> anyhow::Result<SecretName> {
    match SecretName::of_reference(text) {
        Some(Ok(name)) => Ok(name),
        _ => bail!("{argument} takes a secret by its name, as secret:NAME; keep what it holds in the secret"),
    }
}
