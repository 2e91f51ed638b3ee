//! A part of a sheet, as spreadsheets write it: `B3:F200`, or columns alone, `B:F`.

use std::{fmt, str::FromStr};

/// The most rows that a sheet can have (Excel's).
pub const SHEET_ROWS: u32 = 1_048_576;
/// The most columns that a sheet can have (Excel's): `XFD` is the last.
pub const SHEET_COLUMNS: u32 = 16_384;

/// Cells of a sheet, first and last included, counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CellRange {
    /// The first row.
    pub first_row: u32,
    /// The last row.
    pub last_row: u32,
    /// The first column.
    pub first_column: u32,
    /// The last column.
    pub last_column: u32,
}

impl CellRange {
    /// All of a sheet.
    pub const ALL: Self =
        Self { first_row: 0, last_row: SHEET_ROWS - 1, first_column: 0, last_column: SHEET_COLUMNS - 1 };

    /// Whether a cell is in it.
    #[must_use]
    pub const fn contains(&self, row: u32, column: u32) -> bool {
        self.first_row <= row && row <= self.last_row && self.has_column(column)
    }

    /// Whether any of a column's cells are in it.
    #[must_use]
    pub const fn has_column(&self, column: u32) -> bool {
        self.first_column <= column && column <= self.last_column
    }
}

/// A column's letters: 0 is `A`, 27 is `AB`.
#[must_use]
pub fn column_letters(column: u32) -> String {
    let (mut letters, mut rest) = (Vec::new(), column + 1);
    while rest > 0 {
        rest -= 1;
        letters.push(char::from(b'A' + (rest % 26) as u8));
        rest /= 26;
    }
    letters.iter().rev().collect()
}

impl fmt::Display for CellRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, last) = (column_letters(self.first_column), column_letters(self.last_column));
        if (self.first_row, self.last_row) == (Self::ALL.first_row, Self::ALL.last_row) {
            write!(f, "{first}:{last}")
        } else {
            write!(f, "{first}{}:{last}{}", self.first_row + 1, self.last_row + 1)
        }
    }
}

/// A corner: its column, and its row where it has one.
fn corner(text: &str) -> Option<(u32, Option<u32>)> {
    let text = text.trim().trim_start_matches('$');
    let letters = text.bytes().take_while(u8::is_ascii_alphabetic).count();
    let (letters, row) = text.split_at(letters);
    if letters.is_empty() || letters.len() > 3 {
        return None;
    }
    let column =
        letters.bytes().fold(0, |column, letter| column * 26 + u32::from(letter.to_ascii_uppercase() - b'@')) - 1;
    let row = match row.trim_start_matches('$') {
        "" => None,
        row => Some(row.parse::<u32>().ok()?.checked_sub(1)?),
    };
    (column < SHEET_COLUMNS && row.is_none_or(|row| row < SHEET_ROWS)).then_some((column, row))
}

impl FromStr for CellRange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no range of cells; write it as B3:F200, or B:F for whole columns");
        if text.contains('!') {
            return Err(format!("{text:?} names a sheet too; the sheet stands in `sheet`, the cells in `range`"));
        }
        let (from, to) = text.split_once(':').ok_or_else(wrong)?;
        let ((first_column, first), (last_column, last)) =
            (corner(from).ok_or_else(wrong)?, corner(to).ok_or_else(wrong)?);
        let (first_row, last_row) = match (first, last) {
            (Some(first), Some(last)) => (first, last),
            (None, None) => (Self::ALL.first_row, Self::ALL.last_row),
            _ => return Err(wrong()),
        };
        if first_row > last_row || first_column > last_column {
            return Err(format!("the range {text:?} ends before it begins"));
        }
        Ok(Self { first_row, last_row, first_column, last_column })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_spreadsheets_write_them() {
        let range = |text: &str| text.parse::<CellRange>().map(|range| range.to_string());
        for (text, shown) in
            [("B3:F200", "B3:F200"), ("b:f", "B:F"), ("$A$1:$XFD$1048576", "A:XFD"), ("C7:C7", "C7:C7")]
        {
            assert_eq!(range(text).as_deref(), Ok(shown));
        }
        for text in [
            "",
            "B3",
            "B3:",
            "3:5",
            "B3:F",
            "F1:B2",
            "B9:C8",
            "A0:B2",
            "XFE1:XFE2",
            "A1:A1048577",
            "Sheet1!A1:B2",
            "A1:B2:C3",
        ] {
            assert!(range(text).is_err(), "{text}");
        }
        assert_eq!([0, 25, 26, 701, 702, 16_383].map(column_letters), ["A", "Z", "AA", "ZZ", "AAA", "XFD"]);
    }
}
