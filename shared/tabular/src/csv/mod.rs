//! CSV: RFC 4180 and what the world makes of it.
//!
//! A quote opens a quoted field only at the field's start; elsewhere it is a character like any other. Inside one, two quotes
//! are one. A record ends at `\n`, `\r\n` or a lone `\r` outside quotes; an empty line is no record.

pub(crate) mod decode;
pub(crate) mod header;
pub(crate) mod split;
pub(crate) mod tokenize;
