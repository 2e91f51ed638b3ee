//! DuckDB's errors as the ports'.

use std::path::Path;

use millstream_ports::{ErrorKind, PortError, PortResult};
use millstream_sql::SqlError;

/// Turns DuckDB's results into the ports'.
pub(super) trait Mapped<T> {
    /// `doing` completes "cannot ..".
    fn mapped(self, doing: &str) -> PortResult<T>;
}

impl<T> Mapped<T> for duckdb::Result<T> {
    fn mapped(self, doing: &str) -> PortResult<T> {
        self.map_err(|error| {
            let message = message(&error);
            PortError::new(kind(&message), format!("cannot {doing}: {}", readable(&message))).caused_by(error)
        })
    }
}

fn message(error: &duckdb::Error) -> String {
    match error {
        duckdb::Error::DuckDBFailure(_, Some(message)) => message.clone(),
        other => other.to_string(),
    }
}

/// DuckDB gives no codes: the kind is the first words of its message.
fn kind(message: &str) -> ErrorKind {
    let starts = |prefixes: &[&str]| prefixes.iter().any(|prefix| message.starts_with(prefix));
    if starts(&["IO Error", "Out of Memory Error", "Interrupt Error"]) {
        ErrorKind::Unavailable
    } else if starts(&["INTERNAL Error", "FATAL Error", "TransactionContext Error"]) {
        ErrorKind::Internal
    } else {
        ErrorKind::Invalid
    }
}

/// The first paragraph, without DuckDB's candidate lists and pictures of the statement.
fn readable(message: &str) -> String {
    let end = ["\n\nLINE ", "\nLINE ", "\n\tCandidate functions", "\n\nHint"]
        .iter()
        .filter_map(|mark| message.find(mark))
        .min();
    message[..end.unwrap_or(message.len())].trim().to_owned()
}

/// Why a file did not open.
pub(super) fn opening(path: &Path, error: duckdb::Error) -> PortError {
    let text = message(&error);
    let path = path.display();
    let problem = if text.contains("Conflicting lock") || text.contains("Could not set lock") {
        let holder = text.split("PID ").nth(1).and_then(|rest| rest.split(|c: char| !c.is_ascii_digit()).next());
        let holder = holder.map_or_else(String::new, |pid| format!(" (process {pid})"));
        format!("the warehouse {path} is open in another process{holder}; stop that one first")
    } else {
        format!("cannot open the warehouse {path}: {}", readable(&text))
    };
    PortError::unavailable(problem).caused_by(error)
}

/// A statement that cannot be used.
pub(super) fn sql(error: &SqlError) -> PortError {
    let place = error.offset.map_or_else(String::new, |at| format!(" (at byte {at})"));
    let hint = error.hint.as_ref().map_or_else(String::new, |hint| format!("; {hint}"));
    PortError::invalid(format!("{error}{place}{hint}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_its_reason_without_a_picture_of_the_statement() {
        let text = "Binder Error: Referenced column \"amount\" not found in FROM clause!\nCandidate bindings: \"id\"\n\nLINE 1: SELECT";
        assert_eq!(kind(text), ErrorKind::Invalid);
        assert!(readable(text).ends_with("\"id\""), "{}", readable(text));
        assert_eq!(kind("IO Error: No space left on device"), ErrorKind::Unavailable);
    }
}
