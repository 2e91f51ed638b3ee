//! `millstream manifests sanitize`: it needs no project.

use std::{
    fs,
    io::Write,
    path::Path,
    process::{Command, Stdio},
};

use crate::support::{Left, program};

const BAD: &str = "apiVersion: v1\nkind: Pod\nmetadata:\n  creationTimestamp: \"null\" # why\n  name: p\n";
const GOOD: &str = "apiVersion: v1\nkind: Pod\nmetadata:\n  name: p\n";

fn sanitize(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = program(folder);
    command.args(["manifests", "sanitize"]).args(arguments);
    command
}

fn piped(mut command: Command, input: &[u8]) -> Left {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    child.wait_with_output().unwrap().into()
}

#[test]
fn a_stream_goes_through_with_the_report_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let left = piped(sanitize(folder.path(), &[]), BAD.as_bytes()).well();
    assert_eq!(left.stdout, GOOD);
    assert!(
        left.stderr.contains("error: -, document 1, Pod/p: metadata.creationTimestamp: \"null\""),
        "{}",
        left.stderr
    );
    let again = piped(sanitize(folder.path(), &["-"]), GOOD.as_bytes()).well();
    assert_eq!((again.stdout.as_str(), again.stderr.as_str()), (GOOD, ""));
}

#[test]
fn a_check_writes_nothing_and_in_place_writes_only_what_changes() {
    let folder = tempfile::tempdir().unwrap();
    let [bad, good] = ["bad.yaml", "good.yaml"].map(|name| folder.path().join(name));
    fs::write(&bad, BAD).unwrap();
    fs::write(&good, "kind:   ConfigMap\n").unwrap();
    let check: Left = sanitize(folder.path(), &["--check", "--json", "bad.yaml", "good.yaml"]).output().unwrap().into();
    assert_eq!(check.code, 1);
    let files = check.json()["files"].clone();
    assert_eq!((files[0]["changed"].as_bool(), files[1]["changed"].as_bool()), (Some(true), Some(false)));
    assert_eq!(files[0]["changes"][0]["severity"], "error");
    assert_eq!(fs::read_to_string(&bad).unwrap(), BAD);

    let joined: Left = sanitize(folder.path(), &["bad.yaml", "good.yaml"]).output().unwrap().into();
    assert_eq!(joined.well().stdout, format!("{GOOD}---\nkind:   ConfigMap\n"));

    let before = fs::metadata(&good).unwrap().modified().unwrap();
    let placed: Left = sanitize(folder.path(), &["--in-place", "bad.yaml", "good.yaml"]).output().unwrap().into();
    assert_eq!(placed.well().stdout, "");
    assert_eq!(fs::read_to_string(&bad).unwrap(), GOOD);
    assert_eq!(fs::metadata(&good).unwrap().modified().unwrap(), before);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "nothing is left beside them");
    let check: Left = sanitize(folder.path(), &["--check", "bad.yaml"]).output().unwrap().into();
    check.well();
}

#[test]
fn a_mistake_in_one_file_leaves_all_as_they_were() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("bad.yaml"), BAD).unwrap();
    fs::write(folder.path().join("chart.yaml"), "kind: Pod\nmetadata:\n  {{- toYaml . }}\n").unwrap();
    let left: Left = sanitize(folder.path(), &["--in-place", "bad.yaml", "chart.yaml"]).output().unwrap().into();
    assert_eq!(left.code, 1);
    assert!(left.stderr.contains("chart.yaml: line 3") && left.stderr.contains("rendered first"), "{}", left.stderr);
    assert_eq!(fs::read_to_string(folder.path().join("bad.yaml")).unwrap(), BAD);
    assert_eq!(piped(sanitize(folder.path(), &[]), b"\xff\xfe").code, 1);
    assert_eq!(piped(sanitize(folder.path(), &["--in-place"]), b"").code, 1);
}
