//! Names, labels and annotations of everything this crate makes.

use std::collections::BTreeMap;

use millstream_ports::{
    error::{PortError, PortResult},
    trainer::TrainingJob,
};

/// Says that this platform made an object.
pub(crate) const MANAGED_BY: (&str, &str) = ("app.kubernetes.io/managed-by", "millstream");

/// The annotation with the manifest's hash.
pub(crate) const MANIFEST_HASH: &str = "millstream.dev/manifest-hash";

/// The annotation that says whose a job is: the folder it writes to is one deployment's.
pub(crate) const OUTPUT: &str = "millstream.dev/output";

/// Whose fields an object's are.
pub(crate) const FIELD_MANAGER: &str = "millstream";

/// The longest name of a RayJob: the names of its cluster and pods are made from it. All kinds keep to it.
const LONGEST_NAME: usize = 47;

/// What job ids get in front: a name starts with a letter.
const PREFIX: &str = "ms-";

/// The longest value of a label.
const LONGEST_LABEL: usize = 63;

/// The name of a job's object and of its record.
pub(crate) fn object_name(job: &str) -> PortResult<String> {
    let longest = LONGEST_NAME - PREFIX.len();
    let valid = is_dns_label(job) && job.len() <= longest;
    if valid {
        Ok(format!("{PREFIX}{job}"))
    } else {
        Err(PortError::invalid(format!(
            "job: {job:?} is no name for Kubernetes: use 1 to {longest} of a-z, 0-9 and -, the first and the last no -"
        )))
    }
}

/// Whether `text` is 1 to 63 of a-z, 0-9 and `-`, the first and the last no `-`.
pub(crate) fn is_dns_label(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = text.as_bytes();
    bytes.len() <= LONGEST_LABEL
        && bytes.iter().all(|byte| plain(*byte) || *byte == b'-')
        && bytes.first().is_some_and(|byte| plain(*byte))
        && bytes.last().is_some_and(|byte| plain(*byte))
}

/// Whether `text` is DNS labels with dots between them, at most 253 characters: the name of most objects.
pub(crate) fn is_dns_subdomain(text: &str) -> bool {
    text.len() <= 253 && text.split('.').all(is_dns_label)
}

/// What a person finds a job's objects by.
pub(crate) fn labels(training: &TrainingJob) -> BTreeMap<String, String> {
    let step = &training.step;
    let texts = [
        ("pipeline", step.run.pipeline.to_string()),
        ("run", step.run.key.to_string()),
        ("step", step.step.to_string()),
        ("model", training.model.to_string()),
        ("fingerprint", step.fingerprint.to_string()),
        ("attempt", step.attempt.to_string()),
    ];
    let mut labels: BTreeMap<_, _> =
        texts.into_iter().map(|(key, text)| (format!("millstream.dev/{key}"), label_value(&text))).collect();
    labels.insert(MANAGED_BY.0.to_owned(), MANAGED_BY.1.to_owned());
    labels
}

/// What labels have no room for.
pub(crate) fn annotations(training: &TrainingJob) -> BTreeMap<String, String> {
    let step = &training.step;
    BTreeMap::from([
        ("millstream.dev/run-id".to_owned(), step.run.to_string()),
        ("millstream.dev/step-name".to_owned(), step.step.to_string()),
    ])
}

/// `text` as a label's value. One that has to be changed ends in a hash of the whole, so that two texts stay two values.
fn label_value(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric();
    let fits = text.len() <= LONGEST_LABEL
        && text.starts_with(plain)
        && text.ends_with(plain)
        && text.chars().all(|c| plain(c) || "-_.".contains(c));
    if fits {
        return text.to_owned();
    }
    let hash = blake3::hash(text.as_bytes()).to_hex();
    let end = &hash[..8];
    let start: String = text
        .chars()
        .skip_while(|c| !plain(*c))
        .map(|c| if plain(c) || "-_.".contains(c) { c } else { '_' })
        .take(LONGEST_LABEL - end.len() - 1)
        .collect();
    if start.is_empty() { end.to_owned() } else { format!("{start}-{end}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_id_of_a_step_has_a_name_that_all_kinds_take() {
        for job in ["0123456789abcdef0123456789abcdef", "0123456789abcdef0123456789abcdef-a4294967295"] {
            let name = object_name(job).unwrap();
            assert!(name.len() <= 47 && name.starts_with("ms-"), "{name}");
        }
    }

    #[test]
    fn other_ids_are_refused() {
        for job in ["", "-a", "a-", "A", "a/b", "a b", "a.b", &"a".repeat(45)] {
            assert!(object_name(job).unwrap_err().to_string().starts_with("job: "), "{job:?}");
        }
    }

    #[test]
    fn values_of_labels_are_valid_and_stay_apart() {
        assert_eq!(label_value("latest"), "latest");
        let run = label_value("date=2026-11-24,region=eu");
        assert!(run.starts_with("date_2026-11-24_region_eu-"), "{run}");
        assert_ne!(run, label_value("date=2026-11-24_region=eu"));
        let long = label_value(&format!("train/{}", "x".repeat(190)));
        assert!(long.len() == 63 && long.starts_with("train_x"), "{long}");
        for odd in ["=", "-", "_a_", "=,="] {
            let value = label_value(odd);
            assert!(value.starts_with(|c: char| c.is_ascii_alphanumeric()), "{odd}: {value}");
            assert!(value.ends_with(|c: char| c.is_ascii_alphanumeric()), "{odd}: {value}");
        }
    }
}
