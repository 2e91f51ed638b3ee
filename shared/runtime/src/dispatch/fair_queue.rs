//! A queue that takes turns between runs, so that one run's thousand deliveries do not hold up another's only one.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

/// Ids in turns: first in, first out within a flow, round robin between flows.
#[derive(Debug, Default)]
pub(super) struct FairQueue {
    flows: HashMap<Arc<str>, VecDeque<Arc<str>>>,
    turns: VecDeque<Arc<str>>,
}

impl FairQueue {
    pub(super) fn push(&mut self, flow: &Arc<str>, id: Arc<str>) {
        let waiting = self.flows.entry(Arc::clone(flow)).or_insert_with(|| {
            self.turns.push_back(Arc::clone(flow));
            VecDeque::new()
        });
        waiting.push_back(id);
    }

    pub(super) fn pop(&mut self) -> Option<Arc<str>> {
        let flow = self.turns.pop_front()?;
        let waiting = self.flows.get_mut(&flow)?;
        let id = waiting.pop_front();
        if waiting.is_empty() {
            self.flows.remove(&flow);
        } else {
            self.turns.push_back(flow);
        }
        id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flows_take_turns_and_keep_their_own_order() {
        let mut queue = FairQueue::default();
        let (busy, quiet): (Arc<str>, Arc<str>) = ("busy".into(), "quiet".into());
        for id in ["b1", "b2", "b3"] {
            queue.push(&busy, id.into());
        }
        queue.push(&quiet, "q1".into());
        let order: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
        assert_eq!(order.iter().map(AsRef::as_ref).collect::<Vec<_>>(), ["b1", "q1", "b2", "b3"]);
        queue.push(&quiet, "q2".into());
        assert_eq!(queue.pop().as_deref(), Some("q2"));
        assert!(queue.flows.is_empty() && queue.turns.is_empty());
    }
}
