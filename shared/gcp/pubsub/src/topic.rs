//! A topic's name.

use millstream_ports::{PortError, PortResult};

/// A topic of a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Topic {
    pub(crate) project: String,
    pub(crate) id: String,
}

impl Topic {
    /// Checks the id, which a person wrote: the service's own answer to a wrong one only says that the request is invalid.
    /// The rule: <https://cloud.google.com/pubsub/docs/pubsub-basics#resource_names>.
    pub(crate) fn new(project: &str, id: &str) -> PortResult<Self> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.~+%".contains(c);
        if (3..=255).contains(&id.len())
            && id.starts_with(|c: char| c.is_ascii_alphabetic())
            && !id.starts_with("goog")
            && id.chars().all(allowed)
        {
            return Ok(Self { project: project.to_owned(), id: id.to_owned() });
        }
        Err(PortError::invalid(format!(
            "{id:?} is not a valid Pub/Sub topic: give its id alone, 3 to 255 of letters, digits and - _ . ~ + %, starting \
             with a letter and not with goog"
        )))
    }

    /// As the API names it.
    pub(crate) fn resource(&self) -> String {
        format!("projects/{}/topics/{}", self.project, self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_is_named_by_its_id_alone() {
        assert_eq!(Topic::new("p1", "millstream-events").unwrap().resource(), "projects/p1/topics/millstream-events");
        let long = "t".repeat(256);
        for wrong in ["", "ab", "1events", "google-events", "projects/p1/topics/events", "événements", "a b c", &long]
        {
            let error = Topic::new("p1", wrong).unwrap_err();
            assert!(error.to_string().contains("give its id alone"), "{wrong}: {error}");
        }
    }
}
