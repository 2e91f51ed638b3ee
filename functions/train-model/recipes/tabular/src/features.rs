//! The table's other columns -> the features to learn from, and why the rest are left out.

use std::collections::BTreeSet;

use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::datatypes::DataType;
use millstream_scoring::{Feature, FeatureKind, class_labels, column_values};

use crate::report::Dropped;
use crate::target::{self, Goal};
use crate::{Options, RecipeError};

/// A histogram tells at most 254 values apart; a category with more would be learned in lumps.
const MOST_CATEGORIES: usize = 254;

/// Rows a category's mean target is drawn towards the overall mean by: a rare value must not lead the order by chance.
const PRIOR_ROWS: f64 = 5.0;

/// A column to learn from, with its values.
#[derive(Debug, Clone)]
pub(crate) struct Candidate {
    pub(crate) feature: Feature,
    pub(crate) values: Vec<f32>,
}

/// Sorts columns into those to learn from and those left out.
pub(crate) fn choose(
    batch: &RecordBatch,
    goal: &Goal,
    options: &Options,
) -> Result<(Vec<Candidate>, Vec<Dropped>), RecipeError> {
    for name in &options.exclude {
        target::column(batch, name, "exclude")?;
    }
    let (mut chosen, mut dropped) = (Vec::new(), Vec::new());
    for (field, array) in batch.schema().fields().iter().zip(batch.columns()) {
        let name = field.name();
        if *name == goal.target {
            continue;
        }
        let candidate = if options.exclude.contains(name) {
            Err("excluded".to_owned())
        } else {
            match kind(name, array)? {
                Ok(kind) => candidate(name, array, kind)?,
                Err(reason) => Err(reason),
            }
        };
        match candidate {
            Ok(candidate) => chosen.push(candidate),
            Err(reason) => dropped.push(Dropped { column: name.clone(), reason }),
        }
    }
    if chosen.is_empty() {
        let reasons = dropped.iter().map(|dropped| format!("{} {}", dropped.column, dropped.reason));
        let reasons = reasons.collect::<Vec<_>>().join("; ");
        let reasons = if reasons.is_empty() { "the target is the only one".to_owned() } else { reasons };
        return Err(RecipeError::NoFeatures(reasons));
    }
    Ok((chosen, dropped))
}

/// A column's kind, or why it has none.
fn kind(name: &str, array: &ArrayRef) -> Result<Result<FeatureKind, String>, RecipeError> {
    if array.logical_null_count() == array.len() {
        return Ok(Err("has no values".into()));
    }
    Ok(match array.data_type() {
        DataType::Boolean => Ok(FeatureKind::Boolean),
        kind if kind.is_numeric() => Ok(FeatureKind::Numeric),
        DataType::Date32 | DataType::Date64 | DataType::Timestamp(..) => Ok(FeatureKind::Timestamp),
        kind if kind.is_string() => return category(name, array),
        DataType::Dictionary(_, values) if values.is_string() => return category(name, array),
        kind => Err(format!("is of type {kind}, which is not learned from")),
    })
}

fn category(name: &str, array: &ArrayRef) -> Result<Result<FeatureKind, String>, RecipeError> {
    let values: BTreeSet<String> = class_labels(name, array)?.into_iter().flatten().collect();
    let rows = array.len() - array.logical_null_count();
    Ok(if values.len() > MOST_CATEGORIES {
        Err(format!("has {} different texts; at most {MOST_CATEGORIES} are told apart", values.len()))
    } else if values.len() * 2 > rows && values.len() > 2 {
        Err(format!("has {} different texts in {rows} rows: a name or a key, not a category", values.len()))
    } else {
        Ok(FeatureKind::Category { values: values.into_iter().collect() })
    })
}

fn candidate(name: &str, array: &ArrayRef, kind: FeatureKind) -> Result<Result<Candidate, String>, RecipeError> {
    let values = column_values(name, array, &kind)?;
    let missing = values.iter().filter(|value| value.is_nan()).count();
    let first = values.iter().find(|value| !value.is_nan());
    let constant = values.iter().filter(|value| !value.is_nan()).all(|value| Some(value) == first);
    Ok(match (missing, first) {
        (_, None) => Err("has no values".into()),
        (0, _) if constant => Err("has the same value in every row".into()),
        (missing, _) => {
            let feature = Feature { name: name.to_owned(), kind, required: missing == 0 };
            Ok(Candidate { feature, values })
        }
    })
}

impl Candidate {
    /// Orders a category's values by the mean target of their training rows, so that one threshold can part the values
    /// that go with a high target from the rest. Values no training row has become missing: nothing is known of them.
    pub(crate) fn order_categories(&mut self, training: &[usize], targets: &[f64]) {
        let FeatureKind::Category { values } = &mut self.feature.kind else { return };
        let overall = training.iter().map(|&row| targets[row]).sum::<f64>() / training.len().max(1) as f64;
        let mut sums = vec![(0.0, 0u32); values.len()];
        for &row in training {
            let code = self.values[row];
            if !code.is_nan() {
                let (sum, rows) = &mut sums[code as usize];
                *sum += targets[row];
                *rows += 1;
            }
        }
        let mean = |code: usize| {
            let (sum, rows) = sums[code];
            (sum + PRIOR_ROWS * overall) / (f64::from(rows) + PRIOR_ROWS)
        };
        let mut order: Vec<usize> = (0..values.len()).filter(|&code| sums[code].1 > 0).collect();
        order.sort_by(|&left, &right| mean(left).total_cmp(&mean(right)));
        let mut recoded = vec![f32::NAN; values.len()];
        order.iter().enumerate().for_each(|(code, &old)| recoded[old] = code as f32);
        *values = order.iter().map(|&old| std::mem::take(&mut values[old])).collect();
        for value in &mut self.values {
            if !value.is_nan() {
                *value = recoded[*value as usize];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn categories_are_ordered_by_their_training_rows_target_and_unseen_ones_are_missing() {
        let values = ["a", "b", "c"].map(String::from).to_vec();
        let kind = FeatureKind::Category { values };
        let feature = Feature { name: "x".into(), kind, required: true };
        let mut candidate = Candidate { feature, values: vec![0.0, 1.0, 0.0, 1.0, 2.0] };
        candidate.order_categories(&[0, 1, 2, 3], &[9.0, 1.0, 9.0, 1.0, 5.0]);
        assert_eq!(candidate.feature.kind, FeatureKind::Category { values: vec!["b".into(), "a".into()] });
        assert_eq!(candidate.values[..4], [1.0, 0.0, 1.0, 0.0]);
        assert!(candidate.values[4].is_nan());
    }
}
