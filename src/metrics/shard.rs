//! Counters that every thread may write, and that cost as much as counters of one thread.
//!
//! Each living thread has a number of its own, taken when it counts first and given back when it ends, and in each set
//! of counters a shard of that number. Nobody else writes there, so to count is to load and to store; a sum goes over
//! all shards. Threads beyond [`OWN`] have one shard together, and count there with a read-modify-write. A shard is made
//! when something is counted in it.
//!
//! Invariant: no count is lost. A number has at most one living thread, and who takes it next sees all that its
//! predecessor has counted, because giving back releases and taking acquires.
//!
//! **Order.** Counting releases and reading acquires: who reads a count sees in every other counter what its writer knew
//! of when it counted. So a reader that reads effects before causes never sees an effect without its cause.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_utils::CachePadded;

/// Threads with a shard of their own: one for each bit of [`TAKEN`].
const OWN: usize = u64::BITS as usize;

/// The numbers that living threads have.
static TAKEN: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static NUMBER: Number = Number::take();
}

/// A thread's number, until it is dropped. `None`: there was none left.
struct Number(Option<u32>);

impl Number {
    fn take() -> Self {
        let lowest_free = |taken: u64| taken.checked_add(1).map(|next| taken | next);
        // Acquire: what the last thread of this number has counted. Its release is seen through those of others, too.
        let taken = TAKEN.fetch_update(Ordering::Acquire, Ordering::Relaxed, lowest_free);
        Self(taken.ok().map(u64::trailing_ones))
    }
}

impl Drop for Number {
    fn drop(&mut self) {
        if let Some(number) = self.0 {
            TAKEN.fetch_and(!(1 << number), Ordering::Release);
        }
    }
}

/// A number that goes up.
#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
}

/// One `C` for each thread that has counted something.
#[derive(Debug)]
pub(super) struct Sharded<C> {
    shards: [OnceLock<Box<CachePadded<C>>>; OWN],
    /// Of the threads without a number.
    common: OnceLock<Box<CachePadded<C>>>,
}

/// The shard of the calling thread.
#[derive(Debug)]
pub(super) struct Mine<'a, C> {
    shard: &'a C,
    is_own: bool,
}

impl<C: Default> Sharded<C> {
    pub(super) fn mine(&self) -> Mine<'_, C> {
        // A thread that is about to end has no number any more.
        let number = NUMBER.try_with(|number| number.0).ok().flatten();
        let own = number.and_then(|number| self.shards.get(number as usize));
        Mine { shard: own.unwrap_or(&self.common).get_or_init(Box::default), is_own: own.is_some() }
    }

    /// The sum of a counter.
    pub(super) fn sum<'a>(&'a self, counter: impl Fn(&'a C) -> &'a Counter) -> u64 {
        self.all().map(|shard| counter(shard).get()).sum()
    }

    /// The sums of a row of counters.
    pub(super) fn sums<'a, const N: usize>(&'a self, row: impl Fn(&'a C) -> &'a [Counter; N]) -> [u64; N] {
        self.all().fold([0; N], |mut sums, shard| {
            for (sum, counter) in sums.iter_mut().zip(row(shard)) {
                *sum += counter.get();
            }
            sums
        })
    }

    fn all(&self) -> impl Iterator<Item = &C> {
        let shards = self.shards.iter().chain([&self.common]);
        shards.filter_map(|shard| shard.get().map(|shard| &***shard))
    }
}

impl<C> Default for Sharded<C> {
    fn default() -> Self {
        Self { shards: std::array::from_fn(|_| OnceLock::new()), common: OnceLock::new() }
    }
}

impl<'a, C> Mine<'a, C> {
    /// Adds one.
    pub(super) fn count(&self, counter: impl FnOnce(&'a C) -> &'a Counter) {
        self.add(counter(self.shard), 1);
    }

    /// Adds one to a counter of a row.
    pub(super) fn count_at<const N: usize>(&self, row: impl FnOnce(&'a C) -> &'a [Counter; N], index: usize) {
        self.add_at(row, index, 1);
    }

    /// Adds so many to a counter of a row.
    pub(super) fn add_at<const N: usize>(
        &self,
        row: impl FnOnce(&'a C) -> &'a [Counter; N],
        index: usize,
        n: u64,
    ) {
        if let Some(counter) = row(self.shard).get(index) {
            self.add(counter, n);
        }
    }

    fn add(&self, Counter(count): &Counter, n: u64) {
        if self.is_own {
            count.store(count.load(Ordering::Relaxed).wrapping_add(n), Ordering::Release);
        } else {
            count.fetch_add(n, Ordering::Release);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::*;

    type Set = Sharded<(Counter, [Counter; 3])>;

    fn own_number() -> Option<u32> {
        NUMBER.with(|number| number.0)
    }

    #[test]
    fn no_count_is_lost_when_more_threads_count_than_have_shards() {
        const THREADS: usize = OWN + 20;
        const EACH: u64 = 500;
        let set = Set::default();
        let all_live = Barrier::new(THREADS);
        let shared = AtomicU64::new(0);
        for _ in 0..3 {
            std::thread::scope(|scope| {
                for _ in 0..THREADS {
                    scope.spawn(|| {
                        set.mine().count(|set| &set.0);
                        all_live.wait();
                        shared.fetch_add(u64::from(own_number().is_none()), Ordering::Relaxed);
                        for n in 1..EACH {
                            set.mine().count(|set| &set.0);
                            set.mine().count_at(|set| &set.1, (n % 3) as usize);
                        }
                    });
                }
            });
        }
        // Other tests' threads have numbers, too.
        assert!(shared.into_inner() >= 3 * 20);
        assert_eq!(set.sum(|set| &set.0), 3 * THREADS as u64 * EACH);
        assert_eq!(set.sums(|set| &set.1).iter().sum::<u64>(), 3 * THREADS as u64 * (EACH - 1));
    }

    #[test]
    fn a_number_is_one_threads_at_a_time_and_the_next_ones_after_it() {
        let first = std::thread::spawn(own_number);
        let first = first.join().unwrap();
        let second = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(own_number)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
        });
        assert!(first.is_some() && second.iter().all(Option::is_some), "numbers are given back");
        let here = own_number();
        let both_live = Barrier::new(2);
        std::thread::scope(|scope| {
            let other = scope.spawn(|| {
                let number = own_number();
                both_live.wait();
                number
            });
            both_live.wait();
            assert_ne!(other.join().unwrap(), here);
        });
    }
}
