//! Price books: read, checked, looked up.

use std::{collections::HashSet, fs, path::Path};

use chrono::NaiveDate;
use millstream_events::compute::Capacity;
use serde::Deserialize;

use crate::item::{Item, Unit};

/// The book that counts where none is named.
pub const DEFAULT_BOOK: &str = "list-2026-07";

/// The books that are built in, by name.
const BUILT_IN: [(&str, &str); 2] =
    [(DEFAULT_BOOK, include_str!("../books/list-2026-07.json")), ("seed", include_str!("../books/seed.json"))];

/// A dated list of prices in US dollars.
#[derive(Debug, Clone, PartialEq)]
pub struct Book {
    /// Its name, such as `list-2026-07`.
    pub name: String,
    /// What the prices are.
    pub about: String,
    /// The region they are for.
    pub region: String,
    rows: Vec<Row>,
}

/// One price.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// What it is for.
    pub item: Item,
    /// How its machines are bought; `standard` for what is no machine.
    pub capacity: Capacity,
    /// What the price is for.
    pub unit: Unit,
    /// US dollars a unit; for [`Unit::TimesCompute`] a factor.
    pub price: f64,
    /// Where it is from.
    pub source: String,
    /// When it was read there: a day, or the month where the day is not known.
    pub date: String,
}

/// Why a book cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BookError {
    /// It cannot be read.
    #[error("the price book {name} cannot be read; built in are {}, else name a file", names().join(" and "))]
    Unreadable {
        /// The name or path.
        name: String,
        /// What the file system says.
        source: std::io::Error,
    },
    /// It is no book.
    #[error("{name} is no price book: {message}")]
    Malformed {
        /// The book's name or path.
        name: String,
        /// What is wrong where.
        message: String,
    },
    /// One of its rows is wrong.
    #[error("{name}, row {number} ({row}): {message}")]
    Row {
        /// The book's name or path.
        name: String,
        /// Which row, from 1.
        number: usize,
        /// What the row is about, as far as it can be read.
        row: String,
        /// What is wrong with it.
        message: String,
    },
}

/// The names of the built-in books.
fn names() -> Vec<&'static str> {
    BUILT_IN.iter().map(|(name, _)| *name).collect()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BookFile {
    name: String,
    about: String,
    currency: String,
    region: String,
    rows: Vec<serde_json::Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RowFile {
    item: String,
    #[serde(default)]
    capacity: Option<Capacity>,
    unit: Unit,
    price: f64,
    source: String,
    date: String,
}

impl Book {
    /// A built-in book by its name, or else the file of that path.
    ///
    /// # Errors
    /// Where it cannot be read, or is wrong; the error names the row.
    pub fn open(name_or_path: &str) -> Result<Self, BookError> {
        match BUILT_IN.iter().find(|(name, _)| *name == name_or_path) {
            Some((name, text)) => Self::parse(name, text),
            None => Self::read(Path::new(name_or_path)),
        }
    }

    /// The book in a file.
    ///
    /// # Errors
    /// As [`Book::open`].
    pub fn read(path: &Path) -> Result<Self, BookError> {
        let name = path.display().to_string();
        let text = fs::read_to_string(path).map_err(|source| BookError::Unreadable { name: name.clone(), source })?;
        Self::parse(&name, &text)
    }

    /// The book of a text; `called` is what errors call it.
    ///
    /// # Errors
    /// Where it is wrong; the error names the row.
    pub fn parse(called: &str, text: &str) -> Result<Self, BookError> {
        let malformed = |message: String| BookError::Malformed { name: called.to_owned(), message };
        let file: BookFile = serde_json::from_str(text).map_err(|error| malformed(error.to_string()))?;
        if file.name.trim().is_empty() {
            return Err(malformed("its `name` is empty".to_owned()));
        }
        if file.currency != "USD" {
            return Err(malformed(format!("its currency is `{}`; prices are US dollars (USD) here", file.currency)));
        }
        let mut rows = Vec::with_capacity(file.rows.len());
        let mut seen = HashSet::new();
        for (index, value) in file.rows.into_iter().enumerate() {
            let named = described(&value);
            let read = row(value).and_then(|row| {
                if seen.insert((row.item.clone(), row.capacity, row.unit)) {
                    Ok(row)
                } else {
                    Err("is there already, further up".to_owned())
                }
            });
            rows.push(read.map_err(|message| BookError::Row {
                name: called.to_owned(),
                number: index + 1,
                row: named,
                message,
            })?);
        }
        Ok(Self { name: file.name, about: file.about, region: file.region, rows })
    }

    /// The names of the built-in books.
    #[must_use]
    pub fn built_in() -> Vec<&'static str> {
        names()
    }

    /// Every row, in the book's order.
    #[must_use]
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The price of a thing, where the book has it.
    #[must_use]
    pub fn price(&self, item: &Item, capacity: Capacity, unit: Unit) -> Option<f64> {
        self.rows
            .iter()
            .find(|row| row.item == *item && row.capacity == capacity && row.unit == unit)
            .map(|row| row.price)
    }
}

fn row(value: serde_json::Value) -> Result<Row, String> {
    let file: RowFile = serde_json::from_value(value).map_err(|error| error.to_string())?;
    let item: Item = file.item.parse()?;
    if !item.units().contains(&file.unit) {
        let units: Vec<&str> = item.units().iter().map(|unit| unit.as_str()).collect();
        return Err(format!("`{item}` is priced by {}, not by {}", units.join(" and "), file.unit));
    }
    if file.capacity.is_some() && !item.has_capacity() {
        return Err(format!("`{item}` is no machine: leave `capacity` out"));
    }
    if !file.price.is_finite() || file.price < 0.0 {
        return Err(format!("the price is {}; it is a number of US dollars, not negative", file.price));
    }
    if file.source.trim().is_empty() {
        return Err("`source` is empty; say where the price is from".to_owned());
    }
    if !is_date(&file.date) {
        return Err(format!("`{}` is no date; write one such as 2026-07-30, or 2026-07", file.date));
    }
    Ok(Row {
        item,
        capacity: file.capacity.unwrap_or(Capacity::Standard),
        unit: file.unit,
        price: file.price,
        source: file.source,
        date: file.date,
    })
}

/// A day, or a month.
fn is_date(text: &str) -> bool {
    let day = match text.len() {
        7 => format!("{text}-01"),
        _ => text.to_owned(),
    };
    day.len() == 10 && NaiveDate::parse_from_str(&day, "%Y-%m-%d").is_ok()
}

/// What a row that may be wrong says it is about.
fn described(value: &serde_json::Value) -> String {
    let texts: Vec<&str> =
        ["item", "capacity", "unit"].into_iter().filter_map(|field| value.get(field)?.as_str()).collect();
    if texts.is_empty() { "without an item".to_owned() } else { texts.join(", ") }
}
