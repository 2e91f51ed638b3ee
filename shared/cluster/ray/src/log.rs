//! A job's log, which the Jobs API gives whole, as one JSON text: `{"logs": "..."}`.
//!
//! A log may be larger than this process's memory. Only its head or its tail is kept while it streams by, and what is kept
//! of the JSON text is read again from the first place that is certainly not inside an escape.

use std::collections::VecDeque;

use chrono::{DateTime, Utc};

/// What a job's first line says, before the seconds since 1970 at which it began to run.
pub(crate) const START_MARK: &str = "millstream: runs since ";

/// The bytes that one byte of a text takes in JSON at most: `\u0000`.
const ESCAPED: usize = 6;

/// A character beyond the first 65,536 is a pair of escapes.
const LONGEST_ESCAPE: usize = 2 * ESCAPED;

/// The bytes of `{"logs": ""}`, and what is skipped until a character begins.
const AROUND: usize = 64;

/// The last part of a streamed answer.
#[derive(Debug)]
pub(crate) struct Tail {
    limit: usize,
    kept: VecDeque<u8>,
    is_cut: bool,
}

impl Tail {
    /// Keeps enough for the last `limit` bytes of the log.
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, kept: VecDeque::new(), is_cut: false }
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.kept.extend(bytes);
        let most = self.limit.saturating_mul(ESCAPED).saturating_add(AROUND);
        let surplus = self.kept.len().saturating_sub(most);
        if surplus > 0 {
            self.kept.drain(..surplus);
            self.is_cut = true;
        }
    }

    /// The log's last bytes, at most as many as asked for; `None` when this is not the JSON text it should be.
    pub(crate) fn read(self) -> Option<String> {
        let kept = Vec::from(self.kept);
        let text = if self.is_cut {
            let body = kept.strip_suffix(b"\"}")?;
            unescaped(&body[first_boundary(body)..])?
        } else {
            whole(&kept)?
        };
        let from = (text.len().saturating_sub(self.limit)..=text.len()).find(|at| text.is_char_boundary(*at))?;
        Some(text[from..].to_owned())
    }
}

fn whole(json: &[u8]) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Answer {
        logs: Option<String>,
    }
    serde_json::from_slice::<Answer>(json).ok().map(|answer| answer.logs.unwrap_or_default())
}

/// The first place in a part of a JSON text where a character or an escape begins for certain.
fn first_boundary(part: &[u8]) -> usize {
    // A backslash after another character begins an escape; the second half of a pair is no character of its own.
    let begins = |at: usize| part[at] == b'\\' && part[at - 1] != b'\\' && !is_low_surrogate(&part[at..]);
    let is_after_plain = |at: usize| at >= LONGEST_ESCAPE && !part[at - LONGEST_ESCAPE..at].contains(&b'\\');
    (1..part.len()).find(|at| begins(*at) || is_after_plain(*at)).unwrap_or(part.len())
}

fn is_low_surrogate(escape: &[u8]) -> bool {
    matches!(escape, [b'\\', b'u', b'd' | b'D', b'c'..=b'f' | b'C'..=b'F', ..])
}

fn unescaped(part: &[u8]) -> Option<String> {
    let mut json = Vec::with_capacity(part.len() + 2);
    json.push(b'"');
    json.extend_from_slice(part);
    json.push(b'"');
    serde_json::from_slice(&json).ok()
}

/// When the program began to run, from the first bytes of a streamed answer.
pub(crate) fn start_in(head: &[u8]) -> Option<DateTime<Utc>> {
    let text = String::from_utf8_lossy(head);
    // The last line may be cut. The line that repeats the entrypoint has the mark too, but no number after it.
    let (lines, _) = text.rsplit_once("\\n")?;
    lines.split("\\n").find_map(|line| {
        let digits = line.strip_prefix(START_MARK)?;
        digits.parse().ok().and_then(|seconds| DateTime::from_timestamp(seconds, 0))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// As Python's `json.dumps` writes it: everything but ASCII as escapes.
    fn answer(log: &str) -> Vec<u8> {
        let mut json = r#"{"logs": ""#.to_owned();
        for c in log.chars() {
            match c {
                '"' | '\\' => json.extend(['\\', c]),
                '\n' => json.push_str("\\n"),
                ' '..='~' => json.push(c),
                _ => c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| json.push_str(&format!("\\u{unit:04x}"))),
            }
        }
        json.push_str("\"}");
        json.into_bytes()
    }

    fn tail(log: &str, limit: usize) -> String {
        let mut tail = Tail::new(limit);
        answer(log).chunks(7).for_each(|chunk| tail.push(chunk));
        tail.read().unwrap()
    }

    proptest! {
        #[test]
        fn a_tail_is_the_end_of_the_log_however_it_is_escaped(
            log in r#"([a-z\n"\\ ]|\PC|🦀|\x00){0,300}"#, limit in 0_usize..40,
        ) {
            let tail = tail(&log, limit);
            prop_assert!(tail.len() <= limit && log.ends_with(&tail), "{tail:?} of {log:?}");
            // A character of up to four bytes may not fit any more.
            prop_assert!(tail.len() + 4 > limit.min(log.len()), "{tail:?} of {log:?}");
        }
    }

    #[test]
    fn a_tail_has_all_the_bytes_it_may() {
        assert_eq!(tail("one\ntwo\n", 100), "one\ntwo\n");
        assert_eq!(tail("one\ntwo\n", 4), "two\n");
        assert_eq!(tail("größer", 4), "ßer");
        let long = "a line of a long log\n".repeat(1_000);
        assert_eq!(tail(&long, 50), long[long.len() - 50..]);
        let plain = "x".repeat(10_000) + "\n";
        assert_eq!(tail(&plain, 50), plain[plain.len() - 50..]);
        let crabs = "🦀".repeat(1_000);
        assert_eq!(tail(&crabs, 10), "🦀🦀");
    }

    #[test]
    fn what_is_no_log_is_told_from_an_empty_one() {
        let mut other = Tail::new(10);
        other.push(b"Traceback");
        assert_eq!(other.read(), None);
        assert_eq!(tail("", 10), "");
    }

    #[test]
    fn the_start_is_the_line_with_a_number() {
        let log = format!(
            "Running entrypoint for job j: echo \"{START_MARK}$(date +%s)\"\n{START_MARK}1764320000\nstarted\n"
        );
        assert_eq!(start_in(&answer(&log)), DateTime::from_timestamp(1_764_320_000, 0));
        assert_eq!(start_in(&answer("Running entrypoint for job j: true\n")), None);
        assert_eq!(start_in(&answer(&format!("\n{START_MARK}17643"))), None, "it may be cut");
    }
}
