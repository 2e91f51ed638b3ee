//! What the doctor found.

use serde::Serialize;

/// How a link is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    /// As it should be.
    Ok,
    /// Not as it should be.
    Broken,
    /// It cannot be seen from here.
    Unchecked,
}

impl State {
    /// For people.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Broken => "BROKEN",
            Self::Unchecked => "cannot be checked here",
        }
    }
}

/// One link, and how it is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Finding {
    /// The kind of link: `bucket`, `subscription`, `event`.
    pub(crate) link: &'static str,
    /// Which one.
    pub(crate) subject: String,
    pub(crate) state: State,
    /// What was seen.
    pub(crate) detail: String,
    /// What to do, where it is broken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) todo: Option<String>,
    /// How long it took, where that says something.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) seconds: Option<f64>,
}

/// Everything that was found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Report {
    pub(crate) environment: String,
    pub(crate) project: String,
    /// Whether nothing is broken.
    pub(crate) healthy: bool,
    pub(crate) findings: Vec<Finding>,
}

impl Report {
    pub(super) fn new(environment: &str, project: &str) -> Self {
        let (environment, project) = (environment.to_owned(), project.to_owned());
        Self { environment, project, healthy: true, findings: Vec::new() }
    }

    pub(super) fn push(&mut self, finding: Finding) {
        self.healthy &= finding.state != State::Broken;
        self.findings.push(finding);
    }

    pub(super) fn ok(&mut self, link: &'static str, subject: impl Into<String>, detail: impl Into<String>) {
        self.push(Finding::new(link, subject, State::Ok, detail));
    }

    pub(super) fn broken(
        &mut self,
        link: &'static str,
        subject: impl Into<String>,
        detail: impl Into<String>,
        todo: impl Into<String>,
    ) {
        self.push(Finding { todo: Some(todo.into()), ..Finding::new(link, subject, State::Broken, detail) });
    }

    pub(super) fn unchecked(&mut self, link: &'static str, subject: impl Into<String>, why: impl Into<String>) {
        self.push(Finding::new(link, subject, State::Unchecked, why));
    }
}

impl Finding {
    pub(super) fn new(link: &'static str, subject: impl Into<String>, state: State, detail: impl Into<String>) -> Self {
        Self { link, subject: subject.into(), state, detail: detail.into(), todo: None, seconds: None }
    }
}
