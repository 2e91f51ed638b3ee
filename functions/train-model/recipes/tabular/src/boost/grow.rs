//! Grows one tree on one column's gradients.

use std::thread;

use super::Settings;
use super::bins::{Binned, MISSING};
use super::loss::Gradient;
use super::tree::{Node, Tree};

/// A split has to take away at least this much loss; less is rounding.
const SMALLEST_GAIN: f64 = 1e-9;

/// Below this many sums in a histogram's making, starting threads costs more than it saves.
const WORTH_THREADS: usize = 1 << 18;

/// A tree with the training rows of each leaf.
pub(super) struct Grown {
    pub(super) tree: Tree,
    pub(super) leaves: Vec<(Vec<u32>, f32)>,
}

/// Sums over the rows of a bin or a node.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    gradient: f64,
    curvature: f64,
    rows: u32,
}

impl Sums {
    fn plus(self, other: Self) -> Self {
        Self {
            gradient: self.gradient + other.gradient,
            curvature: self.curvature + other.curvature,
            rows: self.rows + other.rows,
        }
    }

    fn minus(self, other: Self) -> Self {
        Self {
            gradient: self.gradient - other.gradient,
            curvature: self.curvature - other.curvature,
            rows: self.rows - other.rows,
        }
    }
}

/// A feature's sums by bin.
type Histogram = Vec<Sums>;

/// The best way to split a node.
#[derive(Debug, Clone, Copy)]
struct Split {
    feature: usize,
    /// The last bin of present values that goes left.
    bin: usize,
    missing_left: bool,
    gain: f64,
}

/// A node that may still be split.
struct Pending {
    node: usize,
    rows: Vec<u32>,
    histograms: Vec<Histogram>,
    depth: usize,
}

pub(super) struct Grower<'a> {
    settings: &'a Settings,
    binned: &'a Binned,
    gradients: &'a [Gradient],
    threads: usize,
}

impl<'a> Grower<'a> {
    pub(super) fn new(settings: &'a Settings, binned: &'a Binned, gradients: &'a [Gradient]) -> Self {
        let threads = thread::available_parallelism().map_or(1, usize::from);
        Self { settings, binned, gradients, threads }
    }

    #[cfg(test)]
    pub(super) fn on_threads(self, threads: usize) -> Self {
        Self { threads, ..self }
    }

    pub(super) fn grow(&self, column: usize) -> Grown {
        let rows: Vec<u32> = (0..self.binned.rows() as u32).collect();
        let mut nodes = vec![Node::Leaf(0.0)];
        let mut leaves = Vec::new();
        let mut pending = vec![Pending { node: 0, histograms: self.histograms(&rows), rows, depth: 0 }];
        while let Some(next) = pending.pop() {
            // Every row is in exactly one bin of any feature, so the first feature's bins sum up the node.
            let total = next.histograms[0].iter().fold(Sums::default(), |sum, bin| sum.plus(*bin));
            let split =
                (next.depth < self.settings.max_depth).then(|| self.best_split(&next.histograms, total)).flatten();
            let Some(split) = split else {
                let value = self.leaf_value(total);
                nodes[next.node] = Node::Leaf(value);
                leaves.push((next.rows, value));
                continue;
            };
            let (left, right) = (nodes.len(), nodes.len() + 1);
            nodes[next.node] = Node::Split {
                feature: split.feature,
                // Past the last cut lie all present values: only the missing ones go the other way.
                threshold: self.binned.cuts[split.feature].get(split.bin - 1).copied().unwrap_or(f32::MAX),
                missing_left: split.missing_left,
                left,
                right,
                gain: split.gain,
            };
            nodes.extend([Node::Leaf(0.0), Node::Leaf(0.0)]);
            let [left, right] = self.children(next, split, [left, right]);
            pending.extend([right, left]);
        }
        Grown { tree: Tree { column, nodes }, leaves }
    }

