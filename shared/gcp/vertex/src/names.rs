//! Names and labels as Vertex AI takes and gives them.

use millstream_events::names::ModelName;

/// Marks what is Millstream's own among a project's resources.
pub(crate) const MANAGED_BY: (&str, &str) = ("managed_by", "millstream");

/// The longest label value.
const LABEL_LIMIT: usize = 63;

/// A text as a label's value: lower case, everything but letters, digits, `-` and `_` as `_`, cut to its limit.
pub(crate) fn label(text: &str) -> String {
    let plain = |c: char| match c.to_ascii_lowercase() {
        c @ ('a'..='z' | '0'..='9' | '-' | '_') => c,
        _ => '_',
    };
    text.chars().take(LABEL_LIMIT).map(plain).collect()
}

/// The filter for resources whose label has this value, which is a label's.
pub(crate) fn with_label(key: &str, value: &str) -> String {
    format!("labels.{key}=\"{value}\"")
}

/// A resource name's last part.
pub(crate) fn last(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

/// The model and version in a resource name such as `projects/1/locations/r/models/churn@2`; `version` is the field beside it
/// where the name has none. `None` for what cannot be Millstream's.
pub(crate) fn model_version(name: &str, version: &str) -> Option<(ModelName, u64)> {
    let (model, own) = last(name).split_once('@').unwrap_or((last(name), version));
    let version = if version.is_empty() { own } else { version };
    Some((model.parse().ok()?, version.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_text_becomes_a_valid_label() {
        assert_eq!(label("date=2026-11-24,region=EU"), "date_2026-11-24_region_eu");
        assert_eq!(label("train/churn/5f1d"), "train_churn_5f1d");
        assert_eq!(label(&"é".repeat(200)), "_".repeat(63));
    }

    #[test]
    fn a_deployed_models_name_gives_its_model_and_version() {
        let churn: ModelName = "churn".parse().unwrap();
        assert_eq!(model_version("projects/1/locations/r/models/churn@2", ""), Some((churn.clone(), 2)));
        assert_eq!(model_version("projects/1/locations/r/models/churn", "3"), Some((churn.clone(), 3)));
        assert_eq!(model_version("projects/1/locations/r/models/churn@golden", "3"), Some((churn, 3)));
        assert_eq!(model_version("projects/1/locations/r/models/1234567", "1"), None);
    }
}
