//! Label selectors: `a=b,c!=d,e in (f,g),h,!i`.

use serde_json::Value;

use super::status::Refusal;

/// Whether an object's labels fit.
pub(super) fn matches(selector: &str, object: &Value) -> Result<bool, Refusal> {
    let label = |key: &str| {
        object.pointer("/metadata/labels").and_then(|labels| labels.get(key.trim())).and_then(Value::as_str)
    };
    for requirement in requirements(selector) {
        let requirement = requirement.trim();
        let fits = if let Some((key, values)) = requirement.split_once(" notin ") {
            label(key).is_none_or(|value| !set(values).any(|one| one == value))
        } else if let Some((key, values)) = requirement.split_once(" in ") {
            label(key).is_some_and(|value| set(values).any(|one| one == value))
        } else if let Some((key, value)) = requirement.split_once("!=") {
            label(key) != Some(value.trim())
        } else if let Some((key, value)) = requirement.split_once("==").or_else(|| requirement.split_once('=')) {
            label(key) == Some(value.trim())
        } else if let Some(key) = requirement.strip_prefix('!') {
            label(key).is_none()
        } else if requirement.is_empty() || requirement.contains(['(', ')', ' ']) {
            return Err(Refusal::bad_request(format!("unable to parse requirement: {requirement:?}")));
        } else {
            label(requirement).is_some()
        };
        if !fits {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Split at the commas outside brackets.
fn requirements(selector: &str) -> Vec<&str> {
    let (mut depth, mut start, mut parts) = (0_i32, 0, Vec::new());
    for (at, c) in selector.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&selector[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    if !selector.is_empty() {
        parts.push(&selector[start..]);
    }
    parts
}

fn set(values: &str) -> impl Iterator<Item = &str> {
    values.trim().trim_start_matches('(').trim_end_matches(')').split(',').map(str::trim)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn selectors_find_what_they_say() {
        let object = json!({"metadata": {"labels": {"a": "b", "x.io/c": "d"}}});
        for (selector, expected) in [
            ("", true),
            ("a=b", true),
            ("a==b,x.io/c=d", true),
            ("a=c", false),
            ("a!=c", true),
            ("none!=c", true),
            ("a in (c, b)", true),
            ("a in (c,d),x.io/c", false),
            ("a notin (c)", true),
            ("x.io/c", true),
            ("!a", false),
            ("none", false),
        ] {
            assert_eq!(matches(selector, &object).unwrap(), expected, "{selector}");
        }
        assert!(matches("a (b", &object).is_err());
    }
}
