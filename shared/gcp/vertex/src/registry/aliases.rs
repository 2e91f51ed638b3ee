//! Names for versions. `default` is Vertex AI's own: every model has it, and nothing is said by it here.

use std::collections::BTreeMap;

use millstream_events::names::ModelName;
use millstream_ports::{ErrorKind, PortError, PortResult};
use serde_json::{Value, json};

use super::{VertexRegistry, upload::version_name, version::Listed};
use crate::api::Call;

/// Vertex AI's own alias.
const DEFAULT: &str = "default";

/// Vertex AI's rule for aliases: `[a-z][a-zA-Z0-9-]{0,126}[a-z0-9]`.
pub(super) fn check(alias: &str) -> PortResult<()> {
    let is_lower = |c: char| c.is_ascii_lowercase();
    let is_valid = (2..=128).contains(&alias.len())
        && alias.starts_with(is_lower)
        && alias.ends_with(|c: char| is_lower(c) || c.is_ascii_digit())
        && alias.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
        && alias != DEFAULT;
    if is_valid {
        return Ok(());
    }
    Err(PortError::invalid(format!(
        "{alias:?} is not an alias: use 2 to 128 of letters, digits and -, from a lower-case letter to one or a digit, and \
         not {DEFAULT}"
    )))
}

/// The aliases of a model's versions. One that two have for a moment, while it moves, is the newer one's.
pub(super) fn of(versions: &[Listed]) -> BTreeMap<String, u64> {
    let named = versions.iter().filter_map(|version| Some((version.number()?, &version.version_aliases)));
    named
        .flat_map(|(number, aliases)| aliases.iter().map(move |alias| (alias.clone(), number)))
        .filter(|(alias, _)| alias != DEFAULT)
        .collect()
}

impl VertexRegistry {
    /// Gives an alias to a version and takes it from the others.
    pub(super) async fn move_alias(&self, model: &ModelName, alias: &str, version: u64) -> PortResult<()> {
        let holders = |listed: &[Listed]| -> Vec<u64> {
            let with = listed.iter().filter(|known| known.version_aliases.iter().any(|known| known == alias));
            with.filter_map(Listed::number).collect()
        };
        let listed = self.listed(model, "").await?;
        if !listed.iter().any(|known| known.number() == Some(version)) {
            return Err(PortError::not_found(format!("there is no version {version} of model {model}")));
        }
        let before = holders(&listed);
        if before == [version] {
            return Ok(());
        }
        if !before.contains(&version) {
            match self.merge(model, version, alias).await {
                // Where Vertex AI does not take it from the other by itself.
                Err(error)
                    if matches!(error.kind(), ErrorKind::Conflict | ErrorKind::Invalid) && !before.is_empty() =>
                {
                    self.take(model, &before, version, alias).await?;
                    self.merge(model, version, alias).await?;
                }
                merged => merged?,
            }
        }
        let after = holders(&self.listed(model, "").await?);
        self.take(model, &after, version, alias).await
    }

    async fn take(&self, model: &ModelName, holders: &[u64], but: u64, alias: &str) -> PortResult<()> {
        for holder in holders.iter().filter(|holder| **holder != but) {
            self.merge(model, *holder, &format!("-{alias}")).await?;
        }
        Ok(())
    }

    async fn merge(&self, model: &ModelName, version: u64, alias: &str) -> PortResult<()> {
        let doing = format!("name version {version} of model {model} {alias}");
        let path = format!("{}:mergeVersionAliases", version_name(self.model(model), version));
        let _: Value = self.api.call(&doing, Call::post(path, json!({"versionAliases": [alias]}))).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alias_keeps_vertex_ais_rule() {
        for alias in ["production", "settled", "first", "v1", "aB-9"] {
            assert!(check(alias).is_ok(), "{alias}");
        }
        for alias in ["", "a", "1st", "Prod", "prod-", "a_b", "default", "-prod", &"a".repeat(129)] {
            assert!(check(alias).is_err(), "{alias}");
        }
    }
}
