//! A place in the server's write-ahead log.

use std::{fmt, str::FromStr};

use millstream_ports::PortError;

/// A log sequence number: a byte's place in the write-ahead log, written `16/B374D848`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Lsn(pub(crate) u64);

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:X}/{:X}", self.0 >> 32, self.0 & u64::from(u32::MAX))
    }
}

impl FromStr for Lsn {
    type Err = PortError;

    fn from_str(text: &str) -> Result<Self, PortError> {
        let half = |text: &str| u32::from_str_radix(text, 16).ok().map(u64::from);
        text.split_once('/')
            .and_then(|(high, low)| Some(Self(half(high)? << 32 | half(low)?)))
            .ok_or_else(|| PortError::invalid(format!("{text:?} is no place in PostgreSQL's log, such as 16/B374D848")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_written_as_the_server_writes_it() {
        let place: Lsn = "16/B374D848".parse().unwrap();
        assert_eq!(place, Lsn(0x16_B374_D848));
        assert_eq!(place.to_string(), "16/B374D848");
        assert_eq!("0/0".parse::<Lsn>().unwrap(), Lsn(0));
        for bad in ["", "16", "16/", "16/B374D848A", "x/1"] {
            assert!(bad.parse::<Lsn>().is_err(), "{bad}");
        }
    }
}
