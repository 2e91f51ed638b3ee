//! Emulators in the place of Google's services.

use std::collections::BTreeMap;

use crate::connection::Service;

/// Where emulators stand in for services: base URLs without a trailing slash.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Emulators(BTreeMap<Service, String>);

impl Emulators {
    /// Those that the environment names; `variables` are its names and values.
    pub fn from_variables(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        let found = variables.into_iter().filter(|(_, value)| !value.is_empty()).filter_map(|(name, value)| {
            let service = Service::ALL.into_iter().find(|service| service.emulator_variable() == Some(&*name))?;
            Some((service, base_url(&value)))
        });
        Self(found.collect())
    }

    /// Puts an emulator in a service's place.
    #[must_use]
    pub fn with(mut self, service: Service, address: &str) -> Self {
        self.0.insert(service, base_url(address));
        self
    }

    /// The emulator's base URL, if there is one.
    #[must_use]
    pub fn url(&self, service: Service) -> Option<&str> {
        self.0.get(&service).map(String::as_str)
    }
}

/// Google's tools write `HOST:PORT`; a scheme is accepted too.
fn base_url(address: &str) -> String {
    let address = address.trim_end_matches('/');
    if address.contains("://") { address.to_owned() } else { format!("http://{address}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn emulators_are_found_by_the_names_that_googles_tools_use() {
        let variables = [("PUBSUB_EMULATOR_HOST", "127.0.0.1:8085"), ("STORAGE_EMULATOR_HOST", "http://127.0.0.2/")];
        let emulators = Emulators::from_variables(variables.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert_eq!(emulators.url(Service::PubSub), Some("http://127.0.0.1:8085"));
        assert_eq!(emulators.url(Service::Storage), Some("http://127.0.0.2"));
        assert_eq!(emulators.url(Service::BigQuery), None);
    }

    #[test]
    fn an_empty_variable_is_no_emulator() {
        let emulators = Emulators::from_variables([("PUBSUB_EMULATOR_HOST".to_owned(), String::new())]);
        assert_eq!(emulators, Emulators::default());
    }
}
