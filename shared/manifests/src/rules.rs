//! What does not belong into a manifest.

use crate::{
    Change, Severity,
    tree::{Node, Quoting},
};

/// A field of an object's metadata that the API server sets.
struct Owned {
    name: &'static str,
    severity: Severity,
    why: &'static str,
}

impl Owned {
    /// An empty text says nothing, where the field is a text.
    fn severity(&self, value: &Node) -> Severity {
        if is_nothing(value).is_some() { Severity::Warning } else { self.severity }
    }
}

const OWNED: [Owned; 8] = [
    Owned {
        name: "creationTimestamp",
        severity: Severity::Warning,
        why: "the API server sets it; what a manifest says is ignored",
    },
    Owned {
        name: "resourceVersion",
        severity: Severity::Error,
        why: "the API server counts it; an apply is refused once the object has changed since",
    },
    Owned {
        name: "uid",
        severity: Severity::Error,
        why: "the API server gives every object its own; an apply to an object with another one is refused",
    },
    Owned {
        name: "managedFields",
        severity: Severity::Error,
        why: "the API server keeps it; a server-side apply that brings it is refused",
    },
    Owned {
        name: "generation",
        severity: Severity::Warning,
        why: "the API server counts it; what a manifest says is ignored",
    },
    Owned {
        name: "selfLink",
        severity: Severity::Warning,
        why: "the API server no longer sets it, and what a manifest says is ignored",
    },
    Owned {
        name: "deletionTimestamp",
        severity: Severity::Warning,
        why: "the API server sets it when the object is deleted; an apply may conflict with whoever set it",
    },
    Owned {
        name: "deletionGracePeriodSeconds",
        severity: Severity::Warning,
        why: "the API server sets it when the object is deleted; an apply may conflict with whoever set it",
    },
];

const QUOTED: &str = "text where a time has to be: the API server refuses the object with `parsing time`";
const BARE: &str =
    "nothing where a time has to be: some tools make the text \"null\" of it, which the API server refuses";
const STATUS: &str = "the cluster's controllers write it; what a manifest says is ignored or refused";

/// Takes out of a document what only the API server may set.
pub(crate) fn mend(root: &mut Node, document: usize, changes: &mut Vec<Change>) {
    let mut mending = Mending { document, object: String::new(), path: Vec::new(), changes };
    if is_object(root) {
        mending.object(root, None);
    }
}

struct Mending<'a> {
    document: usize,
    object: String,
    path: Vec<String>,
    changes: &'a mut Vec<Change>,
}

