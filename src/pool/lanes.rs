//! The lanes: one deque for each class, from the submitters to whoever holds the core's lock.
//!
//! A lane has no bound of its own: the admission word has one. It allocates for 63 jobs at once, at the expense of the
//! submitter who comes to need that; of jobs of one word that is a kilobyte, which allocators have at hand. It keeps the
//! order of one thread's pushes, but lanes do not keep it together, and a chain may have jobs in two classes: order is
//! what the numbers say.
//!
//! **Taking in.** Whoever takes the lanes in goes over all of them until a whole round finds nothing, and sorts what it
//! found by number. What a thread pushed before a job that was found is then found too: it was visible before the last
//! round began. The rounds come to an end because nothing is picked meanwhile, so no more can come in than may wait.

use crossbeam_deque::{Injector, Steal};
use crossbeam_utils::Backoff;
use smallvec::SmallVec;

use crate::class::{PerClass, PriorityClass};

/// What one look finds: mostly little.
pub(super) type Found<P> = SmallVec<[P; 16]>;

pub(super) struct Lanes<P> {
    lanes: PerClass<Injector<P>>,
}

impl<P> Lanes<P> {
    pub(super) fn new() -> Self {
        Self { lanes: PerClass::from_fn(|_| Injector::new()) }
    }

    pub(super) fn push(&self, class: PriorityClass, pushed: P) {
        self.lanes[class].push(pushed);
    }

    /// Moves everything to `found`, in the order of numbers. Under the core's lock. See "Taking in".
    pub(super) fn take_all(&self, found: &mut Found<P>, number: impl Fn(&P) -> u64) {
        gather(found, |class| {
            let lane = &self.lanes[class];
            // A steal costs a fence, which most looks can spare: most lanes are empty.
            if lane.is_empty() { None } else { insist(|| lane.steal()) }
        });
        found.sort_unstable_by_key(number);
    }
}

/// Everything that is in the lanes, and with each job what was pushed before it: ends with a round that finds nothing.
fn gather<T>(found: &mut Found<T>, next_of: impl Fn(PriorityClass) -> Option<T>) {
    loop {
        let before = found.len();
        for class in PriorityClass::ALL {
            found.extend(std::iter::from_fn(|| next_of(class)));
        }
        if found.len() == before {
            return;
        }
    }
}

/// Steals until there is an answer. `Retry` is not `Empty`: who takes it for that falls asleep on a job.
fn insist<T>(steal: impl Fn() -> Steal<T>) -> Option<T> {
    let backoff = Backoff::new();
    loop {
        match steal() {
            Steal::Success(job) => return Some(job),
            Steal::Empty => return None,
            Steal::Retry => backoff.snooze(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;
    use PriorityClass::{High, Low, Normal};

    #[test]
    fn a_retry_of_the_steal_is_not_an_empty_lane() {
        let answers = std::cell::RefCell::new(vec![Steal::Success(7), Steal::Retry, Steal::Retry]);
        assert_eq!(insist(|| answers.borrow_mut().pop().unwrap_or(Steal::Empty)), Some(7));
        assert_eq!(insist(|| answers.borrow_mut().pop().unwrap_or(Steal::Empty)), None);
    }

    /// Beyond one block of a lane, each once and those of a thread in order; what nobody takes is dropped with the lanes.
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
                let mut found = SmallVec::new();
                lanes.take_all(&mut found, |job| job.0);
                assert!(found.is_sorted_by_key(|job| job.0));
                taken.extend(found);
                std::thread::yield_now();
            }
        });
        for thread in 0..THREADS {
            let own = taken.iter().filter(|job| job.1 == thread).map(|job| job.2);
            assert!(own.eq(0..EACH), "of thread {thread}");
        }
        taken.drain(..).for_each(|job| lanes.push(Low, job));
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
