//! A tree.

/// A tree that adds to one column of the scores; node 0 is its root.
#[derive(Debug, Clone, PartialEq)]
pub struct Tree {
    /// The column of the scores it adds to.
    pub column: usize,
    /// Its nodes; children come after their parent.
    pub nodes: Vec<Node>,
}

/// A node of a tree.
#[derive(Debug, Clone, PartialEq)]
pub enum Node {
    /// Left where `value <= threshold`, else right; a missing value where `missing_left` says.
    Split {
        /// The feature compared.
        feature: usize,
        /// What it is compared with.
        threshold: f32,
        /// Where a missing value goes.
        missing_left: bool,
        /// The node for smaller values.
        left: usize,
        /// The node for larger values.
        right: usize,
        /// The loss this split took away.
        gain: f64,
    },
    /// The score's correction.
    Leaf(f32),
}

impl Tree {
    /// The correction for a row given by its features.
    pub fn value(&self, feature_value: impl Fn(usize) -> f32) -> f32 {
        let mut index = 0;
        loop {
            match &self.nodes[index] {
                Node::Leaf(value) => return *value,
                Node::Split { feature, threshold, missing_left, left, right, .. } => {
                    let value = feature_value(*feature);
                    let goes_left = if value.is_nan() { *missing_left } else { value <= *threshold };
                    index = if goes_left { *left } else { *right };
                }
            }
        }
    }
}
