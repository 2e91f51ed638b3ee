//! The settings that only a process in the cloud needs: optional until one asks for them.

use std::{fmt, net::SocketAddr, num::NonZeroU64};

use serde::{
    Deserialize, Deserializer,
    de::{SeqAccess, Visitor},
};

use super::{Settings, SettingsError, WrongSetting};

/// Google Cloud, as far as it is said.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GcpSection {
    /// The project's id.
    pub project: Option<String>,
    /// Where BigQuery's datasets are: `US`, `europe-west3`.
    pub location: Option<String>,
    /// The Pub/Sub topic that events are published on.
    pub events_topic: String,
    /// The most a query may read, in GiB.
    pub maximum_gib_billed: NonZeroU64,
    /// Modifications of one table a day, below BigQuery's own limit.
    pub daily_table_modifications: NonZeroU64,
}

/// Google Cloud, with everything that a process there needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gcp {
    /// The project's id.
    pub project: String,
    /// Where BigQuery's datasets are.
    pub location: String,
    /// The Pub/Sub topic that events are published on.
    pub events_topic: String,
    /// The most a query may read, in GiB.
    pub maximum_gib_billed: NonZeroU64,
    /// Modifications of one table a day.
    pub daily_table_modifications: NonZeroU64,
}

/// Who may deliver events to a process in the cloud.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Auth {
    /// Whether callers must show who they are.
    pub require: bool,
    /// What a token must be for: the service's URL, or another name the subscriptions are given.
    #[serde(deserialize_with = "list")]
    pub audiences: Vec<String>,
    /// The service accounts that may.
    #[serde(deserialize_with = "list")]
    pub accounts: Vec<String>,
    /// Where the keys are that tokens are signed with.
    pub jwks_url: String,
}

impl Settings {
    /// Google Cloud's settings.
    ///
    /// # Errors
    /// With every setting that is missing.
    pub fn gcp(&self) -> Result<Gcp, SettingsError> {
        let gcp = &self.gcp;
        match (given(gcp.project.as_ref()), given(gcp.location.as_ref())) {
            (Some(project), Some(location)) => Ok(Gcp {
                project,
                location,
                events_topic: gcp.events_topic.clone(),
                maximum_gib_billed: gcp.maximum_gib_billed,
                daily_table_modifications: gcp.daily_table_modifications,
            }),
            (project, location) => {
                let mut missing = Vec::new();
                if project.is_none() {
                    missing.push(self.missing("gcp.project", "the id of the Google Cloud project"));
                }
                if location.is_none() {
                    missing.push(self.missing("gcp.location", "where BigQuery's datasets are, such as \"US\""));
                }
                Err(SettingsError(missing))
            }
        }
    }

    /// Who may deliver events; `None` where everybody may, because the settings say so.
    ///
    /// # Errors
    /// When callers must show who they are and nobody is allowed.
    pub fn callers(&self) -> Result<Option<&Auth>, SettingsError> {
        if !self.auth.require {
            return Ok(None);
        }
        let mut missing = Vec::new();
        if self.auth.audiences.is_empty() {
            missing.push(self.missing("auth.audiences", "what callers' tokens are for, such as the service's URL"));
        }
        if self.auth.accounts.is_empty() {
            missing.push(self.missing("auth.accounts", "the service accounts that may deliver events"));
        }
        if missing.is_empty() { Ok(Some(&self.auth)) } else { Err(SettingsError(missing)) }
    }

    /// Where a process in the cloud listens: `0.0.0.0:$PORT`, as Cloud Run asks, or `http.address` where there is no `PORT`.
    ///
    /// # Errors
    /// When `PORT` is no port.
    #[expect(clippy::disallowed_methods, reason = "settings are read here; PORT is Cloud Run's own")]
    pub fn serving_address(&self) -> Result<SocketAddr, SettingsError> {
        self.address_at(std::env::var("PORT").ok())
    }

    fn address_at(&self, port: Option<String>) -> Result<SocketAddr, SettingsError> {
        let Some(port) = port else { return Ok(self.http.address) };
        match port.parse() {
            Ok(port) => Ok(SocketAddr::from(([0, 0, 0, 0], port))),
            Err(error) => Err(SettingsError(vec![WrongSetting {
                place: super::layers::VARIABLES.to_owned(),
                key: "PORT".to_owned(),
                problem: format!("{port:?} is no port: {error}"),
            }])),
        }
    }

