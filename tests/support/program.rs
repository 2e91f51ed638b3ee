//! The `millstream` program that belongs to the sources being tested.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

/// The program, in the profile that this code was built in; built first where its sources are newer.
pub fn millstream() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        // target/PROFILE/deps/this-test
        let this = env::current_exe().unwrap();
        let profile_folder = this.ancestors().nth(2).expect("a test lies in target/PROFILE/deps");
        let program = profile_folder.join(format!("millstream{}", env::consts::EXE_SUFFIX));
        // Cargo itself is asked only where it is needed: a build of one package picks fewer features of its dependencies than
        // a build of the workspace with its tests does, and would compile most of them once more.
        if !is_current(&program) || !serves(&program) {
            build(profile_folder);
        }
        assert!(program.is_file(), "cargo built millstream, yet not as {}", program.display());
        program
    })
}

fn build(profile_folder: &Path) {
    let profile = match profile_folder.file_name().and_then(|name| name.to_str()) {
        Some("debug") => "dev",
        Some(other) => other,
        None => panic!("{} is no profile's folder", profile_folder.display()),
    };
    let target = profile_folder.parent().expect("a profile's folder lies in the target folder");
    let built = Command::new(env!("CARGO"))
        .args([
            "build",
            "--locked",
            "--package",
            "millstream",
            "--features",
            "cloud",
            "--profile",
            profile,
            "--target-dir",
        ])
        .arg(target)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status()
        .expect("cargo can be run");
    assert!(built.success(), "the millstream program does not build: see cargo's messages above");
}

/// Whether the program was built with the functions as services.
fn serves(program: &Path) -> bool {
    Command::new(program).args(["serve", "--help"]).output().is_ok_and(|help| help.status.success())
}

/// Whether no source of the program, as cargo lists them beside it, is newer.
fn is_current(program: &Path) -> bool {
    let modified = |path: &Path| fs::metadata(path).and_then(|metadata| metadata.modified());
    let (Ok(built), Ok(listed)) = (modified(program), fs::read_to_string(program.with_extension("d"))) else {
        return false;
    };
    sources(&listed).iter().all(|source| modified(Path::new(source)).is_ok_and(|changed| changed <= built))
}

/// The files behind the colon of a dependency file's line; a space in a name has a backslash before it.
fn sources(listed: &str) -> Vec<String> {
    let files = listed.split_once(": ").map_or("", |(_, files)| files);
    let files = files.replace("\\ ", "\0");
    files.split_whitespace().map(|file| file.replace('\0', " ")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_spaces_are_read_from_a_dependency_file() {
        assert_eq!(sources("/t/millstream: /a/main.rs /my\\ code/lib.rs\n"), ["/a/main.rs", "/my code/lib.rs"]);
        assert!(sources("").is_empty());
    }
}
