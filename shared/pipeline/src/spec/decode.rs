//! From a tree of nodes to typed records, collecting every mistake on the way instead of stopping at the first.
//!
//! [`record!`] declares a record once: its fields, their types and their documentation give the decoder, the JSON Schema
//! and the list that a mistyped field's nearest name is taken from.

use std::ops::Range;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::{
    diagnostic::{Code, Diagnostic, SourceFile},
    nearest::{did_you_mean, listed},
    yaml::{Key, Node, Value},
};

/// Where mistakes go while a file is read.
pub(crate) struct Decoder<'a> {
    pub(crate) source: &'a SourceFile,
    pub(crate) mistakes: &'a mut Vec<Diagnostic>,
}

impl Decoder<'_> {
    pub(crate) fn mistake(&mut self, span: Range<usize>, code: Code, message: impl Into<String>) -> &mut Diagnostic {
        self.mistakes.push(Diagnostic::new(self.source, span, code, message));
        let last = self.mistakes.len() - 1;
        &mut self.mistakes[last]
    }

    pub(crate) fn wrong_type(&mut self, node: &Node, expected: &str) -> &mut Diagnostic {
        let kind = node.kind();
        self.mistake(node.span.clone(), Code::WrongType, format!("{kind} does not fit here")).expected(expected)
    }
}

/// Something that can be read from a node.
///
/// `None` always comes with a mistake reported.
pub(crate) trait Decode: Sized {
    fn decode(node: &Node, to: &mut Decoder<'_>) -> Option<Self>;

    /// What a field that is not there means; `None` when it has to be there.
    fn absent() -> Option<Self> {
        None
    }
}

/// A broken optional field reads as absent: its mistake is already reported, and the rest of its record can still be checked.
impl<T: Decode> Decode for Option<T> {
    fn decode(node: &Node, to: &mut Decoder<'_>) -> Option<Self> {
        Some(if matches!(node.value, Value::Null) { None } else { T::decode(node, to) })
    }

    fn absent() -> Option<Self> {
        Some(None)
    }
}

/// An optional field of which it matters whether it is absent or there and broken.
#[derive(Debug, Clone)]
pub(crate) enum Given<T> {
    Absent,
    Broken,
    Read(T),
}

impl<T: Decode> Decode for Box<T> {
    fn decode(node: &Node, to: &mut Decoder<'_>) -> Option<Self> {
        T::decode(node, to).map(Self::new)
    }
}

impl<T: Decode> Decode for Given<T> {
    fn decode(node: &Node, to: &mut Decoder<'_>) -> Option<Self> {
        Some(match T::decode(node, to) {
            Some(value) => Self::Read(value),
            None => Self::Broken,
        })
    }

    fn absent() -> Option<Self> {
        Some(Self::Absent)
    }
}

/// A text that breaks the rule of its kind.
pub(crate) struct Flaw {
    pub(crate) code: Code,
    pub(crate) message: String,
    /// The part of the text that is wrong, from this byte on.
    pub(crate) offset: Option<usize>,
    pub(crate) expected: Option<String>,
    pub(crate) hint: Option<String>,
}

impl Flaw {
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), offset: None, expected: None, hint: None }
    }

    pub(crate) fn invalid(message: impl Into<String>, expected: impl Into<String>) -> Self {
        Self { expected: Some(expected.into()), ..Self::new(Code::InvalidValue, message) }
    }

    /// `text` is none of `choices`.
    pub(crate) fn unknown<'a>(text: &str, choices: impl IntoIterator<Item = &'a str> + Clone) -> Self {
        Self {
            expected: Some(format!("one of {}", listed(choices.clone()))),
            hint: did_you_mean(text, choices),
            ..Self::new(Code::UnknownValue, format!("`{text}` is not one of the choices"))
        }
    }
}

/// A value written as one text.
pub(crate) trait Scalar: Sized {
    /// What to write, for messages.
    const EXPECTED: &'static str;

    fn read(text: &str) -> Result<Self, Flaw>;

    fn schema() -> Schema;
}

/// A value and its place in the file.
#[derive(Debug, Clone)]
pub(crate) struct At<T> {
    pub(crate) value: T,
    pub(crate) span: Range<usize>,
}

impl<T: Scalar> At<T> {
    /// Reads `text`, which stands at `span`.
    pub(crate) fn read(text: &str, span: &Range<usize>, to: &mut Decoder<'_>) -> Option<Self> {
        match T::read(text) {
            Ok(value) => Some(Self { value, span: span.clone() }),
            Err(flaw) => {
                let place = part_of(to.source.inner(), span, text, flaw.offset);
                let mistake = to.mistake(place, flaw.code, flaw.message).hint_if(flaw.hint);
                if let Some(expected) = flaw.expected {
                    mistake.expected(expected);
                }
                None
            }
        }
    }
}

impl<T: Scalar> Decode for At<T> {
    fn decode(node: &Node, to: &mut Decoder<'_>) -> Option<Self> {
        match &node.value {
            Value::Scalar(text) => Self::read(text, &node.span, to),
            _ => {
                to.wrong_type(node, T::EXPECTED);
                None
            }
        }
    }
}

impl<T: Scalar> JsonSchema for At<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        T::EXPECTED.into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        T::schema()
    }
}

/// The place of `text` from byte `offset` on, within the scalar at `span`.
///
/// The whole scalar when its spelling has escapes or folds and offsets do not carry over.
pub(crate) fn part_of(source: &str, span: &Range<usize>, text: &str, offset: Option<usize>) -> Range<usize> {
    let spelled = source.get(span.clone()).unwrap_or_default();
    let quote = usize::from(spelled.starts_with(['"', '\'']));
    match offset {
        Some(offset) if spelled.get(quote..).is_some_and(|inner| inner.starts_with(text)) => {
            let start = span.start + quote + offset.min(text.len());
            start..(span.start + quote + text.len()).max(start)
        }
        _ => span.clone(),
    }
}

