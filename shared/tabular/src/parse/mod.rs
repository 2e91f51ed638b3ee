//! Text to values, by BigQuery's loader's rules, on bytes and without allocating.
//!
//! In: one field's text, already unquoted. Out: the value as Arrow stores it, or the [`Fault`](crate::fault::Fault).

pub(crate) mod decimal;
pub(crate) mod number;
pub(crate) mod temporal;
pub(crate) mod text;

/// Reads the decimal digits at the front of `text`: their value, how many there were, and the rest. At most `limit` are read.
fn take_digits(text: &[u8], limit: usize) -> (u32, usize, &[u8]) {
    let mut value = 0_u32;
    let mut count = 0;
    while count < limit && count < text.len() && text[count].is_ascii_digit() {
        value = value * 10 + u32::from(text[count] - b'0');
        count += 1;
    }
    (value, count, &text[count..])
}
