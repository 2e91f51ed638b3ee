//! The zip archive that most workbooks are, looked through before anything of it is trusted.
//!
//! A few kilobytes of zip may hold gigabytes, and a few bytes of OpenDocument may stand for a million cells. Entries are
//! decompressed once here and counted: what an archive says of itself need not be true.

use std::{
    collections::HashMap,
    io::{self, BufReader, Read},
};

use calamine::Dimensions;
use memchr::memmem;
use quick_xml::{
    Reader as XmlReader, XmlVersion,
    events::{BytesStart, Event},
};
use zip::{ZipArchive, read::ZipFile};

use super::{cells::Reader, open::damaged};
use crate::{
    error::{Rejection, RejectionKind},
    limits::Limits,
};

/// The kinds of workbook that are zip archives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Xlsx,
    Xlsb,
    Ods,
}

/// What was seen of an archive.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) kind: Kind,
    /// Whether any sheet of it has merged cells.
    pub(crate) has_merged: bool,
    /// The merged cells of an OpenDocument workbook's sheets: calamine does not tell.
    pub(crate) merged: HashMap<String, Vec<Dimensions>>,
}

/// Bytes in memory for a cell of a workbook that is read whole: its value, its formula, and a copy while a sheet is read.
pub(crate) const LOADED_CELL: u64 = 96;

/// Looks through all of an archive.
pub(crate) fn look_through(file: Reader, compressed: u64, limits: &Limits) -> Result<Seen, Rejection> {
    let mut archive = ZipArchive::new(file).map_err(|error| damaged(&error))?;
    let names: Vec<String> = archive.file_names().filter_map(|name| Some(name.ok()?.into_owned())).collect();
    let has = |wanted: &str| names.iter().any(|name| name.trim_start_matches('/').eq_ignore_ascii_case(wanted));
    let kind = if has("xl/workbook.bin") {
        Kind::Xlsb
    } else if has("content.xml") && has("mimetype") {
        Kind::Ods
    } else if has("[Content_Types].xml") && names.iter().any(|name| name.to_ascii_lowercase().contains("workbook")) {
        Kind::Xlsx
    } else {
        return Err(Rejection::new(RejectionKind::WrongFormat, "the file is a zip archive, but not a workbook")
            .hint("unpack it and upload what is in it"));
    };
    let mut seen = Seen { kind, has_merged: false, merged: HashMap::new() };
    let (mut total, mut held) = (0, 0);
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).map_err(|error| damaged(&error))?;
        if entry.encrypted() {
            return Err(encrypted());
        }
        let name = entry.name().map_err(|error| damaged(&error))?.to_ascii_lowercase();
        if !is_read(&name) {
            continue;
        }
        let before = total;
        let words = count(&mut entry, &mut total, compressed, limits)?;
        drop(entry);
        seen.has_merged |= words.merged;
        if words.unique_count {
            let texts = archive.by_index(index).map_err(|error| damaged(&error))?;
            check_texts(texts, total - before)?;
        }
        // A sheet goes by; texts, styles and an OpenDocument workbook stay.
        if kind == Kind::Ods || !name.contains("worksheets/") {
            held += total - before;
        }
        if held > limits.workbook_bytes {
            let message = format!("the workbook's texts have more than {} bytes", limits.workbook_bytes);
            return Err(too_large(message));
        }
    }
    if kind == Kind::Ods {
        let content = archive.by_name("content.xml").map_err(|error| damaged(&error))?;
        seen.merged = tables(content, limits.workbook_bytes / LOADED_CELL)?;
        seen.has_merged = seen.merged.values().any(|merged| !merged.is_empty());
    }
    Ok(seen)
}

pub(crate) fn encrypted() -> Rejection {
    Rejection::new(RejectionKind::Encrypted, "the workbook is protected by a password")
        .hint("save it without one (in Excel: File, Info, Protect Workbook, Encrypt with Password, and leave it empty)")
}

pub(crate) fn too_large(message: String) -> Rejection {
    Rejection::new(RejectionKind::DecompressionLimit, message)
        .hint("split the workbook, or save it as .xlsx, or export the sheet as CSV")
}

/// Whether the reader opens entries of this name; pictures and the like are not looked at.
fn is_read(name: &str) -> bool {
    [".xml", ".bin", ".rels"].iter().any(|ending| name.ends_with(ending)) && !name.contains("/media/")
}

/// Words that an entry has.
#[derive(Debug, Default)]
struct Words {
    merged: bool,
    /// How many texts there are to be: the reader makes room for them at once.
    unique_count: bool,
}

/// Refuses an entry of fewer bytes than the texts that it says it has.
fn check_texts(entry: ZipFile<'_, Reader>, bytes: u64) -> Result<(), Rejection> {
    let mut reader = XmlReader::from_reader(BufReader::new(entry));
    reader.config_mut().check_end_names = false;
    let mut buffer = Vec::new();
    loop {
        buffer.clear();
        match reader.read_event_into(&mut buffer).map_err(|error| damaged(&error))? {
            Event::Start(element) | Event::Empty(element) if element.local_name().as_ref() == "sst" => {
                let count = attribute(&element, "uniqueCount")?.and_then(|text| text.trim().parse::<u64>().ok());
                return match count {
                    Some(count) if count > bytes => Err(damaged(&format_args!("{count} texts in {bytes} bytes"))),
                    _ => Ok(()),
                };
            }
            Event::Eof => return Ok(()),
            _ => {}
        }
    }
}

