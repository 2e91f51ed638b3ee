//! INT64 and FLOAT64.

use crate::fault::Fault;

/// A whole number with an optional sign.
pub(crate) fn int64(text: &[u8]) -> Result<i64, Fault> {
    let text = text.trim_ascii();
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    if digits.is_empty() {
        return Err(Fault::NotInt64);
    }
    // Eighteen digits fit without a check; real files rarely have more.
    if digits.len() <= 18 {
        let mut value = 0_i64;
        for &byte in digits {
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 {
                return Err(Fault::NotInt64);
            }
            value = value * 10 + i64::from(digit);
        }
        return Ok(if negative { -value } else { value });
    }
    if !digits.iter().all(u8::is_ascii_digit) {
        return Err(Fault::NotInt64);
    }
    // Accumulating towards the sign lets the smallest value through.
    digits
        .iter()
        .try_fold(0_i64, |value, &byte| {
            let digit = i64::from(byte - b'0');
            let value = value.checked_mul(10)?;
            if negative { value.checked_sub(digit) } else { value.checked_add(digit) }
        })
        .ok_or(Fault::Int64Range)
}

/// Powers of ten that are exact in an `f64`.
const EXACT_POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
    1e21, 1e22,
];

/// A number, or `NaN`, `inf`, `infinity` in any case, rounded to the nearest `f64`.
pub(crate) fn float64(text: &[u8]) -> Result<f64, Fault> {
    let text = text.trim_ascii();
    if let Some(value) = short_float(text) {
        return Ok(value);
    }
    let value: f64 = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()).ok_or(Fault::NotFloat64)?;
    // Digits that round to infinity are a value the column cannot hold; the word `inf` is one it can.
    if value.is_infinite() && text.iter().any(u8::is_ascii_digit) {
        return Err(Fault::Float64Range);
    }
    Ok(value)
}

/// Plain decimals of at most 15 significant digits: both the digits and the power of ten are exact, so one division rounds
/// correctly (Clinger's fast path).
fn short_float(text: &[u8]) -> Option<f64> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, text),
    };
    if digits.is_empty() || digits.len() > 16 {
        return None;
    }
    let (mut mantissa, mut fraction, mut seen_point) = (0_u64, 0_usize, false);
    for &byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit <= 9 {
            mantissa = mantissa * 10 + u64::from(digit);
            fraction += usize::from(seen_point);
        } else if byte == b'.' && !seen_point {
            seen_point = true;
        } else {
            return None;
        }
    }
    if mantissa >= 1 << 53 || digits.len() == usize::from(seen_point) {
        return None;
    }
    let value = mantissa as f64 / EXACT_POWERS[fraction];
    Some(if negative { -value } else { value })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn whole_numbers_are_read_to_the_edges_of_64_bits() {
        for (text, value) in [
            ("0", Ok(0)),
            ("-0", Ok(0)),
            ("+7", Ok(7)),
            (" 42 ", Ok(42)),
            ("0000000000000000000000012", Ok(12)),
            ("9223372036854775807", Ok(i64::MAX)),
            ("-9223372036854775808", Ok(i64::MIN)),
            ("9223372036854775808", Err(Fault::Int64Range)),
            ("-9223372036854775809", Err(Fault::Int64Range)),
            ("99999999999999999999999", Err(Fault::Int64Range)),
            ("", Err(Fault::NotInt64)),
            ("-", Err(Fault::NotInt64)),
            ("1.0", Err(Fault::NotInt64)),
            ("1e3", Err(Fault::NotInt64)),
            ("12345678901234567890x", Err(Fault::NotInt64)),
            ("1 2", Err(Fault::NotInt64)),
        ] {
            assert_eq!(int64(text.as_bytes()), value, "{text:?}");
        }
    }

    #[test]
    fn floats_take_nan_and_infinity_and_refuse_what_overflows() {
        assert!(float64(b"NaN").unwrap().is_nan());
        assert_eq!(float64(b"-Infinity"), Ok(f64::NEG_INFINITY));
        assert_eq!(float64(b"+inf"), Ok(f64::INFINITY));
        assert_eq!(float64(b"1e999"), Err(Fault::Float64Range));
        assert_eq!(float64(b"1e-999999999999"), Ok(0.0));
        for text in ["", ".", "-", "1.2.3", "0x10", "1_000", "1,5", "e5"] {
            assert_eq!(float64(text.as_bytes()), Err(Fault::NotFloat64), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn a_printed_float_reads_back_the_same(value in any::<f64>().prop_filter("finite", |v| v.is_finite())) {
            prop_assert_eq!(float64(value.to_string().as_bytes()).unwrap().to_bits(), value.to_bits());
        }

        #[test]
        fn a_short_decimal_reads_as_the_standard_library_reads_it(text in "-?[0-9]{1,9}\\.[0-9]{0,8}") {
            prop_assert_eq!(float64(text.as_bytes()), Ok(text.parse::<f64>().unwrap()));
        }

        #[test]
        fn a_printed_integer_reads_back_the_same(value in any::<i64>()) {
            prop_assert_eq!(int64(value.to_string().as_bytes()), Ok(value));
        }
    }
}
