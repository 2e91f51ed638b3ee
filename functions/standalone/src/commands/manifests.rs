//! `millstream manifests sanitize`: manifests without what only the API server may set.

use std::{
    fs::{self, File},
    io::{Read, stdin},
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use millstream_manifests::{Change, MAX_BYTES, Sanitized, Severity, sanitize};
use serde::Serialize;

use super::Ended;
use crate::{
    cli::{Manifests, Sanitize},
    render,
};

/// A file that was looked through.
#[derive(Serialize)]
struct Looked {
    file: PathBuf,
    changed: bool,
    changes: Vec<Change>,
    /// What to apply, where it goes nowhere else.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
}

pub(super) fn run(command: &Manifests, as_json: bool) -> anyhow::Result<Ended> {
    let Manifests::Sanitize(asked) = command;
    if asked.in_place && asked.files.iter().any(|file| is_stdin(file)) {
        bail!("standard input cannot be written in place: name the files");
    }
    // All are read before one is written: a mistake in the last leaves the first as it was.
    let looked = asked.files.iter().map(|file| look(file)).collect::<anyhow::Result<Vec<_>>>()?;
    if asked.in_place {
        for (file, sanitized) in asked.files.iter().zip(&looked).filter(|(_, sanitized)| !sanitized.changes.is_empty())
        {
            replace(file, &sanitized.text).with_context(|| format!("cannot write {}", file.display()))?;
        }
    }
    let looked: Vec<Looked> =
        asked.files.iter().zip(looked).map(|(file, sanitized)| told(asked, file, sanitized)).collect();
    let changes = looked.iter().map(|looked| looked.changes.len()).sum::<usize>();
    if as_json {
        render::json(&serde_json::json!({ "files": looked }));
    } else {
        let mut written = String::new();
        for text in looked.iter().filter_map(|looked| looked.text.as_deref()) {
            join(&mut written, text);
        }
        render::verbatim(&written);
        report(&looked, asked.check);
    }
    Ok(if asked.check && changes > 0 { Ended::CheckFailed } else { Ended::Well })
}

fn is_stdin(file: &Path) -> bool {
    file == Path::new("-")
}

fn look(file: &Path) -> anyhow::Result<Sanitized> {
    let name = if is_stdin(file) { "standard input".to_owned() } else { file.display().to_string() };
    let text = if is_stdin(file) { bounded(stdin()) } else { File::open(file).and_then(bounded) };
    let text = text.with_context(|| format!("cannot read {name}"))?;
    let text = String::from_utf8(text).ok().with_context(|| format!("{name} is not UTF-8"))?;
    sanitize(&text).with_context(|| name)
}

/// One byte more than may be says that there are too many.
fn bounded(from: impl Read) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Puts a new file in a file's place, so that there is no moment with half of it.
fn replace(file: &Path, text: &str) -> std::io::Result<()> {
    let file = fs::canonicalize(file)?;
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(".sanitized");
    let beside = file.with_file_name(name);
    let replaced = fs::write(&beside, text)
        .and_then(|()| fs::set_permissions(&beside, fs::metadata(&file)?.permissions()))
        .and_then(|()| fs::rename(&beside, &file));
    if replaced.is_err() {
        // The file itself is as it was; why it could not be replaced is what has to be told.
        let _ = fs::remove_file(&beside);
    }
    replaced
}

fn told(asked: &Sanitize, file: &Path, sanitized: Sanitized) -> Looked {
    let Sanitized { text, changes } = sanitized;
    let text = (!asked.check && !asked.in_place).then_some(text);
    Looked { file: file.to_owned(), changed: !changes.is_empty(), changes, text }
}

/// Several files are one stream of documents.
fn join(written: &mut String, text: &str) {
    if !written.is_empty() {
        if !written.ends_with('\n') {
            written.push('\n');
        }
        if !text.starts_with("---") {
            written.push_str("---\n");
        }
    }
    written.push_str(text);
}

fn report(looked: &[Looked], check: bool) {
    let (mut errors, mut warnings) = (0, 0);
    for Looked { file, changes, .. } in looked {
        for Change { document, object, path, value, severity, why } in changes {
            let word = match severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
            };
            *(if *severity == Severity::Error { &mut errors } else { &mut warnings }) += 1;
            render::note(&format!("{word}: {}, document {document}, {object}: {path}: {value}: {why}", file.display()));
        }
    }
    if errors + warnings > 0 {
        let done =
            if check { "would be taken out" } else { "taken out; comments within the changed documents are lost" };
        render::note(&format!("{errors} errors and {warnings} warnings {done}"));
    }
}
