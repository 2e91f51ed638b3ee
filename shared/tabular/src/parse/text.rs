//! BOOL, BYTES and JSON.

use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use serde::de::IgnoredAny;

use crate::fault::{Fault, JSON_DEPTH};

/// `true false t f yes no y n 1 0`, in any case.
pub(crate) fn bool(text: &[u8]) -> Result<bool, Fault> {
    let text = text.trim_ascii();
    let is = |words: [&[u8]; 5]| words.iter().any(|word| text.eq_ignore_ascii_case(word));
    if is([b"true", b"t", b"1", b"yes", b"y"]) {
        Ok(true)
    } else if is([b"false", b"f", b"0", b"no", b"n"]) {
        Ok(false)
    } else {
        Err(Fault::NotBool)
    }
}

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Appends the bytes that standard base64, padded or not, stands for.
pub(crate) fn base64(text: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
    let start = out.len();
    BASE64.decode_vec(text.trim_ascii(), out).map_err(|_| {
        out.truncate(start);
        Fault::NotBase64
    })
}

/// Checks that a text is one JSON document, not nested deeper than a warehouse takes.
pub(crate) fn json(text: &[u8]) -> Result<(), Fault> {
    // The depth is counted first: it bounds whatever walks the document later. The parser itself does not recurse here.
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for &byte in text {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => {
                depth += 1;
                if depth > JSON_DEPTH {
                    return Err(Fault::JsonDepth);
                }
            }
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    // `IgnoredAny` checks the syntax without building a value, but not strings' UTF-8.
    if std::str::from_utf8(text).is_err() {
        return Err(Fault::NotUtf8);
    }
    let mut parser = serde_json::Deserializer::from_slice(text);
    serde::Deserialize::deserialize(&mut parser).and_then(|_: IgnoredAny| parser.end()).map_err(|_| Fault::NotJson)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn booleans_are_words_in_any_case() {
        for text in ["true", "T", "1", "Yes", " y "] {
            assert_eq!(bool(text.as_bytes()), Ok(true));
        }
        for text in ["FALSE", "f", "0", "no", "N"] {
            assert_eq!(bool(text.as_bytes()), Ok(false));
        }
        for text in ["", "2", "tru", "on"] {
            assert_eq!(bool(text.as_bytes()), Err(Fault::NotBool));
        }
    }

    #[test]
    fn base64_is_decoded_with_or_without_padding() {
        let mut out = vec![7];
        base64(b"aGk=", &mut out).unwrap();
        base64(b"aGk", &mut out).unwrap();
        assert_eq!(out, b"\x07hihi");
        assert_eq!(base64(b"a*", &mut out), Err(Fault::NotBase64));
        assert_eq!(out, b"\x07hihi");
    }

    #[test]
    fn json_documents_are_checked_and_their_depth_is_bounded() {
        for text in ["null", "{\"a\": [1, 2.5e9, \"\\\"[\"]}", "\"x\"", " 1 "] {
            assert_eq!(json(text.as_bytes()), Ok(()), "{text}");
        }
        for text in ["", "{", "[1,]", "1 2", "{'a': 1}", "NaN"] {
            assert_eq!(json(text.as_bytes()), Err(Fault::NotJson), "{text}");
        }
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert_eq!(json(nested(JSON_DEPTH).as_bytes()), Ok(()));
        assert_eq!(json(nested(1_000_000).as_bytes()), Err(Fault::JsonDepth));
        assert_eq!(json(b"\"\xff\""), Err(Fault::NotUtf8));
    }
}
