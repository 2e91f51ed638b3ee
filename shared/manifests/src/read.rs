//! YAML text to documents: the tree of each, and which of its bytes frame it.

use std::{collections::HashMap, ops::Range};

use granit_parser::{ErrorKind, Event, Parser, ScalarStyle, Span, StructureStyle, Tag};
use libyaml_safer::Break;

use crate::{
    MAX_DEPTH, MAX_NODES, ManifestError,
    tree::{Node, Quoting, Scalar, Style},
    write::{Form, Frame},
};

/// One document of a text.
pub(crate) struct Document {
    pub(crate) root: Node,
    /// All its bytes, comments and markers included; the documents' ranges cover the text.
    pub(crate) whole: Range<usize>,
    pub(crate) frame: Frame,
}

/// Reads every document.
pub(crate) fn documents(text: &str) -> Result<Vec<Document>, ManifestError> {
    let options = granit_parser::options! {
        // As kubectl's parser reads it.
        block_scalar_eof_without_line_feed: true,
    };
    let mut reader = Reader { text, open: Vec::new(), anchors: HashMap::new(), nodes: 0, parts: Vec::new() };
    for next in Parser::new_from_str_with_options(text, options) {
        let (event, span) = next.map_err(|error| match error.kind() {
            ErrorKind::RecursionLimitExceeded => ManifestError::TooDeep,
            _ => ManifestError::Syntax {
                line: error.marker().line(),
                column: error.marker().col() + 1,
                reason: error.info(),
            },
        })?;
        reader.take(event, span)?;
    }
    Ok(reader.finish())
}

/// A document while it is read.
struct Part {
    /// Where the line of its marker starts, or of its first value.
    start: usize,
    /// Whether it has a `---`.
    marked: bool,
    root: Option<Node>,
    /// Where the line of its first value starts.
    content: usize,
    /// Where its `...` stands.
    end_mark: Option<usize>,
}

/// A list or map that is not closed yet.
struct Open {
    anchor: usize,
    node: Node,
    key: Option<Node>,
}

struct Reader<'t> {
    text: &'t str,
    open: Vec<Open>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
    parts: Vec<Part>,
}

impl Reader<'_> {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), ManifestError> {
        let at = span.byte_range().map_or(self.text.len(), |range| range.start);
        match event {
            Event::DocumentStart(marked, _) => {
                self.anchors.clear();
                let start = self.line_of(at);
                self.parts.push(Part { start, marked, root: None, content: start, end_mark: None });
            }
            Event::DocumentEnd => {
                let explicit = self.text[at..].starts_with("...");
                if let Some(part) = self.parts.last_mut().filter(|_| explicit) {
                    part.end_mark = Some(at);
                }
            }
            Event::Scalar(value, style, anchor, tag) => {
                let scalar = Scalar { text: value.into_owned(), quoting: quoting(style), tag: uri(tag.as_deref()) };
                self.started(at);
                self.add(anchor, Node::Scalar(scalar), 1)?;
            }
            Event::SequenceStart(style, anchor, tag) => {
                let node = Node::List { items: Vec::new(), style: style_of(style), tag: uri(tag.as_deref()) };
                self.begin(at, anchor, node)?;
            }
            Event::MappingStart(style, anchor, tag) => {
                let node = Node::Map { entries: Vec::new(), style: style_of(style), tag: uri(tag.as_deref()) };
                self.begin(at, anchor, node)?;
            }
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some(Open { anchor, node, .. }) = self.open.pop() {
                    self.add(anchor, node, 1)?;
                }
            }
            Event::Alias(anchor) => {
                let node = self.anchors.get(&anchor).cloned();
                let node = node.ok_or(ManifestError::Cycle { line: span.start.line() })?;
                if self.open.len() + node.depth() > MAX_DEPTH {
                    return Err(ManifestError::TooDeep);
                }
                self.started(at);
                let size = node.size();
                self.add(0, node, size)?;
            }
            _ => {}
        }
        Ok(())
    }

    /// Notes where a document's first value stands.
    fn started(&mut self, at: usize) {
        let line = self.line_of(at);
        if let Some(part) = self.parts.last_mut().filter(|part| self.open.is_empty() && part.root.is_none()) {
            part.content = line;
        }
    }

    fn begin(&mut self, at: usize, anchor: usize, node: Node) -> Result<(), ManifestError> {
        if self.open.len() >= MAX_DEPTH {
            return Err(ManifestError::TooDeep);
        }
        self.started(at);
        self.open.push(Open { anchor, node, key: None });
        Ok(())
    }

    /// Puts a finished node where it belongs, `grown` values of it not yet counted.
    fn add(&mut self, anchor: usize, node: Node, grown: usize) -> Result<(), ManifestError> {
        self.nodes += grown;
        if self.nodes > MAX_NODES {
            return Err(ManifestError::TooMany);
        }
        if anchor != 0 {
            // What an anchor keeps is a copy, and counts.
            self.nodes += node.size();
            self.anchors.insert(anchor, node.clone());
        }
        match self.open.last_mut() {
            None => {
                if let Some(part) = self.parts.last_mut() {
                    part.root = Some(node);
                }
            }
            Some(Open { node: Node::Map { entries, .. }, key, .. }) => match key.take() {
                Some(key) => entries.push((key, node)),
                None => *key = Some(node),
            },
            Some(Open { node: Node::List { items, .. }, .. }) => items.push(node),
            Some(_) => {}
        }
        Ok(())
    }

    fn line_of(&self, at: usize) -> usize {
        self.text[..at].rfind('\n').map_or(0, |newline| newline + 1)
    }

    fn finish(self) -> Vec<Document> {
        let text = self.text;
        let ends: Vec<usize> = self.parts.iter().skip(1).map(|part| part.start).chain([text.len()]).collect();
        let mut start = 0;
        let mut documents = Vec::with_capacity(self.parts.len());
        for (part, end) in self.parts.into_iter().zip(ends) {
            if let Some(root) = part.root {
                let whole = start..end;
                let frame = frame(text, &whole, &root, part.start, part.content, part.marked, part.end_mark);
                documents.push(Document { root, whole, frame });
                start = end;
            }
        }
        // Nothing but comments.
        if start < text.len() && documents.is_empty() {
            let root = Node::Scalar(Scalar { text: String::new(), quoting: Quoting::Plain, tag: None });
            let whole = 0..text.len();
            let frame = frame(text, &whole, &root, 0, 0, false, None);
            documents.push(Document { root, whole, frame });
        }
        documents
    }
}

