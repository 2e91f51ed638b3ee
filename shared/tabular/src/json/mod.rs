//! JSON Lines: one object a line; a missing key is NULL, an empty line is nothing.

pub(crate) mod decode;
pub(crate) mod infer;
pub(crate) mod nested;