    fn children(&self, parent: Pending, split: Split, [left, right]: [usize; 2]) -> [Pending; 2] {
        let bins = &self.binned.bins[split.feature];
        let goes_left = |row: &u32| match usize::from(bins[*row as usize]) {
            MISSING => split.missing_left,
            bin => bin <= split.bin,
        };
        let (left_rows, right_rows): (Vec<u32>, Vec<u32>) = parent.rows.iter().partition(|row| goes_left(row));
        let left_is_smaller = left_rows.len() <= right_rows.len();
        let depth = parent.depth + 1;
        let smaller = if depth < self.settings.max_depth {
            self.histograms(if left_is_smaller { &left_rows } else { &right_rows })
        } else {
            // A leaf needs its sums only, and any one feature has them.
            vec![self.histogram(0, if left_is_smaller { &left_rows } else { &right_rows })]
        };
        let larger: Vec<Histogram> = parent
            .histograms
            .iter()
            .zip(&smaller)
            .map(|(parent, smaller)| parent.iter().zip(smaller).map(|(all, part)| all.minus(*part)).collect())
            .collect();
        let (left_histograms, right_histograms) = if left_is_smaller { (smaller, larger) } else { (larger, smaller) };
        [
            Pending { node: left, rows: left_rows, histograms: left_histograms, depth },
            Pending { node: right, rows: right_rows, histograms: right_histograms, depth },
        ]
    }

    fn histograms(&self, rows: &[u32]) -> Vec<Histogram> {
        let features = self.binned.bins.len();
        let threads = if rows.len() * features < WORTH_THREADS { 1 } else { self.threads.clamp(1, features) };
        let mut histograms: Vec<Histogram> = vec![Vec::new(); features];
        if threads == 1 {
            for (feature, histogram) in histograms.iter_mut().enumerate() {
                *histogram = self.histogram(feature, rows);
            }
            return histograms;
        }
        // A feature's sums are made by one thread in the rows' order, so they do not depend on the threads.
        let share = features.div_ceil(threads);
        thread::scope(|scope| {
            for (part, histograms) in histograms.chunks_mut(share).enumerate() {
                scope.spawn(move || {
                    for (offset, histogram) in histograms.iter_mut().enumerate() {
                        *histogram = self.histogram(part * share + offset, rows);
                    }
                });
            }
        });
        histograms
    }

    fn histogram(&self, feature: usize, rows: &[u32]) -> Histogram {
        let bins = &self.binned.bins[feature];
        let mut histogram = vec![Sums::default(); self.binned.count(feature)];
        for &row in rows {
            let [gradient, curvature] = self.gradients[row as usize];
            let sums = &mut histogram[usize::from(bins[row as usize])];
            sums.gradient += gradient;
            sums.curvature += curvature;
            sums.rows += 1;
        }
        histogram
    }

    /// The split that takes away the most loss; of equal ones the first feature's lowest.
    fn best_split(&self, histograms: &[Histogram], total: Sums) -> Option<Split> {
        let mut best: Option<Split> = None;
        let whole = self.strength(total);
        for (feature, histogram) in histograms.iter().enumerate() {
            let missing = histogram[MISSING];
            let mut present = Sums::default();
            for (bin, sums) in histogram.iter().enumerate().skip(MISSING + 1) {
                present = present.plus(*sums);
                if sums.rows == 0 {
                    continue;
                }
                // Where no row is missing, a missing value will go with the larger side.
                let sides = if missing.rows == 0 {
                    [(present, present.rows * 2 >= total.rows), (present, present.rows * 2 >= total.rows)]
                } else {
                    [(present, false), (present.plus(missing), true)]
                };
                for (left, missing_left) in sides {
                    let Some(gain) = self.gain(left, total.minus(left), whole) else { continue };
                    if gain > best.map_or(SMALLEST_GAIN, |best| best.gain) {
                        best = Some(Split { feature, bin, missing_left, gain });
                    }
                }
            }
        }
        best
    }

    fn gain(&self, left: Sums, right: Sums, whole: f64) -> Option<f64> {
        let fewest = self.settings.min_child_rows.max(1);
        let enough = left.rows as usize >= fewest && right.rows as usize >= fewest;
        enough.then(|| self.strength(left) + self.strength(right) - whole)
    }

    /// Twice the loss that the best single correction of these rows takes away.
    fn strength(&self, sums: Sums) -> f64 {
        sums.gradient * sums.gradient / (sums.curvature + self.settings.l2)
    }

    fn leaf_value(&self, sums: Sums) -> f32 {
        (-sums.gradient / (sums.curvature + self.settings.l2) * self.settings.learning_rate) as f32
    }
}
