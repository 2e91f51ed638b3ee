//! Ranges of the ring, and what a statement reads of them.

use millstream_ports::{KeyRange, PortError, PortResult, Ties};
use scylla::value::CqlValue;

use crate::{
    cursor::{CursorKind, Position},
    names::{TableName, list, quoted},
};

/// Ranges, at most.
const RANGES: u64 = 4_096;

/// Bytes of a range, about: with wide partitions rows say little.
const RANGE_BYTES: u64 = 128 << 20;

/// Ranges of a table whose size the cluster does not estimate: each is one more statement, however small.
const UNKNOWN: u64 = 16;

/// What the cluster estimates of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Estimate {
    pub(crate) partitions: u64,
    pub(crate) bytes: u64,
}

/// How many ranges a table is read in.
pub(crate) fn count(estimate: Option<Estimate>, range_rows: u64) -> u64 {
    let Some(Estimate { partitions, bytes }) = estimate else { return UNKNOWN };
    partitions.div_ceil(range_rows.max(1)).max(bytes.div_ceil(RANGE_BYTES)).clamp(1, RANGES)
}

/// The whole ring in equal parts, by the token that each starts at.
pub(crate) fn ring(count: u64) -> Vec<KeyRange> {
    let start = |nth: u64| {
        let offset = (u128::from(nth) << 64) / u128::from(count.max(1));
        (i128::from(i64::MIN) + offset as i128).to_string()
    };
    let bound = |nth: u64| (nth > 0 && nth < count).then(|| start(nth));
    (0..count.max(1)).map(|nth| KeyRange { from: bound(nth), until: bound(nth + 1) }).collect()
}

/// What is wanted of a cursor's values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Window {
    pub(crate) kind: CursorKind,
    /// At or after this; everything, also what has no value, where it is absent.
    pub(crate) from: Option<Position>,
    /// The newest value there was.
    pub(crate) position: Option<Position>,
    /// Whether rows at the newest value wait for the next time.
    pub(crate) waits: bool,
}

impl Window {
    pub(crate) fn new(kind: CursorKind, from: Option<Position>, position: Option<Position>, ties: Ties) -> Self {
        Self { kind, from, position, waits: ties == Ties::Once }
    }

    /// Whether a row with this value is read.
    pub(crate) fn holds(&self, value: Option<Position>) -> bool {
        let Some(value) = value else { return self.from.is_none() };
        let is_after = self.from.is_none_or(|from| value >= from);
        let is_before = self.position.is_none_or(|newest| if self.waits { value < newest } else { value <= newest });
        is_after && is_before
    }
}

/// A statement and its parameters.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Statement {
    pub(crate) text: String,
    pub(crate) parameters: Vec<CqlValue>,
}

/// The rows of a range.
pub(crate) fn select(
    what: &str,
    table: &TableName,
    partition_key: &[String],
    range: &KeyRange,
    cursor: Option<(&str, &Window)>,
) -> PortResult<Statement> {
    let (mut conditions, mut parameters) = (Vec::new(), Vec::new());
    for (bound, operator) in [(&range.from, ">="), (&range.until, "<")] {
        if let Some(token) = bound {
            let token = token.parse().map_err(|_| {
                PortError::invalid(format!("{token} is no token of the ring: the plan is of another kind of source"))
            })?;
            conditions.push(format!("token({}) {operator} ?", list(partition_key)));
            parameters.push(CqlValue::BigInt(token));
        }
    }
    let mut filtering = "";
    if let Some((column, Window { kind, from: Some(from), position, waits })) = cursor {
        conditions.push(format!("{} >= ?", quoted(column)));
        parameters.push(kind.parameter(*from));
        if let Some(position) = position {
            conditions.push(format!("{} {} ?", quoted(column), if *waits { "<" } else { "<=" }));
            parameters.push(kind.parameter(*position));
        }
        filtering = " ALLOW FILTERING";
    }
    let condition = if conditions.is_empty() { String::new() } else { format!(" WHERE {}", conditions.join(" AND ")) };
    Ok(Statement { text: format!("SELECT {what} FROM {}{condition}{filtering}", table.quoted()), parameters })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn table() -> TableName {
        TableName { keyspace: "shop".into(), table: "items".into() }
    }

    #[test]
    fn sizes_decide_how_many_ranges_there_are() {
        let estimate = |partitions, bytes| Some(Estimate { partitions, bytes });
        assert_eq!(count(estimate(100, 0), 10), 10);
        assert_eq!(count(estimate(0, 0), 10), 1);
        assert_eq!(count(estimate(3, 10 * RANGE_BYTES), 1_000), 10, "a few wide partitions");
        assert_eq!(count(estimate(u64::MAX, 0), 0), RANGES);
        assert_eq!(count(None, 10), UNKNOWN);
    }

    #[test]
    fn a_range_is_of_tokens_and_a_cursor_filters() {
        let key = ["a".to_owned(), "B".to_owned()];
        let range = |from: Option<&str>, until: Option<&str>| KeyRange {
            from: from.map(str::to_owned),
            until: until.map(str::to_owned),
        };
        let whole = select("*", &table(), &key, &range(None, None), None).unwrap();
        assert_eq!(whole.text, r#"SELECT * FROM "shop"."items""#);
        let part = select("*", &table(), &key, &range(Some("-5"), Some("7")), None).unwrap();
        assert_eq!(part.text, r#"SELECT * FROM "shop"."items" WHERE token("a", "B") >= ? AND token("a", "B") < ?"#);
        assert_eq!(part.parameters, [CqlValue::BigInt(-5), CqlValue::BigInt(7)]);
        let window = |from, waits| Window { kind: CursorKind::Int, from, position: Some(Position::Number(9)), waits };
        let first = window(None, true);
        let read = select("*", &table(), &key, &range(None, None), Some(("c", &first))).unwrap();
        assert_eq!(read, whole, "CQL cannot ask for rows without a value too");
        let next = window(Some(Position::Number(4)), true);
        let read = select("*", &table(), &key, &range(None, None), Some(("c", &next))).unwrap();
        assert_eq!(read.text, r#"SELECT * FROM "shop"."items" WHERE "c" >= ? AND "c" < ? ALLOW FILTERING"#);
        assert_eq!(read.parameters, [CqlValue::Int(4), CqlValue::Int(9)]);
        assert!(select("*", &table(), &key, &range(Some("x"), None), None).is_err());
    }

    #[test]
    fn a_window_is_closed_unless_the_newest_waits() {
        let number = |number| Some(Position::Number(number));
        let window = |from, ties| Window::new(CursorKind::Int, from, number(9), ties);
        let again = window(number(4), Ties::Again);
        assert_eq!([3, 4, 9, 10].map(|at| again.holds(number(at))), [false, true, true, false]);
        let once = window(number(4), Ties::Once);
        assert_eq!([3, 4, 8, 9].map(|at| once.holds(number(at))), [false, true, true, false]);
        assert!(window(None, Ties::Once).holds(None) && !again.holds(None));
    }

    proptest! {
        #[test]
        fn the_ring_is_covered_without_a_gap(count in 1..5_000_u64) {
            let ranges = ring(count);
            prop_assert_eq!(ranges.len() as u64, count);
            prop_assert_eq!(&ranges[0].from, &None);
            prop_assert_eq!(&ranges[ranges.len() - 1].until, &None);
            let mut before = i64::MIN;
            for pair in ranges.windows(2) {
                prop_assert_eq!(&pair[0].until, &pair[1].from);
                let token: i64 = pair[1].from.as_ref().unwrap().parse().unwrap();
                prop_assert!(token > before);
                before = token;
            }
        }
    }
}
