//! Why a value that a source has is none that a table can hold.

/// The kinds of misfit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RowFaultKind {
    /// A date or time before the year 1 or after 9999, infinity, or a zero date.
    DateRange,
    /// A number that the column's decimals do not hold, by size or by digits after the point.
    DecimalRange,
    /// An integer outside of 64 bits.
    Int64Range,
    /// A decimal that is no number.
    NotFinite,
    /// A text that is no UTF-8, or has a NUL.
    Text,
    /// No JSON, or nested too deep.
    Json,
    /// An array with a NULL item, or of several dimensions.
    Array,
    /// A value of another type than the column's.
    Type,
    /// A time that is finer than microseconds.
    SubMicrosecond,
}

impl RowFaultKind {
    /// A stable name to count by.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DateRange => "date_out_of_range",
            Self::DecimalRange => "numeric_out_of_range",
            Self::Int64Range => "int64_out_of_range",
            Self::NotFinite => "not_finite",
            Self::Text => "not_text",
            Self::Json => "not_json",
            Self::Array => "not_storable_array",
            Self::Type => "other_type",
            Self::SubMicrosecond => "finer_than_microseconds",
        }
    }

    /// The reason as a sentence.
    pub(crate) const fn message(self) -> &'static str {
        match self {
            Self::DateRange => "the date is not within the years 1 to 9999",
            Self::DecimalRange => "the number has more digits than the column's decimals hold",
            Self::Int64Range => "the whole number does not fit 64 bits",
            Self::NotFinite => "NaN and infinity are no decimals",
            Self::Text => "the text is not UTF-8 or has a NUL byte",
            Self::Json => "not a JSON document, or nested too deep",
            Self::Array => "an array cannot hold NULL or arrays",
            Self::Type => "the value is of another type than the column",
            Self::SubMicrosecond => "the time is finer than a microsecond",
        }
    }
}
