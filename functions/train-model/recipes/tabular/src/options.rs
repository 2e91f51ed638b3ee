//! What a person may ask of a training.

use clap::{Args, ValueEnum};

/// The recipe's options.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// The column to predict
    #[arg(long)]
    pub target: String,
    /// What to predict it as; `auto` takes text, booleans and integers of two values as classes, other numbers as numbers
    #[arg(long, value_enum, default_value_t = TaskChoice::Auto)]
    pub task: TaskChoice,
    /// Columns not to learn from, such as keys (comma-separated)
    #[arg(long, value_delimiter = ',')]
    pub exclude: Vec<String>,
    /// The most rounds of trees
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub trees: u32,
    /// How much of each tree's correction is taken
    #[arg(long, default_value_t = 0.1, value_parser = positive_share)]
    pub learning_rate: f64,
    /// The most splits from a tree's root to a leaf
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=16))]
    pub max_depth: u32,
    /// The fewest training rows of a leaf
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    pub min_child_rows: u32,
    /// Draws the values of small leaves towards zero
    #[arg(long, default_value_t = 1.0, value_parser = not_negative)]
    pub l2: f64,
    /// The share of rows held out to measure the model, where no test data is given
    #[arg(long, default_value_t = 0.2, value_parser = inner_share)]
    pub test_share: f64,
    /// Rounds without a better validation loss before training stops
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    pub patience: u32,
    /// Chooses which rows are held out
    #[arg(long, default_value_t = 42)]
    pub seed: u64,
}

/// How a target is to be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TaskChoice {
    /// By its type and values.
    Auto,
    /// As classes.
    Classification,
    /// As a number.
    Regression,
}

fn number(text: &str, fits: impl Fn(f64) -> bool, expected: &str) -> Result<f64, String> {
    text.parse().ok().filter(|value| fits(*value)).ok_or_else(|| format!("expected a number {expected}"))
}

fn positive_share(text: &str) -> Result<f64, String> {
    number(text, |value| value > 0.0 && value <= 1.0, "above 0, at most 1")
}

fn inner_share(text: &str) -> Result<f64, String> {
    number(text, |value| value > 0.0 && value < 1.0, "between 0 and 1")
}

fn not_negative(text: &str) -> Result<f64, String> {
    number(text, |value| value >= 0.0 && value.is_finite(), "of at least 0")
}
