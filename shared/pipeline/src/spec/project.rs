//! What a project gives to be read: its files, its buckets, and the checks that need an engine.

use std::collections::BTreeMap;

use millstream_events::contract::Column;
use millstream_sql::{Select, SqlError};

use crate::model::Buckets;

/// A project's files, by paths relative to its folder, with `/` between segments.
pub trait Files {
    /// Every file, in order. Folders that hold no user's text (data, hidden ones) may be left out.
    fn list(&self) -> Vec<String>;

    /// A file's bytes; `None` when it is not there or cannot be read.
    fn read(&self, path: &str) -> Option<Vec<u8>>;
}

/// Files in memory.
impl<T: AsRef<[u8]>> Files for BTreeMap<String, T> {
    fn list(&self) -> Vec<String> {
        self.keys().cloned().collect()
    }

    fn read(&self, path: &str) -> Option<Vec<u8>> {
        self.get(path).map(|bytes| bytes.as_ref().to_vec())
    }
}

/// Something wrong with a text within a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What is wrong.
    pub message: String,
    /// Where in the text, in bytes, when it is known.
    pub offset: Option<usize>,
    /// What to do about it.
    pub hint: Option<String>,
}

impl From<SqlError> for Problem {
    fn from(error: SqlError) -> Self {
        Self { message: error.message, offset: error.offset, hint: error.hint }
    }
}

/// Checks that depend on the engines of the place that a project runs in.
pub trait Checks {
    /// Whether a source's expectation can be checked on rows of these columns.
    fn expectation(&self, text: &str, columns: &[Column]) -> Result<(), Problem>;

    /// Whether the warehouse can run the SELECT.
    fn translatable(&self, select: &Select) -> Result<(), Problem>;
}

/// Checks nothing: what an engine refuses is then found when it runs.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoChecks;

impl Checks for NoChecks {
    fn expectation(&self, _: &str, _: &[Column]) -> Result<(), Problem> {
        Ok(())
    }

    fn translatable(&self, _: &Select) -> Result<(), Problem> {
        Ok(())
    }
}

/// A project to read.
#[derive(Clone)]
pub struct Project<'a> {
    /// Its files.
    pub files: &'a dyn Files,
    /// Its buckets.
    pub buckets: Buckets,
    /// The engines' checks.
    pub checks: &'a dyn Checks,
}

/// Whether a path is a pipeline file's: `.yaml` or `.yml`, anywhere below `pipelines/`.
#[must_use]
pub fn is_pipeline_file(path: &str) -> bool {
    path.starts_with("pipelines/") && (path.ends_with(".yaml") || path.ends_with(".yml"))
}

/// A path relative to a file's folder, made relative to the project's; `None` when it leaves the project.
pub(crate) fn beside(file: &str, path: &str) -> Option<String> {
    let mut segments: Vec<&str> = file.split('/').collect();
    segments.pop();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop()?;
            }
            name => segments.push(name),
        }
    }
    (!path.starts_with('/')).then(|| segments.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_beside_a_file_stays_in_the_project() {
        assert_eq!(beside("pipelines/a.yaml", "staging/x.sql").as_deref(), Some("pipelines/staging/x.sql"));
        assert_eq!(beside("pipelines/a/p.yaml", "../b/./x.sql").as_deref(), Some("pipelines/b/x.sql"));
        assert_eq!(beside("pipelines/a.yaml", "../../x.sql"), None);
        assert_eq!(beside("pipelines/a.yaml", "/etc/x.sql"), None);
    }
}
