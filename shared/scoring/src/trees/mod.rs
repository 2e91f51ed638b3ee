//! Tree ensembles of ONNX (`ai.onnx.ml` TreeEnsembleClassifier and TreeEnsembleRegressor).
//!
//! In: a node of a graph. Out: an operator tract can run. tract's own classifier walks its leaf table from the start
//! for every tree, turns `BRANCH_GTE` nodes into leaves and has no regressor, so both operators are registered anew
//! here; everything else of a graph stays tract's.

mod op;
mod parse;

pub(crate) use op::register;

/// How a node compares a feature with its threshold; a comparison with NaN is false except for [`Branch::NotEqual`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Branch {
    LessOrEqual,
    Less,
    GreaterOrEqual,
    Greater,
    Equal,
    NotEqual,
}

impl Branch {
    fn holds(self, value: f32, threshold: f32) -> bool {
        match self {
            Self::LessOrEqual => value <= threshold,
            Self::Less => value < threshold,
            Self::GreaterOrEqual => value >= threshold,
            Self::Greater => value > threshold,
            Self::Equal => value == threshold,
            Self::NotEqual => value != threshold,
        }
    }
}

/// A node; children and leaves are indices into the ensemble's tables, checked when it was parsed.
#[derive(Debug, Clone, PartialEq)]
enum Node {
    Split { branch: Branch, missing_is_true: bool, feature: u32, threshold: f32, if_true: u32, if_false: u32 },
    Leaf { first: u32, end: u32 },
}

/// What a leaf adds to one column of the scores.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Weight {
    column: u32,
    value: f32,
}

/// How raw scores become the node's output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Transform {
    None,
    Softmax,
    Logistic,
}

/// How a two-class ensemble whose leaves carry one score only spells both classes' scores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layout {
    /// Every column has leaves of its own.
    Columns,
    /// The one score is the second class's probability: `[1 - s, s]`.
    Complement,
    /// The one score is a margin: `[-s, s]`.
    Margin,
}

/// A whole ensemble, ready to score rows.
#[derive(Debug, PartialEq)]
struct Ensemble {
    nodes: Vec<Node>,
    roots: Vec<u32>,
    weights: Vec<Weight>,
    /// Added to every row's scores; one value per column.
    base: Vec<f32>,
    /// Divides the sum: 1 for SUM, the number of trees for AVERAGE.
    divisor: f32,
    columns: usize,
    features_used: usize,
    transform: Transform,
    layout: Layout,
}

impl Ensemble {
    /// Scores `rows` of `width` features each, row by row, into `columns` values a row.
    fn score(&self, input: &[f32], width: usize) -> Vec<f32> {
        let mut scores = Vec::with_capacity(input.len() / width.max(1) * self.columns);
        for row in input.chunks_exact(width) {
            let start = scores.len();
            scores.resize(start + self.columns, 0.0);
            let out = &mut scores[start..];
            for &root in &self.roots {
                for weight in self.leaf(root, row) {
                    out[weight.column as usize] += weight.value;
                }
            }
            for (score, base) in out.iter_mut().zip(&self.base) {
                *score = *score / self.divisor + base;
            }
            self.finish(out);
        }
        scores
    }

    fn leaf(&self, root: u32, row: &[f32]) -> &[Weight] {
        let mut index = root;
        loop {
            match self.nodes[index as usize] {
                Node::Leaf { first, end } => return &self.weights[first as usize..end as usize],
                Node::Split { branch, missing_is_true, feature, threshold, if_true, if_false } => {
                    let value = row[feature as usize];
                    let holds = branch.holds(value, threshold) || (missing_is_true && value.is_nan());
                    index = if holds { if_true } else { if_false };
                }
            }
        }
    }

    fn finish(&self, scores: &mut [f32]) {
        match self.transform {
            Transform::None => {}
            Transform::Logistic => scores.iter_mut().for_each(|score| *score = 1.0 / (1.0 + (-*score).exp())),
            Transform::Softmax => softmax(scores),
        }
        match (self.layout, scores) {
            (Layout::Complement, [first, second]) => (*first, *second) = (1.0 - *first, *first),
            (Layout::Margin, [first, second]) => (*first, *second) = (-*first, *first),
            _ => {}
        }
    }
}

fn softmax(scores: &mut [f32]) {
    // Shifted by the largest score, so that no exponential overflows.
    let largest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0.0;
    for score in scores.iter_mut() {
        *score = (*score - largest).exp();
        sum += *score;
    }
    scores.iter_mut().for_each(|score| *score /= sum);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stump(branch: Branch, missing_is_true: bool) -> Ensemble {
        Ensemble {
            nodes: vec![
                Node::Split { branch, missing_is_true, feature: 0, threshold: 1.0, if_true: 1, if_false: 2 },
                Node::Leaf { first: 0, end: 1 },
                Node::Leaf { first: 1, end: 2 },
            ],
            roots: vec![0],
            weights: vec![Weight { column: 0, value: 10.0 }, Weight { column: 0, value: 20.0 }],
            base: vec![0.5],
            divisor: 1.0,
            columns: 1,
            features_used: 1,
            transform: Transform::None,
            layout: Layout::Columns,
        }
    }

    #[test]
    fn every_comparison_sends_a_value_to_the_side_onnx_says() {
        let cases = [
            (Branch::LessOrEqual, [10.5, 10.5, 20.5]),
            (Branch::Less, [10.5, 20.5, 20.5]),
            (Branch::GreaterOrEqual, [20.5, 10.5, 10.5]),
            (Branch::Greater, [20.5, 20.5, 10.5]),
            (Branch::Equal, [20.5, 10.5, 20.5]),
            (Branch::NotEqual, [10.5, 20.5, 10.5]),
        ];
        for (branch, expected) in cases {
            assert_eq!(stump(branch, false).score(&[0.0, 1.0, 2.0], 1), expected, "{branch:?}");
        }
    }

    #[test]
    fn a_missing_value_follows_the_node_s_missing_flag() {
        assert_eq!(stump(Branch::LessOrEqual, false).score(&[f32::NAN], 1), [20.5]);
        assert_eq!(stump(Branch::LessOrEqual, true).score(&[f32::NAN], 1), [10.5]);
    }

    #[test]
    fn softmax_of_large_scores_stays_finite() {
        let mut scores = [1000.0, 1000.0];
        softmax(&mut scores);
        assert_eq!(scores, [0.5, 0.5]);
    }
}
