//! The container that `.xls` workbooks are, looked through before anything of it is trusted.
//!
//! The reader makes room for as many cells as a sheet says that it has, and for the whole rectangle around those it does have: a
//! few bytes may ask for more than any machine has, which would end the process.

use std::{collections::HashMap, io::Read};

use super::{
    archive::{LOADED_CELL, encrypted, too_large},
    cells::Reader,
    open::damaged,
};
use crate::{error::Rejection, limits::Limits};

/// The most cells that a sheet of this kind can have: 65,536 rows of 256.
const SHEET_CELLS: u64 = 1 << 24;

/// The cells of one sheet so far: the last row and column that have one.
#[derive(Debug, Default)]
struct Area {
    rows: u64,
    columns: u64,
}

/// Looks through a workbook's records.
///
/// # Errors
/// A rejection of what is protected by a password, damaged, or more than the limits allow.
pub(crate) fn look_through(file: Reader, limits: &Limits) -> Result<(), Rejection> {
    let mut container = cfb::CompoundFile::open(file).map_err(|error| damaged(&error))?;
    if container.exists("/EncryptedPackage") {
        return Err(encrypted());
    }
    let name = if container.exists("/Workbook") { "/Workbook" } else { "/Book" };
    let mut stream = container.open_stream(name).map_err(|error| damaged(&error))?;
    let mut records = Vec::new();
    stream.read_to_end(&mut records).map_err(|error| damaged(&error))?;
    check(&records, limits.workbook_bytes / LOADED_CELL)
}

/// Whether the sheets' cells are at most `limit` all together.
fn check(records: &[u8], limit: u64) -> Result<(), Rejection> {
    let mut sheets = Vec::new();
    let mut areas: HashMap<usize, u64> = HashMap::new();
    let (mut at, mut depth, mut start, mut area) = (0, 0_u32, 0, Area::default());
    while let Some([first, second, third, fourth]) = records.get(at..at + 4) {
        let (kind, length) = (u16::from_le_bytes([*first, *second]), u16::from_le_bytes([*third, *fourth]));
        let Some(data) = records.get(at + 4..at + 4 + usize::from(length)) else { break };
        let short =
            |at: usize| data.get(at..at + 2).map_or(0, |bytes| u64::from(u16::from_le_bytes([bytes[0], bytes[1]])));
        let long = |at: usize| short(at) + (short(at + 2) << 16);
        match kind {
            // A substream begins; others may lie within it.
            0x0809 => {
                if depth == 0 {
                    (start, area) = (at, Area::default());
                }
                depth += 1;
            }
            0x000A => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    areas.insert(start, area.rows * area.columns);
                }
            }
            // Where a sheet's substream is.
            0x0085 => sheets.push(long(0) as usize),
            // How large a sheet says that it is.
            0x0200 => {
                let (rows, columns) = match length {
                    10 => (short(2), short(6)),
                    _ => (long(4), short(10)),
                };
                if rows.saturating_mul(columns) > SHEET_CELLS {
                    return Err(damaged(&format_args!("a sheet of {rows} rows and {columns} columns")));
                }
            }
            // Numbers, texts, truth values, formulas: each begins with its row and column; runs of them end with the last column.
            0x0006 | 0x00BD | 0x00D6 | 0x00FD | 0x0203..=0x0205 | 0x027E => {
                let column = if kind == 0x00BD { short(data.len().saturating_sub(2)) } else { short(2) };
                area.rows = area.rows.max(short(0) + 1);
                area.columns = area.columns.max(column + 1);
            }
            _ => {}
        }
        at += 4 + usize::from(length);
    }
    if depth > 0 {
        areas.insert(start, area.rows * area.columns);
    }
    let mut cells = 0;
    for sheet in sheets {
        // What lies elsewhere than between two records could be anything.
        cells += areas.get(&sheet).ok_or_else(|| damaged(&"a sheet is not where the workbook says"))?;
        if cells > limit {
            return Err(too_large(format!("the workbook has more than {limit} cells")));
        }
    }
    Ok(())
}
