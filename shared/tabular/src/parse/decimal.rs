//! NUMERIC and BIGNUMERIC: exact, never rounded. A value with more digits than its column has is a fault.

use arrow::datatypes::i256;

use crate::fault::Fault;

/// The digits of a decimal once its exponent is applied: `whole` digits, then the fraction.
struct Digits {
    negative: bool,
    /// Significant digits without leading zeros; at most as many as a BIGNUMERIC has.
    digits: [u8; MAX_DIGITS],
    len: usize,
    /// How many of the value's digits stand after the point (`digits * 10^-fraction`).
    fraction: i64,
}

/// A BIGNUMERIC's digits.
const MAX_DIGITS: usize = 76;

/// A decimal scaled to `scale` digits after the point, as a Decimal128 stores it.
pub(crate) fn decimal128(text: &[u8], precision: u8, scale: u8) -> Result<i128, Fault> {
    let text = text.trim_ascii();
    if let Some(value) = short_decimal(text, precision, scale) {
        return Ok(value);
    }
    let digits = Digits::read(text, precision, scale)?;
    let zeros = digits.zeros_to(precision, scale)?;
    let mut value = 0_i128;
    for digit in digits.digits[..digits.len].iter().copied().chain(std::iter::repeat_n(0, zeros)) {
        value = value * 10 + i128::from(digit);
    }
    Ok(if digits.negative { -value } else { value })
}

/// A decimal scaled to `scale` digits after the point, as a Decimal256 stores it.
pub(crate) fn decimal256(text: &[u8], precision: u8, scale: u8) -> Result<i256, Fault> {
    let digits = Digits::read(text.trim_ascii(), precision, scale)?;
    let zeros = digits.zeros_to(precision, scale)?;
    let ten = i256::from_i128(10);
    let mut value = i256::ZERO;
    for digit in digits.digits[..digits.len].iter().copied().chain(std::iter::repeat_n(0, zeros)) {
        value = value.wrapping_mul(ten).wrapping_add(i256::from_i128(i128::from(digit)));
    }
    Ok(if digits.negative { value.wrapping_neg() } else { value })
}

const POWERS: [u64; 19] = {
    let mut powers = [1_u64; 19];
    let mut index = 1;
    while index < powers.len() {
        powers[index] = powers[index - 1] * 10;
        index += 1;
    }
    powers
};

/// Plain decimals of few digits, by 64-bit arithmetic; everything else goes the general way.
fn short_decimal(text: &[u8], precision: u8, scale: u8) -> Option<i128> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, text),
    };
    if digits.is_empty() || digits.len() > 18 {
        return None;
    }
    let (mut value, mut fraction, mut seen_point) = (0_u64, 0_usize, false);
    for &byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit <= 9 {
            value = value * 10 + u64::from(digit);
            fraction += usize::from(seen_point);
        } else if byte == b'.' && !seen_point {
            seen_point = true;
        } else {
            return None;
        }
    }
    let scale = usize::from(scale);
    // No sum of digits and zeros past 18 can overflow, and none past the precision may be stored.
    if fraction > scale || digits.len() + (scale - fraction) > 18 || digits.len() == usize::from(seen_point) {
        return None;
    }
    let value = value * POWERS[scale - fraction];
    if usize::from(precision) < POWERS.len() && value >= POWERS[usize::from(precision)] {
        return None;
    }
    Some(if negative { -i128::from(value) } else { i128::from(value) })
}

