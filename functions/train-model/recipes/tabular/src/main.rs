//! `millstream-recipe-tabular`: the recipe as a program of its own, for a training container.

use std::io;
use std::process::ExitCode;

use clap::Parser;
use millstream_recipe_tabular::{Environment, Options, RecipeError, run};

/// Train gradient-boosted trees on a table. The table and the output folder come from Vertex AI's AIP_* variables.
#[derive(Parser)]
#[command(name = "millstream-recipe-tabular", version)]
struct Arguments {
    #[command(flatten)]
    options: Options,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let trained = Environment::from_variables()
        .and_then(|environment| run(&arguments.options, &environment, &mut io::stdout().lock()))
        .map_err(RecipeError::chain);
    match trained {
        Ok(_) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}
