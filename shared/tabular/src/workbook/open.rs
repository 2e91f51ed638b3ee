//! A workbook as it is opened: its kind by its first bytes, its sheets by name.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
    panic::AssertUnwindSafe,
};

use calamine::{Dimensions, Ods, Reader as _, SheetType, SheetVisible, Xls, Xlsb, XlsbError, Xlsx, XlsxError};
use millstream_events::extract::Cells as Selected;

use super::{
    archive::{self, Kind, Seen},
    cells::{Cells, Reader, placed},
    compound,
    table::{Sheet, Table},
};
use crate::{
    error::{IngestError, Rejection, RejectionKind},
    layout::nearest,
    limits::Limits,
};

/// How much smaller than what they take in memory `.xls` files have to be.
const XLS_GROWS: u64 = 8;

/// An open workbook.
pub struct Workbook {
    book: Book,
    limits: Limits,
    is_1904: bool,
    seen: Option<Seen>,
}

enum Book {
    Xlsx(Xlsx<Reader>),
    Xlsb(Xlsb<Reader>),
    Xls(Xls<Reader>),
    Ods(Ods<Reader>),
}

impl std::fmt::Debug for Workbook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Workbook").field("sheets", &self.sheets()).field("seen", &self.seen).finish_non_exhaustive()
    }
}

impl Workbook {
    /// Opens a workbook of any kind. All of it is looked through first, within the limits.
    ///
    /// # Errors
    /// [`IngestError::Rejected`] for what is no workbook, is damaged, is protected by a password or holds more than the limits
    /// allow; [`IngestError::Io`] when the file cannot be read.
    pub fn open(mut file: File, limits: &Limits) -> Result<Self, IngestError> {
        let size = file.metadata()?.len();
        let mut magic = [0; 8];
        file.seek(SeekFrom::Start(0))?;
        let read = file.by_ref().take(8).read(&mut magic)?;
        file.seek(SeekFrom::Start(0))?;
        let (book, seen) = match magic {
            [b'P', b'K', ..] => {
                let seen =
                    guarded(|| archive::look_through(Reader::new(file.try_clone().map_err(io_damage)?), size, limits))?;
                let kind = seen.kind;
                (guarded(|| zipped(file, kind))?, Some(seen))
            }
            [0xD0, 0xCF, 0x11, 0xE0, ..] => (guarded(|| compound(file, size, limits))?, None),
            _ if read == 0 => return Err(Rejection::new(RejectionKind::Empty, "the file is empty").into()),
            [0x1F, 0x8B, ..] | [0x28, 0xB5, 0x2F, 0xFD, ..] => {
                return Err(Rejection::new(
                    RejectionKind::WrongFormat,
                    "the file is compressed, and no workbook as it is",
                )
                .hint("upload the workbook itself: it is compressed already")
                .into());
            }
            _ => {
                return Err(Rejection::new(
                    RejectionKind::WrongFormat,
                    "the file is no Excel or OpenDocument workbook",
                )
                .hint("if it is CSV, name it .csv or set the source's `format: csv`")
                .into());
            }
        };
        let is_1904 = match &book {
            Book::Xlsx(book) => book.has_1904_epoch(),
            Book::Xlsb(book) => book.has_1904_epoch(),
            Book::Xls(book) => book.has_1904_epoch(),
            Book::Ods(_) => false,
        };
        Ok(Self { book, limits: limits.clone(), is_1904, seen })
    }

    fn metadata(&self) -> &[calamine::Sheet] {
        match &self.book {
            Book::Xlsx(book) => book.sheets_metadata(),
            Book::Xlsb(book) => book.sheets_metadata(),
            Book::Xls(book) => book.sheets_metadata(),
            Book::Ods(book) => book.sheets_metadata(),
        }
    }

    /// The names of the sheets that are not hidden, in the workbook's order; charts are left out.
    #[must_use]
    pub fn sheets(&self) -> Vec<String> {
        let sheets = self.metadata().iter();
        sheets
            .filter(|sheet| sheet.typ == SheetType::WorkSheet && sheet.visible == SheetVisible::Visible)
            .map(|sheet| sheet.name.clone())
            .collect()
    }

    /// The sheet of this name, hidden or not; the first one that is not hidden where none is asked for.
    fn sheet(&self, wanted: Option<&str>) -> Result<String, Rejection> {
        let Some(wanted) = wanted else {
            let first = self.sheets().into_iter().next();
            return first
                .ok_or_else(|| Rejection::new(RejectionKind::Empty, "the workbook has no sheet that is not hidden"));
        };
        let sheets: Vec<&str> = self.metadata().iter().map(|sheet| sheet.name.as_str()).collect();
        let exact = sheets.iter().find(|name| **name == wanted);
        // A spreadsheet has no two sheets whose names differ in case only.
        let found = exact.or_else(|| sheets.iter().find(|name| name.to_lowercase() == wanted.to_lowercase()));
        found.map(|name| (*name).to_owned()).ok_or_else(|| {
            let hint = match nearest(wanted, sheets.iter().copied()) {
                Some(near) => format!("did you mean {near:?}?"),
                None => format!("it has {}", sheets.join(", ")),
            };
            Rejection::new(RejectionKind::MissingSheet, format!("the workbook has no sheet {wanted:?}")).hint(hint)
        })
    }