impl Digits {
    fn read(text: &[u8], precision: u8, scale: u8) -> Result<Self, Fault> {
        let (negative, rest) = match text {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] => (false, rest),
            _ => (false, text),
        };
        let mantissa_end = rest.iter().position(|byte| matches!(byte, b'e' | b'E')).unwrap_or(rest.len());
        let (mantissa, exponent) = rest.split_at(mantissa_end);
        let exponent = if exponent.is_empty() { 0 } else { read_exponent(&exponent[1..])? };
        let whole_end = mantissa.iter().position(|byte| *byte == b'.').unwrap_or(mantissa.len());
        let whole = &mantissa[..whole_end];
        let fraction = mantissa.get(whole_end + 1..).unwrap_or_default();
        if whole.is_empty() && fraction.is_empty() || !whole.iter().chain(fraction).all(u8::is_ascii_digit) {
            return Err(Fault::NotDecimal);
        }
        // Zeros at either end carry no value; what remains has to fit.
        let significant = |bytes: &[u8]| bytes.iter().rposition(|byte| *byte != b'0').map_or(0, |last| last + 1);
        let fraction = &fraction[..significant(fraction)];
        let whole = &whole[whole.iter().position(|byte| *byte != b'0').unwrap_or(whole.len())..];
        let mut read = Self { negative, digits: [0; MAX_DIGITS], len: 0, fraction: 0 };
        let all = whole.iter().chain(fraction).skip_while(|byte| **byte == b'0');
        let mut trailing_zeros = 0;
        for byte in all {
            // Zeros are held back until a later digit needs them, so that 1e0 with ninety zeros after it is no overflow here.
            if *byte == b'0' {
                trailing_zeros += 1;
                continue;
            }
            if read.len + trailing_zeros + 1 > MAX_DIGITS {
                return Err(if whole.len() > usize::from(precision - scale) {
                    Fault::WholeDigits(precision - scale)
                } else {
                    Fault::FractionDigits(scale)
                });
            }
            read.len += trailing_zeros;
            trailing_zeros = 0;
            read.digits[read.len] = byte - b'0';
            read.len += 1;
        }
        read.fraction = (fraction.len() as i64).saturating_sub(exponent).saturating_sub(trailing_zeros as i64);
        Ok(read)
    }

    /// How many zeros follow the digits at `scale`, once it is sure that the value fits.
    fn zeros_to(&self, precision: u8, scale: u8) -> Result<usize, Fault> {
        if self.len == 0 {
            return Ok(0);
        }
        if self.fraction > i64::from(scale) {
            return Err(Fault::FractionDigits(scale));
        }
        if self.len as i64 - self.fraction > i64::from(precision - scale) {
            return Err(Fault::WholeDigits(precision - scale));
        }
        Ok(usize::try_from(i64::from(scale) - self.fraction).unwrap_or(0))
    }
}

/// An exponent, cut off at a million: past that only the sign matters.
fn read_exponent(text: &[u8]) -> Result<i64, Fault> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(Fault::NotDecimal);
    }
    let value = digits.iter().fold(0_i64, |value, byte| (value * 10 + i64::from(byte - b'0')).min(1_000_000_000));
    Ok(if negative { -value } else { value })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn decimals_are_exact_or_refused() {
        for (text, value) in [
            ("0", Ok(0)),
            ("-0.00", Ok(0)),
            ("12.5", Ok(1250)),
            ("-.5", Ok(-50)),
            ("+3.", Ok(300)),
            ("1.2300000000000000000000000000", Ok(123)),
            ("1.5e2", Ok(15000)),
            ("150E-2", Ok(150)),
            ("0000000000000000000000000000012.34", Ok(1234)),
            ("9999999999.99", Ok(999_999_999_999)),
            ("10000000000", Err(Fault::WholeDigits(10))),
            ("1e10", Err(Fault::WholeDigits(10))),
            ("0.001", Err(Fault::FractionDigits(2))),
            ("1e-999999999999999999999", Err(Fault::FractionDigits(2))),
            ("1e999999999999999999999", Err(Fault::WholeDigits(10))),
            ("0e999999999999999999999", Ok(0)),
            ("", Err(Fault::NotDecimal)),
            (".", Err(Fault::NotDecimal)),
            ("1e", Err(Fault::NotDecimal)),
            ("1.2.3", Err(Fault::NotDecimal)),
            ("NaN", Err(Fault::NotDecimal)),
            ("1,5", Err(Fault::NotDecimal)),
        ] {
            assert_eq!(decimal128(text.as_bytes(), 12, 2), value, "{text:?}");
        }
        assert_eq!(decimal128(&[b'9'; 100], 12, 2), Err(Fault::WholeDigits(10)));
        assert_eq!(decimal128(format!("0.{}", "1".repeat(100)).as_bytes(), 12, 2), Err(Fault::FractionDigits(2)));
    }

    proptest! {
        #[test]
        fn any_value_in_range_reads_back(value in -(10_i128.pow(38) - 1)..10_i128.pow(38), scale in 0_u8..=9) {
            let unit = 10_i128.pow(u32::from(scale));
            let sign = if value < 0 { "-" } else { "" };
            let (whole, fraction) = (value.unsigned_abs() / unit.unsigned_abs(), value.unsigned_abs() % unit.unsigned_abs());
            let text = if scale == 0 {
                format!("{sign}{whole}")
            } else {
                format!("{sign}{whole}.{fraction:0width$}", width = usize::from(scale))
            };
            prop_assert_eq!(decimal128(text.as_bytes(), 38, scale), Ok(value));
            prop_assert_eq!(decimal256(text.as_bytes(), 76, scale), Ok(i256::from_i128(value)));
            let shifted = format!("{sign}{}e-{scale}", value.unsigned_abs());
            prop_assert_eq!(decimal128(shifted.as_bytes(), 38, scale), Ok(value));
        }

        #[test]
        fn any_text_is_read_or_refused_without_a_panic(text in proptest::collection::vec(any::<u8>(), 0..120)) {
            let _ = decimal128(&text, 38, 9);
            let _ = decimal256(&text, 76, 38);
        }
    }
}
