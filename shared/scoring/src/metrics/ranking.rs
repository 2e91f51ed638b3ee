//! How well scores rank the positives above the negatives.

/// The areas under a ranking's two curves.
pub(super) struct Areas {
    pub(super) roc: f64,
    /// Average precision: precision at each threshold, weighted by the recall it adds.
    pub(super) precision_recall: f64,
}

/// The areas for scores with their truth, equal scores sharing one threshold; none unless both classes occur.
pub(super) fn areas(mut scores: Vec<(f32, bool)>) -> Option<Areas> {
    let positives = scores.iter().filter(|(_, positive)| *positive).count() as f64;
    let negatives = scores.len() as f64 - positives;
    if positives == 0.0 || negatives == 0.0 {
        return None;
    }
    scores.sort_by(|left, right| right.0.total_cmp(&left.0));
    let (mut found, mut false_alarms) = (0.0, 0.0);
    let (mut roc, mut precision_recall) = (0.0, 0.0);
    for tied in scores.chunk_by(|left, right| left.0 == right.0) {
        let hits = tied.iter().filter(|(_, positive)| *positive).count() as f64;
        let misses = tied.len() as f64 - hits;
        // A trapezoid: within a tie, half of the pairs count as ranked right.
        roc += misses * (found + hits / 2.0);
        found += hits;
        false_alarms += misses;
        precision_recall += hits / positives * (found / (found + false_alarms));
    }
    Some(Areas { roc: roc / (positives * negatives), precision_recall })
}
