//! `millstream models`: versions, verdicts, rollback.

use super::{Ended, named, session::Session};
use crate::{cli::Models, project::Project, render};

pub(super) async fn run(project: Project, command: Option<&Models>, as_json: bool) -> anyhow::Result<Ended> {
    let session = Session::to_read(project).await?;
    match command {
        None | Some(Models::List) => {
            let models = session.models().await?;
            if as_json {
                render::json(&models);
            } else if models.is_empty() {
                render::line("No models yet: a pipeline's `training` makes them.");
            } else {
                render::models(&models);
            }
        }
        Some(Models::Show { model }) => {
            let model = session.model(&named(model)?).await?;
            if as_json {
                render::json(&model);
            } else {
                render::model(&model);
            }
        }
        Some(Models::Rollback { model }) => {
            let moved = session.roll_back(&named(model)?).await?;
            if as_json {
                render::json(&moved);
            } else {
                for moved in &moved {
                    render::line(&format!("Endpoint {} serves version {} of {model} again", moved.endpoint, moved.to));
                }
            }
        }
    }
    session.close().await?;
    Ok(Ended::Well)
}
