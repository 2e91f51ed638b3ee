//! Workbooks written by hand, part by part: what no library writes.

use std::io::{Cursor, Write};

use zip::{ZipWriter, write::SimpleFileOptions};

/// A zip archive of these entries.
pub fn archive(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in entries {
        zip.start_file(*name, SimpleFileOptions::default()).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

const TYPES: &str =
    r#"<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>"#;

/// The styles by their index: general, a date, a date and time, a time of day, a duration.
const STYLES: &str = r#"<?xml version="1.0"?>
<styleSheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><cellXfs>
<xf numFmtId="0"/><xf numFmtId="14"/><xf numFmtId="22"/><xf numFmtId="21"/><xf numFmtId="46"/>
</cellXfs></styleSheet>"#;

/// An `.xlsx` of one sheet, `Sheet1`: the XML of its rows, what follows them, and whether its days count from 1904.
pub fn xlsx(rows: &str, after: &str, is_1904: bool) -> Vec<u8> {
    let flag = if is_1904 { r#"<workbookPr date1904="1"/>"# } else { "" };
    let workbook = format!(
        r#"<?xml version="1.0"?><workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"
        xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships">{flag}
        <sheets><sheet name="Sheet1" sheetId="1" r:id="rId1"/></sheets></workbook>"#
    );
    let relations = r#"<?xml version="1.0"?><Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">
        <Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet"
        Target="worksheets/sheet1.xml"/></Relationships>"#;
    let sheet = format!(
        r#"<?xml version="1.0"?><worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">
        <sheetData>{rows}</sheetData>{after}</worksheet>"#
    );
    let root = r#"<?xml version="1.0"?><Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">
        <Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument"
        Target="xl/workbook.xml"/></Relationships>"#;
    archive(&[
        ("[Content_Types].xml", TYPES.as_bytes()),
        ("_rels/.rels", root.as_bytes()),
        ("xl/workbook.xml", workbook.as_bytes()),
        ("xl/_rels/workbook.xml.rels", relations.as_bytes()),
        ("xl/styles.xml", STYLES.as_bytes()),
        ("xl/worksheets/sheet1.xml", sheet.as_bytes()),
    ])
}

/// The XML of a row: each cell its column's letter, its attributes and what is in it.
pub fn row(number: u32, cells: &[(&str, &str, &str)]) -> String {
    let cells: String = cells
        .iter()
        .map(|(column, attributes, inner)| format!(r#"<c r="{column}{number}" {attributes}>{inner}</c>"#))
        .collect();
    format!(r#"<row r="{number}">{cells}</row>"#)
}

/// A text cell of a row.
pub fn text<'a>(column: &'a str, inner: &'a str) -> (&'a str, &'a str, &'a str) {
    (column, r#"t="str""#, inner)
}

/// An `.ods` of these tables' XML.
pub fn ods(tables: &str) -> Vec<u8> {
    let content = format!(
        r#"<?xml version="1.0"?><office:document-content xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0"
        xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0" xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0">
        <office:body><office:spreadsheet>{tables}</office:spreadsheet></office:body></office:document-content>"#
    );
    let manifest = r#"<?xml version="1.0"?><manifest:manifest xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"/>"#;
    archive(&[
        ("mimetype", b"application/vnd.oasis.opendocument.spreadsheet"),
        ("META-INF/manifest.xml", manifest.as_bytes()),
        ("content.xml", content.as_bytes()),
    ])
}

/// A record of an `.xlsb` part.
fn record(kind: u16, data: &[u8]) -> Vec<u8> {
    let mut bytes = if kind < 0x80 { vec![kind as u8] } else { kind.to_le_bytes().to_vec() };
    let mut length = data.len();
    loop {
        let low = (length & 0x7F) as u8;
        length >>= 7;
        bytes.push(if length > 0 { low | 0x80 } else { low });
        if length == 0 {
            break;
        }
    }
    bytes.extend_from_slice(data);
    bytes
}

fn wide(text: &str) -> Vec<u8> {
    let units: Vec<u16> = text.encode_utf16().collect();
    let mut bytes = (units.len() as u32).to_le_bytes().to_vec();
    bytes.extend(units.iter().flat_map(|unit| unit.to_le_bytes()));
    bytes
}

/// A cell of an `.xlsb` sheet.
pub enum Binary<'a> {
    Text(&'a str),
    Number(f64),
    Bool(bool),
    /// By its code: 42 is `#N/A`.
    Error(u8),
}

/// An `.xlsb` of one sheet, `Sheet1`.
pub fn xlsb(rows: &[&[Binary<'_>]]) -> Vec<u8> {
    let words = |values: &[u32]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
    let mut bundle = words(&[0, 1]);
    bundle.extend(wide("rId1"));
    bundle.extend(wide("Sheet1"));
    let workbook =
        [record(0x0183, &[]), record(0x018F, &[]), record(0x019C, &bundle), record(0x0190, &[]), record(0x0184, &[])]
            .concat();
    let mut sheet =
        [record(0x0181, &[]), record(0x0194, &words(&[0, rows.len() as u32, 0, 10])), record(0x0191, &[])].concat();
    for (number, cells) in rows.iter().enumerate() {
        sheet.extend(record(0x0000, &words(&[number as u32, 0, 0, 0, 0, 0])));
        for (column, cell) in cells.iter().enumerate() {
            let mut data = words(&[column as u32, 0]);
            let kind = match cell {
                Binary::Text(text) => {
                    data.extend(wide(text));
                    0x0006
                }
                Binary::Number(number) => {
                    data.extend(number.to_le_bytes());
                    0x0005
                }
                Binary::Bool(value) => {
                    data.push(u8::from(*value));
                    0x0004
                }
                Binary::Error(code) => {
                    data.push(*code);
                    0x0003
                }
            };
            sheet.extend(record(kind, &data));
        }
    }
    sheet.extend([record(0x0192, &[]), record(0x0182, &[])].concat());
    let relations = r#"<?xml version="1.0"?><Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">
        <Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet"
        Target="worksheets/sheet1.bin"/></Relationships>"#;
    archive(&[
        ("[Content_Types].xml", TYPES.as_bytes()),
        ("xl/workbook.bin", &workbook),
        ("xl/_rels/workbook.bin.rels", relations.as_bytes()),
        ("xl/worksheets/sheet1.bin", &sheet),
    ])
}
