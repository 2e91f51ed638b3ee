//! The `millstream` program that belongs to the sources being tested.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
    time::SystemTime,
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
            "cloud,sources",
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

/// Whether the program was built with the functions as services, and with the sources.
fn serves(program: &Path) -> bool {
    let knows =
        |arguments: &[&str]| Command::new(program).args(arguments).output().is_ok_and(|help| help.status.success());
    knows(&["serve", "--help"]) && knows(&["sources", "--help"])
}

/// Whether no source of the workspace's crates is newer. Cargo's own list of them is only there after `cargo build`.
fn is_current(program: &Path) -> bool {
    let Ok(built) = modified(program) else { return false };
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    ["events", "functions", "shared"].iter().all(|folder| is_older(&workspace.join(folder), false, built))
}

fn is_older(folder: &Path, of_sources: bool, built: SystemTime) -> bool {
    fs::read_dir(folder).into_iter().flatten().flatten().all(|entry| {
        let path = entry.path();
        if path.is_dir() {
            return is_older(&path, of_sources || entry.file_name() == "src", built);
        }
        !of_sources || modified(&path).is_ok_and(|changed| changed <= built)
    })
}

fn modified(path: &Path) -> io::Result<SystemTime> {
    fs::metadata(path).and_then(|metadata| metadata.modified())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_source_that_changed_after_the_build_makes_it_stale_and_nothing_else_does() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("crate/src/deep")).unwrap();
        fs::write(folder.path().join("crate/README.md"), "").unwrap();
        fs::write(folder.path().join("crate/src/deep/code.rs"), "").unwrap();
        let source = modified(&folder.path().join("crate/src/deep/code.rs")).unwrap();
        assert!(is_older(folder.path(), false, source));
        let earlier = source - Duration::from_secs(1);
        assert!(!is_older(folder.path(), false, earlier));
        fs::remove_file(folder.path().join("crate/src/deep/code.rs")).unwrap();
        assert!(is_older(folder.path(), false, earlier));
    }
}
