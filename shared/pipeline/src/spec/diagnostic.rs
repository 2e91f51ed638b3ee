//! Mistakes in a user's files: where each is, what was expected instead, and what to do.

use std::{fmt, ops::Range, sync::Arc};

use miette::{GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, SourceCode};
use serde::Serialize;

/// What kind of mistake it is: a stable word for programs, while messages may improve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Code {
    /// Not YAML, or YAML beyond what a pipeline file needs.
    Yaml,
    /// A field that the file format does not have.
    UnknownField,
    /// A field that has to be there.
    MissingField,
    /// A key that stands twice.
    DuplicateKey,
    /// A list where a map belongs, and the like.
    WrongType,
    /// A text that is none of the choices.
    UnknownValue,
    /// A text that breaks its rule: a name, a number, a duration, a cron expression, an upload pattern.
    InvalidValue,
    /// Two fields that cannot both stand, or one that needs another.
    Conflict,
    /// Something that this build cannot do.
    Unsupported,
    /// A column that the table does not have, or whose type does not fit.
    Column,
    /// An expectation that cannot be read.
    Expectation,
    /// Two producers of one table, two pipelines of one name, and the like.
    Twice,
    /// A table that nothing fills.
    UnknownTable,
    /// A name that nothing declares.
    UnknownName,
    /// A file that is not there.
    MissingFile,
    /// A model that cannot be read as a SELECT.
    Sql,
    /// A SELECT that the warehouse has no translation for.
    Untranslatable,
    /// Models that read each other.
    Cycle,
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// A file of the project and its text.
pub(crate) type SourceFile = Arc<NamedSource<String>>;

pub(crate) fn source_file(path: &str, text: String) -> SourceFile {
    Arc::new(NamedSource::new(path, text))
}

/// One mistake.
///
/// As JSON: `{code, message, expected, hint, file, line, column}`. As [`miette::Diagnostic`] it shows the source.
#[derive(Debug, Clone, Serialize, thiserror::Error)]
#[error("{message}")]
pub struct Diagnostic {
    /// What kind of mistake it is.
    pub code: Code,
    /// What is wrong.
    pub message: String,
    /// What was expected there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
    /// What to do about it, with the nearest right name where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The file, relative to the project's folder.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    #[serde(skip)]
    span: Range<usize>,
    #[serde(skip)]
    shown: SourceFile,
}

impl Diagnostic {
    pub(crate) fn new(source: &SourceFile, span: Range<usize>, code: Code, message: impl Into<String>) -> Self {
        let text = source.inner();
        let mut start = span.start.min(text.len());
        while !text.is_char_boundary(start) {
            start -= 1;
        }
        let before = &text[..start];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Self {
            code,
            message: message.into(),
            expected: None,
            hint: None,
            file: source.name().to_owned(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            span: start..span.end.clamp(start, text.len()),
            shown: source.clone(),
        }
    }

    pub(crate) fn expected(&mut self, expected: impl Into<String>) -> &mut Self {
        self.expected = Some(expected.into());
        self
    }

    pub(crate) fn hint(&mut self, hint: impl Into<String>) -> &mut Self {
        self.hint = Some(hint.into());
        self
    }

    /// A hint if there is one.
    pub(crate) fn hint_if(&mut self, hint: Option<impl Into<String>>) -> &mut Self {
        if let Some(hint) = hint {
            self.hint(hint);
        }
        self
    }
}

impl miette::Diagnostic for Diagnostic {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(self.code))
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        match (&self.expected, &self.hint) {
            (None, None) => None,
            (Some(expected), None) => Some(Box::new(format!("expected {expected}"))),
            (None, Some(hint)) => Some(Box::new(hint)),
            (Some(expected), Some(hint)) => Some(Box::new(format!("expected {expected}\n{hint}"))),
        }
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(&*self.shown)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        Some(Box::new(std::iter::once(LabeledSpan::new_primary_with_span(Some("here".into()), self.span.clone()))))
    }
}

/// Every mistake that was found, in the order of the files.
#[derive(Debug, Clone, Serialize, thiserror::Error)]
#[error("{}", count(.0.len()))]
#[serde(transparent)]
pub struct Diagnostics(pub Vec<Diagnostic>);

fn count(mistakes: usize) -> String {
    if mistakes == 1 { "1 mistake".to_owned() } else { format!("{mistakes} mistakes") }
}

impl Diagnostics {
    /// All of them as text with their source, without colour, `width` characters wide.
    #[must_use]
    pub fn render(&self, width: usize) -> String {
        let handler = GraphicalReportHandler::new_themed(GraphicalTheme::unicode_nocolor())
            .with_width(width)
            .with_context_lines(1)
            .with_links(false);
        let mut text = String::new();
        for diagnostic in &self.0 {
            // Writing to a String cannot fail, and a label that cannot be shown is no reason to lose the message.
            if handler.render_report(&mut text, diagnostic).is_err() {
                text.push_str(&format!("{}\n", diagnostic.message));
            }
            text.push('\n');
        }
        text.push_str(&self.to_string());
        text.push('\n');
        text
    }
}

impl miette::Diagnostic for Diagnostics {
    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn miette::Diagnostic> + 'a>> {
        Some(Box::new(self.0.iter().map(|diagnostic| diagnostic as &dyn miette::Diagnostic)))
    }
}
