//! The admission rule: how a bounded queue is shared by the classes.
//!
//! A pure function of the numbers of waiting jobs. The lock-free way in evaluates it on its packed word, the
//! one-mutex shell on the core's own numbers: the same rule, so the same answers.

use crate::class::{PerClass, PriorityClass};
use crate::outcome::Refusal;

/// Bounds of the queue, in jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AdmissionRule {
    /// Places in all.
    pub(crate) capacity: u32,
    /// Places that only this class can take. Their sum is at most `capacity`.
    pub(crate) guarantee: PerClass<u32>,
    /// Most places that this class can take.
    pub(crate) ceiling: PerClass<u32>,
}

impl AdmissionRule {
    /// Whether one more job of `class` may wait, beside `waiting` jobs of each class.
    pub(crate) fn check(&self, waiting: &PerClass<u32>, class: PriorityClass) -> Result<(), Refusal> {
        let own = waiting[class];
        // A ceiling as high as the queue is none: then it is the queue that is full.
        if own >= self.ceiling[class] && self.ceiling[class] < self.capacity {
            return Err(Refusal::ClassFull);
        }
        if own < self.guarantee[class] || self.taken(waiting) < u64::from(self.capacity) {
            Ok(())
        } else {
            Err(Refusal::Full)
        }
    }

    /// The classes that must give up a place to `class`: the least important first.
    pub(crate) fn victims(
        &self,
        waiting: &PerClass<u32>,
        class: PriorityClass,
    ) -> impl Iterator<Item = PriorityClass> {
        PriorityClass::ALL
            .into_iter()
            .rev()
            .take_while(move |victim| class.is_more_important_than(*victim))
            .filter(|victim| waiting[*victim] > self.guarantee[*victim])
    }

    /// Places that are used, or kept for a class that has not used its guarantee.
    pub(crate) fn taken(&self, waiting: &PerClass<u32>) -> u64 {
        waiting.iter().map(|(class, n)| u64::from((*n).max(self.guarantee[class]))).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use PriorityClass::{Critical, High, Low, Normal};

    fn rule(capacity: u32, guarantee: [u32; 4], ceiling: [u32; 4]) -> AdmissionRule {
        AdmissionRule {
            capacity,
            guarantee: PerClass::from_fn(|c| guarantee[c.index()]),
            ceiling: PerClass::from_fn(|c| ceiling[c.index()]),
        }
    }

    fn waiting(n: [u32; 4]) -> PerClass<u32> {
        PerClass::from_fn(|c| n[c.index()])
    }

    #[test]
    fn a_guarantee_is_kept_free_for_its_class() {
        let rule = rule(10, [2, 0, 0, 3], [10; 4]);
        // 2 + 3 places are kept, so the others share 5.
        assert_eq!(rule.check(&waiting([0, 2, 2, 0]), Normal), Ok(()));
        assert_eq!(rule.check(&waiting([0, 2, 3, 0]), Normal), Err(Refusal::Full));
        assert_eq!(rule.check(&waiting([0, 2, 3, 0]), Low), Ok(()));
        assert_eq!(rule.check(&waiting([1, 2, 3, 3]), Critical), Ok(()));
        assert_eq!(rule.check(&waiting([2, 2, 3, 3]), Critical), Err(Refusal::Full));
    }

    #[test]
    fn a_ceiling_refuses_before_the_queue_is_full() {
        let rule = rule(10, [0; 4], [10, 10, 10, 2]);
        assert_eq!(rule.check(&waiting([0, 0, 0, 2]), Low), Err(Refusal::ClassFull));
        assert_eq!(rule.check(&waiting([0, 0, 0, 2]), Normal), Ok(()));
        assert_eq!(rule.check(&waiting([0, 10, 0, 0]), High), Err(Refusal::Full));
    }

    #[test]
    fn victims_are_less_important_and_above_their_guarantee() {
        let rule = rule(10, [0, 0, 0, 3], [10; 4]);
        let victims = |n, class| rule.victims(&waiting(n), class).collect::<Vec<_>>();
        assert_eq!(victims([1, 1, 4, 4], High), [Low, Normal]);
        assert_eq!(victims([1, 1, 5, 3], High), [Normal]);
        assert!(victims([1, 1, 5, 3], Normal).is_empty());
        assert!(victims([9, 1, 0, 0], Low).is_empty());
    }
}
