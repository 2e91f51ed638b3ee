//! A number as a spreadsheet shows it.

use std::fmt::Write;

/// Digits that a spreadsheet keeps of a number.
const DIGITS: usize = 15;

/// The number in 15 significant digits, which is all that a spreadsheet shows and keeps of what was typed: 0.1 + 0.2 is 0.3.
/// Without an exponent unless it is beyond what any decimal column holds.
#[must_use]
pub fn fifteen_digits(number: f64) -> String {
    let mut text = String::new();
    write_fifteen_digits(number, &mut text);
    text
}

pub(crate) fn write_fifteen_digits(number: f64, out: &mut String) {
    if number == 0.0 || !number.is_finite() {
        // Minus zero is shown as zero.
        let _ = write!(out, "{}", number.abs());
        return;
    }
    let scientific = format!("{number:.*e}", DIGITS - 1);
    let Some((mantissa, exponent)) = scientific.split_once('e') else { return };
    let exponent: i32 = exponent.parse().unwrap_or_default();
    let (sign, mantissa) = mantissa.strip_prefix('-').map_or(("", mantissa), |rest| ("-", rest));
    let digits: String = mantissa.bytes().filter(u8::is_ascii_digit).map(char::from).collect();
    let digits = digits.trim_end_matches('0');
    out.push_str(sign);
    if !(-40..=40).contains(&exponent) {
        let (first, rest) = digits.split_at(1);
        let point = if rest.is_empty() { "" } else { "." };
        let _ = write!(out, "{first}{point}{rest}E{exponent:+}");
        return;
    }
    if exponent < 0 {
        out.push_str("0.");
        out.extend(std::iter::repeat_n('0', exponent.unsigned_abs() as usize - 1));
        out.push_str(digits);
        return;
    }
    let whole = exponent as usize + 1;
    if digits.len() <= whole {
        out.push_str(digits);
        out.extend(std::iter::repeat_n('0', whole - digits.len()));
    } else {
        let (whole, fraction) = digits.split_at(whole);
        let _ = write!(out, "{whole}.{fraction}");
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_are_written_as_a_spreadsheet_shows_them() {
        for (number, text) in [
            (0.0, "0"),
            (-0.0, "0"),
            (1.0, "1"),
            (-12.5, "-12.5"),
            (0.1 + 0.2, "0.3"),
            (1.0 / 3.0, "0.333333333333333"),
            (2.0 / 3.0, "0.666666666666667"),
            (1234567890123456.0, "1234567890123460"),
            (999999999999999.9, "1000000000000000"),
            (1e-7, "0.0000001"),
            (1.5e300, "1.5E+300"),
            (-2e-300, "-2E-300"),
        ] {
            assert_eq!(fifteen_digits(number), text);
        }
    }

    proptest! {
        #[test]
        fn a_number_of_fifteen_digits_is_written_as_it_was_typed(digits in 1_i64..1_000_000_000_000_000, scale in 0_u32..12) {
            let typed = if scale == 0 {
                digits.to_string()
            } else {
                let text = format!("{digits:0>width$}", width = scale as usize + 1);
                let (whole, fraction) = text.split_at(text.len() - scale as usize);
                format!("{whole}.{fraction}").trim_end_matches('0').trim_end_matches('.').to_owned()
            };
            prop_assert_eq!(fifteen_digits(typed.parse().unwrap()), typed);
        }
    }
}
