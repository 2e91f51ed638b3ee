//! YAML text to a tree of nodes, each with its place; every mistake that YAML itself can have is reported here.
//!
//! The tree keeps scalars as they are written, so that a column's `null_values: [1.50, NA]` stay texts, and it is bounded in
//! depth and size, so that aliases of aliases cannot grow it without end.

use std::{collections::HashMap, ops::Range};

use granit_parser::{Event, Parser, ScalarStyle};

use super::diagnostic::{Code, Diagnostic, SourceFile};

/// Deeper nesting than any pipeline file has a use for.
const MAX_DEPTH: usize = 32;
/// More nodes, aliases counted as what they stand for, than any pipeline file has a use for.
const MAX_NODES: usize = 50_000;

/// A value and its place in the text, in bytes.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) span: Range<usize>,
    pub(crate) value: Value,
}

#[derive(Debug, Clone)]
pub(crate) enum Value {
    Null,
    Scalar(String),
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

/// A map's key and its place.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    pub(crate) text: String,
    pub(crate) span: Range<usize>,
}

impl Node {
    /// What kind of value it is, for messages.
    pub(crate) fn kind(&self) -> String {
        match &self.value {
            Value::Null => "nothing".to_owned(),
            Value::Scalar(text) => format!("`{text}`"),
            Value::List(_) => "a list".to_owned(),
            Value::Map(_) => "a map".to_owned(),
        }
    }

    fn size(&self) -> usize {
        1 + match &self.value {
            Value::Null | Value::Scalar(_) => 0,
            Value::List(items) => items.iter().map(Node::size).sum(),
            Value::Map(entries) => entries.iter().map(|(_, node)| 1 + node.size()).sum(),
        }
    }

    fn depth(&self) -> usize {
        1 + match &self.value {
            Value::Null | Value::Scalar(_) => 0,
            Value::List(items) => items.iter().map(Node::depth).max().unwrap_or(0),
            Value::Map(entries) => entries.iter().map(|(_, node)| node.depth()).max().unwrap_or(0),
        }
    }
}

/// A list or map that is not closed yet.
struct Open {
    anchor: usize,
    span: Range<usize>,
    children: Children,
}

enum Children {
    List(Vec<Node>),
    Map { entries: Vec<(Key, Node)>, key: Option<Key> },
}

/// Reads one document. `None` when there is no usable tree; mistakes say why.
pub(crate) fn read(source: &SourceFile, mistakes: &mut Vec<Diagnostic>) -> Option<Node> {
    let text = source.inner();
    let mut tree = Tree { source, mistakes, open: Vec::new(), anchors: HashMap::new(), root: None, nodes: 0 };
    let mut documents = 0;
    for next in Parser::new_from_str(text) {
        let (event, span) = match next {
            Ok(next) => next,
            Err(error) => {
                let start = error.marker().byte_offset().unwrap_or(text.len());
                tree.mistake(start..start + 1, Code::Yaml, format!("this is not YAML: {}", error.info()));
                return None;
            }
        };
        let span = span.byte_range().unwrap_or(0..0);
        let proceed = match event {
            Event::DocumentStart(..) => {
                documents += 1;
                if documents > 1 {
                    tree.mistake(span, Code::Yaml, "a second document in one file")
                        .hint("write one pipeline a file; take this --- out");
                    return None;
                }
                true
            }
            Event::Scalar(value, style, anchor, _) => {
                let null = style == ScalarStyle::Plain && matches!(&*value, "" | "~" | "null" | "Null" | "NULL");
                let value = if null { Value::Null } else { Value::Scalar(value.into_owned()) };
                tree.add(anchor, Node { span, value }, 1)
            }
            Event::SequenceStart(_, anchor, _) => tree.open(anchor, span, Children::List(Vec::new())),
            Event::MappingStart(_, anchor, _) => {
                tree.open(anchor, span, Children::Map { entries: Vec::new(), key: None })
            }
            Event::SequenceEnd | Event::MappingEnd => tree.close(),
            Event::Alias(anchor) => match tree.anchors.get(&anchor).cloned() {
                Some(node) => {
                    let size = node.size();
                    tree.add(0, Node { span, ..node }, size)
                }
                None => {
                    tree.mistake(span, Code::Yaml, "this alias stands within what it names");
                    false
                }
            },
            _ => true,
        };
        if !proceed {
            return None;
        }
    }
    tree.root
}

struct Tree<'a> {
    source: &'a SourceFile,
    mistakes: &'a mut Vec<Diagnostic>,
    open: Vec<Open>,
    anchors: HashMap<usize, Node>,
    root: Option<Node>,
    nodes: usize,
}

impl Tree<'_> {
    fn mistake(&mut self, span: Range<usize>, code: Code, message: impl Into<String>) -> &mut Diagnostic {
        self.mistakes.push(Diagnostic::new(self.source, span, code, message));
        let last = self.mistakes.len() - 1;
        &mut self.mistakes[last]
    }

    fn open(&mut self, anchor: usize, span: Range<usize>, children: Children) -> bool {
        if self.open.len() >= MAX_DEPTH {
            self.mistake(span, Code::Yaml, format!("nested more than {MAX_DEPTH} deep"));
            return false;
        }
        self.open.push(Open { anchor, span, children });
        true
    }

    fn close(&mut self) -> bool {
        let Some(Open { anchor, span, children }) = self.open.pop() else { return false };
        let value = match children {
            Children::List(items) => Value::List(items),
            Children::Map { entries, .. } => Value::Map(entries),
        };
        self.add(anchor, Node { span, value }, 1)
    }

    /// Puts a finished node where it belongs, `grown` nodes of it not yet counted. False when the file is too large to go on.
    fn add(&mut self, anchor: usize, mut node: Node, grown: usize) -> bool {
        self.nodes += grown;
        if self.nodes > MAX_NODES || node.depth() + self.open.len() > MAX_DEPTH + 1 {
            self.mistake(node.span, Code::Yaml, "more or deeper values than a pipeline file has a use for")
                .hint("aliases count as all that they stand for");
            return false;
        }
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        let Some(parent) = self.open.last_mut() else {
            self.root = Some(node);
            return true;
        };
        match &mut parent.children {
            Children::List(items) => items.push(node),
            Children::Map { entries, key } => match key.take() {
                None => match node.value {
                    Value::Scalar(text) => *key = Some(Key { text, span: node.span }),
                    _ => {
                        let kind = node.kind();
                        self.mistake(node.span, Code::Yaml, format!("a key is a name, not {kind}"));
                        return false;
                    }
                },
                Some(key) => {
                    // A block list's or an empty value's own place is hard to see; its key is what people look for.
                    if !matches!(node.value, Value::Scalar(_)) {
                        node.span = key.span.clone();
                    }
                    if entries.iter().any(|(other, _)| other.text == key.text) {
                        let message = format!("`{}` stands twice", key.text);
                        self.mistake(key.span, Code::DuplicateKey, message).hint("keep one of them");
                    } else {
                        entries.push((key, node));
                    }
                }
            },
        }
        true
    }
}
