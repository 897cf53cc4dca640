//! The lanes: for each class one queue, from the submitters to whoever holds the core's lock.
//!
//! A lane has no bound of its own: the admission word has one. It is a ring of a few hundred places, made with the pool, so
//! that a push allocates nothing, and a second queue without a bound for what comes while the ring is full: while no
//! worker has looked for that many jobs. Neither keeps the order of the other, nor lanes that of each other, and a chain
//! may have jobs in two classes: order is what the numbers say.
//!
//! **Taking in.** Whoever takes the lanes in goes over all of them until a whole round finds nothing, and sorts what it
//! found by number. What a thread pushed before a job that was found is then found too: it was visible before the last
//! round began. The rounds come to an end because nothing is picked meanwhile, so no more can come in than may wait.

use std::cmp::Reverse;

use crossbeam_queue::{ArrayQueue, SegQueue};
use smallvec::SmallVec;

use crate::class::{PerClass, PriorityClass};

/// What one look finds: mostly little.
pub(super) type Found<P> = SmallVec<[P; 16]>;

/// Places of a ring. Each takes one word beside its job.
const RING: usize = 256;

pub(super) struct Lanes<P> {
    lanes: PerClass<Lane<P>>,
}

struct Lane<P> {
    ring: ArrayQueue<P>,
    beyond: SegQueue<P>,
}

impl<P> Lanes<P> {
    pub(super) fn new() -> Self {
        Self { lanes: PerClass::from_fn(|_| Lane { ring: ArrayQueue::new(RING), beyond: SegQueue::new() }) }
    }

    pub(super) fn push(&self, class: PriorityClass, pushed: P) {
        let lane = &self.lanes[class];
        if let Err(pushed) = lane.ring.push(pushed) {
            lane.beyond.push(pushed);
        }
    }

    /// Takes everything out, in the order of numbers from the last to the first: they are popped in theirs. Under the core's
    /// lock. See "Taking in".
    pub(super) fn take_all(&self, found: &mut Found<P>, number: impl Fn(&P) -> u64) {
        gather(found, |class| self.lanes[class].take());
        found.sort_unstable_by_key(|pushed| Reverse(number(pushed)));
    }
}

impl<P> Lane<P> {
    fn take(&self) -> Option<P> {
        // A pop of an empty queue costs a fence, which most looks can spare: most lanes are empty.
        let ring = || if self.ring.is_empty() { None } else { self.ring.pop() };
        ring().or_else(|| if self.beyond.is_empty() { None } else { self.beyond.pop() })
    }
}

/// Everything that is in the lanes, and with each job what was pushed before it: ends with a round that finds nothing.
fn gather<T>(found: &mut Found<T>, next_of: impl Fn(PriorityClass) -> Option<T>) {
    loop {
        let before = found.len();
        for class in PriorityClass::ALL {
            while let Some(next) = next_of(class) {
                found.push(next);
            }
        }
        if found.len() == before {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;
    use PriorityClass::{High, Low, Normal};

    /// Beyond the ring of a lane, each once and those of a thread in order; what nobody takes is dropped with the lanes.
    #[test]
    fn what_threads_push_is_taken_once_and_each_threads_own_in_order() {
        const THREADS: usize = 3;
        const EACH: usize = if cfg!(miri) { 80 } else { 20_000 };
        let lanes = Lanes::<Box<(u64, usize, usize)>>::new();
        let numbers = AtomicU64::new(0);
        let mut taken = Vec::new();
        std::thread::scope(|scope| {
            for thread in 0..THREADS {
                let (lanes, numbers) = (&lanes, &numbers);
                scope.spawn(move || {
                    for n in 0..EACH {
                        let class = PriorityClass::ALL[(thread + n) % 4];
                        lanes.push(class, Box::new((numbers.fetch_add(1, Ordering::Relaxed), thread, n)));
                    }
                });
            }
            while taken.len() < THREADS * EACH {
                let mut found = Found::new();
                lanes.take_all(&mut found, |job| job.0);
                assert!(found.iter().rev().is_sorted_by_key(|job| job.0));
                taken.extend(found.into_iter().rev());
                std::thread::yield_now();
            }
        });
        for thread in 0..THREADS {
            let own = taken.iter().filter(|job| job.1 == thread).map(|job| job.2);
            assert!(own.eq(0..EACH), "of thread {thread}");
        }
        taken.drain(..).for_each(|job| lanes.push(Low, job));
    }

    /// What is beyond the ring came before what is pushed once there is room in it again.
    #[test]
    fn jobs_beyond_the_ring_are_found_in_their_order() {
        let lanes = Lanes::new();
        let all = RING + 10;
        (0..all).for_each(|n| lanes.push(High, n));
        assert_eq!(lanes.lanes[High].beyond.len(), 10);
        let first: Vec<_> = (0..5).filter_map(|_| lanes.lanes[High].take()).collect();
        assert_eq!(first, [0, 1, 2, 3, 4]);
        (all..all + 5).for_each(|n| lanes.push(High, n));
        assert_eq!(lanes.lanes[High].beyond.len(), 10, "there is room in the ring");
        let mut found = Found::new();
        lanes.take_all(&mut found, |n| *n as u64);
        assert!(found.into_iter().rev().eq(5..all + 5));
    }

    /// While the taker is at a later lane, a job comes to an earlier one, and the next of its chain to a later one.
    #[test]
    fn what_came_before_a_job_that_is_found_is_found_too() {
        use std::cell::RefCell;
        let lanes: RefCell<PerClass<Vec<u32>>> = RefCell::default();
        let pushed = std::cell::Cell::new(false);
        let next_of = |class| {
            if class == Normal && !pushed.replace(true) {
                lanes.borrow_mut()[High].push(1);
                lanes.borrow_mut()[Low].push(2);
            }
            lanes.borrow_mut()[class].pop()
        };
        let mut found = Found::new();
        gather(&mut found, next_of);
        found.sort_unstable();
        assert_eq!(found[..], [1, 2]);
    }
}
