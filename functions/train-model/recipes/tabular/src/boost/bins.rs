//! Features cut into bins: what a histogram counts.

/// The most bins of present values; with the bin for missing ones they fit a byte.
const MOST_BINS: usize = 254;

/// The bin of missing values; present ones start at 1.
pub(super) const MISSING: usize = 0;

/// Every feature's bins.
#[derive(Debug)]
pub(super) struct Binned {
    /// A byte a row, one vector a feature.
    pub(super) bins: Vec<Vec<u8>>,
    /// A feature's thresholds in ascending order: bin `b` holds the values up to `cuts[b - 1]`.
    pub(super) cuts: Vec<Vec<f32>>,
}

impl Binned {
    pub(super) fn new(columns: &[Vec<f32>]) -> Self {
        let cuts: Vec<Vec<f32>> = columns.iter().map(|column| cuts(column)).collect();
        let bins = columns.iter().zip(&cuts).map(|(column, cuts)| column.iter().map(|v| bin(*v, cuts)).collect());
        Self { bins: bins.collect(), cuts }
    }

    pub(super) fn rows(&self) -> usize {
        self.bins.first().map_or(0, Vec::len)
    }

    /// The bins of a feature: the missing one and one more than its cuts.
    pub(super) fn count(&self, feature: usize) -> usize {
        self.cuts[feature].len() + 2
    }
}

fn bin(value: f32, cuts: &[f32]) -> u8 {
    if value.is_nan() { MISSING as u8 } else { 1 + cuts.partition_point(|cut| *cut < value) as u8 }
}

/// Thresholds between distinct values, chosen so that bins hold about as many rows each when there are too many values.
fn cuts(column: &[f32]) -> Vec<f32> {
    let mut values: Vec<f32> = column.iter().copied().filter(|value| !value.is_nan()).collect();
    values.sort_unstable_by(f32::total_cmp);
    let runs: Vec<&[f32]> = values.chunk_by(|left, right| left == right).collect();
    let rows_a_bin = if runs.len() <= MOST_BINS { 0 } else { values.len().div_ceil(MOST_BINS) };
    let mut cuts = Vec::new();
    let mut rows = 0;
    for pair in runs.windows(2) {
        rows += pair[0].len();
        if rows >= rows_a_bin && cuts.len() < MOST_BINS - 1 {
            cuts.push(between(pair[0][0], pair[1][0]));
            rows = 0;
        }
    }
    cuts
}

/// A number with `lower <= number < upper`: their middle, unless 32 bits have none.
fn between(lower: f32, upper: f32) -> f32 {
    let middle = ((f64::from(lower) + f64::from(upper)) / 2.0) as f32;
    if middle < upper { middle } else { lower }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn neighbours_in_32_bits_are_still_told_apart() {
        let next = f32::from_bits(1.0f32.to_bits() + 1);
        let binned = Binned::new(&[vec![1.0, next, f32::NAN]]);
        assert_eq!(binned.bins, [[1, 2, 0]]);
        assert!(binned.cuts[0][0] >= 1.0 && binned.cuts[0][0] < next);
    }

    proptest! {
        #[test]
        fn a_value_lies_at_or_below_a_cut_exactly_when_its_bin_does(
            column in prop::collection::vec(prop::num::f32::NORMAL | prop::num::f32::ZERO, 1..2000),
        ) {
            let binned = Binned::new(std::slice::from_ref(&column));
            prop_assert!(binned.count(0) <= 256);
            for (value, bin) in column.iter().zip(&binned.bins[0]) {
                for (index, cut) in binned.cuts[0].iter().enumerate() {
                    prop_assert_eq!(value <= cut, usize::from(*bin) <= index + 1);
                }
            }
        }
    }
}
