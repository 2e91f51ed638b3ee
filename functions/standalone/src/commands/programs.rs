//! The programs that a platform starts. They need none themselves, and no runtime.

use std::process::ExitCode;

use millstream_recipe_tabular::{Environment, RecipeError};

use crate::{
    cli::{Program, Recipe},
    render,
};

pub(super) fn run(program: &Program) -> ExitCode {
    match program {
        Program::Supervise { job } => millstream_embedded::trainer::supervise(job),
        Program::Recipe { recipe: Recipe::Tabular(options) } => {
            let trained = Environment::from_variables().and_then(|environment| {
                millstream_recipe_tabular::run(options, &environment, &mut std::io::stdout().lock())
            });
            match trained.map_err(RecipeError::chain) {
                Ok(_) => ExitCode::SUCCESS,
                Err(message) => {
                    render::note(&format!("error: {message}"));
                    ExitCode::FAILURE
                }
            }
        }
    }
}
