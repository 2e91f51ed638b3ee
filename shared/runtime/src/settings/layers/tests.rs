//! Which layer wins, and what a wrong setting is told.

use super::*;

fn project(file: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(FILE_NAME), file).unwrap();
    folder
}

/// The settings of a project with this file, these variables and this command line.
pub(crate) fn load(file: &str, variables: &[(&str, &str)], overrides: &[(&str, &str)]) -> Result<Settings, String> {
    load_for(None, file, variables, overrides)
}

fn load_for(
    environment: Option<&str>,
    file: &str,
    variables: &[(&str, &str)],
    overrides: &[(&str, &str)],
) -> Result<Settings, String> {
    let folder = project(file);
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let overrides: Vec<_> = overrides.iter().map(|(key, value)| (*key, (*value).to_owned())).collect();
    read(folder.path(), environment, variables, &overrides).map_err(|error| error.to_string())
}

#[test]
fn a_project_without_a_settings_file_gets_the_documented_defaults() {
    let folder = tempfile::tempdir().unwrap();
    let settings = read(folder.path(), None, std::iter::empty(), &[]).unwrap();
    assert_eq!(settings.data_dir, folder.path().join("data"));
    assert_eq!(settings.http.address.to_string(), "127.0.0.1:8787");
    assert_eq!(settings.sweep_seconds.get(), 5);
}

#[test]
fn the_commented_default_file_is_itself_a_valid_settings_file() {
    let folder = tempfile::tempdir().unwrap();
    let without = read(folder.path(), None, std::iter::empty(), &[]).unwrap();
    std::fs::write(folder.path().join(FILE_NAME), Settings::commented_default()).unwrap();
    assert_eq!(read(folder.path(), None, std::iter::empty(), &[]).unwrap(), without);
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
    assert!(
        load("", &[("MILLSTREAM_SIMULATION_SEEDS", "100"), ("MILLSTREAM_SECRET_A__B", "x"), ("PATH", "/bin")], &[])
            .is_ok()
    );
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
        ("[env.local.http]\naddres = \"x\"", &[], &[], &["millstream.toml: env.local.http.addres: "]),
        ("[env.local]\nsweep_seconds = 0", &[], &[], &["millstream.toml: env.local.sweep_seconds: "]),
        ("env = 7", &[], &[], &["millstream.toml: env: ", "[env.local]"]),
        ("[env]\nlocal = 7", &[], &[], &["millstream.toml: env.local: "]),
    ] {
        let error = load(file, variables, overrides).unwrap_err();
        for part in expected {
            assert!(error.contains(part), "{file:?} {variables:?}: {error}");
        }
    }
}

/// What is common, and three places.
const PLACES: &str = r#"
sweep_seconds = 6
[http]
max_body_mib = 1
[env.dev]
sweep_seconds = 30
[env.dev.buckets]
lake = "shop-dev-lake"
[env.prod]
sweep_seconds = 60
[env.prod.http]
max_requests = 80
"#;

#[test]
fn an_environments_table_is_laid_over_what_is_common() {
    let settings = load(PLACES, &[], &[]).unwrap();
    assert_eq!((settings.environment.as_str(), settings.sweep_seconds.get()), ("local", 6));
    let dev = load_for(Some("dev"), PLACES, &[("MILLSTREAM_ENV", "prod")], &[]).unwrap();
    assert_eq!((dev.environment.as_str(), dev.sweep_seconds.get()), ("dev", 30));
    assert_eq!((dev.buckets.lake.as_str(), dev.buckets.landing.as_str()), ("shop-dev-lake", "landing"));
    let variables = [("MILLSTREAM_ENV", "prod"), ("MILLSTREAM_SWEEP_SECONDS", "61")];
    let prod = load(PLACES, &variables, &[]).unwrap();
    assert_eq!((prod.environment.as_str(), prod.sweep_seconds.get()), ("prod", 61));
    assert_eq!((prod.http.max_requests.get(), prod.http.max_body_mib.get()), (80, 1));
}

#[test]
fn an_environment_that_is_not_there_is_answered_with_those_that_are() {
    let said = load_for(Some("prd"), PLACES, &[], &[]).unwrap_err();
    assert!(said.starts_with("the command line: --env: ") && said.contains("dev, local, prod"), "{said}");
    let variable = load(PLACES, &[("MILLSTREAM_ENV", "test")], &[]).unwrap_err();
    assert!(variable.starts_with("the environment: MILLSTREAM_ENV: "), "{variable}");
    assert!(load_for(Some("local"), PLACES, &[], &[]).is_ok());
}

#[test]
fn a_place_without_a_settings_file_may_have_any_name() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(read(folder.path(), Some("prod"), std::iter::empty(), &[]).unwrap().environment, "prod");
    assert_eq!(load("sweep_seconds = 6", &[("MILLSTREAM_ENV", "prod")], &[]).unwrap().environment, "prod");
}
