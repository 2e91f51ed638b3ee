//! Lays the sources of settings over each other and says which of them a wrong setting comes from.

use std::{convert::Infallible, path::Path};

use figment::{
    Figment, Metadata, Profile, Provider, Source,
    error::Kind,
    providers::{Format, Toml},
    util::nest,
    value::{Dict, Map, Value},
};
use millstream_events::names::ObjectPath;
use tracing_subscriber::EnvFilter;

use super::{
    FILE_NAME, Settings, SettingsError, WrongSetting,
    environments::{self, Chosen, LOCAL},
};

pub(super) const DEFAULTS: &str = include_str!("millstream.toml");
const ENV_PREFIX: &str = "MILLSTREAM_";
/// The variable that names the environment of the settings file.
const ENV_NAME: &str = "MILLSTREAM_ENV";
pub(super) const VARIABLES: &str = "the environment";
const COMMAND_LINE: &str = "the command line";

/// Settings outside every section. Other variables with the prefix and no `__` are not settings and left alone.
const TOP_LEVEL: &[&str] = &["data_dir", "pipelines_dir", "sweep_seconds"];

pub(super) fn read(
    project_dir: &Path,
    environment: Option<&str>,
    variables: impl Iterator<Item = (String, String)>,
    overrides: &[(&str, String)],
) -> Result<Settings, SettingsError> {
    let variables: Vec<(String, String)> = variables.collect();
    let chosen = chosen(environment, &variables);
    let file = project_dir.join(FILE_NAME);
    let mut layers = Figment::from(Toml::string(DEFAULTS));
    if file.is_file() {
        for part in environments::parts(&file, &chosen).map_err(|wrong| SettingsError(vec![wrong]))? {
            layers = layers.merge(part);
        }
    }
    // One layer a setting: two of one section then add up instead of replacing each other.
    for (key, text) in variables.into_iter().filter_map(variable) {
        layers = layers.merge(Pair { place: VARIABLES, key: &key, text: &text });
    }
    for (key, text) in overrides {
        layers = layers.merge(Pair { place: COMMAND_LINE, key, text });
    }
    let mut settings: Settings = layers
        .extract()
        .map_err(|error| SettingsError(error.into_iter().map(|error| unreadable(&layers, error)).collect()))?;
    let wrong = unusable(&layers, &settings);
    if !wrong.is_empty() {
        return Err(SettingsError(wrong));
    }
    settings.environment = chosen.name;
    settings.data_dir = project_dir.join(&settings.data_dir);
    settings.pipelines_dir = project_dir.join(&settings.pipelines_dir);
    Ok(settings)
}

/// The environment of the settings file: the command line's, else the variable's, else the local one.
fn chosen(said: Option<&str>, variables: &[(String, String)]) -> Chosen {
    let variable = variables.iter().find(|(name, value)| name == ENV_NAME && !value.is_empty());
    match (said, variable) {
        (Some(name), _) => Chosen { name: name.to_owned(), place: COMMAND_LINE, key: "--env" },
        (None, Some((_, name))) => Chosen { name: name.clone(), place: VARIABLES, key: ENV_NAME },
        (None, None) => Chosen { name: LOCAL.to_owned(), place: VARIABLES, key: ENV_NAME },
    }
}

/// `MILLSTREAM_HTTP__ADDRESS` as `http.address`.
fn variable((name, value): (String, String)) -> Option<(String, String)> {
    // A secret's name may look like a setting's.
    if name.starts_with(crate::secrets::VARIABLE_PREFIX) {
        return None;
    }
    let key = name.strip_prefix(ENV_PREFIX)?.to_ascii_lowercase();
    let key = match key.split_once("__") {
        Some((section, setting)) if !section.is_empty() && !setting.is_empty() => format!("{section}.{setting}"),
        None if TOP_LEVEL.contains(&key.as_str()) => key,
        _ => return None,
    };
    Some((key, value))
}

/// One setting as a dotted key and a text; a text that reads as a number or a boolean is one.
struct Pair<'p> {
    place: &'static str,
    key: &'p str,
    text: &'p str,
}

impl Provider for Pair<'_> {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.place)
    }

    fn data(&self) -> figment::Result<Map<Profile, Dict>> {
        let value: Value = self.text.parse().unwrap_or_else(|never: Infallible| match never {});
        let settings = nest(self.key, value).into_dict().unwrap_or_default();
        Ok(Map::from([(Profile::Default, settings)]))
    }
}

fn unreadable(layers: &Figment, error: figment::Error) -> WrongSetting {
    let mut path = error.path.clone();
    if let Kind::UnknownField(name, _) = &error.kind
        && path.last() != Some(name)
    {
        path.push(name.clone());
    }
    let key = path.join(".");
    match error.metadata.as_ref().filter(|_| key.is_empty()) {
        Some(metadata) => WrongSetting { place: place(metadata), key, problem: error.kind.to_string() },
        None => wrong(layers, &key, error.kind.to_string()),
    }
}

fn unusable(layers: &Figment, settings: &Settings) -> Vec<WrongSetting> {
    let mut found = Vec::new();
    let buckets = &settings.buckets;
    let named = [
        ("buckets.landing", &buckets.landing),
        ("buckets.lake", &buckets.lake),
        ("buckets.ledger", &buckets.ledger),
        ("buckets.models", &buckets.models),
    ];
    for (index, (key, name)) in named.iter().enumerate() {
        if let Err(error) = ObjectPath::new(name.as_str(), "object") {
            found.push(wrong(layers, key, error.to_string()));
        }
        if let Some((other, _)) = named[..index].iter().find(|(_, earlier)| earlier == name) {
            found.push(wrong(layers, key, format!("{name:?} is the name of {other} too; give each bucket its own")));
        }
    }
    if let Err(error) = EnvFilter::try_new(&settings.log.level) {
        found.push(wrong(layers, "log.level", error.to_string()));
    }
    found
}

fn wrong(layers: &Figment, key: &str, problem: String) -> WrongSetting {
    let metadata = layers.find_metadata(key);
    let place = metadata.map_or_else(|| "the settings".to_owned(), place);
    let key = match metadata.and_then(environments::table_of) {
        Some(table) => format!("{table}.{key}"),
        None if place == VARIABLES => variable_of(key),
        None => key.to_owned(),
    };
    WrongSetting { place, key, problem }
}

/// `http.address` as `MILLSTREAM_HTTP__ADDRESS`.
pub(super) fn variable_of(key: &str) -> String {
    format!("{ENV_PREFIX}{}", key.replace('.', "__").to_ascii_uppercase())
}

fn place(metadata: &Metadata) -> String {
    match &metadata.source {
        Some(Source::File(path)) => path.display().to_string(),
        _ if metadata.name.starts_with("TOML") => "the defaults".to_owned(),
        _ => metadata.name.to_string(),
    }
}

#[cfg(test)]
pub(super) mod tests;
