//! What a reading covers: the filter of a cursor, its position, and the ranges of a field.

use millstream_events::extract::{Cursor, Lookback};
use millstream_ports::{KeyRange, PortError, PortResult, Ties};
use mongodb::bson::{Bson, DateTime, Document, Timestamp, doc, oid::ObjectId};

use crate::extended_json;

/// Ranges, at most.
const RANGES: u64 = 1_000;

/// Values looked at for each range.
const SAMPLES: u64 = 20;

/// Values looked at, at most.
const MOST_SAMPLES: u64 = 20_000;

/// How many values are sampled to make ranges of so many rows; `None` where one range holds them all.
pub(crate) fn samples(rows: u64, range_rows: u64) -> Option<i64> {
    let ranges = ranges(rows, range_rows);
    (ranges > 1).then(|| (ranges * SAMPLES).min(MOST_SAMPLES).min(rows) as i64)
}

fn ranges(rows: u64, range_rows: u64) -> u64 {
    rows.div_ceil(range_rows.max(1)).min(RANGES)
}

/// The ranges between some of the sorted sample values, each as canonical extended JSON.
pub(crate) fn between(sorted: &[String], rows: u64, range_rows: u64) -> Vec<KeyRange> {
    let count = ranges(rows, range_rows) as usize;
    let mut bounds: Vec<String> =
        (1..count).filter_map(|nth| sorted.get(nth * sorted.len() / count).cloned()).collect();
    bounds.dedup();
    // Nothing of the order would be before the smallest value.
    if bounds.first() == sorted.first() && !bounds.is_empty() {
        bounds.remove(0);
    }
    KeyRange::between(bounds)
}

/// The documents of a range. MongoDB compares values of one type only, so that everything of another one, and what has no
/// value, is in the first range: it is what is not at or after the range's end.
pub(crate) fn range_filter(field: &str, range: &KeyRange) -> PortResult<Document> {
    let bound = |text: &Option<String>| text.as_deref().map(value).transpose();
    let (from, until) = (bound(&range.from)?, bound(&range.until)?);
    Ok(match (from, until) {
        (None, None) => doc! {},
        (None, Some(until)) if field == "_id" => doc! { field: { "$not": { "$gte": until } } },
        // An array matches by any of its items, so that one could be in several ranges.
        (None, Some(until)) => doc! { "$or": [
            { field: { "$not": { "$gte": until } } },
            { field: { "$type": "array" } },
        ] },
        (Some(from), until) => {
            let mut bounds = doc! { "$gte": from };
            if let Some(until) = until {
                bounds.insert("$lt", until);
            }
            if field != "_id" {
                bounds.insert("$not", doc! { "$type": "array" });
            }
            doc! { field: bounds }
        }
    })
}

/// The documents that a reading by a cursor covers.
///
/// Without `since` these are all up to the position, also those without a value or with one of another type.
pub(crate) fn cursor_filter(
    cursor: &Cursor,
    since: Option<&str>,
    position: Option<&str>,
    ties: Ties,
    unique: bool,
) -> PortResult<Document> {
    let field = cursor.column.as_str();
    let (since, position) = (since.map(value).transpose()?, position.map(value).transpose()?);
    // The newest value waits for the next time, unless nothing can come beside it.
    let waits = ties == Ties::Once && !unique;
    let Some(position) = position else {
        return Ok(match since {
            None => doc! {},
            Some(since) => doc! { field: { "$gte": since } },
        });
    };
    Ok(match since {
        None => doc! { field: { "$not": { if waits { "$gte" } else { "$gt" }: position } } },
        Some(since) => {
            let (after, from) = match ties {
                Ties::Again => ("$gte", earlier(since, cursor.lookback)?),
                Ties::Once if unique => ("$gt", since),
                Ties::Once => ("$gte", since),
            };
            doc! { field: { after: from, if waits { "$lt" } else { "$lte" }: position } }
        }
    })
}

/// A position or bound as it was written.
pub(crate) fn value(text: &str) -> PortResult<Bson> {
    extended_json::read(text).map_err(|error| {
        PortError::invalid(format!(
            "{text} is no position or bound of MongoDB's ({error}): read everything again to get a new one"
        ))
    })
}

/// The value that is so far before this one.
fn earlier(value: Bson, lookback: Option<Lookback>) -> PortResult<Bson> {
    let Some(lookback) = lookback else { return Ok(value) };
    Ok(match (value, lookback) {
        (Bson::DateTime(at), Lookback::Seconds(seconds)) => {
            let millis = i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(1_000);
            DateTime::from_millis(at.timestamp_millis().saturating_sub(millis)).into()
        }
        (Bson::Timestamp(at), Lookback::Seconds(seconds)) => {
            let seconds = u32::try_from(seconds).unwrap_or(u32::MAX);
            Timestamp { time: at.time.saturating_sub(seconds), increment: 0 }.into()
        }
        // The first four bytes are the second that it was made in.
        (Bson::ObjectId(id), Lookback::Seconds(seconds)) => {
            let bytes = id.bytes();
            let made = u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
            let made = made.saturating_sub(u32::try_from(seconds).unwrap_or(u32::MAX));
            ObjectId::from_parts(made, [0; 5], [0; 3]).into()
        }
        (Bson::Int32(number), Lookback::Count(count)) => Bson::Int64(less(i64::from(number), count)),
        (Bson::Int64(number), Lookback::Count(count)) => Bson::Int64(less(number, count)),
        (Bson::Double(number), Lookback::Count(count)) => Bson::Double(number - count as f64),
        (value, lookback) => {
            let unit = match lookback {
                Lookback::Seconds(_) => "of seconds is for dates, timestamps and object ids",
                Lookback::Count(_) => "of a count is for integers and doubles",
            };
            return Err(PortError::invalid(format!("a lookback {unit}; the cursor's last value is {value}")));
        }
    })
}

