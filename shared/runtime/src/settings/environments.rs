//! One settings file for every place: what stands outside `[env]` is common, the table of the chosen environment is laid
//! over it. In: the file and a name; out: the layers that they come to.

use std::path::Path;

use figment::{
    Metadata, Profile, Provider, Source,
    providers::{Format, Toml},
    value::{Dict, Map, Value},
};

use super::WrongSetting;

/// The environment that is always there.
pub(super) const LOCAL: &str = "local";

/// The table of environments in a settings file.
const TABLE: &str = "env";

/// One part of a settings file: what is common, or one environment's own.
pub(super) struct Part {
    metadata: Metadata,
    values: Dict,
}

/// An environment, and who has chosen it.
pub(super) struct Chosen {
    pub(super) name: String,
    pub(super) place: &'static str,
    pub(super) key: &'static str,
}

/// The parts of the file: what is common, then the chosen environment's own.
pub(super) fn parts(file: &Path, chosen: &Chosen) -> Result<Vec<Part>, WrongSetting> {
    let wrong =
        |key: &str, problem: String| WrongSetting { place: file.display().to_string(), key: key.to_owned(), problem };
    let mut profiles = Toml::file_exact(file).data().map_err(|error| wrong("", error.kind.to_string()))?;
    let mut common = profiles.remove(&Profile::Default).unwrap_or_default();
    let mut environments = match common.remove(TABLE) {
        None => Dict::new(),
        Some(Value::Dict(_, environments)) => environments,
        Some(_) => return Err(wrong(TABLE, format!("is the table of environments: write [{TABLE}.{LOCAL}]"))),
    };
    let table = place_of(&chosen.name);
    let own = environments.remove(&chosen.name);
    let mut parts = vec![Part { metadata: at("TOML file", file), values: common }];
    match own {
        Some(Value::Dict(_, values)) => parts.push(Part { metadata: at(table, file), values }),
        Some(_) => return Err(wrong(&table, format!("is an environment's table: write [{table}]"))),
        None => check_name(chosen, environments.into_keys())?,
    }
    Ok(parts)
}

/// An environment without a table must be the one that needs none, or the file names no environment at all: then
/// everything is said in variables, and there is none to mistake it for.
fn check_name(chosen: &Chosen, others: impl Iterator<Item = String>) -> Result<(), WrongSetting> {
    let mut names: Vec<String> = others.collect();
    if chosen.name == LOCAL || names.is_empty() {
        return Ok(());
    }
    names.push(LOCAL.to_owned());
    names.sort();
    names.dedup();
    Err(WrongSetting {
        place: chosen.place.to_owned(),
        key: chosen.key.to_owned(),
        problem: format!(
            "there is no environment {:?}; there are {}; another begins with [{TABLE}.NAME] in the settings file",
            chosen.name,
            names.join(", ")
        ),
    })
}

fn at(name: impl Into<String>, file: &Path) -> Metadata {
    Metadata::from(name.into(), Source::File(file.to_owned()))
}

/// The environment's table as the file writes it.
fn place_of(environment: &str) -> String {
    format!("{TABLE}.{environment}")
}

/// The table that a setting of this place stands in, where it is an environment's.
pub(super) fn table_of(metadata: &Metadata) -> Option<&str> {
    let is_table = metadata.name.strip_prefix(TABLE).is_some_and(|rest| rest.starts_with('.'));
    is_table.then_some(&*metadata.name)
}

impl Provider for Part {
    fn metadata(&self) -> Metadata {
        self.metadata.clone()
    }

    fn data(&self) -> figment::Result<Map<Profile, Dict>> {
        Ok(Map::from([(Profile::Default, self.values.clone())]))
    }
}
