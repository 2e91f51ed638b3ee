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

use super::{FILE_NAME, Settings, SettingsError, WrongSetting};

pub(super) const DEFAULTS: &str = include_str!("millstream.toml");
const ENV_PREFIX: &str = "MILLSTREAM_";
const ENVIRONMENT: &str = "the environment";
const COMMAND_LINE: &str = "the command line";

/// Settings outside every section. Other variables with the prefix and no `__` are not settings and left alone.
const TOP_LEVEL: &[&str] = &["data_dir", "pipelines_dir", "sweep_seconds"];

pub(super) fn read(
    project_dir: &Path,
    variables: impl Iterator<Item = (String, String)>,
    overrides: &[(&str, String)],
) -> Result<Settings, SettingsError> {
    let file = project_dir.join(FILE_NAME);
    let mut layers = Figment::from(Toml::string(DEFAULTS));
    if file.is_file() {
        layers = layers.merge(Toml::file_exact(&file));
    }
    // One layer a setting: two of one section then add up instead of replacing each other.
    for (key, text) in variables.filter_map(variable) {
        layers = layers.merge(Pair { place: ENVIRONMENT, key: &key, text: &text });
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
    settings.data_dir = project_dir.join(&settings.data_dir);
    settings.pipelines_dir = project_dir.join(&settings.pipelines_dir);
    Ok(settings)
}

/// `MILLSTREAM_HTTP__ADDRESS` as `http.address`.
fn variable((name, value): (String, String)) -> Option<(String, String)> {
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
    let place = layers.find_metadata(key).map_or_else(|| "the settings".to_owned(), place);
    let key = if place == ENVIRONMENT {
        format!("{ENV_PREFIX}{}", key.replace('.', "__").to_ascii_uppercase())
    } else {
        key.to_owned()
    };
    WrongSetting { place, key, problem }
}

fn place(metadata: &Metadata) -> String {
    match &metadata.source {
        Some(Source::File(path)) => path.display().to_string(),
        _ if metadata.name.starts_with("TOML") => "the defaults".to_owned(),
        _ => metadata.name.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project(file: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(FILE_NAME), file).unwrap();
        folder
    }

    fn load(file: &str, variables: &[(&str, &str)], overrides: &[(&str, &str)]) -> Result<Settings, String> {
        let folder = project(file);
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let overrides: Vec<_> = overrides.iter().map(|(key, value)| (*key, (*value).to_owned())).collect();
        read(folder.path(), variables, &overrides).map_err(|error| error.to_string())
    }

    #[test]
    fn a_project_without_a_settings_file_gets_the_documented_defaults() {
        let folder = tempfile::tempdir().unwrap();
        let settings = read(folder.path(), std::iter::empty(), &[]).unwrap();
        assert_eq!(settings.data_dir, folder.path().join("data"));
        assert_eq!(settings.http.address.to_string(), "127.0.0.1:8787");
        assert_eq!(settings.sweep_seconds.get(), 5);
    }

    #[test]
    fn the_commented_default_file_is_itself_a_valid_settings_file() {
        let folder = tempfile::tempdir().unwrap();
        let without = read(folder.path(), std::iter::empty(), &[]).unwrap();
        std::fs::write(folder.path().join(FILE_NAME), Settings::commented_default()).unwrap();
        assert_eq!(read(folder.path(), std::iter::empty(), &[]).unwrap(), without);
    }

    #[test]
    fn the_command_line_wins_over_the_environment_over_the_file_over_the_defaults() {
        let file = "sweep_seconds = 6\n[http]\nmax_body_mib = 1\n[buckets]\nlake = \"water\"";
        let variables = [
            ("MILLSTREAM_SWEEP_SECONDS", "7"),
            ("MILLSTREAM_HTTP__MAX_BODY_MIB", "2"),
            ("MILLSTREAM_HTTP__ADDRESS", "127.0.0.1:1"),
        ];
        let settings = load(file, &variables, &[("sweep_seconds", "8"), ("log.format", "json")]).unwrap();
        assert_eq!(settings.sweep_seconds.get(), 8);
        assert_eq!(settings.http.max_body_mib.get(), 2);
        assert_eq!(settings.http.address.port(), 1);
        assert_eq!(settings.buckets.lake, "water");
        assert_eq!(settings.buckets.landing, "landing");
        assert_eq!(settings.log.format, super::super::LogFormat::Json);
    }

    #[test]
    fn variables_of_the_prefix_that_are_no_settings_are_left_alone() {
        assert!(load("", &[("MILLSTREAM_SIMULATION_SEEDS", "100"), ("PATH", "/bin")], &[]).is_ok());
    }

    #[test]
    fn a_wrong_setting_is_reported_with_the_place_it_stands_in() {
        for (file, variables, overrides, expected) in [
            ("[http]\naddres = \"x\"", &[][..], &[][..], &["millstream.toml: http.addres: ", "expected"][..]),
            ("sweep_seconds = 0", &[], &[], &["millstream.toml: sweep_seconds: "]),
            ("sweep_seconds = \"soon\"", &[], &[], &["millstream.toml: sweep_seconds: ", "soon"]),
            ("", &[("MILLSTREAM_HTTP__ADDRESS", "here")], &[], &["the environment: MILLSTREAM_HTTP__ADDRESS: "]),
            ("", &[("MILLSTREAM_HTTP__PORT", "80")], &[], &["the environment: MILLSTREAM_HTTP__PORT: "]),
            ("", &[], &[("log.format", "xml")], &["the command line: log.format: ", "xml"]),
            ("[buckets]\nlake = \"landing\"", &[], &[], &["millstream.toml: buckets.lake: ", "buckets.landing"]),
            ("[buckets]\nlake = \"../lake\"", &[], &[], &["millstream.toml: buckets.lake: "]),
            ("[log]\nlevel = \"info,a=b=c\"", &[], &[], &["millstream.toml: log.level: "]),
            ("a = = b", &[], &[], &["millstream.toml"]),
        ] {
            let error = load(file, variables, overrides).unwrap_err();
            for part in expected {
                assert!(error.contains(part), "{file:?} {variables:?}: {error}");
            }
        }
    }
}
