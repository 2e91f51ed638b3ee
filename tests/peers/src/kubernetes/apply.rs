//! Merge patches, and server-side apply with its owners of fields. Lists are one field each.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// What the server owns of every object, whoever sends it.
const SERVERS: [&str; 7] = [
    "/apiVersion",
    "/kind",
    "/metadata/name",
    "/metadata/namespace",
    "/metadata/uid",
    "/metadata/resourceVersion",
    "/metadata/creationTimestamp",
];

/// Who wrote a field last: a manager, and whether by apply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) manager: String,
    pub(super) by_apply: bool,
}

/// The owners of an object's fields, by JSON pointer.
pub(super) type Owners = BTreeMap<String, Owner>;

/// RFC 7386.
pub(super) fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    if let Value::Object(target) = target {
        for (key, value) in patch {
            if value.is_null() {
                target.remove(key);
            } else {
                merge(target.entry(key).or_insert(Value::Null), value);
            }
        }
    }
}

/// The fields of a value that are no objects, or empty ones, by JSON pointer.
pub(super) fn leaves(value: &Value) -> BTreeMap<String, Value> {
    fn collect(value: &Value, path: &str, into: &mut BTreeMap<String, Value>) {
        match value {
            Value::Object(fields) if !fields.is_empty() => {
                for (key, value) in fields {
                    collect(value, &format!("{path}/{}", key.replace('~', "~0").replace('/', "~1")), into);
                }
            }
            _ if SERVERS.contains(&path) => {}
            other => drop(into.insert(path.to_owned(), other.clone())),
        }
    }
    let mut all = BTreeMap::new();
    collect(value, "", &mut all);
    all
}

/// Who owns what after `manager` has written `after` in place of `before`.
pub(super) fn written(owners: &mut Owners, before: &Value, after: &Value, manager: &str) {
    let (before, after) = (leaves(before), leaves(after));
    owners.retain(|path, _| after.contains_key(path));
    for (path, value) in &after {
        if before.get(path) != Some(value) {
            owners.insert(path.clone(), Owner { manager: manager.to_owned(), by_apply: false });
        }
    }
}

/// Applies `patch` as `manager`; the conflicting fields and their owners where others own them and it is not forced.
pub(super) fn apply(
    object: &mut Value,
    owners: &mut Owners,
    patch: &Value,
    manager: &str,
    force: bool,
) -> Result<(), Vec<(String, String)>> {
    let me = Owner { manager: manager.to_owned(), by_apply: true };
    let wanted = leaves(patch);
    let conflicts: Vec<_> = wanted
        .iter()
        .filter(|(path, value)| object.pointer(path) != Some(value))
        .filter_map(|(path, _)| owners.get(path).filter(|owner| **owner != me).map(|owner| (path, owner)))
        .map(|(path, owner)| (path.clone(), owner.manager.clone()))
        .collect();
    if !conflicts.is_empty() && !force {
        return Err(conflicts);
    }
    // What it applied before and does not any more, it takes back.
    let dropped: Vec<_> = owners
        .iter()
        .filter(|(path, owner)| **owner == me && !wanted.contains_key(*path))
        .map(|(path, _)| path.clone())
        .collect();
    for path in dropped {
        owners.remove(&path);
        remove(object, &path);
    }
    for (path, value) in wanted {
        if object.pointer(&path) != Some(&value) || !owners.contains_key(&path) {
            owners.insert(path.clone(), me.clone());
        }
        set(object, &path, value);
    }
    Ok(())
}

fn keys(path: &str) -> Vec<String> {
    path.split('/').skip(1).map(|key| key.replace("~1", "/").replace("~0", "~")).collect()
}

fn set(object: &mut Value, path: &str, value: Value) {
    let mut at = object;
    for key in keys(path) {
        if !at.is_object() {
            *at = Value::Object(Map::new());
        }
        at = &mut at[key];
    }
    *at = value;
}

fn remove(object: &mut Value, path: &str) {
    let keys = keys(path);
    let Some((last, parents)) = keys.split_last() else { return };
    let mut at = object;
    for key in parents {
        match at.get_mut(key) {
            Some(inner) => at = inner,
            None => return,
        }
    }
    if let Value::Object(fields) = at {
        fields.remove(last);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_merge_patch_sets_and_removes() {
        let mut object = json!({"a": 1, "b": {"c": 2, "d": 3}, "e": [1]});
        merge(&mut object, &json!({"a": null, "b": {"c": 4}, "e": [2, 3], "f": {"g": null}}));
        assert_eq!(object, json!({"b": {"c": 4, "d": 3}, "e": [2, 3], "f": {}}));
    }

    #[test]
    fn what_another_manager_wrote_is_a_conflict_unless_forced() {
        let (mut object, mut owners) = (json!({"data": {"a": "1"}}), Owners::new());
        written(&mut owners, &Value::Null, &object.clone(), "creator");
        let patch = json!({"data": {"a": "2", "b": "3"}});
        let conflict = apply(&mut object, &mut owners, &patch, "other", false).unwrap_err();
        assert_eq!(conflict, [("/data/a".to_owned(), "creator".to_owned())]);
        assert_eq!(object, json!({"data": {"a": "1"}}));
        apply(&mut object, &mut owners, &patch, "other", true).unwrap();
        assert_eq!(object, patch);
    }

    #[test]
    fn what_is_applied_no_more_is_taken_back() {
        let (mut object, mut owners) = (json!({}), Owners::new());
        apply(&mut object, &mut owners, &json!({"data": {"a": "1", "b": "2"}}), "me", false).unwrap();
        apply(&mut object, &mut owners, &json!({"data": {"b": "2"}}), "me", false).unwrap();
        assert_eq!(object, json!({"data": {"b": "2"}}));
    }
}
