//! Where the data is and where the model goes: Vertex AI's `AIP_*` variables.

use std::path::PathBuf;

use crate::RecipeError;
use crate::read::Format;

/// Vertex AI's training contract, as far as the recipe uses it.
///
/// `AIP_CHECKPOINT_DIR` is not read: a training takes seconds to minutes and starts over after an interruption.
#[derive(Debug, Clone)]
pub struct Environment {
    /// `AIP_TRAINING_DATA_URI`: a file, a folder or a pattern such as `part-*.parquet`; a path or a `file://` URI.
    pub training_data: String,
    /// `AIP_VALIDATION_DATA_URI`: rows that tell when to stop; without it some training rows do.
    pub validation_data: Option<String>,
    /// `AIP_TEST_DATA_URI`: the rows to hold out; without it a share of the training data is.
    pub test_data: Option<String>,
    /// `AIP_DATA_FORMAT`: `parquet` (the default), `csv` or `jsonl`.
    pub format: Format,
    /// `AIP_MODEL_DIR`: the folder to write to; made if need be.
    pub model_folder: PathBuf,
}

impl Environment {
    /// Reads the process's variables.
    pub fn from_variables() -> Result<Self, RecipeError> {
        #[expect(clippy::disallowed_methods, reason = "a recipe's settings are its container's variables: its edge")]
        Self::from_lookup(|name| std::env::var(name).ok())
    }

    /// Reads variables through `lookup`; an empty one counts as absent.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, RecipeError> {
        let optional = |name: &str| lookup(name).filter(|value| !value.is_empty());
        let required = |name: &'static str| optional(name).ok_or(RecipeError::Variable { name });
        Ok(Self {
            training_data: required("AIP_TRAINING_DATA_URI")?,
            validation_data: optional("AIP_VALIDATION_DATA_URI"),
            test_data: optional("AIP_TEST_DATA_URI"),
            format: optional("AIP_DATA_FORMAT").as_deref().unwrap_or("parquet").parse()?,
            model_folder: crate::read::local_path(&required("AIP_MODEL_DIR")?)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_variable_is_named() {
        let error = Environment::from_lookup(|name| (name == "AIP_MODEL_DIR").then(|| "out".into())).unwrap_err();
        assert!(error.to_string().contains("AIP_TRAINING_DATA_URI"), "{error}");
    }

    #[test]
    fn an_unknown_format_says_which_there_are() {
        let error = Environment::from_lookup(|_| Some("bigquery".into())).unwrap_err();
        assert!(error.to_string().contains("parquet, csv, jsonl"), "{error}");
    }
}