impl Mending<'_> {
    /// A whole object; `kind` where its list says what it is.
    fn object(&mut self, node: &mut Node, kind: Option<&str>) {
        let kind = field(node, "kind").and_then(Node::text).or(kind).unwrap_or_default().to_owned();
        let name = field(node, "metadata").and_then(|metadata| field(metadata, "name")).and_then(Node::text);
        let named = name.map_or_else(|| kind.clone(), |name| format!("{kind}/{name}"));
        let outer = std::mem::replace(&mut self.object, named);
        self.fields(node, &kind);
        self.object = outer;
    }

    fn fields(&mut self, node: &mut Node, kind: &str) {
        let Node::Map { entries, .. } = node else { return };
        entries.retain(|(key, value)| {
            let gone = key.text() == Some("status");
            if gone {
                self.dropped("status", value, Severity::Warning, STATUS);
            }
            !gone
        });
        let listed = kind.strip_suffix("List");
        for (key, value) in entries {
            let Some(key) = key.text() else { continue };
            match (key, listed) {
                ("<<", _) => each_merged(value, |merged| self.fields(merged, kind)),
                ("metadata", _) => self.at(key, |this| this.metadata(value, true)),
                ("items", Some(listed)) => {
                    if let Node::List { items, .. } = value {
                        for (index, item) in items.iter_mut().enumerate() {
                            self.at(&format!("items[{index}]"), |this| this.object(item, Some(listed)));
                        }
                    }
                }
                // What a ConfigMap or a Secret carries is its own.
                ("data" | "stringData" | "binaryData", _) => {}
                _ => self.at(key, |this| this.templates(value)),
            }
        }
    }

    /// Looks for the metadata of templates.
    fn templates(&mut self, node: &mut Node) {
        match node {
            Node::Scalar(_) => {}
            Node::List { items, .. } => {
                for (index, item) in items.iter_mut().enumerate() {
                    self.at(&format!("[{index}]"), |this| this.templates(item));
                }
            }
            Node::Map { entries, .. } => {
                for (key, value) in entries {
                    match key.text() {
                        // A schema tells of fields that are called so.
                        None | Some("openAPIV3Schema") => {}
                        Some("<<") => each_merged(value, |merged| self.templates(merged)),
                        Some("metadata") => self.at("metadata", |this| this.metadata(value, false)),
                        Some(key) => self.at(key, |this| this.templates(value)),
                    }
                }
            }
        }
    }

    /// An object's metadata, or a template's, which only has a time that is none.
    fn metadata(&mut self, node: &mut Node, is_objects: bool) {
        let Node::Map { entries, .. } = node else { return };
        entries.retain_mut(|(key, value)| {
            let Some(key) = key.text() else { return true };
            if key == "<<" {
                each_merged(value, |merged| self.metadata(merged, is_objects));
                return true;
            }
            let because = match key {
                "creationTimestamp" if is_nothing(value) == Some(Severity::Error) => Some((Severity::Error, QUOTED)),
                "creationTimestamp" if is_nothing(value).is_some() => Some((Severity::Warning, BARE)),
                _ => {
                    let owned = OWNED.iter().find(|owned| is_objects && owned.name == key);
                    owned.map(|owned| (owned.severity(value), owned.why))
                }
            };
            if let Some((severity, why)) = because {
                self.dropped(key, value, severity, why);
            }
            because.is_none()
        });
    }

    fn at(&mut self, key: &str, look: impl FnOnce(&mut Self)) {
        self.path.push(key.to_owned());
        look(self);
        self.path.pop();
    }

    fn dropped(&mut self, key: &str, value: &Node, severity: Severity, why: &'static str) {
        let mut path = String::new();
        for part in self.path.iter().map(String::as_str).chain([key]) {
            if !path.is_empty() && !part.starts_with('[') {
                path.push('.');
            }
            path.push_str(part);
        }
        let (document, object, value) = (self.document, self.object.clone(), shown(value));
        self.changes.push(Change { document, object, path, value, severity, why });
    }
}

fn is_object(node: &Node) -> bool {
    ["apiVersion", "kind"]
        .iter()
        .all(|name| field(node, name).and_then(Node::text).is_some_and(|text| !text.is_empty()))
}

fn field<'n>(node: &'n Node, name: &str) -> Option<&'n Node> {
    let Node::Map { entries, .. } = node else { return None };
    entries.iter().find(|(key, _)| key.text() == Some(name)).map(|(_, value)| value)
}

/// The maps that a `<<` lays under its own.
fn each_merged(node: &mut Node, mut look: impl FnMut(&mut Node)) {
    match node {
        Node::List { items, .. } => items.iter_mut().for_each(look),
        _ => look(node),
    }
}

/// Whether a value says that there is nothing, and how bad its way to say so is where a time has to be.
fn is_nothing(node: &Node) -> Option<Severity> {
    let Node::Scalar(scalar) = node else { return None };
    if scalar.is_null() {
        return Some(Severity::Warning);
    }
    matches!(&*scalar.text, "" | "null").then_some(Severity::Error)
}

/// The longest value that a report shows, in characters.
const SHOWN: usize = 40;

fn shown(node: &Node) -> String {
    match node {
        Node::Scalar(scalar) if scalar.is_null() => "null".to_owned(),
        Node::Scalar(scalar) if scalar.quoting == Quoting::Plain => shortened(&scalar.text),
        Node::Scalar(scalar) => format!("\"{}\"", shortened(&scalar.text)),
        Node::List { items, .. } => format!("a list of {}", items.len()),
        Node::Map { entries, .. } => format!("a map of {}", entries.len()),
    }
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}
