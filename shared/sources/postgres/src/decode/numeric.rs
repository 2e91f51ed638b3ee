//! `numeric`: digits in base 10,000.

use std::fmt::Write;

use millstream_ports::CellFaultKind;
use millstream_source_columns::{Cell, i256};

use super::Malformed;

const NEGATIVE: u16 = 0x4000;
const NOT_A_NUMBER: u16 = 0xc000;
const INFINITY: u16 = 0xd000;
const NEGATIVE_INFINITY: u16 = 0xf000;

/// Groups of four digits that 128 bits surely hold.
const GROUPS_OF_128: usize = 9;

/// A number as it is sent: its value is the sum of `group[i]` * 10,000^(`weight` - i).
struct Sent<'a> {
    weight: i16,
    negative: bool,
    /// Digits after the point that are shown, zeros at the end included.
    shown: u16,
    groups: &'a [[u8; 2]],
}

/// Puts a number into its place.
pub(super) fn decode(value: &[u8], cell: Cell<'_>) -> Result<(), Malformed> {
    let ([count, weight, sign, shown], groups) = header(value)?;
    if usize::from(count) != groups.len() {
        return Err(Malformed);
    }
    let not_finite = match sign {
        0 | NEGATIVE => None,
        NOT_A_NUMBER => Some("NaN"),
        INFINITY => Some("Infinity"),
        NEGATIVE_INFINITY => Some("-Infinity"),
        _ => return Err(Malformed),
    };
    if let Some(name) = not_finite {
        cell.fault(CellFaultKind::NotFinite, name);
        return Ok(());
    }
    let sent = Sent { weight: weight.cast_signed(), negative: sign == NEGATIVE, shown, groups };
    match sent.short() {
        Some((unscaled, scale)) => cell.decimal(unscaled, scale),
        None => match sent.long() {
            Some((unscaled, scale)) => cell.decimal256(unscaled, scale, || sent.text()),
            None => cell.fault(CellFaultKind::DecimalRange, &sent.text()),
        },
    }
    Ok(())
}

fn header(value: &[u8]) -> Result<([u16; 4], &[[u8; 2]]), Malformed> {
    let (words, rest) = value.as_chunks::<2>();
    let ([count, weight, sign, shown, groups @ ..], []) = (words, rest) else {
        return Err(Malformed);
    };
    Ok(([count, weight, sign, shown].map(|word| u16::from_be_bytes(*word)), groups))
}

impl Sent<'_> {
    /// How many digits the last group is before (positive) or after the point.
    fn exponent(&self) -> i32 {
        // At most 65,535 groups: it fits by far.
        4 * (i32::from(self.weight) + 1 - self.groups.len() as i32)
    }

    /// The number as an integer and the digits of it after the point, where 128 bits hold it.
    fn short(&self) -> Option<(i128, u32)> {
        if self.groups.len() > GROUPS_OF_128 {
            return None;
        }
        let mut digits = 0_i128;
        for group in self.groups {
            digits = digits * 10_000 + i128::from(u16::from_be_bytes(*group));
        }
        let signed = if self.negative { -digits } else { digits };
        match u32::try_from(self.exponent()) {
            Ok(zeros) => Some((signed.checked_mul(10_i128.checked_pow(zeros)?)?, 0)),
            Err(_) => Some((signed, self.exponent().unsigned_abs())),
        }
    }

    /// As [`short`](Self::short), where 256 bits hold it. BIGNUMERIC's 76 digits may lie in 20 groups, whose 80 digits those
    /// would not hold: zeros at the end of the last one are left out.
    fn long(&self) -> Option<(i256, u32)> {
        let of = |number: u16| i256::from_i128(number.into());
        let (last, groups) = self.groups.split_last()?;
        let mut digits = i256::ZERO;
        for group in groups {
            digits = digits.checked_mul(of(10_000))?.checked_add(of(u16::from_be_bytes(*group)))?;
        }
        let (mut last, mut power, mut exponent) = (u16::from_be_bytes(*last), 10_000, self.exponent());
        while power > 1 && last % 10 == 0 {
            (last, power, exponent) = (last / 10, power / 10, exponent + 1);
        }
        digits = digits.checked_mul(of(power))?.checked_add(of(last))?;
        let signed = if self.negative { digits.wrapping_neg() } else { digits };
        match u32::try_from(exponent) {
            Ok(zeros) => Some((signed.checked_mul(of(10).checked_pow(zeros)?)?, 0)),
            Err(_) => Some((signed, exponent.unsigned_abs())),
        }
    }

    /// The number as PostgreSQL writes it.
    fn text(&self) -> String {
        let mut text = if self.negative { "-".to_owned() } else { String::new() };
        let group = |at: i32| match usize::try_from(i32::from(self.weight) - at).ok().and_then(|at| self.groups.get(at))
        {
            Some(group) => u16::from_be_bytes(*group),
            None => 0,
        };
        let first = i32::from(self.weight).max(0);
        // Writing into a string does not fail.
        let _ = write!(text, "{}", group(first));
        for at in (0..first).rev() {
            let _ = write!(text, "{:04}", group(at));
        }
        if self.shown > 0 {
            text.push('.');
            let point = text.len();
            for at in 1..=self.shown.div_ceil(4) {
                let _ = write!(text, "{:04}", group(-i32::from(at)));
            }
            text.truncate(point + usize::from(self.shown));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_written_as_the_server_writes_it() {
        let text = |weight, shown, groups: &[u16]| {
            let groups: Vec<_> = groups.iter().map(|group| group.to_be_bytes()).collect();
            Sent { weight, negative: true, shown, groups: &groups }.text()
        };
        assert_eq!(text(0, 2, &[12, 5000]), "-12.50");
        assert_eq!(text(2, 0, &[1]), "-100000000");
        assert_eq!(text(1, 5, &[7, 42, 1, 2000]), "-70042.00012");
        assert_eq!(text(-2, 10, &[5]), "-0.0000000500");
    }
}
