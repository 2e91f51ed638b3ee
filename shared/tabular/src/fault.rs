//! What can be wrong with one row, in words a person understands.

use crate::rows::RowFaultKind;

/// A reason for quarantine. Small and `Copy`: millions of them may be held for a hopeless file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    TooFewFields,
    TooManyFields,
    TextAfterQuote,
    NotJsonObject,
    DuplicateKey,
    Missing,
    NotUtf8,
    NulByte,
    NotString,
    NotInt64,
    Int64Range,
    NotDecimal,
    FractionDigits(u8),
    WholeDigits(u8),
    NotFloat64,
    Float64Range,
    NotBool,
    NotDate,
    NotDatetime,
    NotTime,
    NotTimestamp,
    SubMicrosecond,
    NotBase64,
    NotJson,
    JsonDepth,
    NotArray,
    NotStruct,
    NullElement,
    UnknownField,
    Lossy,
    #[cfg(feature = "workbooks")]
    CellError,
    NanKey,
    Duplicate(u16),
    NotNull(u16),
    Expectation(u16),
    Evaluation(u16),
    Source(RowFaultKind),
}

/// The deepest JSON document taken for a JSON column (BigQuery's own limit).
pub(crate) const JSON_DEPTH: usize = 500;

impl Fault {
    /// A stable name to count by.
    pub(crate) fn kind(self) -> &'static str {
        match self {
            Self::TooFewFields => "too_few_fields",
            Self::TooManyFields => "too_many_fields",
            Self::TextAfterQuote => "text_after_quote",
            Self::NotJsonObject => "not_json_object",
            Self::DuplicateKey => "duplicate_key",
            Self::Missing => "missing",
            Self::NotUtf8 => "not_utf8",
            Self::NulByte => "nul_byte",
            Self::NotString => "not_string",
            Self::NotInt64 => "not_int64",
            Self::Int64Range => "int64_out_of_range",
            Self::NotDecimal => "not_numeric",
            Self::FractionDigits(_) => "too_many_fraction_digits",
            Self::WholeDigits(_) => "numeric_out_of_range",
            Self::NotFloat64 => "not_float64",
            Self::Float64Range => "float64_out_of_range",
            Self::NotBool => "not_bool",
            Self::NotDate => "not_date",
            Self::NotDatetime => "not_datetime",
            Self::NotTime => "not_time",
            Self::NotTimestamp => "not_timestamp",
            Self::SubMicrosecond => "finer_than_microseconds",
            Self::NotBase64 => "not_base64",
            Self::NotJson => "not_json",
            Self::JsonDepth => "json_too_deep",
            Self::NotArray => "not_array",
            Self::NotStruct => "not_struct",
            Self::NullElement => "null_element",
            Self::UnknownField => "unknown_field",
            Self::Lossy => "lossy",
            #[cfg(feature = "workbooks")]
            Self::CellError => "cell_error",
            Self::NanKey => "nan_key",
            Self::Duplicate(_) => "duplicate",
            Self::NotNull(_) => "null",
            Self::Expectation(_) => "expectation",
            Self::Evaluation(_) => "expectation_error",
            Self::Source(kind) => kind.as_str(),
        }
    }

    /// The reason as a sentence; `expectations` are the contract's own texts.
    pub(crate) fn message(self, expectations: &[String]) -> String {
        let expectation = |index: u16| expectations.get(usize::from(index)).map_or("", String::as_str);
        match self {
            Self::TooFewFields => "the row has fewer fields than the header".into(),
            Self::TooManyFields => {
                "the row has more fields than the header; a field with the delimiter in it needs quotes".into()
            }
            Self::TextAfterQuote => {
                "there is text after a field's closing quote; a quote inside a field is written twice".into()
            }
            Self::NotJsonObject => "the line is not one JSON object".into(),
            Self::DuplicateKey => "the object has this key twice".into(),
            Self::Missing => "the column is required and has no value".into(),
            Self::NotUtf8 => "the text is not UTF-8".into(),
            Self::NulByte => "the text has a NUL byte, which a warehouse refuses".into(),
            Self::NotString => "expected a text, not an array or an object".into(),
            Self::NotInt64 => "not a whole number".into(),
            Self::Int64Range => "the whole number does not fit 64 bits".into(),
            Self::NotDecimal => "not a decimal number".into(),
            Self::FractionDigits(scale) => format!("more than {scale} digits after the point"),
            Self::WholeDigits(digits) => format!("more than {digits} digits before the point"),
            Self::NotFloat64 => "not a number".into(),
            Self::Float64Range => "the number is too large for FLOAT64".into(),
            Self::NotBool => "expected true or false".into(),
            Self::NotDate => "expected a date such as 2024-01-31".into(),
            Self::NotDatetime => "expected a date and time such as 2024-01-31 12:30:00".into(),
            Self::NotTime => "expected a time of day such as 12:30:00".into(),
            Self::NotTimestamp => {
                "expected a time such as 2024-01-31 12:30:00+00, with Z, UTC or an offset as its zone".into()
            }
            Self::SubMicrosecond => "the time is finer than a microsecond".into(),
            Self::NotBase64 => "BYTES are written in base64".into(),
            Self::NotJson => "not a JSON document".into(),
            Self::JsonDepth => format!("the JSON is nested more than {JSON_DEPTH} deep"),
            Self::NotArray => "expected a JSON array".into(),
            Self::NotStruct => "expected a JSON object".into(),
            Self::NullElement => "an array cannot hold NULL".into(),
            Self::UnknownField => "the object has a field that the STRUCT has not".into(),
            Self::Lossy => "the value does not fit the contract's type without loss".into(),
            #[cfg(feature = "workbooks")]
            Self::CellError => "the cell has an error, such as #N/A, and no value".into(),
            Self::NanKey => "NaN cannot be a key: it equals nothing".into(),
            Self::Duplicate(index) => format!("an earlier row has the same value, against {}", expectation(index)),
            Self::NotNull(index) => format!("no value, against {}", expectation(index)),
            Self::Expectation(index) => format!("does not hold: {}", expectation(index)),
            Self::Evaluation(index) => format!("overflows or divides by zero in {}", expectation(index)),
            Self::Source(kind) => kind.message().into(),
        }
    }
}
