//! A tree back to text: YAML in the styles that it had, or JSON.

use std::ops::Range;

use libyaml_safer::{Break, Emitter, Encoding, Event, MappingStyle, ScalarStyle, SequenceStyle};

use crate::{
    ManifestError, json,
    tree::{Node, Quoting, Scalar, Style},
};

/// What stands around a document's root, and how the root is written between.
pub(crate) struct Frame {
    /// Comments, directives and the `---` before it.
    pub(crate) head: String,
    /// Which bytes of the text follow it: comments and a `...`.
    pub(crate) tail: Range<usize>,
    pub(crate) form: Form,
}

/// The notation of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Yaml { line_break: Break },
    Json { compact: bool },
}

impl Frame {
    /// Writes the document with a root that has changed.
    pub(crate) fn write(&self, root: &Node, text: &str, to: &mut String) -> Result<(), ManifestError> {
        let tail = &text[self.tail.clone()];
        to.push_str(&self.head);
        match self.form {
            Form::Json { compact } => {
                to.push_str(&json::write(root, compact).map_err(|error| ManifestError::Unwritable(error.to_string()))?);
                to.push_str(tail);
            }
            Form::Yaml { line_break } => {
                let body = yaml(root, line_break).map_err(|error| ManifestError::Unwritable(error.to_string()))?;
                to.push_str(&body);
                // A literal that keeps its last line breaks is closed by the writer itself: no second mark.
                let closed = body.trim_end().ends_with("\n...");
                to.push_str(if closed {
                    tail.trim_start_matches("...").trim_start_matches(['\r', '\n'])
                } else {
                    tail
                });
            }
        }
        Ok(())
    }
}

fn yaml(root: &Node, line_break: Break) -> Result<String, libyaml_safer::Error> {
    let mut written = Vec::new();
    let mut emitter = Emitter::new();
    emitter.set_output_string(&mut written);
    emitter.set_unicode(true);
    emitter.set_indent(2);
    // Lines are not folded.
    emitter.set_width(-1);
    emitter.set_break(line_break);
    emitter.emit(Event::stream_start(Encoding::Utf8))?;
    emitter.emit(Event::document_start(None, &[], true))?;
    node(&mut emitter, root)?;
    emitter.emit(Event::document_end(true))?;
    emitter.emit(Event::stream_end())?;
    drop(emitter);
    Ok(String::from_utf8_lossy(&written).into_owned())
}

fn node(emitter: &mut Emitter<'_>, value: &Node) -> Result<(), libyaml_safer::Error> {
    match value {
        Node::Scalar(value) => emitter.emit(scalar(value)),
        Node::List { items, style, tag } => {
            let style = if *style == Style::Flow { SequenceStyle::Flow } else { SequenceStyle::Block };
            emitter.emit(Event::sequence_start(None, tag.as_deref(), tag.is_none(), style))?;
            items.iter().try_for_each(|item| node(emitter, item))?;
            emitter.emit(Event::sequence_end())
        }
        Node::Map { entries, style, tag } => {
            let style = if *style == Style::Flow { MappingStyle::Flow } else { MappingStyle::Block };
            emitter.emit(Event::mapping_start(None, tag.as_deref(), tag.is_none(), style))?;
            for (key, value) in entries {
                node(emitter, key)?;
                node(emitter, value)?;
            }
            emitter.emit(Event::mapping_end())
        }
    }
}

/// A plain scalar stays plain, so that its type stays; only an empty one gets a word, since in a flow it would be quoted.
fn scalar(scalar: &Scalar) -> Event {
    let style = match scalar.quoting {
        Quoting::Plain => ScalarStyle::Plain,
        Quoting::Single => ScalarStyle::SingleQuoted,
        Quoting::Double => ScalarStyle::DoubleQuoted,
        Quoting::Literal => ScalarStyle::Literal,
        Quoting::Folded => ScalarStyle::Folded,
    };
    let text = if scalar.text.is_empty() && scalar.is_null() { "null" } else { &scalar.text };
    let implicit = scalar.tag.is_none();
    Event::scalar(None, scalar.tag.as_deref(), text, implicit, implicit, style)
}
