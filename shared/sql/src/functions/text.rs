//! Text, regular expressions and bytes.

use super::{Family, Rule, formats, literal};
use Rule::{Built, Refused, Renamed, Template};

/// What BigQuery takes for space when trimming; DuckDB's trim takes only the space itself.
const SPACE: &str = "E' \\t\\n\\x0b\\f\\r'";

pub(super) const FUNCTIONS: Family = &[
    ("ASCII", Renamed("ascii")),
    ("BYTE_LENGTH", Template(&[(1, "strlen(CAST({0} AS VARCHAR))")])),
    ("CHARACTER_LENGTH", Renamed("length")),
    ("CHAR_LENGTH", Renamed("length")),
    ("CHR", Renamed("chr")),
    // DuckDB's concat passes NULLs over; its operator does not.
    ("CONCAT", Built(|parts| Ok(format!("({})", parts.join(" || "))))),
    ("CONTAINS_SUBSTR", Template(&[(2, "contains(lower(CAST({0} AS VARCHAR)), lower({1}))")])),
    ("EDIT_DISTANCE", Renamed("levenshtein")),
    ("ENDS_WITH", Renamed("ends_with")),
    ("FARM_FINGERPRINT", Refused("write TO_HEX(SHA256(x)), which is the same everywhere")),
    ("FORMAT", Built(formats::printf)),
    ("FROM_BASE64", Renamed("from_base64")),
    ("FROM_HEX", Renamed("unhex")),
    (
        "INITCAP",
        Template(&[(
            1,
            "array_to_string(list_transform(regexp_extract_all({0}, '[^\\s\\[\\](){}/|<>!?@\"^#$&~_,.:;*%+-]+|[\\s\\[\\](){}/|<>!?@\"^#$&~_,.:;*%+-]+'), lambda word: upper(word[1]) || lower(word[2:])), '')",
        )]),
    ),
    ("INSTR", Template(&[(2, "instr({0}, {1})")])),
    ("LEFT", Renamed("left")),
    ("LENGTH", Renamed("length")),
    ("LOWER", Renamed("lower")),
    ("LPAD", Template(&[(2, "lpad({0}, CAST({1} AS INTEGER), ' ')"), (3, "lpad({0}, CAST({1} AS INTEGER), {2})")])),
    ("LTRIM", Built(|arguments| trim("ltrim", arguments))),
    ("MD5", Template(&[(1, "unhex(md5({0}))")])),
    ("NORMALIZE", Template(&[(1, "nfc_normalize({0})")])),
    ("OCTET_LENGTH", Template(&[(1, "strlen(CAST({0} AS VARCHAR))")])),
    ("REGEXP_CONTAINS", Template(&[(2, "regexp_matches({0}, {1})")])),
    ("REGEXP_EXTRACT", Built(regexp_extract)),
    ("REGEXP_EXTRACT_ALL", Built(regexp_extract_all)),
    ("REGEXP_INSTR", Refused("use REGEXP_EXTRACT and STRPOS")),
    ("REGEXP_REPLACE", Template(&[(3, "regexp_replace({0}, {1}, {2}, 'g')")])),
    ("REGEXP_SUBSTR", Built(regexp_extract)),
    ("REPEAT", Renamed("repeat")),
    ("REPLACE", Renamed("replace")),
    ("REVERSE", Renamed("reverse")),
    ("RIGHT", Renamed("right")),
    ("RPAD", Template(&[(2, "rpad({0}, CAST({1} AS INTEGER), ' ')"), (3, "rpad({0}, CAST({1} AS INTEGER), {2})")])),
    ("RTRIM", Built(|arguments| trim("rtrim", arguments))),
    ("SAFE_CONVERT_BYTES_TO_STRING", Template(&[(1, "TRY(decode({0}))")])),
    ("SHA1", Template(&[(1, "unhex(sha1({0}))")])),
    ("SHA256", Template(&[(1, "unhex(sha256({0}))")])),
    ("SHA512", Refused("use SHA256")),
    ("SOUNDEX", Refused("compute it before loading")),
    ("SPLIT", Template(&[(1, "string_split({0}, ',')"), (2, "string_split({0}, {1})")])),
    ("STARTS_WITH", Renamed("starts_with")),
    ("STRING", Refused("write CAST(x AS STRING), or JSON_VALUE(x) for JSON")),
    ("STRPOS", Renamed("strpos")),
    ("SUBSTR", Built(substr)),
    ("SUBSTRING", Built(substr)),
    ("TO_BASE64", Renamed("to_base64")),
    ("TO_HEX", Template(&[(1, "lower(hex({0}))")])),
    ("TRANSLATE", Renamed("translate")),
    ("TRIM", Built(|arguments| trim("trim", arguments))),
    ("UNICODE", Renamed("unicode")),
    ("UPPER", Renamed("upper")),
];

fn trim(function: &str, arguments: &[&str]) -> Result<String, String> {
    match arguments {
        [text] => Ok(format!("{function}({text}, {SPACE})")),
        [text, characters] => Ok(format!("{function}({text}, {characters})")),
        _ => Err("takes a text and the characters to remove".into()),
    }
}

/// BigQuery reads position 0, and one before the start, as 1.
fn substr(arguments: &[&str]) -> Result<String, String> {
    let (text, position, length) = match arguments {
        [text, position] => (text, position, String::new()),
        [text, position, length] => (text, position, format!(", {length}")),
        _ => return Err("takes a text, a position and a length".into()),
    };
    if position.parse::<u32>().is_ok_and(|position| position > 0) {
        return Ok(format!("substr({text}, {position}{length})"));
    }
    Ok(format!(
        "substr({text}, CASE WHEN ({position}) = 0 OR ({position}) < -length({text}) THEN 1 ELSE ({position}) END{length})"
    ))
}

/// The group a match is taken from: the only one there is, else the whole match.
fn group(pattern: &str) -> Result<u8, String> {
    let pattern = literal(pattern).ok_or("needs its pattern as a text literal")?;
    let (mut groups, mut in_class, mut rest) = (0_u8, false, pattern.as_str());
    while let Some(first) = rest.chars().next() {
        let skip = if first == '\\' { rest.chars().nth(1).map_or(0, char::len_utf8) } else { 0 };
        match first {
            '[' => in_class = true,
            ']' => in_class = false,
            '(' if !in_class && (!rest.starts_with("(?") || rest.starts_with("(?P<") || rest.starts_with("(?<")) => {
                groups = groups.saturating_add(1);
            }
            _ => {}
        }
        rest = &rest[first.len_utf8() + skip..];
    }
    if groups > 1 {
        return Err("has a pattern with more than one group; write the others as (?:..)".into());
    }
    Ok(groups)
}

/// No match is NULL; DuckDB gives an empty text.
fn regexp_extract(arguments: &[&str]) -> Result<String, String> {
    let [text, pattern] = arguments else { return Err("is translated with a text and a pattern only".into()) };
    let group = group(pattern)?;
    Ok(format!("CASE WHEN regexp_matches({text}, {pattern}) THEN regexp_extract({text}, {pattern}, {group}) END"))
}

fn regexp_extract_all(arguments: &[&str]) -> Result<String, String> {
    let [text, pattern] = arguments else { return Err("takes a text and a pattern".into()) };
    Ok(format!("regexp_extract_all({text}, {pattern}, {})", group(pattern)?))
}
