//! Types that become STRING, written as PostgreSQL writes them.

use std::{
    fmt::Write,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use super::{Malformed, exactly, take_i32};

const HEX: &[u8; 16] = b"0123456789abcdef";

/// A UUID in its usual form.
pub(super) fn uuid(bytes: [u8; 16]) -> [u8; 36] {
    let mut text = [b'-'; 36];
    let mut at = 0;
    for (index, byte) in bytes.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            at += 1;
        }
        text[at] = HEX[usize::from(byte >> 4)];
        text[at + 1] = HEX[usize::from(byte & 15)];
        at += 2;
    }
    text
}

/// `inet` or `cidr`: family, bits of the network, whether it is a `cidr`, the address's length and its bytes. An `inet` of one
/// host shows no bits.
pub(super) fn network(value: &[u8]) -> Result<String, Malformed> {
    let ([family, bits, is_cidr, _length], address) = value.split_first_chunk().ok_or(Malformed)?;
    let (address, whole) = match family {
        2 => (IpAddr::from(Ipv4Addr::from(exactly::<4>(address)?)), 32),
        3 => (IpAddr::from(Ipv6Addr::from(exactly::<16>(address)?)), 128),
        _ => return Err(Malformed),
    };
    Ok(if *is_cidr != 0 || *bits != whole { format!("{address}/{bits}") } else { address.to_string() })
}

/// `08:00:2b:01:02:03`.
pub(super) fn mac_address(value: &[u8]) -> String {
    let mut text = String::with_capacity(value.len() * 3);
    for (index, byte) in value.iter().enumerate() {
        if index > 0 {
            text.push(':');
        }
        text.push(HEX[usize::from(byte >> 4)].into());
        text.push(HEX[usize::from(byte & 15)].into());
    }
    text
}

/// `bit` and `varbit`: how many bits, and the bits from the first byte's highest on.
pub(super) fn bits(mut value: &[u8]) -> Result<String, Malformed> {
    let count = usize::try_from(take_i32(&mut value)?).map_err(|_| Malformed)?;
    if count > value.len() * 8 {
        return Err(Malformed);
    }
    Ok((0..count).map(|bit| if value[bit / 8] >> (7 - bit % 8) & 1 == 1 { '1' } else { '0' }).collect())
}

/// A span of time as ISO 8601 writes it (PostgreSQL's `iso_8601`): `P1Y2M3DT4H5M6.5S`. Endless ones have no such form: their
/// name is the error.
pub(super) fn interval(value: &[u8]) -> Result<Result<String, &'static str>, Malformed> {
    let (micros, mut rest) = value.split_first_chunk().ok_or(Malformed)?;
    let micros = i64::from_be_bytes(*micros);
    let (days, months) = (take_i32(&mut rest)?, take_i32(&mut rest)?);
    match (micros, days, months) {
        (i64::MAX, i32::MAX, i32::MAX) => return Ok(Err("infinity")),
        (i64::MIN, i32::MIN, i32::MIN) => return Ok(Err("-infinity")),
        (0, 0, 0) => return Ok(Ok("PT0S".to_owned())),
        _ => {}
    }
    let mut text = "P".to_owned();
    let mut part = |value: i64, unit: char| {
        if value != 0 {
            // Writing into a string does not fail.
            let _ = write!(text, "{value}{unit}");
        }
    };
    part((months / 12).into(), 'Y');
    part((months % 12).into(), 'M');
    part(days.into(), 'D');
    if micros != 0 {
        text.push('T');
        let mut part = |value: i64, unit: char| {
            if value != 0 {
                let _ = write!(text, "{value}{unit}");
            }
        };
        part(micros / 3_600_000_000, 'H');
        part(micros / 60_000_000 % 60, 'M');
        let seconds = micros % 60_000_000;
        if seconds != 0 {
            let (whole, fraction) = (seconds.unsigned_abs() / 1_000_000, seconds.unsigned_abs() % 1_000_000);
            let sign = if seconds < 0 { "-" } else { "" };
            let fraction = if fraction == 0 { String::new() } else { format!(".{fraction:06}") };
            let _ = write!(text, "{sign}{whole}{}S", fraction.trim_end_matches('0'));
        }
    }
    Ok(Ok(text))
}
