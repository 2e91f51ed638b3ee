//! Format texts: of dates and times, and of `FORMAT`.

use super::{literal, quoted};

/// What a date format's element becomes in DuckDB's `strftime` and `strptime`; elements missing here have no equivalent.
const ELEMENTS: &[(&str, &str)] = &[
    ("%E4Y", "%Y"),
    ("%E3S", "%S.%g"),
    ("%E6S", "%S.%f"),
    ("%A", "%A"),
    ("%a", "%a"),
    ("%B", "%B"),
    ("%b", "%b"),
    ("%h", "%b"),
    ("%D", "%m/%d/%y"),
    ("%x", "%m/%d/%y"),
    ("%d", "%d"),
    ("%F", "%Y-%m-%d"),
    ("%G", "%G"),
    ("%H", "%H"),
    ("%I", "%I"),
    ("%j", "%j"),
    ("%M", "%M"),
    ("%m", "%m"),
    ("%n", "\n"),
    ("%p", "%p"),
    ("%R", "%H:%M"),
    ("%S", "%S"),
    ("%T", "%H:%M:%S"),
    ("%X", "%H:%M:%S"),
    ("%t", "\t"),
    ("%U", "%U"),
    ("%u", "%u"),
    ("%V", "%V"),
    ("%W", "%W"),
    ("%w", "%w"),
    ("%Y", "%Y"),
    ("%y", "%y"),
    ("%z", "%z"),
    ("%%", "%%"),
];

/// A date or time format as DuckDB writes it.
pub(super) fn date_format(argument: &str) -> Result<String, String> {
    let format = literal(argument).ok_or("needs its format as a text literal")?;
    let (mut text, mut rest) = (String::new(), format.as_str());
    while let Some(at) = rest.find('%') {
        text.push_str(&rest[..at]);
        rest = &rest[at..];
        let Some((element, becomes)) = ELEMENTS.iter().find(|(element, _)| rest.starts_with(element)) else {
            let element: String = rest.chars().take(2).collect();
            return Err(format!("has the format element {element}, which has no translation"));
        };
        text.push_str(becomes);
        rest = &rest[element.len()..];
    }
    text.push_str(rest);
    Ok(quoted(&text))
}

/// `FORMAT`, for the specifiers C's printf knows.
pub(super) fn printf(arguments: &[&str]) -> Result<String, String> {
    let (format, values) = arguments.split_first().ok_or("needs a format")?;
    let format = literal(format).ok_or("needs its format as a text literal")?;
    let (mut text, mut rest, mut casts) = (String::new(), format.as_str(), Vec::new());
    while let Some(at) = rest.find('%') {
        text.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let end = rest.find(|c: char| !(c.is_ascii_digit() || "+-. #0".contains(c))).unwrap_or(rest.len());
        let (flags, specifier) = (&rest[..end], rest[end..].chars().next().unwrap_or_default());
        let (becomes, cast) = match specifier {
            '%' => ("%", None),
            'd' | 'i' => ("d", Some("BIGINT")),
            'f' | 'F' | 'e' | 'E' | 'g' | 'G' => (&rest[end..=end], Some("DOUBLE")),
            'x' | 'X' | 'o' => (&rest[end..=end], Some("BIGINT")),
            's' | 't' => ("s", Some("VARCHAR")),
            other => return Err(format!("has the specifier %{flags}{other}, which has no translation")),
        };
        text.push('%');
        text.push_str(flags);
        text.push_str(becomes);
        casts.extend(cast);
        rest = &rest[end + 1..];
    }
    text.push_str(rest);
    if casts.len() != values.len() {
        return Err(format!("has {} specifiers and {} values", casts.len(), values.len()));
    }
    let mut call = format!("printf({}", quoted(&text));
    for (value, cast) in values.iter().zip(casts) {
        call.push_str(&format!(", CAST({value} AS {cast})"));
    }
    Ok(call + ")")
}
