//! What is minimised: log loss over classes, half the squared error over numbers.

/// What rows should predict.
#[derive(Debug, Clone)]
pub enum Target {
    /// A class a row.
    Classes {
        /// Each row's class.
        of: Vec<u32>,
        /// How many classes there are, at least two.
        count: usize,
    },
    /// A number a row.
    Values(Vec<f64>),
}

/// A row's first and second derivative of the loss.
pub(super) type Gradient = [f64; 2];

/// Second derivatives below this are rounding; dividing by them would throw a leaf far off.
const SMALLEST_CURVATURE: f64 = 1e-16;

impl Target {
    /// The number of rows.
    pub fn len(&self) -> usize {
        match self {
            Self::Classes { of, .. } => of.len(),
            Self::Values(values) => values.len(),
        }
    }

    /// True when there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The best scores that ignore the features: the mean, the log odds, or the log shares.
    pub(super) fn base(&self) -> Vec<f64> {
        match self {
            Self::Values(values) => vec![values.iter().sum::<f64>() / values.len().max(1) as f64],
            Self::Classes { of, count } => {
                let mut rows = vec![0.0; *count];
                of.iter().for_each(|class| rows[*class as usize] += 1.0);
                // One row more a class keeps an absent class's score finite.
                let share = |class: usize| (rows[class] + 1.0) / (of.len() + count) as f64;
                match count {
                    2 => vec![(share(1) / share(0)).ln()],
                    _ => (0..*count).map(|class| share(class).ln()).collect(),
                }
            }
        }
    }

    /// Each row's derivatives by one column of the scores.
    pub(super) fn gradients(&self, scores: &[Vec<f64>], column: usize) -> Vec<Gradient> {
        match self {
            Self::Values(values) => values.iter().zip(&scores[0]).map(|(value, score)| [score - value, 1.0]).collect(),
            Self::Classes { of, count: 2 } => {
                let gradient = |(class, score): (&u32, &f64)| gradient(sigmoid(*score), *class == 1, 1.0);
                of.iter().zip(&scores[0]).map(gradient).collect()
            }
            Self::Classes { of, count } => {
                // Scores of k classes have k - 1 degrees of freedom; this keeps a step from counting one twice.
                let scale = *count as f64 / (*count as f64 - 1.0);
                let gradient = |(row, class): (usize, &u32)| {
                    let probability = (scores[column][row] - log_sum(scores, row)).exp();
                    gradient(probability, *class as usize == column, scale)
                };
                of.iter().enumerate().map(gradient).collect()
            }
        }
    }

    /// The mean loss: log loss, or the mean squared error.
    pub(super) fn loss(&self, scores: &[Vec<f64>]) -> f64 {
        let sum: f64 = match self {
            Self::Values(values) => values.iter().zip(&scores[0]).map(|(value, score)| (score - value).powi(2)).sum(),
            Self::Classes { of, count: 2 } => {
                let margin = |(class, score): (&u32, &f64)| if *class == 1 { *score } else { -*score };
                of.iter()
                    .zip(&scores[0])
                    .map(margin)
                    .map(|margin| (-margin).max(0.0) + (-margin.abs()).exp().ln_1p())
                    .sum()
            }
            Self::Classes { of, .. } => {
                let loss = |(row, class): (usize, &u32)| log_sum(scores, row) - scores[*class as usize][row];
                of.iter().enumerate().map(loss).sum()
            }
        };
        sum / self.len().max(1) as f64
    }
}

fn gradient(probability: f64, is_class: bool, scale: f64) -> Gradient {
    let curvature = probability * (1.0 - probability) * scale;
    [probability - f64::from(u8::from(is_class)), curvature.max(SMALLEST_CURVATURE)]
}

fn sigmoid(score: f64) -> f64 {
    1.0 / (1.0 + (-score).exp())
}

/// The logarithm of a row's summed exponentials, shifted so that none overflows.
fn log_sum(scores: &[Vec<f64>], row: usize) -> f64 {
    let largest = scores.iter().map(|column| column[row]).fold(f64::NEG_INFINITY, f64::max);
    largest + scores.iter().map(|column| (column[row] - largest).exp()).sum::<f64>().ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The derivatives agree with the loss they are taken of.
    #[test]
    fn gradients_are_the_slopes_of_the_loss() {
        let targets = [
            (Target::Values(vec![2.0, -1.0]), 2.0),
            (Target::Classes { of: vec![1, 0], count: 2 }, 1.0),
            (Target::Classes { of: vec![2, 0], count: 3 }, 1.0),
        ];
        for (target, factor) in targets {
            let scores: Vec<Vec<f64>> =
                (0..target.base().len()).map(|column| vec![0.3 * column as f64, -0.7]).collect();
            for column in 0..scores.len() {
                let shifted = |by: f64| {
                    let mut scores = scores.clone();
                    scores[column][0] += by;
                    target.loss(&scores) * target.len() as f64
                };
                let slope = (shifted(1e-5) - shifted(-1e-5)) / 2e-5;
                let gradient = target.gradients(&scores, column)[0][0];
                // The mean squared error's slope is twice that of the half which is minimised.
                assert!((slope - factor * gradient).abs() < 1e-6, "{target:?} column {column}: {slope} {gradient}");
            }
        }
    }
}
