//! Where a table is cut into ranges.
//!
//! Three ways, by what the column allows:
//!
//! * An index begins with it, and its values are evenly spaced (whole numbers, dates, times): the span is halved wherever the
//!   index holds more rows than a range is to have. How many those are the server estimates from a few pages of the index, so
//!   that neither gaps nor clusters matter and nothing is scanned.
//! * An index begins with it, whatever its values, or only what changed is read: the index is gone through, and every so many
//!   rows its value is the next boundary.
//! * No index, but the column was asked for: equal parts of the span between the least and the greatest value.

use millstream_ports::{PortError, PortResult, Read};

use crate::{
    catalog::{Described, Index, value},
    kind::Scale,
    names::quoted,
    point::Point,
    reading::{Condition, Reading},
    session::Session,
};

/// The most ranges of a plan, which is kept as one document.
const MOST_RANGES: u64 = 10_000;

/// After so many estimates what is left is not halved any more.
const MOST_ESTIMATES: usize = 4_000;

/// The boundaries of ranges.
#[derive(Debug, Default)]
pub(crate) struct Split {
    /// The column.
    pub(crate) column: Option<String>,
    /// The first value of each range but the first, in order.
    pub(crate) points: Vec<Point>,
    /// About how many rows all ranges have.
    pub(crate) rows: Option<u64>,
}

/// Finds the ranges of the rows that fulfil `filter`, of which there are `counted` where that is known.
pub(crate) async fn split(
    session: &mut Session,
    reading: &Reading,
    read: &Read,
    filter: &Condition,
    counted: Option<u64>,
) -> PortResult<Split> {
    let whole = Split { rows: counted.or(reading.description.rows), ..Split::default() };
    let column = match (&read.split_by, reading.description.key.as_slice()) {
        (Some(name), _) => reading.column(name)?,
        (None, [key]) => reading.column(key)?,
        (None, _) => return Ok(whole),
    };
    let range_rows = read.range_rows.max(1);
    if counted.is_some_and(|rows| rows <= range_rows) {
        return Ok(whole);
    }
    let Some(scale) = column.kind.scale() else { return Ok(whole) };
    let even = matches!(scale, Scale::Integer | Scale::Date | Scale::Datetime | Scale::Timestamp);
    let cut = Cut { reading, column, scale, range_rows };
    let (points, rows) = match reading.description.index_of(&column.name) {
        Some(index) if even && filter.is_empty() => cut.by_estimates(session, index).await?,
        Some(index) => (cut.by_counting(session, index, filter, whole.rows).await?, whole.rows),
        None if even && read.split_by.is_some() => cut.by_width(session, filter).await?,
        None => return Ok(whole),
    };
    match points.is_empty() {
        true => Ok(Split { rows, ..whole }),
        false => Ok(Split { column: Some(column.name.clone()), points, rows }),
    }
}

struct Cut<'a> {
    reading: &'a Reading,
    column: &'a Described,
    scale: Scale,
    range_rows: u64,
}