/// A list; items that cannot be read are left out.
#[derive(Debug, Clone)]
pub(crate) struct List<T> {
    pub(crate) items: Vec<T>,
    /// Whether some of the file's items could not be read.
    pub(crate) incomplete: bool,
}

impl<T> Default for List<T> {
    fn default() -> Self {
        Self { items: Vec::new(), incomplete: false }
    }
}

impl<T: Decode> Decode for List<T> {
    fn decode(node: &Node, to: &mut Decoder<'_>) -> Option<Self> {
        let items = match &node.value {
            Value::List(items) => items,
            Value::Null => return Some(Self::default()),
            Value::Scalar(_) | Value::Map(_) => {
                let hint = match &node.value {
                    Value::Scalar(text) => Some(format!("write [{text}]")),
                    _ => None,
                };
                to.wrong_type(node, "a list").hint_if(hint);
                return Some(Self { incomplete: true, ..Self::default() });
            }
        };
        let read: Vec<T> = items.iter().filter_map(|item| T::decode(item, to)).collect();
        Some(Self { incomplete: read.len() < items.len(), items: read })
    }

    fn absent() -> Option<Self> {
        Some(Self::default())
    }
}

impl<T: JsonSchema> JsonSchema for List<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        format!("List of {}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "array", "items": generator.subschema_for::<T>()})
    }
}

/// A map from names to records, in the order of the file.
#[derive(Debug, Clone)]
pub(crate) struct Named<T> {
    pub(crate) entries: Vec<(Key, T)>,
    /// Whether some of the file's entries could not be read: then a name that is not here may still be right.
    pub(crate) incomplete: bool,
}

impl<T> Default for Named<T> {
    fn default() -> Self {
        Self { entries: Vec::new(), incomplete: false }
    }
}

impl<T: Decode> Decode for Named<T> {
    fn decode(node: &Node, to: &mut Decoder<'_>) -> Option<Self> {
        let entries = match &node.value {
            Value::Map(entries) => entries,
            Value::Null => return Some(Self::default()),
            _ => {
                to.wrong_type(node, "a map from names");
                return Some(Self { incomplete: true, ..Self::default() });
            }
        };
        let read: Vec<_> = entries.iter().filter_map(|(key, node)| Some((key.clone(), T::decode(node, to)?))).collect();
        Some(Self { incomplete: read.len() < entries.len(), entries: read })
    }

    fn absent() -> Option<Self> {
        Some(Self::default())
    }
}

impl<T: JsonSchema> JsonSchema for Named<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        format!("Named {}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "object", "additionalProperties": generator.subschema_for::<T>()})
    }
}

/// The fields of a record, while they are being read.
pub(crate) struct Fields<'n> {
    record: &'static str,
    span: Range<usize>,
    entries: &'n [(Key, Node)],
}

impl<'n> Fields<'n> {
    /// Reports what is no field of the record.
    pub(crate) fn of(
        node: &'n Node,
        record: &'static str,
        known: &'static [&'static str],
        to: &mut Decoder<'_>,
    ) -> Option<Self> {
        let Value::Map(entries) = &node.value else {
            to.wrong_type(node, &format!("{}: a map of {}", with_article(record), listed(known.iter().copied())));
            return None;
        };
        for (key, _) in entries.iter().filter(|(key, _)| !known.contains(&key.text.as_str())) {
            let message = format!("{} has no field `{}`", with_article(record), key.text);
            to.mistake(key.span.clone(), Code::UnknownField, message)
                .expected(format!("one of {}", listed(known.iter().copied())))
                .hint_if(did_you_mean(&key.text, known.iter().copied()));
        }
        Some(Self { record, span: node.span.clone(), entries })
    }

    pub(crate) fn take<T: Decode>(&self, name: &'static str, to: &mut Decoder<'_>) -> Option<T> {
        if let Some((_, node)) = self.entries.iter().find(|(key, _)| key.text == name) {
            return T::decode(node, to);
        }
        let absent = T::absent();
        if absent.is_none() {
            let message = format!("this {} needs the field `{name}`", self.record);
            to.mistake(self.span.clone(), Code::MissingField, message);
        }
        absent
    }
}

fn with_article(noun: &str) -> String {
    let article = if noun.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
    format!("{article} {noun}")
}

/// Declares a record of the file: `"name in the file" => field: Type`.
macro_rules! record {
    (
        $(#[$meta:meta])*
        $name:ident ($what:literal) {
            $( $(#[$field_meta:meta])* $key:literal => $field:ident : $type:ty ),* $(,)?
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, schemars::JsonSchema)]
        #[schemars(deny_unknown_fields)]
        pub(crate) struct $name {
            $( $(#[$field_meta])* #[schemars(rename = $key)] pub(crate) $field: $type, )*
        }

        impl $crate::spec::decode::Decode for $name {
            fn decode(
                node: &$crate::spec::yaml::Node,
                to: &mut $crate::spec::decode::Decoder<'_>,
            ) -> Option<Self> {
                let fields = $crate::spec::decode::Fields::of(node, $what, &[$($key),*], to)?;
                // Every field is read before any `?`, so that each one's mistakes are reported.
                $( let $field = fields.take::<$type>($key, to); )*
                Some(Self { $( $field: $field?, )* })
            }
        }
    };
}
pub(crate) use record;
