//! Gradient-boosted trees: columns of numbers with a target -> a [`Forest`].
//!
//! Second-order boosting on histograms: each feature is cut into at most 254 bins once, each tree is grown on sums of
//! gradients a bin, and a larger child's sums are its parent's less its sibling's. Everything a tree holds is exact in
//! 32 bits, since that is what an ONNX runtime compares with: values are rounded before training, thresholds and leaf
//! values as they are made. Missing values (NaN) go to whichever side lowers the loss more.
//!
//! The outcome depends on the rows in their order only: no random numbers, and sums whose order no thread changes.

mod bins;
mod grow;
mod loss;
mod tree;

pub use loss::Target;
pub use tree::{Node, Tree};

use bins::Binned;
use grow::Grower;

/// How a forest is grown.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The most rounds; a multiclass round grows a tree for each class.
    pub rounds: usize,
    /// How much of each tree's correction is taken.
    pub learning_rate: f64,
    /// The most splits between a root and a leaf.
    pub max_depth: usize,
    /// The fewest training rows of a leaf.
    pub min_child_rows: usize,
    /// Added to a leaf's second derivatives: draws small leaves towards zero.
    pub l2: f64,
    /// Rounds without a better validation loss before growing stops.
    pub patience: usize,
}

/// Rows of features by column, with what they should predict.
#[derive(Debug, Clone)]
pub struct Rows {
    /// One vector a feature, NaN for missing.
    pub columns: Vec<Vec<f32>>,
    /// One target a row.
    pub target: Target,
}

/// The loss after a round.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    /// The round, from 1.
    pub round: usize,
    /// The mean loss over the training rows.
    pub training: f64,
    /// The mean loss over the validation rows, if there are any.
    pub validation: Option<f64>,
}

/// The trees, the scores they start from and what each feature contributed.
#[derive(Debug, Clone)]
pub struct Forest {
    /// The score of each column before any tree: one column for a number or two classes, else one a class.
    pub base: Vec<f64>,
    /// The trees in the order they were grown.
    pub trees: Vec<Tree>,
    /// The loss each feature's splits took away, as shares of one; zeros when there was no split.
    pub importance: Vec<f64>,
    /// The rounds that were kept.
    pub rounds: usize,
}

/// Grows a forest on `training`; with `validation` rows it stops when their loss does, and keeps the best round.
pub fn fit(
    settings: &Settings,
    training: &Rows,
    validation: Option<&Rows>,
    mut report: impl FnMut(Progress),
) -> Forest {
    let binned = Binned::new(&training.columns);
    let base = training.target.base();
    let mut scores = Scores::new(&base, training);
    let mut checked = validation.map(|rows| (rows, Scores::new(&base, rows)));
    let mut trees: Vec<Tree> = Vec::new();
    let (mut best, mut best_round) = (f64::INFINITY, 0);
    for round in 1..=settings.rounds {
        // All columns of a round correct the same scores, so the gradients are taken before any of them changes.
        let gradients: Vec<_> = (0..base.len()).map(|column| training.target.gradients(&scores.0, column)).collect();
        for (column, gradients) in gradients.iter().enumerate() {
            let grown = Grower::new(settings, &binned, gradients).grow(column);
            for (rows, value) in &grown.leaves {
                rows.iter().for_each(|&row| scores.0[column][row as usize] += f64::from(*value));
            }
            if let Some((rows, scores)) = &mut checked {
                scores.add(rows, &grown.tree);
            }
            trees.push(grown.tree);
        }
        let loss = checked.as_ref().map(|(rows, scores)| rows.target.loss(&scores.0));
        report(Progress { round, training: training.target.loss(&scores.0), validation: loss });
        match loss {
            None => best_round = round,
            Some(loss) if loss < best => (best, best_round) = (loss, round),
            Some(_) if round - best_round >= settings.patience => break,
            Some(_) => {}
        }
    }
    // A validation loss that never was a number still leaves one round to answer with.
    let rounds = best_round.max(1);
    trees.truncate(rounds * base.len());
    let importance = importance(&trees, training.columns.len());
    Forest { base, trees, importance, rounds }
}

/// The running scores: one vector of rows a column.
struct Scores(Vec<Vec<f64>>);

impl Scores {
    fn new(base: &[f64], rows: &Rows) -> Self {
        Self(base.iter().map(|base| vec![*base; rows.target.len()]).collect())
    }

    fn add(&mut self, rows: &Rows, tree: &Tree) {
        for (row, score) in self.0[tree.column].iter_mut().enumerate() {
            *score += f64::from(tree.value(|feature| rows.columns[feature][row]));
        }
    }
}

