//! Which kind of file an object is, by its name; and what its first bytes say against that.

use millstream_events::contract::{FileFormat, FileOptions};

use crate::error::{Rejection, RejectionKind};

/// The format an object's name stands for: `.csv .tsv .txt .jsonl .ndjson .json .parquet`, before a `.gz`, `.gzip`,
/// `.zst` or `.zstd`; `.xlsx .xlsm .xlsb .xls .ods`. `None` when the name says nothing.
pub fn format_of(object_name: &str) -> Option<FileFormat> {
    FileFormat::of_name(object_name)
}

fn extension(object_name: &str) -> Option<String> {
    let file = object_name.rsplit('/').next()?.to_ascii_lowercase();
    let stem = [".gz", ".gzip", ".zst", ".zstd"].iter().find_map(|suffix| file.strip_suffix(suffix)).unwrap_or(&file);
    stem.rsplit_once('.').map(|(_, extension)| extension.to_owned())
}

/// The format to read by: the option's, else the name's.
pub(crate) fn resolve(object_name: &str, options: &FileOptions) -> Result<FileFormat, Rejection> {
    options.format.or_else(|| format_of(object_name)).ok_or_else(|| {
        Rejection::new(
            RejectionKind::WrongFormat,
            format!("the name {object_name:?} does not say what kind of file it is"),
        )
        .hint(
            "set the source's `format` to csv, jsonl, parquet or workbook, or end the name in .csv, .jsonl, .parquet or .xlsx",
        )
    })
}

/// The field separator: the option's, else a tab for `.tsv` and `.tab`, else a comma.
pub(crate) fn delimiter(object_name: &str, options: &FileOptions) -> Result<u8, Rejection> {
    match options.delimiter {
        Some(delimiter) if delimiter.is_ascii() && !matches!(delimiter, '"' | '\r' | '\n' | '\0') => {
            Ok(delimiter as u8)
        }
        Some(delimiter) => Err(Rejection::new(
            RejectionKind::Contract,
            format!(
                "{delimiter:?} cannot separate fields: a delimiter is one ASCII character other than a quote or a newline"
            ),
        )),
        None => match extension(object_name).as_deref() {
            Some("tsv" | "tab") => Ok(b'\t'),
            _ => Ok(b','),
        },
    }
}

/// Refuses text that starts like something else, before thousands of rows are found bad.
pub(crate) fn check_text_start(start: &[u8]) -> Result<(), Rejection> {
    let wrong = |message: &str, hint: &str| {
        Err(Rejection::new(RejectionKind::WrongFormat, message.to_owned()).at_line(1).hint(hint.to_owned()))
    };
    match start {
        [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..] => {
            Err(Rejection::new(RejectionKind::Encoding, "the file is UTF-16, not UTF-8")
                .at_line(1)
                .hint("save or export it as UTF-8, or convert it with `iconv -f UTF-16 -t UTF-8`"))
        }
        [b'P', b'A', b'R', b'1', ..] => wrong("the file is Parquet, not text", "set the source's `format: parquet`"),
        [b'P', b'K', 3, 4, ..] => wrong(
            "the file is a zip archive or an Excel workbook",
            "unpack it; for a workbook set the source's `format: workbook`, or export the sheet as CSV",
        ),
        [0xD0, 0xCF, 0x11, 0xE0, ..] => wrong(
            "the file is an old Excel workbook",
            "set the source's `format: workbook`, or export the sheet as CSV",
        ),
        [b'%', b'P', b'D', b'F', ..] => wrong("the file is a PDF", "upload CSV, JSON Lines or Parquet"),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_its_format_before_and_after_compression() {
        for (name, format) in [
            ("in/a.csv", Some(FileFormat::Csv)),
            ("A.TSV.gz", Some(FileFormat::Csv)),
            ("x.y.jsonl.zst", Some(FileFormat::JsonLines)),
            ("x.json", Some(FileFormat::JsonLines)),
            ("x.parquet", Some(FileFormat::Parquet)),
            ("x.xlsx", Some(FileFormat::Workbook)),
            ("in/X.ODS", Some(FileFormat::Workbook)),
            ("x.xls.gz", None),
            ("x.csv/readme", None),
            ("x.gz", None),
            ("", None),
        ] {
            assert_eq!(format_of(name), format, "{name}");
        }
    }

    #[test]
    fn the_delimiter_is_a_tab_for_tsv_and_never_a_quote() {
        let mut options = FileOptions::default();
        assert_eq!(delimiter("a.tsv.gz", &options), Ok(b'\t'));
        assert_eq!(delimiter("a.csv", &options), Ok(b','));
        options.delimiter = Some('|');
        assert_eq!(delimiter("a.tsv", &options), Ok(b'|'));
        for refused in ['"', '\n', 'é'] {
            options.delimiter = Some(refused);
            assert_eq!(delimiter("a.csv", &options).unwrap_err().kind, RejectionKind::Contract);
        }
    }
}