fn less(number: i64, count: u64) -> i64 {
    i64::try_from(count).map_or(i64::MIN, |count| number.saturating_sub(count))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cursor(lookback: Option<Lookback>) -> Cursor {
        Cursor { column: "c".into(), lookback, deleted: None }
    }

    #[test]
    fn the_filter_of_a_cursor_is_closed_or_open_as_ties_want_it() {
        let filter = |since, ties, unique| {
            cursor_filter(&cursor(None), since, Some(r#"{"$numberInt":"9"}"#), ties, unique).unwrap()
        };
        let since = Some(r#"{"$numberInt":"5"}"#);
        assert_eq!(filter(None, Ties::Again, false), doc! { "c": { "$not": { "$gt": 9 } } });
        assert_eq!(filter(since, Ties::Again, false), doc! { "c": { "$gte": 5, "$lte": 9 } });
        assert_eq!(filter(None, Ties::Once, false), doc! { "c": { "$not": { "$gte": 9 } } });
        assert_eq!(filter(since, Ties::Once, false), doc! { "c": { "$gte": 5, "$lt": 9 } });
        assert_eq!(filter(None, Ties::Once, true), doc! { "c": { "$not": { "$gt": 9 } } });
        assert_eq!(filter(since, Ties::Once, true), doc! { "c": { "$gt": 5, "$lte": 9 } });
        let nothing = cursor_filter(&cursor(None), None, None, Ties::Again, false).unwrap();
        assert_eq!(nothing, doc! {});
    }

    #[test]
    fn a_lookback_goes_back_by_the_type_of_the_cursor() {
        let back = |value: Bson, lookback| earlier(value, Some(lookback));
        let date = |millis| Bson::DateTime(DateTime::from_millis(millis));
        assert_eq!(back(date(10_000), Lookback::Seconds(4)).unwrap(), date(6_000));
        assert_eq!(back(Bson::Int32(i32::MIN), Lookback::Count(1)).unwrap(), Bson::Int64(-2_147_483_649));
        assert_eq!(back(Bson::Int64(i64::MIN), Lookback::Count(u64::MAX)).unwrap(), Bson::Int64(i64::MIN));
        let id = ObjectId::from_parts(1_000, [9; 5], [9; 3]);
        let before = ObjectId::from_parts(990, [0; 5], [0; 3]);
        assert_eq!(back(id.into(), Lookback::Seconds(10)).unwrap(), before.into());
        let at = Bson::Timestamp(Timestamp { time: 5, increment: 3 });
        assert_eq!(back(at, Lookback::Seconds(9)).unwrap(), Timestamp { time: 0, increment: 0 }.into());
        assert!(back(date(0), Lookback::Count(1)).is_err());
        assert!(back(Bson::Int64(1), Lookback::Seconds(1)).is_err());
        assert!(back("a".into(), Lookback::Count(1)).is_err());
    }

    #[test]
    fn what_has_no_order_with_the_bound_is_in_the_first_range() {
        let range = |from: Option<&str>, until: Option<&str>| KeyRange {
            from: from.map(str::to_owned),
            until: until.map(str::to_owned),
        };
        assert_eq!(range_filter("_id", &range(None, None)).unwrap(), doc! {});
        assert_eq!(range_filter("_id", &range(None, Some("5"))).unwrap(), doc! { "_id": { "$not": { "$gte": 5 } } });
        let middle = range_filter("_id", &range(Some("5"), Some("7"))).unwrap();
        assert_eq!(middle, doc! { "_id": { "$gte": 5, "$lt": 7 } });
        let last = range_filter("a", &range(Some("5"), None)).unwrap();
        assert_eq!(last, doc! { "a": { "$gte": 5, "$not": { "$type": "array" } } });
        assert!(range_filter("a", &range(Some("{"), None)).is_err());
    }

    proptest! {
        #[test]
        fn ranges_follow_each_other_without_a_gap(
            mut values in prop::collection::vec(0..50_u32, 0..200), rows in 0..500_u64, range_rows in 0..50_u64,
        ) {
            values.sort_unstable();
            let sorted: Vec<String> = values.iter().map(u32::to_string).collect();
            let ranges = between(&sorted, rows, range_rows);
            prop_assert_eq!(&ranges[0].from, &None);
            prop_assert_eq!(&ranges[ranges.len() - 1].until, &None);
            for pair in ranges.windows(2) {
                prop_assert_eq!(&pair[0].until, &pair[1].from);
                prop_assert!(pair[0].until.is_some());
                prop_assert_ne!(&pair[0].from, &pair[0].until);
            }
        }
    }
}
