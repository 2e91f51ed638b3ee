//! Exact decimals.

use arrow::datatypes::i256;
use millstream_events::contract::ColumnType;
use millstream_ports::CellFaultKind;

/// The smallest of BigQuery's decimals that holds every `precision` digits with `scale` of them after the point; `None` when
/// BIGNUMERIC does not.
#[must_use]
pub fn numeric_type(precision: u32, scale: u32) -> Option<ColumnType> {
    let (digits, after) = (u8::try_from(precision.max(1)).ok()?, u8::try_from(scale).ok()?);
    let whole = digits.checked_sub(after)?;
    if after <= 9 && whole <= 29 {
        Some(ColumnType::Numeric { precision: digits, scale: after })
    } else if after <= 38 && whole <= 38 {
        Some(ColumnType::BigNumeric { precision: digits, scale: after })
    } else {
        None
    }
}

/// A decimal's digits as they are written: sign, digits with the point left out, and how many of them come after it.
pub(crate) struct Written {
    negative: bool,
    digits: i256,
    scale: i64,
}

impl Written {
    /// An unscaled number.
    pub(crate) fn of(unscaled: i256, scale: i64) -> Self {
        let negative = unscaled < i256::ZERO;
        Self { negative, digits: if negative { unscaled.wrapping_neg() } else { unscaled }, scale }
    }

