//! Which BigQuery functions are known, and what each becomes in DuckDB.
//!
//! A function that is not in these tables is refused by name: a statement either means the same on both sides or does not
//! run. Each table holds one family; a test below checks that every entry is used by a statement in
//! `tests/statements`.

mod aggregates;
mod dates;
mod formats;
mod json;
mod numbers;
mod syntax;
mod text;

/// What a function becomes. Arguments come as DuckDB text.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Rule {
    /// The same function under the same name, or one whose special syntax the parser itself translates.
    Same,
    /// The same arguments under another name; works with `OVER` too.
    Renamed(&'static str),
    /// Text with `{0}`, `{1}` .. for the arguments, one text for each number of arguments it may be called with.
    Template(&'static [(usize, &'static str)]),
    /// Built from the arguments' text; the error says what about this call has no translation.
    Built(fn(&[&str]) -> Result<String, String>),
    /// Known to BigQuery, without a translation; what to write instead.
    Refused(&'static str),
}

/// A family's entries.
type Family = &'static [(&'static str, Rule)];

const FAMILIES: [Family; 5] =
    [aggregates::FUNCTIONS, dates::FUNCTIONS, json::FUNCTIONS, numbers::FUNCTIONS, text::FUNCTIONS];

/// The rule for a function, by its name in upper case.
pub(crate) fn rule(name: &str) -> Option<Rule> {
    FAMILIES.iter().flat_map(|family| family.iter()).find(|(known, _)| *known == name).map(|(_, rule)| *rule)
}

/// The rule for a marked call: a function, or syntax that marking made a call of.
pub(crate) fn marked_rule(name: &str) -> Option<Rule> {
    rule(name).or_else(|| syntax::SYNTAX.iter().find(|(known, _)| *known == name).map(|(_, rule)| *rule))
}

/// The known function whose name is closest, when one is close.
pub(crate) fn closest(name: &str) -> Option<&'static str> {
    FAMILIES
        .iter()
        .flat_map(|family| family.iter())
        .filter(|(_, rule)| !matches!(rule, Rule::Refused(_)))
        .map(|(known, _)| (strsim::damerau_levenshtein(known, name), *known))
        .filter(|(distance, _)| *distance <= 2)
        .min()
        .map(|(_, known)| known)
}

/// Applies a rule to a call's arguments.
pub(crate) fn apply(name: &str, rule: Rule, arguments: &[&str]) -> Result<String, String> {
    match rule {
        Rule::Same => Ok(format!("{}({})", name.to_lowercase(), arguments.join(", "))),
        Rule::Renamed(other) => Ok(format!("{other}({})", arguments.join(", "))),
        Rule::Template(forms) => match forms.iter().find(|(count, _)| *count == arguments.len()) {
            Some((_, form)) => Ok(fill(form, arguments)),
            None => {
                let counts: Vec<String> = forms.iter().map(|(count, _)| count.to_string()).collect();
                Err(format!("is translated with {} arguments, not {}", counts.join(" or "), arguments.len()))
            }
        },
        Rule::Built(build) => build(arguments),
        Rule::Refused(instead) => Err(format!("has no translation: {instead}")),
    }
}

/// What `EXTRACT(part FROM value)` becomes.
pub(crate) fn extract(part: &str, value: &str) -> Result<String, String> {
    dates::extracted(part, value)
}

/// Puts arguments into a template, each in parentheses so that its operators keep to themselves.
fn fill(form: &str, arguments: &[&str]) -> String {
    let mut text = form.to_owned();
    for (index, argument) in arguments.iter().enumerate() {
        text = text.replace(&format!("{{{index}}}"), &format!("({argument})"));
    }
    text
}

/// The value of an argument that is a text literal.
fn literal(argument: &str) -> Option<String> {
    let inner = argument.trim().strip_prefix('\'')?.strip_suffix('\'')?;
    let text = inner.replace("''", "\u{0}");
    (!text.contains('\'')).then(|| text.replace('\u{0}', "'"))
}

/// A text as a literal.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_function_is_in_two_families() {
        let mut names: Vec<_> = FAMILIES.iter().flat_map(|family| family.iter()).map(|(name, _)| *name).collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn every_function_is_used_by_a_statement_that_is_run() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/statements");
        let mut used = std::collections::BTreeSet::new();
        for entry in std::fs::read_dir(folder).unwrap() {
            let text = std::fs::read_to_string(entry.unwrap().path()).unwrap().to_uppercase();
            used.extend(text.split(|c: char| !(c.is_alphanumeric() || c == '_')).map(str::to_owned));
        }
        let translated =
            FAMILIES.iter().flat_map(|family| family.iter()).filter(|(_, rule)| !matches!(rule, Rule::Refused(_)));
        let unused: Vec<_> = translated.map(|(name, _)| *name).filter(|name| !used.contains(*name)).collect();
        assert_eq!(unused, [""; 0]);
    }
}