fn importance(trees: &[Tree], features: usize) -> Vec<f64> {
    let mut gains = vec![0.0; features];
    for node in trees.iter().flat_map(|tree| &tree.nodes) {
        if let Node::Split { feature, gain, .. } = node {
            gains[*feature] += gain;
        }
    }
    let total: f64 = gains.iter().sum();
    if total > 0.0 {
        gains.iter_mut().for_each(|gain| *gain /= total);
    }
    gains
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        Settings { rounds: 30, learning_rate: 0.3, max_depth: 3, min_child_rows: 1, l2: 1.0, patience: 5 }
    }

    fn scores(forest: &Forest, rows: &Rows) -> Vec<Vec<f64>> {
        let mut scores = Scores::new(&forest.base, rows);
        forest.trees.iter().for_each(|tree| scores.add(rows, tree));
        scores.0
    }

    /// A fixed sequence that looks random enough for a test.
    fn noise(count: usize) -> Vec<f32> {
        let mut state = 7u64;
        let next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1u64 << 24) as f32
        };
        std::iter::repeat_with(next).take(count).collect()
    }

    #[test]
    fn a_step_is_learned_with_its_threshold_between_the_neighbours() {
        let columns = vec![(0..20).map(|value| value as f32).collect()];
        let target = Target::Values((0..20).map(|value| if value < 8 { 1.0 } else { 5.0 }).collect());
        let rows = Rows { columns, target };
        let forest = fit(&settings(), &rows, None, |_| {});
        assert!(matches!(forest.trees[0].nodes[0], Node::Split { threshold: 7.5, .. }));
        let predicted = scores(&forest, &rows);
        assert!((predicted[0][0] - 1.0).abs() < 0.01 && (predicted[0][19] - 5.0).abs() < 0.01, "{predicted:?}");
    }

    #[test]
    fn missing_values_go_to_the_side_they_resemble() {
        // Where the value is missing, the target is that of the large values.
        let column: Vec<f32> = (0..30).map(|row| if row < 10 { f32::NAN } else { row as f32 }).collect();
        let target = Target::Values((0..30).map(|row| if (10..20).contains(&row) { 0.0 } else { 1.0 }).collect());
        let rows = Rows { columns: vec![column], target };
        let forest = fit(&settings(), &rows, None, |_| {});
        assert!(matches!(forest.trees[0].nodes[0], Node::Split { missing_left: false, threshold: 19.5, .. }));
        let predicted = scores(&forest, &rows);
        assert!(predicted[0][0] > 0.95 && predicted[0][15] < 0.05, "{predicted:?}");
    }

    #[test]
    fn being_missing_alone_can_be_learned() {
        let column: Vec<f32> = (0..30).map(|row| if row % 2 == 0 { f32::NAN } else { 3.0 }).collect();
        let rows = Rows {
            columns: vec![column],
            target: Target::Classes { of: (0..30).map(|row| row % 2).collect(), count: 2 },
        };
        let predicted = scores(&fit(&settings(), &rows, None, |_| {}), &rows);
        assert!(predicted[0][0] < -1.0 && predicted[0][1] > 1.0, "{predicted:?}");
    }

    #[test]
    fn three_classes_get_a_column_each_and_the_right_one_wins() {
        let columns = vec![(0..30).map(|row| row as f32).collect()];
        let rows = Rows { columns, target: Target::Classes { of: (0..30).map(|row| row / 10).collect(), count: 3 } };
        let predicted = scores(&fit(&settings(), &rows, None, |_| {}), &rows);
        let winner = |row: usize| (0..3).max_by(|a, b| predicted[*a][row].total_cmp(&predicted[*b][row]));
        assert!((0..30).all(|row| winner(row) == Some(row / 10)), "{predicted:?}");
    }

    #[test]
    fn growing_stops_once_the_validation_rows_gain_nothing_and_keeps_the_best_round() {
        let rows = |values: &[f32]| Rows {
            columns: vec![values.to_vec()],
            target: Target::Values(values.iter().rev().map(|value| f64::from(*value)).collect()),
        };
        let values = noise(200);
        let mut losses = Vec::new();
        let settings = Settings { rounds: 500, ..settings() };
        let forest = fit(&settings, &rows(&values[..100]), Some(&rows(&values[100..])), |progress| {
            losses.extend(progress.validation);
        });
        let best = (0..losses.len()).min_by(|a, b| losses[*a].total_cmp(&losses[*b])).unwrap() + 1;
        assert!(losses.len() < 500, "noise was learned for {} rounds", losses.len());
        assert_eq!((forest.rounds, forest.trees.len()), (best, best));
    }

    #[test]
    fn the_same_rows_grow_the_same_forest_on_any_number_of_threads() {
        let columns: Vec<Vec<f32>> = (0..40).map(|shift| noise(8_000 + shift)[shift..].to_vec()).collect();
        let target = Target::Values((0..8_000).map(|row| f64::from(columns[0][row] * columns[3][row])).collect());
        let rows = Rows { columns, target };
        let settings = Settings { rounds: 3, ..settings() };
        let binned = Binned::new(&rows.columns);
        let gradients = rows.target.gradients(&[vec![0.0; 8_000]], 0);
        let grow = |threads| Grower::new(&settings, &binned, &gradients).on_threads(threads).grow(0).tree;
        assert_eq!(grow(1), grow(3));
    }
}