    /// The table of these cells, read up to its header. `columns` is how many columns a table without a header has.
    ///
    /// # Errors
    /// As [`open`](Self::open): no such sheet, no header, a header that cannot be one.
    pub fn table(&mut self, selected: &Selected, columns: Option<usize>) -> Result<Table<'_>, IngestError> {
        let name = self.sheet(selected.sheet.as_deref())?;
        let sheet = Sheet { is_1904: self.is_1904, limits: self.limits.clone(), name: name.clone() };
        let (book, seen) = (&mut self.book, self.seen.as_ref());
        let merged = guarded(|| merged(book, seen, &name))?;
        let cells = guarded(|| cells(book, &name))?;
        Ok(Table::new(sheet, cells, &merged, selected, columns)?)
    }
}

fn zipped(file: File, kind: Kind) -> Result<Book, Rejection> {
    let file = Reader::new(file);
    Ok(match kind {
        Kind::Xlsx => Book::Xlsx(Xlsx::new(file).map_err(|error| match error {
            XlsxError::Password => archive::encrypted(),
            error => damaged(&error),
        })?),
        Kind::Xlsb => Book::Xlsb(Xlsb::new(file).map_err(|error| match error {
            XlsbError::Password => archive::encrypted(),
            error => damaged(&error),
        })?),
        Kind::Ods => Book::Ods(Ods::new(file).map_err(|error| match error {
            calamine::OdsError::Password => archive::encrypted(),
            error => damaged(&error),
        })?),
    })
}

/// A workbook as Excel wrote it until 2003; also what encrypted ones of today are wrapped in.
fn compound(file: File, size: u64, limits: &Limits) -> Result<Book, Rejection> {
    if size > limits.workbook_bytes / XLS_GROWS {
        let limit = limits.workbook_bytes / XLS_GROWS;
        return Err(archive::too_large(format!("the .xls workbook has {size} bytes, more than {limit}")));
    }
    let mut file = file;
    compound::look_through(Reader::new(file.try_clone().map_err(io_damage)?), limits)?;
    file.seek(SeekFrom::Start(0)).map_err(io_damage)?;
    let book = Xls::new(Reader::new(file)).map_err(|error| match error {
        calamine::XlsError::Password => archive::encrypted(),
        error => damaged(&error),
    })?;
    Ok(Book::Xls(book))
}

/// The merged cells of a sheet; those of `.xlsb` cannot be told.
fn merged(book: &mut Book, seen: Option<&Seen>, sheet: &str) -> Result<Vec<Dimensions>, Rejection> {
    match book {
        Book::Xlsx(book) if seen.is_some_and(|seen| seen.has_merged) => {
            book.merge_cells_by_sheet_name(sheet).map_err(|error| damaged(&error))
        }
        Book::Xlsx(_) | Book::Xlsb(_) => Ok(Vec::new()),
        Book::Xls(book) => book.merge_cells_by_sheet_name(sheet).map_err(|error| damaged(&error)),
        Book::Ods(_) => Ok(seen.and_then(|seen| seen.merged.get(sheet)).cloned().unwrap_or_default()),
    }
}

fn cells<'a>(book: &'a mut Book, sheet: &str) -> Result<Cells<'a>, Rejection> {
    Ok(match book {
        Book::Xlsx(book) => {
            let mut reader = book.worksheet_cells_reader(sheet).map_err(|error| damaged(&error))?;
            Cells::Streamed(Box::new(move |texts| {
                let Some(cell) = reader.next_cell().map_err(|error| damaged(&error))? else { return Ok(None) };
                placed(&cell, texts)
            }))
        }
        Book::Xlsb(book) => {
            let mut reader = book.worksheet_cells_reader(sheet).map_err(|error| damaged(&error))?;
            Cells::Streamed(Box::new(move |texts| {
                let Some(cell) = reader.next_cell().map_err(|error| damaged(&error))? else { return Ok(None) };
                placed(&cell, texts)
            }))
        }
        Book::Xls(book) => Cells::Loaded(book.worksheet_range(sheet).map_err(|error| damaged(&error))?, 0),
        Book::Ods(book) => Cells::Loaded(book.worksheet_range(sheet).map_err(|error| damaged(&error))?, 0),
    })
}

pub(crate) fn damaged(error: &dyn std::fmt::Display) -> Rejection {
    Rejection::new(RejectionKind::Corrupt, format!("the workbook is damaged or of a kind not supported: {error}"))
        .hint("open it in a spreadsheet program and save it anew")
}

fn io_damage(error: std::io::Error) -> Rejection {
    damaged(&error)
}

/// The reader panics on some damaged files; to the caller that is a damaged file like any other.
pub(crate) fn guarded<T>(read: impl FnOnce() -> Result<T, Rejection>) -> Result<T, Rejection> {
    std::panic::catch_unwind(AssertUnwindSafe(read))
        .unwrap_or_else(|_| Err(damaged(&"its parts contradict each other")))
}
