//! A queue of what could run, in the order of keys.
//!
//! Keys are arrival numbers, so almost every insertion is at the back and almost every removal at the front. A chain
//! that was held up inserts near the front, which a `VecDeque` does by moving its shorter side.

use std::collections::VecDeque;

use crate::scheduler::{BatchSlot, JobSlot};

/// Something that one seat can run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Job(JobSlot),
    Batch(BatchSlot),
}

/// Units sorted by key. No two have the same key: a key is the arrival number of a job that waits in the unit's chain.
#[derive(Debug, Default)]
pub(super) struct ReadyQueue(VecDeque<(u64, Unit)>);

impl ReadyQueue {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn front(&self) -> Option<(u64, Unit)> {
        self.0.front().copied()
    }

    pub(super) fn pop_front(&mut self) -> Option<(u64, Unit)> {
        self.0.pop_front()
    }

    pub(super) fn insert(&mut self, key: u64, unit: Unit) {
        if self.0.back().is_none_or(|(last, _)| *last < key) {
            self.0.push_back((key, unit));
        } else {
            let at = self.0.partition_point(|(other, _)| *other < key);
            self.0.insert(at, (key, unit));
        }
    }

    /// Everything in the queue, in order.
    #[cfg(test)]
    pub(super) fn units(&self) -> impl Iterator<Item = (u64, Unit)> {
        self.0.iter().copied()
    }

    /// Takes the unit with that key out. It must be there.
    pub(super) fn remove(&mut self, key: u64) {
        let at = self.0.binary_search_by_key(&key, |(other, _)| *other);
        debug_assert!(at.is_ok(), "a unit that is placed in a queue is in it");
        if let Ok(at) = at {
            self.0.remove(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_leave_in_the_order_of_keys() {
        let mut queue = ReadyQueue::default();
        for key in [5, 9, 2, 7, 1] {
            queue.insert(key, Unit::Job(JobSlot::from_index(usize::try_from(key).unwrap())));
        }
        queue.remove(7);
        let keys: Vec<_> = std::iter::from_fn(|| queue.pop_front()).map(|(key, _)| key).collect();
        assert_eq!(keys, [1, 2, 5, 9]);
    }
}