/// What of a document's bytes stands around its root and stays when that is written anew.
fn frame(
    text: &str,
    whole: &Range<usize>,
    root: &Node,
    marker: usize,
    content: usize,
    marked: bool,
    end_mark: Option<usize>,
) -> Frame {
    let has_tag = match root {
        Node::Scalar(scalar) => scalar.tag.is_some(),
        Node::List { tag, .. } | Node::Map { tag, .. } => tag.is_some(),
    };
    // On the marker's line may stand the root itself, or its tag.
    let kept = if marked && (content == marker || has_tag) { marker } else { content };
    let (newline, line_break) =
        if text[whole.clone()].contains("\r\n") { ("\r\n", Break::CrLn) } else { ("\n", Break::Ln) };
    let mut head = text[whole.start..kept].to_owned();
    if marked && kept == marker {
        head.push_str("---");
        head.push_str(newline);
    }
    let tail = match end_mark {
        Some(at) => at,
        None => closing_comments(text, content..whole.end),
    };
    Frame { head, tail: tail..whole.end, form: Form::Yaml { line_break } }
}

/// Where the comments begin that follow the last line of values.
fn closing_comments(text: &str, range: Range<usize>) -> usize {
    let mut start = range.end;
    let mut at = range.end;
    for line in text[range].split_inclusive('\n').rev() {
        at -= line.len();
        if line.starts_with('#') {
            start = at;
        } else if !line.trim().is_empty() {
            break;
        }
    }
    start
}

fn quoting(style: ScalarStyle) -> Quoting {
    match style {
        ScalarStyle::Plain => Quoting::Plain,
        ScalarStyle::SingleQuoted => Quoting::Single,
        ScalarStyle::DoubleQuoted => Quoting::Double,
        ScalarStyle::Literal => Quoting::Literal,
        ScalarStyle::Folded => Quoting::Folded,
    }
}

fn style_of(style: StructureStyle) -> Style {
    match style {
        StructureStyle::Block => Style::Block,
        StructureStyle::Flow => Style::Flow,
    }
}

fn uri(tag: Option<&Tag>) -> Option<String> {
    tag.map(|tag| format!("{}{}", tag.handle(), tag.suffix()))
}