    fn missing(&self, key: &str, what: &str) -> WrongSetting {
        WrongSetting {
            place: format!("the environment {}", self.environment),
            key: key.to_owned(),
            problem: format!(
                "is needed to work in Google Cloud: {what}; set it in the settings file or as {}",
                super::layers::variable_of(key)
            ),
        }
    }
}

fn given(text: Option<&String>) -> Option<String> {
    text.filter(|text| !text.is_empty()).cloned()
}

/// A list, or its items with commas between them, which is how a variable writes one.
fn list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    struct List;

    impl<'de> Visitor<'de> for List {
        type Value = Vec<String>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list of texts, or one text with commas")
        }

        fn visit_str<E>(self, text: &str) -> Result<Vec<String>, E> {
            Ok(text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect())
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Vec<String>, A::Error> {
            let mut found = Vec::new();
            while let Some(item) = items.next_element()? {
                found.push(item);
            }
            Ok(found)
        }
    }

    deserializer.deserialize_any(List)
}

#[cfg(test)]
mod tests {
    use super::super::layers::tests::load;

    #[test]
    fn google_clouds_settings_are_asked_for_by_name_when_they_are_needed() {
        let error = load("", &[], &[]).unwrap().gcp().unwrap_err().to_string();
        for part in ["gcp.project", "MILLSTREAM_GCP__PROJECT", "gcp.location", "the environment local"] {
            assert!(error.contains(part), "{part} is not in {error}");
        }
        let variables = [("MILLSTREAM_GCP__PROJECT", "shop"), ("MILLSTREAM_GCP__LOCATION", "US")];
        let gcp = load("", &variables, &[]).unwrap().gcp().unwrap();
        assert_eq!((gcp.project.as_str(), gcp.location.as_str()), ("shop", "US"));
        assert_eq!((gcp.events_topic.as_str(), gcp.maximum_gib_billed.get()), ("millstream-events", 1_024));
        assert_eq!(gcp.daily_table_modifications.get(), 1_400);
    }

    #[test]
    fn callers_must_show_who_they_are_unless_the_settings_say_otherwise() {
        let error = load("", &[], &[]).unwrap().callers().unwrap_err().to_string();
        assert!(error.contains("auth.audiences") && error.contains("auth.accounts"), "{error}");
        assert_eq!(load("auth.require = false", &[], &[]).unwrap().callers(), Ok(None));
    }

    #[test]
    fn a_list_is_written_in_toml_or_with_commas_in_a_variable() {
        let in_file = "[auth]\naudiences = [\"https://a.run.app\", \"b\"]\naccounts = []";
        for (written, expected) in [
            ("push@p.iam.gserviceaccount.com", &["push@p.iam.gserviceaccount.com"][..]),
            ("a@p, b@p,", &["a@p", "b@p"]),
            ("[\"a@p\", \"b@p\"]", &["a@p", "b@p"]),
        ] {
            let settings = load(in_file, &[("MILLSTREAM_AUTH__ACCOUNTS", written)], &[]).unwrap();
            assert_eq!(settings.callers().unwrap().unwrap().accounts, expected, "{written}");
            assert_eq!(settings.auth.audiences, ["https://a.run.app", "b"]);
        }
        let error = load("", &[("MILLSTREAM_AUTH__ACCOUNTS", "7")], &[]).unwrap_err();
        assert!(error.contains("MILLSTREAM_AUTH__ACCOUNTS") && error.contains("with commas"), "{error}");
    }

    #[test]
    fn cloud_runs_port_is_listened_on_at_every_address() {
        let settings = load("", &[], &[]).unwrap();
        assert_eq!(settings.address_at(Some("8080".to_owned())).unwrap().to_string(), "0.0.0.0:8080");
        assert_eq!(settings.address_at(None).unwrap(), settings.http.address);
        let error = settings.address_at(Some("http".to_owned())).unwrap_err().to_string();
        assert!(error.starts_with("the environment: PORT: "), "{error}");
    }
}