impl Cut<'_> {
    fn doing(&self) -> String {
        format!("looking for ranges of {} in {}", self.column.name, self.reading.relation)
    }

    /// The table, read by the index.
    fn by(&self, index: &Index) -> String {
        format!("{} FORCE INDEX ({})", self.reading.relation.sql(), quoted(&index.name))
    }

    /// The least and the greatest value that fulfil a condition, as ticks, and what `also` gives.
    async fn span(
        &self,
        session: &mut Session,
        condition: &Condition,
        also: &str,
    ) -> PortResult<(Option<(i128, i128)>, Option<u64>)> {
        let (name, from) = (quoted(&self.column.name), self.reading.relation.sql());
        let sql = format!("SELECT MIN({name}), MAX({name}){also} FROM {from}{}", condition.sql());
        let rows = session.rows(&sql, condition.values(), &self.doing()).await?;
        let Some(row) = rows.first() else { return Ok((None, None)) };
        let tick = |index| Point::of(self.scale, row.as_ref(index)?)?.tick();
        Ok((tick(0).zip(tick(1)), value(row, 2)))
    }

    /// Values that have a place on the line: not 0000-00-00, which is before all of them.
    fn evenly_spaced(&self) -> Condition {
        match self.scale {
            // Compared with 0000-00-00 itself, MySQL 8 refuses the query.
            Scale::Date | Scale::Datetime => Condition::plain(format!("{} >= '0001-01-01'", quoted(&self.column.name))),
            Scale::Timestamp => Condition::plain(format!("{} >= '1970-01-01 00:00:01'", quoted(&self.column.name))),
            _ => Condition::default(),
        }
    }

    async fn by_estimates(&self, session: &mut Session, index: &Index) -> PortResult<(Vec<Point>, Option<u64>)> {
        let (Some(span), _) = self.span(session, &self.evenly_spaced(), "").await? else {
            return Ok((Vec::new(), Some(0)));
        };
        let mut leaves: Vec<(i128, u64)> = Vec::new();
        let mut left = vec![span];
        let mut estimates = 0;
        while let Some((from, to)) = left.pop() {
            let rows = self.estimate(session, index, from, to).await?;
            estimates += 1;
            if rows <= self.range_rows || from == to || estimates + left.len() >= MOST_ESTIMATES {
                leaves.push((from, rows));
            } else {
                let middle = from + (to - from) / 2;
                left.extend([(middle + 1, to), (from, middle)]);
            }
        }
        let estimated: u64 = leaves.iter().map(|(_, rows)| rows).sum();
        let rows = self.reading.description.rows.filter(|rows| *rows > 0).unwrap_or(estimated);
        let full = full_range(self.range_rows, estimated, rows);
        Ok((self.points(gathered(&leaves, full))?, Some(rows)))
    }

    /// About how many rows have a value from one tick to another, both of them included.
    async fn estimate(&self, session: &mut Session, index: &Index, from: i128, to: i128) -> PortResult<u64> {
        let name = quoted(&self.column.name);
        let points = self.points([from, to])?;
        // Points of an evenly spaced scale are literals.
        let literals: Vec<String> = points.iter().map(|point| point.sql(&mut Vec::new())).collect();
        let sql = format!(
            "EXPLAIN FORMAT=TRADITIONAL SELECT {name} FROM {} WHERE {name} >= {} AND {name} <= {}",
            self.by(index),
            literals[0],
            literals[1]
        );
        let rows = session.text_rows(&sql, &self.doing()).await?;
        // There is no estimate where the server sees that no row is in the range.
        Ok(rows.first().and_then(|row| row.get_opt::<Option<u64>, _>("rows")?.ok()?).unwrap_or_default())
    }

    async fn by_counting(
        &self,
        session: &mut Session,
        index: &Index,
        filter: &Condition,
        about: Option<u64>,
    ) -> PortResult<Vec<Point>> {
        let name = quoted(&self.column.name);
        let step = self.range_rows.max(about.unwrap_or_default() / MOST_RANGES);
        let mut points = Vec::new();
        let mut condition = Condition::plain(format!("{name} IS NOT NULL"));
        let mut skipped = step;
        while (points.len() as u64) < MOST_RANGES {
            let wanted = condition.clone().and(filter);
            let sql = format!(
                "SELECT {name} FROM {}{} ORDER BY {name} LIMIT 1 OFFSET {skipped}",
                self.by(index),
                wanted.sql()
            );
            let rows = session.rows(&sql, wanted.values(), &self.doing()).await?;
            let Some(next) = rows.first().and_then(|row| row.as_ref(0)) else { break };
            // A value that cannot be written as a text ends the cutting: the last range has it and what follows.
            let Some(next) = Point::of(self.scale, next) else { break };
            // Past the boundary's own rows: a value that many have is no second boundary.
            condition = Condition::compare(&self.column.name, ">", &next);
            skipped = step - 1;
            points.push(next);
        }
        Ok(points)
    }

    async fn by_width(&self, session: &mut Session, filter: &Condition) -> PortResult<(Vec<Point>, Option<u64>)> {
        let (span, rows) = self.span(session, &self.evenly_spaced().and(filter), ", COUNT(*)").await?;
        let (Some((low, high)), Some(rows)) = (span, rows) else { return Ok((Vec::new(), rows)) };
        let parts = i128::from(rows.div_ceil(self.range_rows).min(MOST_RANGES)).min(high - low + 1);
        let ticks = (1..parts).map(|part| low + (high - low + 1) * part / parts);
        Ok((self.points(ticks)?, Some(rows)))
    }

    fn points(&self, ticks: impl IntoIterator<Item = i128>) -> PortResult<Vec<Point>> {
        let point = |tick| {
            Point::at(self.scale, tick)
                .ok_or_else(|| PortError::internal(format!("{tick} is no value of {}", self.column.name)))
        };
        ticks.into_iter().map(point).collect()
    }
}

/// How many estimated rows fill a range. InnoDB's estimates of small parts of an index add up to about double of the table
/// (measured: 2.1 million of 1 million), but no more is allowed for: the table's own number may be old.
fn full_range(range_rows: u64, estimated: u64, rows: u64) -> u64 {
    let scaled = u128::from(range_rows) * u128::from(estimated) / u128::from(rows.max(1));
    u64::try_from(scaled).unwrap_or(u64::MAX).clamp(range_rows, range_rows.saturating_mul(2))
}

/// The first ticks of all ranges but the first, where leaves that follow each other share a range as long as it is not full.
fn gathered(leaves: &[(i128, u64)], range_rows: u64) -> Vec<i128> {
    let mut firsts = Vec::new();
    let mut rows = 0_u64;
    for (from, more) in leaves {
        if rows > 0 && rows + more > range_rows {
            firsts.push(*from);
            rows = 0;
        }
        rows += more;
    }
    firsts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn estimates_that_add_up_to_more_than_the_table_fill_a_range_later() {
        assert_eq!(full_range(100, 1_000, 1_000), 100);
        assert_eq!(full_range(100, 1_500, 1_000), 150);
        assert_eq!(full_range(100, 1_000_000, 1_000), 200);
        assert_eq!(full_range(100, 10, 1_000), 100);
        assert_eq!(full_range(u64::MAX, 10, 0), u64::MAX);
    }

    #[test]
    fn neighbours_share_a_range_until_it_is_full() {
        assert_eq!(gathered(&[], 10), []);
        assert_eq!(gathered(&[(0, 4), (5, 6), (9, 1)], 10), [9]);
        assert_eq!(gathered(&[(0, 0), (5, 20), (9, 1), (12, 9)], 10), [9]);
        assert_eq!(gathered(&[(0, 10), (5, 10), (9, 10)], 10), [5, 9]);
    }
}
