//! The names things go by, validated where they enter.

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A name that breaks its rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a valid {what}: {rule}")]
pub struct NameError {
    /// The text as given.
    pub text: String,
    /// What it should have been.
    pub what: &'static str,
    /// The rule it breaks.
    pub rule: &'static str,
}

/// Declares a validated string newtype that serialises as the plain text.
macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $what:literal, $rule:literal, $valid:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
        #[serde(try_from = "String", into = "String")]
        #[schemars(with = "String")]
        pub struct $name(String);

        impl $name {
            /// Checks `text` against the rule of this kind of name.
            pub fn new(text: impl Into<String>) -> Result<Self, NameError> {
                let text = text.into();
                let valid: fn(&str) -> bool = $valid;
                if valid(&text) { Ok(Self(text)) } else { Err(NameError { text, what: $what, rule: $rule }) }
            }

            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                Self::new(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;

            fn try_from(text: String) -> Result<Self, NameError> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }
    };
}

name!(
    /// A pipeline's name: it becomes part of paths, labels and Kubernetes names.
    PipelineName,
    "pipeline name",
    "use 1 to 40 of a-z, 0-9 and -, starting with a letter",
    |text| label(text, 40)
);

name!(
    /// A model's or an endpoint's name: Vertex AI's rule for model ids, without the underscore Kubernetes refuses.
    ModelName,
    "model or endpoint name",
    "use 1 to 40 of a-z, 0-9 and -, starting with a letter",
    |text| label(text, 40)
);

name!(
    /// Which run of its pipeline: `latest`, or its captures as `date=2026-11-24,region=eu`.
    RunKey,
    "run key",
    "use 1 to 120 of letters, digits and . _ - = , without a leading dot",
    |text| {
        (1..=120).contains(&text.len())
            && !text.starts_with('.')
            && text.chars().all(|c| c.is_ascii_alphanumeric() || "._-=,".contains(c))
    }
);

name!(
    /// One step of a run, `kind/what`: `load/transactions/5f1d0c9a`, `model/production.features`.
    StepName,
    "step name",
    "use kind/name of letters, digits and . _ - /",
    |text| {
        (3..=200).contains(&text.len())
            && text.contains('/')
            && text.chars().all(|c| c.is_ascii_alphanumeric() || "._-/".contains(c))
    }
);

fn label(text: &str, longest: usize) -> bool {
    (1..=longest).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && !text.ends_with('-')
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

/// A run: a pipeline and the key its events share.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct RunId {
    /// The pipeline.
    pub pipeline: PipelineName,
    /// Which of its runs.
    pub key: RunKey,
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.pipeline, self.key)
    }
}

impl FromStr for RunId {
    type Err = NameError;

    /// Reads `pipeline/key`; a bare pipeline name means its run `latest`.
    fn from_str(text: &str) -> Result<Self, NameError> {
        let (pipeline, key) = text.split_once('/').unwrap_or((text, "latest"));
        Ok(Self { pipeline: pipeline.parse()?, key: key.parse()? })
    }
}

/// A warehouse table, `dataset.table`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct TableName {
    dataset: String,
    table: String,
}

impl TableName {
    /// The dataset.
    #[must_use]
    pub fn dataset(&self) -> &str {
        &self.dataset
    }

    /// The table within its dataset.
    #[must_use]
    pub fn table(&self) -> &str {
        &self.table
    }
}

impl FromStr for TableName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let identifier = |part: &str| {
            (1..=128).contains(&part.len())
                && part.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
                && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        };
        match text.split_once('.') {
            Some((dataset, table)) if identifier(dataset) && identifier(table) => {
                Ok(Self { dataset: dataset.to_owned(), table: table.to_owned() })
            }
            _ => Err(NameError {
                text: text.to_owned(),
                what: "table name",
                rule: "write dataset.table, each of letters, digits and _, not starting with a digit",
            }),
        }
    }
}

impl TryFrom<String> for TableName {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl From<TableName> for String {
    fn from(name: TableName) -> Self {
        name.to_string()
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.dataset, self.table)
    }
}

/// An object in a bucket, written `gs://bucket/name`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct ObjectPath {
    bucket: String,
    name: String,
}

impl ObjectPath {
    /// Checks a bucket and an object name; names that could leave the bucket's folder are refused.
    pub fn new(bucket: impl Into<String>, name: impl Into<String>) -> Result<Self, NameError> {
        let (bucket, name) = (bucket.into(), name.into());
        let bucket_is_valid = (3..=63).contains(&bucket.len())
            && bucket.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c))
            && bucket.starts_with(|c: char| c.is_ascii_alphanumeric());
        if !bucket_is_valid {
            return Err(NameError {
                text: bucket,
                what: "bucket name",
                rule: "use 3 to 63 of a-z, 0-9 and - _ . starting with a letter or digit",
            });
        }
        // A folder's "name/" is a legal object name in Cloud Storage; every other empty segment is not for us.
        let segments_are_plain = name
            .strip_suffix('/')
            .unwrap_or(&name)
            .split('/')
            .all(|segment| !segment.is_empty() && segment != "." && segment != "..");
        if name.len() > 1024 || !segments_are_plain || name.chars().any(char::is_control) {
            return Err(NameError {
                text: name,
                what: "object name",
                rule: "use at most 1,024 bytes of path segments, none of them empty, . or .., no control characters",
            });
        }
        Ok(Self { bucket, name })
    }

    /// The bucket.
    #[must_use]
    pub fn bucket(&self) -> &str {
        &self.bucket
    }

    /// The object's name in its bucket.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The object `name` below this one taken as a folder.
    pub fn join(&self, name: &str) -> Result<Self, NameError> {
        Self::new(self.bucket.clone(), format!("{}/{name}", self.name.trim_end_matches('/')))
    }
}

impl FromStr for ObjectPath {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        match text.strip_prefix("gs://").and_then(|rest| rest.split_once('/')) {
            Some((bucket, name)) => Self::new(bucket, name),
            None => Err(NameError { text: text.to_owned(), what: "object path", rule: "write gs://bucket/name" }),
        }
    }
}

impl TryFrom<String> for ObjectPath {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl From<ObjectPath> for String {
    fn from(path: ObjectPath) -> Self {
        path.to_string()
    }
}

impl fmt::Display for ObjectPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "gs://{}/{}", self.bucket, self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_leave_their_bucket_are_refused() {
        for name in ["../x", "a/../b", "/etc/passwd", "a//b", "./a", "a\0b", ""] {
            assert!(ObjectPath::new("landing", name).is_err(), "{name:?}");
        }
        assert_eq!("gs://lake/a/b.csv".parse::<ObjectPath>().unwrap().name(), "a/b.csv");
    }

    #[test]
    fn names_are_validated_where_they_are_read() {
        assert!("fraud".parse::<PipelineName>().is_ok());
        assert!("Fraud".parse::<PipelineName>().is_err());
        assert!("a.b; DROP TABLE x".parse::<TableName>().is_err());
        assert_eq!("fraud".parse::<RunId>().unwrap().to_string(), "fraud/latest");
        assert!(serde_json::from_str::<TableName>("\"only_a_table\"").is_err());
    }
}
