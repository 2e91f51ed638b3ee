//! Upload patterns: which objects are a source's, and which run they belong to.
//!
//! `fraud/{date}/transactions*.csv`: a `{name}` captures a part of one path segment and becomes the run's key, a `*` matches
//! anything within a segment. Everything else matches itself.

use std::{collections::BTreeMap, fmt, str::FromStr};

use millstream_events::names::RunKey;

/// A parsed pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadPattern {
    text: String,
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(String),
    Any,
    Capture(String),
}

/// A pattern that is not one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct PatternError {
    /// What is wrong and what to write.
    pub message: String,
    /// Where in the pattern, in bytes.
    pub offset: usize,
}

/// What an object's name captured.
pub type Captures = BTreeMap<String, String>;

impl FromStr for UploadPattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        let error = |offset: usize, message: String| Err(PatternError { message, offset });
        let mut parts: Vec<Part> = Vec::new();
        let mut literal = String::new();
        let mut rest = text.char_indices();
        if text.is_empty() || text.starts_with('/') {
            return error(0, "a pattern is an object name in the landing bucket, such as sales/{date}/*.csv".into());
        }
        while let Some((at, character)) = rest.next() {
            let part = match character {
                '*' => Part::Any,
                '{' => {
                    let Some(length) = text[at..].find('}') else {
                        return error(at, "this { is not closed".into());
                    };
                    let name = &text[at + 1..at + length];
                    let is_name = name.starts_with(|c: char| c.is_ascii_lowercase())
                        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
                    if !is_name {
                        return error(at, format!("{{{name}}} must be a name of a-z, 0-9 and _, such as {{date}}"));
                    }
                    if name == "run" {
                        return error(at, "{run} is the whole run key; capture parts under other names".into());
                    }
                    if parts.contains(&Part::Capture(name.to_owned())) {
                        return error(at, format!("{{{name}}} stands twice"));
                    }
                    rest.by_ref().take_while(|(_, c)| *c != '}').for_each(drop);
                    Part::Capture(name.to_owned())
                }
                '}' => return error(at, "this } closes nothing".into()),
                other => {
                    literal.push(other);
                    continue;
                }
            };
            if literal.is_empty() && parts.last().is_some_and(|last| !matches!(last, Part::Literal(_))) {
                return error(
                    at,
                    "two of * and {name} need a text between them, or their border is anyone's guess".into(),
                );
            }
            if !literal.is_empty() {
                parts.push(Part::Literal(std::mem::take(&mut literal)));
            }
            parts.push(part);
        }
        if !literal.is_empty() {
            parts.push(Part::Literal(literal));
        }
        Ok(Self { text: text.to_owned(), parts })
    }
}

impl fmt::Display for UploadPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl UploadPattern {
    /// The names it captures, in order.
    pub fn capture_names(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Capture(name) => Some(name.as_str()),
            _ => None,
        })
    }

    /// Matches an object's name; the captures when it fits.
    #[must_use]
    pub fn matches(&self, name: &str) -> Option<Captures> {
        let mut captures = Captures::new();
        matches_parts(&self.parts, name, &mut captures).then_some(captures)
    }

    /// The text before the first `*` or `{`: what a listing can be narrowed to.
    #[must_use]
    pub fn prefix(&self) -> &str {
        match self.parts.first() {
            Some(Part::Literal(literal)) => literal,
            _ => "",
        }
    }
}

/// Shortest match first, backtracking: patterns have few parts and names are short.
fn matches_parts(parts: &[Part], name: &str, captures: &mut Captures) -> bool {
    let Some((part, rest)) = parts.split_first() else {
        return name.is_empty();
    };
    let variable = match part {
        Part::Literal(literal) => {
            return name.strip_prefix(literal.as_str()).is_some_and(|tail| matches_parts(rest, tail, captures));
        }
        Part::Any => None,
        Part::Capture(variable) => Some(variable),
    };
    let longest = name.find('/').unwrap_or(name.len());
    let shortest = usize::from(variable.is_some());
    for end in (0..=longest).filter(|end| *end >= shortest && name.is_char_boundary(*end)) {
        if matches_parts(rest, &name[end..], captures) {
            if let Some(variable) = variable {
                captures.insert(variable.clone(), name[..end].to_owned());
            }
            return true;
        }
    }
    false
}

/// The run key that captures make: `latest` when there are none, else `date=2026-11-24,region=eu` in name order.
///
/// `None` when a captured text cannot be part of a key.
#[must_use]
pub fn run_key(captures: &Captures) -> Option<RunKey> {
    if captures.is_empty() {
        return RunKey::new("latest").ok();
    }
    if captures.values().any(|value| value.contains(['=', ','])) {
        return None;
    }
    let key: Vec<String> = captures.iter().map(|(name, value)| format!("{name}={value}")).collect();
    RunKey::new(key.join(",")).ok()
}

/// The captures that a run key was made of.
#[must_use]
pub fn captures_of(key: &RunKey) -> Captures {
    key.as_str()
        .split(',')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn captures(pattern: &str, name: &str) -> Option<Vec<(String, String)>> {
        pattern.parse::<UploadPattern>().unwrap().matches(name).map(|captures| captures.into_iter().collect())
    }

    #[test]
    fn a_pattern_captures_parts_of_segments() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            captures("fraud/{date}/transactions*.csv", "fraud/2026-11-24/transactions-2.csv"),
            Some(vec![pair("date", "2026-11-24")])
        );
        assert_eq!(
            captures("{region}-{date}.csv", "eu-2026.csv"),
            Some(vec![pair("date", "2026"), pair("region", "eu")])
        );
        assert_eq!(captures("iris.csv", "iris.csv"), Some(vec![]));
    }

    #[test]
    fn a_pattern_does_not_reach_across_segments() {
        assert_eq!(captures("fraud/*.csv", "fraud/old/a.csv"), None);
        assert_eq!(captures("fraud/{date}.csv", "fraud/.csv"), None);
        assert_eq!(captures("iris.csv", "iris.csv.bak"), None);
    }

    #[test]
    fn a_pattern_that_is_ambiguous_or_malformed_is_refused_with_its_place() {
        for (text, offset) in
            [("a/{x}{y}", 5), ("a/{x", 2), ("a}", 1), ("{Date}.csv", 0), ("{x}/{x}", 4), ("/a", 0), ("{run}", 0)]
        {
            assert_eq!(text.parse::<UploadPattern>().unwrap_err().offset, offset, "{text}");
        }
    }

    #[test]
    fn a_run_key_gives_its_captures_back() {
        let captures =
            "x/{date}/{region}.csv".parse::<UploadPattern>().unwrap().matches("x/2026-11-24/eu.csv").unwrap();
        let key = run_key(&captures).unwrap();
        assert_eq!(key.as_str(), "date=2026-11-24,region=eu");
        assert_eq!(captures_of(&key), captures);
        assert_eq!(run_key(&Captures::new()).unwrap().as_str(), "latest");
        assert!(run_key(&Captures::from([("a".into(), "x,b=y".into())])).is_none());
    }
}
