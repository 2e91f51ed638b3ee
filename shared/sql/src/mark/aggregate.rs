//! Aggregates with clauses inside their parentheses.

use super::{MARK, Marked, Marker};
use crate::error::SqlError;

impl Marker<'_> {
    /// `ARRAY_AGG(x IGNORE NULLS ORDER BY y DESC LIMIT 3)` with each clause as a marked argument.
    pub(super) fn aggregate(&self, at: usize, name: &str) -> Marked {
        let close = self.closing(at + 1);
        let outside = self.outside(at + 2, close);
        let clause = |first: &str, second: &str| {
            outside
                .iter()
                .copied()
                .find(|at| self.word(*at, first) && (second.is_empty() || self.word(*at + 1, second)))
        };
        if let Some(having) = clause("HAVING", "") {
            let message = format!("{name} with HAVING MAX or MIN has no translation for DuckDB");
            return Err(SqlError::at(self.tokens[having].offset, message).hint("use MAX_BY or MIN_BY"));
        }
        let (order, limit) = (clause("ORDER", "BY"), clause("LIMIT", ""));
        let (ignore, respect) = (clause("IGNORE", "NULLS"), clause("RESPECT", "NULLS"));
        let values_end = [order, limit, ignore, respect].into_iter().flatten().min().unwrap_or(close);
        let mut arguments = vec![self.range(at + 2, values_end)?];
        if ignore.is_some() {
            arguments.push(format!("{MARK}AGGREGATE_IGNORE_NULLS()"));
        }
        if let Some(order) = order {
            let end = limit.unwrap_or(close);
            let mut start = order + 2;
            for at in outside.iter().copied().filter(|at| *at > order && *at < end).chain([end]) {
                if at == end || self.symbol(at, ",") {
                    arguments.push(self.order_key(start, at)?);
                    start = at + 1;
                }
            }
        }
        if let Some(limit) = limit {
            arguments.push(format!("{MARK}AGGREGATE_LIMIT({})", self.range(limit + 1, close)?));
        }
        Ok((format!("{MARK}{name}({})", arguments.join(", ")), close + 1))
    }

    /// One key of an ORDER BY, its direction in the call's name.
    fn order_key(&self, from: usize, to: usize) -> Result<String, SqlError> {
        let mut end = to;
        let mut nulls = "";
        if end >= from + 2 && self.word(end - 2, "NULLS") {
            nulls = if self.word(end - 1, "FIRST") { "_FIRST" } else { "_LAST" };
            end -= 2;
        }
        let descending = end > from && self.word(end - 1, "DESC");
        if descending || (end > from && self.word(end - 1, "ASC")) {
            end -= 1;
        }
        let direction = if descending { "DESC" } else { "ASC" };
        Ok(format!("{MARK}ORDER_{direction}{nulls}({})", self.range(from, end)?))
    }
}
