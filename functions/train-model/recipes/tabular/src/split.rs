//! Which rows teach, which tell when to stop and which measure the model.
//!
//! Rows are put in the order of a hash of their content and the seed, and each class's first ones are held out. So the
//! split does not depend on the order of the rows in the table, a row added later moves few others across, and equal
//! rows lie on the same side unless the border falls between them.

use std::collections::BTreeMap;

use crate::features::Candidate;
use crate::target::Truth;

/// Tables with fewer training rows than this keep them all: a validation set of a few dozen rows stops at random.
const ROWS_WORTH_VALIDATING: usize = 500;

/// The share of the training rows that tells when to stop.
const VALIDATION_SHARE: f64 = 0.15;

/// Rows by their use, each in the order of the hash.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Split {
    pub(crate) training: Vec<usize>,
    pub(crate) validation: Vec<usize>,
    pub(crate) holdout: Vec<usize>,
}

/// What has to be split off; nothing where the data comes with its own test or validation rows.
pub(crate) struct Shares {
    pub(crate) holdout: Option<f64>,
    pub(crate) validation: bool,
}

/// All rows in the order of their content's hash.
pub(crate) fn order(features: &[Candidate], truths: &[Truth], seed: u64) -> Vec<usize> {
    let hash = |row: usize| {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&seed.to_le_bytes());
        hasher.update(&truths[row].number().to_le_bytes());
        for feature in features {
            hasher.update(&feature.values[row].to_le_bytes());
        }
        *hasher.finalize().as_bytes()
    };
    let mut order: Vec<usize> = (0..truths.len()).collect();
    order.sort_by_cached_key(|&row| hash(row));
    order
}

/// Splits rows given in the order of their hash, each class by the same shares.
pub(crate) fn split(order: &[usize], truths: &[Truth], shares: &Shares) -> Split {
    let mut split = Split::default();
    let mut rest = order.to_vec();
    if let Some(share) = shares.holdout {
        (split.holdout, rest) = take_share(&rest, truths, share);
    }
    if shares.validation && rest.len() >= ROWS_WORTH_VALIDATING {
        (split.validation, rest) = take_share(&rest, truths, VALIDATION_SHARE);
    }
    split.training = rest;
    split
}

/// The first `share` of each class's rows, at least one unless it is the class's only one, and the others.
fn take_share(rows: &[usize], truths: &[Truth], share: f64) -> (Vec<usize>, Vec<usize>) {
    let mut wanted: BTreeMap<u32, usize> = BTreeMap::new();
    for &row in rows {
        *wanted.entry(truths[row].stratum()).or_default() += 1;
    }
    for count in wanted.values_mut() {
        let most = count.saturating_sub(1);
        *count = ((*count as f64 * share).round() as usize).clamp(1.min(most), most);
    }
    rows.iter().partition(|&&row| match wanted.get_mut(&truths[row].stratum()) {
        Some(left) if *left > 0 => {
            *left -= 1;
            true
        }
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn classes(counts: &[usize]) -> Vec<Truth> {
        counts.iter().enumerate().flat_map(|(class, &count)| vec![Truth::Class(class as u32); count]).collect()
    }

    #[test]
    fn every_class_keeps_its_share_and_a_lone_row_teaches() {
        let truths = classes(&[50, 30, 3, 1]);
        let rows: Vec<usize> = (0..truths.len()).collect();
        let split = split(&rows, &truths, &Shares { holdout: Some(0.2), validation: true });
        let held = |class| split.holdout.iter().filter(|&&row| truths[row] == Truth::Class(class)).count();
        assert_eq!([held(0), held(1), held(2), held(3)], [10, 6, 1, 0]);
        assert!(split.validation.is_empty());
        assert_eq!(split.training.len(), 67);
    }

    proptest! {
        #[test]
        fn each_row_has_exactly_one_use(
            counts in prop::collection::vec(1usize..400, 1..4), share in 0.01f64..0.99, validation: bool,
        ) {
            let truths = classes(&counts);
            let rows: Vec<usize> = (0..truths.len()).collect();
            let split = split(&rows, &truths, &Shares { holdout: Some(share), validation });
            let mut all = [split.training, split.validation, split.holdout].concat();
            all.sort_unstable();
            prop_assert_eq!(all, rows);
        }
    }
}