/// Adds an entry's bytes to `total`, within the limits; which words it has.
fn count(
    entry: &mut ZipFile<'_, Reader>,
    total: &mut u64,
    compressed: u64,
    limits: &Limits,
) -> Result<Words, Rejection> {
    const MERGED: &[u8] = b"<mergeCell ";
    const UNIQUE: &[u8] = b"uniqueCount";
    let (merged, unique) = (memmem::Finder::new(MERGED), memmem::Finder::new(UNIQUE));
    let mut buffer = vec![0; 64 * 1024];
    let (mut kept, mut words) = (0, Words::default());
    loop {
        let read = match entry.read(&mut buffer[kept..]) {
            Ok(0) => return Ok(words),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(damaged(&error)),
        };
        *total += read as u64;
        let ratio = compressed.saturating_mul(limits.decompression_ratio);
        if *total > limits.decompressed_bytes {
            return Err(too_large(format!(
                "the workbook decompresses to more than {} bytes",
                limits.decompressed_bytes
            )));
        }
        if *total > limits.ratio_from_bytes && *total > ratio {
            let message =
                format!("the workbook decompresses to more than {} times its size", limits.decompression_ratio);
            return Err(too_large(message));
        }
        let filled = kept + read;
        words.merged = words.merged || merged.find(&buffer[..filled]).is_some();
        words.unique_count = words.unique_count || unique.find(&buffer[..filled]).is_some();
        // A word may lie across two reads; both are as long.
        kept = filled.min(MERGED.len() - 1);
        buffer.copy_within(filled - kept..filled, 0);
    }
}

/// The merged cells of every sheet of an OpenDocument workbook, whose cells all together are at most `limit`: one element may
/// stand for a million of them.
fn tables(content: ZipFile<'_, Reader>, limit: u64) -> Result<HashMap<String, Vec<Dimensions>>, Rejection> {
    let mut reader = XmlReader::from_reader(BufReader::new(content));
    reader.config_mut().check_end_names = false;
    let (mut buffer, mut merged) = (Vec::new(), HashMap::new());
    let mut table = Table::default();
    let mut cells = 0;
    loop {
        buffer.clear();
        let event = reader.read_event_into(&mut buffer).map_err(|error| damaged(&error))?;
        match &event {
            Event::Start(element) | Event::Empty(element) => match element.name().as_ref() {
                "table:table" => {
                    table = Table { name: attribute(element, "table:name")?.unwrap_or_default(), ..Table::default() };
                }
                "table:table-row" => {
                    table.row += table.row_repeats;
                    table.row_repeats = number(element, "table:number-rows-repeated")?;
                    table.column = 0;
                }
                "table:table-cell" | "table:covered-table-cell" => table.cell(element)?,
                _ => {}
            },
            Event::End(element) if element.name().as_ref() == "table:table" => {
                cells += table.area;
                merged.insert(std::mem::take(&mut table.name), std::mem::take(&mut table.merged));
            }
            Event::Eof => return Ok(merged),
            _ => {}
        }
        if cells + table.area > limit {
            return Err(too_large(format!("the workbook has more than {limit} cells")));
        }
    }
}

/// A sheet of an OpenDocument workbook as far as it was read.
#[derive(Debug, Default)]
struct Table {
    name: String,
    row: u64,
    row_repeats: u64,
    column: u64,
    width: u64,
    /// Cells of the smallest rectangle around all that have a value.
    area: u64,
    merged: Vec<Dimensions>,
}

impl Table {
    fn cell(&mut self, element: &BytesStart<'_>) -> Result<(), Rejection> {
        let repeats = number(element, "table:number-columns-repeated")?;
        let has_value = ["office:value-type", "office:value", "table:formula", "office:string-value"];
        let mut is_empty = true;
        for name in has_value {
            is_empty &= attribute(element, name)?.is_none();
        }
        if !is_empty {
            self.width = self.width.max(self.column.saturating_add(repeats));
            self.area = self.row.saturating_add(self.row_repeats).saturating_mul(self.width);
            let rows = number(element, "table:number-rows-spanned")?;
            if rows > 1
                && let (Ok(row), Ok(column)) = (u32::try_from(self.row), u32::try_from(self.column))
                && let Ok(last) = u32::try_from(self.row + rows - 1)
            {
                let columns = number(element, "table:number-columns-spanned")?;
                let last_column = column.saturating_add(u32::try_from(columns - 1).unwrap_or(u32::MAX));
                self.merged.push(Dimensions::new((row, column), (last, last_column)));
            }
        }
        self.column = self.column.saturating_add(repeats);
        Ok(())
    }
}

fn attribute(element: &BytesStart<'_>, name: &str) -> Result<Option<String>, Rejection> {
    let found = element.try_get_attribute(name).map_err(|error| damaged(&error))?;
    found
        .map(|attribute| {
            attribute
                .normalized_value(XmlVersion::Implicit1_0)
                .map(|value| value.into_owned())
                .map_err(|error| damaged(&error))
        })
        .transpose()
}

/// A count that an attribute says; 1 where it says nothing.
fn number(element: &BytesStart<'_>, name: &str) -> Result<u64, Rejection> {
    match attribute(element, name)? {
        Some(text) => text.parse().map(|number: u64| number.max(1)).map_err(|error| damaged(&error)),
        None => Ok(1),
    }
}
