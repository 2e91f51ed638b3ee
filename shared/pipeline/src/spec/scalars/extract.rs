//! What an extraction is written with.

use millstream_events::{
    extract::{Lookback, SourceKind},
    names::ObjectPath,
    secret_name::SecretName,
};
use schemars::{Schema, json_schema};

use crate::spec::decode::{Flaw, Scalar};

impl Scalar for SourceKind {
    const EXPECTED: &'static str = "a kind of source, such as postgres";

    fn read(text: &str) -> Result<Self, Flaw> {
        text.parse().map_err(|_| Flaw::unknown(text, Self::ALL.map(Self::as_str)))
    }

    fn schema() -> Schema {
        json_schema!({"type": "string", "enum": Self::ALL.map(Self::as_str)})
    }
}

impl Scalar for SecretName {
    const EXPECTED: &'static str = "a secret by its name, secret:NAME";

    fn read(text: &str) -> Result<Self, Flaw> {
        // What was written is not repeated: it may be the secret itself.
        match Self::of_reference(text) {
            Some(Ok(name)) => Ok(name),
            Some(Err(_)) => {
                Err(Flaw::invalid("that is no secret's name", "secret: and 1 to 255 of a-z, A-Z, 0-9, - and _"))
            }
            None => Err(Flaw {
                hint: Some("keep the URL with its password in a secret, and write the secret's name here".into()),
                ..Flaw::invalid("that is not a secret's name", Self::EXPECTED)
            }),
        }
    }

    fn schema() -> Schema {
        json_schema!({"type": "string", "pattern": "^secret:[A-Za-z0-9_-]{1,255}$"})
    }
}

impl Scalar for ObjectPath {
    const EXPECTED: &'static str = "an object, gs://bucket/name";

    fn read(text: &str) -> Result<Self, Flaw> {
        text.parse().map_err(|error: millstream_events::names::NameError| {
            Flaw::invalid(format!("`{text}` is not an object: {}", error.rule), Self::EXPECTED)
        })
    }

    fn schema() -> Schema {
        json_schema!({"type": "string", "pattern": "^gs://[^/]+/.+$"})
    }
}

impl Scalar for Lookback {
    const EXPECTED: &'static str = "a duration such as 2h for a time, or a number";

    fn read(text: &str) -> Result<Self, Flaw> {
        if let Ok(count) = text.parse::<u64>() {
            return Ok(Self::Count(count));
        }
        match humantime::parse_duration(text) {
            Ok(duration) => Ok(Self::Seconds(duration.as_secs())),
            Err(_) => Err(Flaw::invalid(format!("`{text}` is neither a duration nor a number"), Self::EXPECTED)),
        }
    }

    fn schema() -> Schema {
        json_schema!({"anyOf": [{"type": "string", "examples": ["2h", "30m"]}, {"type": "integer", "minimum": 0}]})
    }
}

/// A number of rows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RowCount(pub(crate) u64);

impl Scalar for RowCount {
    const EXPECTED: &'static str = "a whole number of rows, such as 1000000";

    fn read(text: &str) -> Result<Self, Flaw> {
        let number = text.replace('_', "").parse::<u64>().ok().filter(|rows| *rows > 0);
        number.map(Self).ok_or_else(|| Flaw::invalid(format!("`{text}` is not a number of rows"), Self::EXPECTED))
    }

    fn schema() -> Schema {
        json_schema!({"type": "integer", "minimum": 1})
    }
}
