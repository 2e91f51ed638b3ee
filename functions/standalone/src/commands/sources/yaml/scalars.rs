//! Names and values as YAML writes them.

/// A name, quoted where YAML or a list in it would take it for something else.
pub(super) fn plain(name: &str) -> String {
    if is_plain(name, "_-.") { name.to_owned() } else { quoted(name) }
}

/// A value in a block, quoted where YAML would take it for something else.
pub(super) fn text(value: &str) -> String {
    let is_mapping = value.contains(": ") || value.ends_with(':');
    let has_rim = value.ends_with(' ');
    if is_plain(value, "_-./:<>(), ") && !is_mapping && !has_rim { value.to_owned() } else { quoted(value) }
}

/// Whether a text is of letters, digits and these, begins with a letter, and is no word that YAML knows.
fn is_plain(value: &str, others: &str) -> bool {
    const WORDS: [&str; 9] = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];
    value.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && value.chars().all(|c| c.is_ascii_alphanumeric() || others.contains(c))
        && !WORDS.iter().any(|word| value.eq_ignore_ascii_case(word))
}

/// A text in double quotes, which JSON and YAML write alike.
pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
