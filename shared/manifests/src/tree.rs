//! A document as a tree that remembers how it was written.

/// A value. Plain scalars keep their text: what `0644`, `yes` or `1e3` mean is for whoever reads the YAML next.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Node {
    Scalar(Scalar),
    List { items: Vec<Node>, style: Style, tag: Option<String> },
    Map { entries: Vec<(Node, Node)>, style: Style, tag: Option<String> },
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Scalar {
    pub(crate) text: String,
    pub(crate) quoting: Quoting,
    pub(crate) tag: Option<String>,
}

/// How a list or a map was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    Block,
    Flow,
}

/// How a scalar was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Quoting {
    Plain,
    Single,
    Double,
    Literal,
    Folded,
}

impl Scalar {
    /// Whether a reader makes nothing of it.
    pub(crate) fn is_null(&self) -> bool {
        match &self.tag {
            Some(tag) => tag == "tag:yaml.org,2002:null",
            None => self.quoting == Quoting::Plain && matches!(&*self.text, "" | "~" | "null" | "Null" | "NULL"),
        }
    }
}

impl Node {
    /// The text of a scalar, whatever its type.
    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Self::Scalar(scalar) => Some(&scalar.text),
            _ => None,
        }
    }

    /// How deep it is, a scalar being 1.
    pub(crate) fn depth(&self) -> usize {
        1 + match self {
            Self::Scalar(_) => 0,
            Self::List { items, .. } => items.iter().map(Self::depth).max().unwrap_or(0),
            Self::Map { entries, .. } => {
                entries.iter().map(|(key, value)| key.depth().max(value.depth())).max().unwrap_or(0)
            }
        }
    }

    /// How many values it holds, itself and keys included.
    pub(crate) fn size(&self) -> usize {
        1 + match self {
            Self::Scalar(_) => 0,
            Self::List { items, .. } => items.iter().map(Self::size).sum(),
            Self::Map { entries, .. } => entries.iter().map(|(key, value)| key.size() + value.size()).sum(),
        }
    }
}
