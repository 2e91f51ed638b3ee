//! What a training runs on, as it is written.

use millstream_events::compute::{DataAccess, GpuType, RunOn};
use schemars::{Schema, json_schema};

use crate::spec::decode::{Flaw, Scalar};

/// Reads one of the choices that an event's type has.
macro_rules! event_choices {
    ($($type:ty: $expected:literal),* $(,)?) => {
        $(impl Scalar for $type {
            const EXPECTED: &'static str = $expected;

            fn read(text: &str) -> Result<Self, Flaw> {
                text.parse().map_err(|_| Flaw::unknown(text, Self::ALL.iter().map(|choice| choice.as_str())))
            }

            fn schema() -> Schema {
                let choices: Vec<_> = Self::ALL.iter().map(|choice| choice.as_str()).collect();
                json_schema!({"type": "string", "enum": choices})
            }
        })*
    };
}

event_choices! { RunOn: "where to train", GpuType: "a kind of GPU", DataAccess: "how objects are reached" }

/// A whole number of machines, processes, vCPUs or GPUs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Count(pub(crate) u32);

impl Scalar for Count {
    const EXPECTED: &'static str = "a whole number from 1 to 1000";

    fn read(text: &str) -> Result<Self, Flaw> {
        let number = text.parse::<u32>().ok().filter(|count| (1..=1000).contains(count));
        number.map(Self).ok_or_else(|| Flaw::invalid(format!("`{text}` is not a number of them"), Self::EXPECTED))
    }

    fn schema() -> Schema {
        json_schema!({"type": "integer", "minimum": 1, "maximum": 1000})
    }
}

/// How often something is tried again.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Retries(pub(crate) u32);

impl Scalar for Retries {
    const EXPECTED: &'static str = "a whole number from 0 to 10";

    fn read(text: &str) -> Result<Self, Flaw> {
        let number = text.parse::<u32>().ok().filter(|retries| *retries <= 10);
        number.map(Self).ok_or_else(|| Flaw::invalid(format!("`{text}` is not a number of retries"), Self::EXPECTED))
    }

    fn schema() -> Schema {
        json_schema!({"type": "integer", "minimum": 0, "maximum": 10})
    }
}

/// Memory, in MiB.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MemorySize(pub(crate) u64);

/// 32 TiB: more than a machine has.
const MOST_MEMORY_MIB: u64 = 32 << 20;

impl Scalar for MemorySize {
    const EXPECTED: &'static str = "a size such as 512Mi or 16Gi";

    fn read(text: &str) -> Result<Self, Flaw> {
        let mib = match (text.strip_suffix("Gi"), text.strip_suffix("Mi")) {
            (Some(gib), _) => gib.parse::<u64>().ok().and_then(|gib| gib.checked_mul(1 << 10)),
            (None, Some(mib)) => mib.parse().ok(),
            (None, None) => None,
        };
        mib.filter(|mib| (1..=MOST_MEMORY_MIB).contains(mib))
            .map(Self)
            .ok_or_else(|| Flaw::invalid(format!("`{text}` is not a size of memory"), Self::EXPECTED))
    }

    fn schema() -> Schema {
        json_schema!({"type": "string", "pattern": "^[0-9]+(Mi|Gi)$", "examples": ["512Mi", "16Gi"]})
    }
}

/// An amount of US dollars.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Usd(pub(crate) f64);

impl Scalar for Usd {
    const EXPECTED: &'static str = "US dollars, such as 20 or 0.50";

    fn read(text: &str) -> Result<Self, Flaw> {
        let number = text.parse::<f64>().ok().filter(|usd| usd.is_finite() && *usd > 0.0);
        number.map(Self).ok_or_else(|| Flaw::invalid(format!("`{text}` is not an amount"), Self::EXPECTED))
    }

    fn schema() -> Schema {
        json_schema!({"type": "number", "exclusiveMinimum": 0})
    }
}

/// A container image, named by what is in it.
#[derive(Debug, Clone)]
pub(crate) struct ImageRef(pub(crate) String);

impl Scalar for ImageRef {
    const EXPECTED: &'static str = "an image by digest, HOST/NAME@sha256:..";

    fn read(text: &str) -> Result<Self, Flaw> {
        let is_hex = |digest: &str| digest.len() == 64 && digest.bytes().all(|b| b"0123456789abcdef".contains(&b));
        let plain = |name: &str| {
            (1..=255).contains(&name.len())
                && name.starts_with(|c: char| c.is_ascii_alphanumeric())
                && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"./:_-".contains(&b))
        };
        match text.split_once("@sha256:") {
            Some((name, digest)) if plain(name) && is_hex(digest) => Ok(Self(text.to_owned())),
            Some(_) => Err(Flaw::invalid(format!("`{text}` is not an image"), Self::EXPECTED)),
            None => Err(Flaw {
                hint: Some(
                    "a tag may stand for other code tomorrow; `gcloud artifacts docker images describe IMAGE` shows the digest"
                        .into(),
                ),
                ..Flaw::invalid(format!("`{text}` has no digest"), Self::EXPECTED)
            }),
        }
    }

    fn schema() -> Schema {
        json_schema!({"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9./:_-]*@sha256:[0-9a-f]{64}$"})
    }
}

/// A Google machine type.
#[derive(Debug, Clone)]
pub(crate) struct MachineType(pub(crate) String);

impl Scalar for MachineType {
    const EXPECTED: &'static str = "a machine type, such as g2-standard-4";

    fn read(text: &str) -> Result<Self, Flaw> {
        named(text, 63, b"-")
            .map(Self)
            .ok_or_else(|| Flaw::invalid(format!("`{text}` is not the name of a machine type"), Self::EXPECTED))
    }

    fn schema() -> Schema {
        json_schema!({"type": "string", "pattern": "^[a-z][a-z0-9-]*$"})
    }
}

/// The name of an object in Kubernetes.
#[derive(Debug, Clone)]
pub(crate) struct ResourceName(pub(crate) String);

impl Scalar for ResourceName {
    const EXPECTED: &'static str = "a Kubernetes name: at most 63 of a-z, 0-9 and -";

    fn read(text: &str) -> Result<Self, Flaw> {
        named(text, 63, b"-")
            .map(Self)
            .ok_or_else(|| Flaw::invalid(format!("`{text}` is not a name in Kubernetes"), Self::EXPECTED))
    }

    fn schema() -> Schema {
        json_schema!({"type": "string", "pattern": "^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$"})
    }
}

/// A service account: a name in Kubernetes, or an email address.
#[derive(Debug, Clone)]
pub(crate) struct AccountName(pub(crate) String);

impl Scalar for AccountName {
    const EXPECTED: &'static str = "a service account: a Kubernetes name or an email address";

    fn read(text: &str) -> Result<Self, Flaw> {
        named(text, 253, b"-.@")
            .map(Self)
            .ok_or_else(|| Flaw::invalid(format!("`{text}` is not a service account"), Self::EXPECTED))
    }

    fn schema() -> Schema {
        json_schema!({"type": "string", "pattern": "^[a-z][a-z0-9.@-]*$"})
    }
}

/// Lower-case letters, digits and `others`, a letter first and none of the others last.
fn named(text: &str, longest: usize, others: &[u8]) -> Option<String> {
    let valid = (1..=longest).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.ends_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || others.contains(&b));
    valid.then(|| text.to_owned())
}
