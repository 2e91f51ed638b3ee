//! `millstream models`: versions, verdicts, and traffic moved by hand.

use millstream_events::names::ModelName;

use super::{Ended, named};
#[cfg(feature = "cloud")]
use crate::api::models::Models as Deployed;
use crate::{
    api::{
        Answer, Operations,
        views::{ModelDetails, ModelSummary, Shifted},
    },
    cli::Models,
    render,
};

/// Whose models are meant.
pub(super) enum Desk<'a> {
    /// This machine's.
    Here(&'a dyn Operations),
    /// A deployment's.
    #[cfg(feature = "cloud")]
    There(Deployed<'a>),
}

impl Desk<'_> {
    async fn all(&self) -> Answer<Vec<ModelSummary>> {
        match self {
            Self::Here(operations) => operations.models().await,
            #[cfg(feature = "cloud")]
            Self::There(models) => models.all().await,
        }
    }

    async fn one(&self, model: &ModelName) -> Answer<ModelDetails> {
        match self {
            Self::Here(operations) => operations.model(model).await,
            #[cfg(feature = "cloud")]
            Self::There(models) => models.one(model).await,
        }
    }

    async fn roll_back(&self, model: &ModelName) -> Answer<Vec<Shifted>> {
        match self {
            Self::Here(operations) => operations.roll_back(model).await,
            #[cfg(feature = "cloud")]
            Self::There(models) => models.roll_back(model).await,
        }
    }

    async fn promote(&self, model: &ModelName, version: u64) -> Answer<Vec<Shifted>> {
        match self {
            Self::Here(operations) => operations.promote(model, version).await,
            #[cfg(feature = "cloud")]
            Self::There(models) => models.promote(model, version).await,
        }
    }
}

pub(super) async fn run(desk: &Desk<'_>, command: Option<&Models>, as_json: bool) -> anyhow::Result<Ended> {
    match command {
        None | Some(Models::List) => {
            let models = desk.all().await?;
            if as_json {
                render::json(&models);
            } else if models.is_empty() {
                render::line("No models yet: a pipeline's `training` makes them.");
            } else {
                render::models(&models);
            }
        }
        Some(Models::Show { model }) => {
            let model = desk.one(&named(model)?).await?;
            if as_json {
                render::json(&model);
            } else {
                render::model(&model);
            }
        }
        Some(Models::Rollback { model }) => tell(model, &desk.roll_back(&named(model)?).await?, " again", as_json),
        Some(Models::Promote { model, number }) => {
            tell(model, &desk.promote(&named(model)?, *number).await?, "", as_json);
        }
    }
    Ok(Ended::Well)
}

fn tell(model: &str, shifted: &[Shifted], again: &str, as_json: bool) {
    if as_json {
        render::json(&shifted);
        return;
    }
    for shifted in shifted {
        render::line(&format!("Endpoint {} serves version {} of {model}{again}", shifted.endpoint, shifted.to));
    }
}