    /// Reads `-12.50`, `1e-3`, `+7`. Zeros at the end and the beginning are no digits that could be too many.
    pub(crate) fn read(text: &str) -> Result<Self, CellFaultKind> {
        let (negative, text) = match text.as_bytes() {
            [b'-', ..] => (true, &text[1..]),
            [b'+', ..] => (false, &text[1..]),
            _ => (false, text),
        };
        let (number, exponent) = match text.split_once(['e', 'E']) {
            Some((number, exponent)) => (number, exponent.parse::<i64>().map_err(|_| CellFaultKind::Type)?),
            None => (text, 0),
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if whole.is_empty() && fraction.is_empty() {
            return Err(CellFaultKind::Type);
        }
        let fraction = fraction.trim_end_matches('0');
        let mut digits = i256::ZERO;
        let ten = i256::from_i128(10);
        for byte in whole.bytes().chain(fraction.bytes()) {
            if !byte.is_ascii_digit() {
                let named = matches!(text.to_ascii_lowercase().as_str(), "nan" | "inf" | "infinity");
                return Err(if named { CellFaultKind::NotFinite } else { CellFaultKind::Type });
            }
            digits = digits
                .checked_mul(ten)
                .and_then(|digits| digits.checked_add(i256::from_i128(i128::from(byte - b'0'))))
                .ok_or(CellFaultKind::DecimalRange)?;
        }
        Ok(Self { negative, digits, scale: fraction.len() as i64 - exponent })
    }

    /// The number in units of the column's last digit. Digits that are lost, and more than the precision holds, are refused.
    pub(crate) fn scaled(self, precision: u8, scale: u8) -> Result<i256, CellFaultKind> {
        if self.digits == i256::ZERO {
            return Ok(i256::ZERO);
        }
        let shift = i64::from(scale).checked_sub(self.scale).ok_or(CellFaultKind::DecimalRange)?;
        let power = power_of_ten(shift.unsigned_abs()).ok_or(CellFaultKind::DecimalRange)?;
        let digits = if shift >= 0 {
            self.digits.checked_mul(power).ok_or(CellFaultKind::DecimalRange)?
        } else if self.digits.wrapping_rem(power) == i256::ZERO {
            self.digits.wrapping_div(power)
        } else {
            return Err(CellFaultKind::DecimalRange);
        };
        if power_of_ten(precision.into()).is_some_and(|limit| digits >= limit) {
            return Err(CellFaultKind::DecimalRange);
        }
        Ok(if self.negative { digits.wrapping_neg() } else { digits })
    }
}

/// `unscaled` / 10^`from` in units of the last of a column's `scale` digits, where 128 bits are enough to tell; `None` where
/// they are not or the number does not fit, which the longer way tells apart.
pub(crate) fn rescaled(unscaled: i128, from: u32, precision: u8, scale: u8) -> Option<i128> {
    let power = |exponent: u32| POWERS.get(exponent as usize).copied();
    let to = u32::from(scale);
    let value = if to >= from {
        unscaled.checked_mul(power(to - from)?)?
    } else {
        let power = power(from - to)?;
        // Division in 64 bits is one instruction, in 128 a loop.
        match (i64::try_from(unscaled), i64::try_from(power)) {
            (Ok(value), Ok(power)) if value % power == 0 => i128::from(value / power),
            (Ok(_), Ok(_)) => return None,
            _ if unscaled % power == 0 => unscaled / power,
            _ => return None,
        }
    };
    let limit = power(precision.into()).map_or(u128::MAX, i128::unsigned_abs);
    (value.unsigned_abs() < limit).then_some(value)
}

/// 10^0 to 10^38, all that 128 bits hold.
const POWERS: [i128; 39] = {
    let mut powers = [1; 39];
    let mut exponent = 1;
    while exponent < powers.len() {
        powers[exponent] = powers[exponent - 1] * 10;
        exponent += 1;
    }
    powers
};

/// 10^`exponent`, where 256 bits hold it.
fn power_of_ten(exponent: u64) -> Option<i256> {
    match POWERS.get(usize::try_from(exponent).ok()?) {
        Some(power) => Some(i256::from_i128(*power)),
        None => i256::from_i128(POWERS[38]).checked_mul(i256::from_i128(*POWERS.get(exponent as usize - 38)?)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn digits_that_a_column_cannot_hold_are_refused() {
        let scaled = |text: &str, precision, scale| Written::read(text).and_then(|read| read.scaled(precision, scale));
        assert_eq!(scaled("-12.50", 10, 2), Ok(i256::from_i128(-1_250)));
        assert_eq!(scaled("12.500000", 10, 1), Ok(i256::from_i128(125)));
        assert_eq!(scaled("1e3", 10, 2), Ok(i256::from_i128(100_000)));
        assert_eq!(scaled("1.5e-1", 10, 2), Ok(i256::from_i128(15)));
        assert_eq!(scaled("0.125", 10, 2), Err(CellFaultKind::DecimalRange));
        assert_eq!(scaled("1000", 5, 2), Err(CellFaultKind::DecimalRange));
        assert_eq!(scaled("NaN", 5, 2), Err(CellFaultKind::NotFinite));
        assert_eq!(scaled("1,5", 5, 2), Err(CellFaultKind::Type));
        assert_eq!(scaled("", 5, 2), Err(CellFaultKind::Type));
        assert_eq!(scaled("0e999999999", 5, 2), Ok(i256::ZERO));
        assert_eq!(scaled(&format!("1{}", "0".repeat(90)), 76, 38), Err(CellFaultKind::DecimalRange));
    }

    #[test]
    fn the_smallest_decimal_that_holds_every_digit_is_chosen() {
        assert_eq!(numeric_type(10, 2), Some(ColumnType::Numeric { precision: 10, scale: 2 }));
        assert_eq!(numeric_type(38, 9), Some(ColumnType::Numeric { precision: 38, scale: 9 }));
        assert_eq!(numeric_type(38, 0), Some(ColumnType::BigNumeric { precision: 38, scale: 0 }));
        assert_eq!(numeric_type(20, 10), Some(ColumnType::BigNumeric { precision: 20, scale: 10 }));
        assert_eq!(numeric_type(60, 10), None);
    }

    proptest! {
        #[test]
        fn the_short_way_says_what_the_long_one_says(
            unscaled in prop_oneof![any::<i128>(), any::<i64>().prop_map(i128::from), (-9_999_i128..9_999).prop_map(|n| n * 1_000_000)],
            from in 0_u32..=12, precision in 1_u8..=38, scale in 0_u8..=9,
        ) {
            let long = Written::of(i256::from_i128(unscaled), i64::from(from)).scaled(precision, scale);
            if let Some(short) = rescaled(unscaled, from, precision, scale) {
                prop_assert_eq!(Ok(i256::from_i128(short)), long);
            } else if let Ok(long) = long {
                prop_assert!(unscaled.checked_mul(POWERS[usize::from(scale)]).is_none(), "{long} was given up");
            }
        }

        #[test]
        fn what_is_written_is_read_back(unscaled in any::<i64>(), scale in 0_u8..=9) {
            let negative = if unscaled < 0 { "-" } else { "" };
            let digits = format!("{:0width$}", unscaled.unsigned_abs(), width = usize::from(scale) + 1);
            let (whole, fraction) = digits.split_at(digits.len() - usize::from(scale));
            let point = if scale == 0 { "" } else { "." };
            let text = format!("{negative}{whole}{point}{fraction}");
            let read = Written::read(&text).and_then(|written| written.scaled(38, scale));
            prop_assert_eq!(read, Ok(i256::from_i128(i128::from(unscaled))));
        }
    }
}
