//! The budget of payload bytes: how many are in use, and how many may be.
//!
//! Whoever submits takes bytes and a worker gives them back, for each job. One number for both would go from processor
//! to processor twice for each job, so there are two sums that only grow: what was ever taken, and what was ever given
//! back, which is counted in shards, one for each thread as long as there are few. Who takes goes by what it knows to
//! have been given back, and adds up the shards only when that is not enough: once for each limit's worth of bytes.
//!
//! Invariant: what is known was given back, so what is taken less what is known is never less than what is in use. A
//! refusal has seen every byte that was given back before it began.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crossbeam_utils::CachePadded;

/// Threads beyond this number share shards.
const SHARDS: usize = 16;

/// See the module's description.
#[derive(Debug)]
pub(super) struct ByteBudget {
    taken: CachePadded<Taken>,
    given_back: [CachePadded<AtomicU64>; SHARDS],
}

/// What whoever submits looks at.
#[derive(Debug)]
struct Taken {
    /// Ever.
    bytes: AtomicU64,
    /// A sum of what was given back, not always the latest.
    known: AtomicU64,
    limit: AtomicU64,
}

impl ByteBudget {
    pub(super) fn new(limit: u64) -> Self {
        let (bytes, known) = (AtomicU64::new(0), AtomicU64::new(0));
        let taken = CachePadded::new(Taken { bytes, known, limit: AtomicU64::new(limit) });
        Self { taken, given_back: std::array::from_fn(|_| CachePadded::default()) }
    }

    pub(super) fn limit(&self) -> u64 {
        self.taken.limit.load(Ordering::SeqCst)
    }

    /// Allows so many bytes from now on. Where more are in use, none are given until they are back.
    pub(super) fn set_limit(&self, limit: u64) {
        self.taken.limit.store(limit, Ordering::SeqCst);
    }

    /// How many are in use, as far as one look at numbers that change shows that.
    pub(super) fn used(&self) -> u64 {
        // In this order what changes between the looks makes it less, and never more than may be in use.
        let taken = self.taken.bytes.load(Ordering::SeqCst);
        taken.saturating_sub(self.sum())
    }

    /// False: there is no room for so many now.
    pub(super) fn take(&self, bytes: u64) -> bool {
        let limit = self.limit();
        let mut known = self.taken.known.load(Ordering::SeqCst);
        loop {
            let add = |taken: u64| {
                let used = taken.saturating_sub(known);
                used.checked_add(bytes).is_some_and(|sum| sum <= limit).then(|| taken.saturating_add(bytes))
            };
            // SeqCst, here and below: pairs with the count of those who wait for room, like the admission word.
            if self.taken.bytes.fetch_update(Ordering::SeqCst, Ordering::SeqCst, add).is_ok() {
                return true;
            }
            let sum = self.sum();
            if sum == known {
                return false;
            }
            self.taken.known.fetch_max(sum, Ordering::SeqCst);
            known = sum;
        }
    }

    pub(super) fn give_back(&self, bytes: u64) {
        // Modulo the length, so it is there.
        if let Some(shard) = self.given_back.get(shard()) {
            shard.fetch_add(bytes, Ordering::SeqCst);
        }
    }

    fn sum(&self) -> u64 {
        self.given_back.iter().map(|shard| shard.load(Ordering::SeqCst)).sum()
    }
}

/// The shard of the calling thread.
fn shard() -> usize {
    static THREADS: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static SHARD: usize = THREADS.fetch_add(1, Ordering::Relaxed) % SHARDS;
    }
    SHARD.try_with(|shard| *shard).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_given_than_the_limit_and_what_comes_back_is_given_again() {
        let budget = ByteBudget::new(10);
        assert!(budget.take(6) && !budget.take(5) && budget.take(4));
        assert!(!budget.take(1) && budget.take(0));
        assert_eq!(budget.used(), 10);
        std::thread::scope(|scope| {
            scope.spawn(|| budget.give_back(6));
            scope.spawn(|| budget.give_back(3));
        });
        assert_eq!(budget.used(), 1);
        assert!(!budget.take(10) && budget.take(9));
        assert!(!budget.take(u64::MAX));
        budget.set_limit(5);
        budget.give_back(4);
        assert!(!budget.take(1), "more is in use than may be");
        budget.give_back(2);
        assert!(budget.take(1) && !budget.take(1));
    }

    /// Threads take as much as they can and give it back on other threads.
    #[test]
    fn never_more_than_the_limit_is_in_use_and_no_byte_is_lost() {
        const ROUNDS: u64 = if cfg!(miri) { 30 } else { 5_000 };
        let budget = ByteBudget::new(100);
        let in_use = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for thread in 0..3 {
                let (budget, in_use) = (&budget, &in_use);
                let (sender, receiver) = std::sync::mpsc::channel();
                scope.spawn(move || {
                    for round in 0..ROUNDS {
                        let bytes = 1 + (round * 7 + thread * 13) % 60;
                        if budget.take(bytes) {
                            let before = in_use.fetch_add(bytes, Ordering::SeqCst);
                            assert!(before + bytes <= 100, "{before} and {bytes} are in use");
                            sender.send(bytes).unwrap();
                        }
                    }
                });
                scope.spawn(move || {
                    for bytes in receiver {
                        in_use.fetch_sub(bytes, Ordering::SeqCst);
                        budget.give_back(bytes);
                    }
                });
            }
        });
        assert_eq!((budget.used(), in_use.into_inner()), (0, 0));
        assert!(budget.take(100), "everything is back");
    }
}
