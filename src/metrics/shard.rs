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

/// Threads with a shard of their own: one for each bit of [`Numbers`].
const OWN: usize = u64::BITS as usize;

/// Which numbers living threads have: a bit for each.
struct Numbers(AtomicU64);

static NUMBERS: Numbers = Numbers(AtomicU64::new(0));

thread_local! {
    static NUMBER: Number = Number(NUMBERS.take());
}

/// A thread's number, until it is dropped. `None`: there was none left.
struct Number(Option<u32>);

impl Numbers {
    fn take(&self) -> Option<u32> {
        let lowest_free = |taken: u64| taken.checked_add(1).map(|next| taken | next);
        // Acquire: what the last thread of this number has counted. Its release is seen through those of others, too.
        let taken = self.0.fetch_update(Ordering::Acquire, Ordering::Relaxed, lowest_free);
        taken.ok().map(u64::trailing_ones)
    }

    fn give_back(&self, number: u32) {
        self.0.fetch_and(!(1 << number), Ordering::Release);
    }
}

impl Drop for Number {
    fn drop(&mut self) {
        if let Some(number) = self.0 {
            NUMBERS.give_back(number);
        }
    }
}

/// The number of the calling thread. A thread that is about to end has none any more.
fn number() -> Option<u32> {
    NUMBER.try_with(|number| number.0).ok().flatten()
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
    /// Its number. `None`: it is not this thread's alone.
    own: Option<usize>,
}

impl<C: Default> Sharded<C> {
    pub(super) fn mine(&self) -> Mine<'_, C> {
        self.of(number())
    }

    /// The shard of the thread that has this number.
    pub(super) fn of(&self, number: Option<u32>) -> Mine<'_, C> {
        let own = number.map(|number| number as usize);
        let shard = own.and_then(|number| self.shards.get(number));
        let own = own.filter(|_| shard.is_some());
        Mine { shard: shard.unwrap_or(&self.common).get_or_init(Box::default), own }
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

    /// The shards of one thread each, with its number.
    pub(super) fn numbered(&self) -> impl Iterator<Item = (usize, &C)> {
        let shards = self.shards.iter().enumerate();
        shards.filter_map(|(number, shard)| shard.get().map(|shard| (number, &***shard)))
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
    /// With the thread's number. `None`: others write there, too.
    pub(super) fn own(&self) -> Option<(usize, &'a C)> {
        self.own.map(|number| (number, self.shard))
    }

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
        if self.own.is_some() {
            count.store(count.load(Ordering::Relaxed).wrapping_add(n), Ordering::Release);
        } else {
            count.fetch_add(n, Ordering::Release);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::time::{Duration, Instant};

    use super::*;

    type Set = Sharded<(Counter, [Counter; 3])>;

    fn own_number() -> Option<u32> {
        NUMBER.with(|number| number.0)
    }

    #[test]
    fn threads_without_a_number_lose_no_count_to_each_other() {
        /// How often a thread is to see another one count in the middle of its own counting. Where that takes too long,
        /// as with one processor, less has to do.
        const ENOUGH: u64 = 1_000;
        const AT_MOST: Duration = Duration::from_secs(2);
        let set = Set::default();
        let meetings = AtomicU64::new(0);
        let share = || {
            let mine = set.of(None);
            let until = Instant::now() + AT_MOST;
            let mut counted = 0;
            while meetings.load(Ordering::Relaxed) < ENOUGH && (counted % 1_000 > 0 || Instant::now() < until)
            {
                let before = mine.shard.0.get();
                mine.count(|set| &set.0);
                let has_met = mine.shard.0.get() != before + 1;
                meetings.fetch_add(u64::from(has_met), Ordering::Relaxed);
                counted += 1;
            }
            counted
        };
        let counted: u64 = std::thread::scope(|scope| {
            let threads = [(); 4].map(|()| scope.spawn(share));
            threads.map(|thread| thread.join().unwrap()).iter().sum()
        });
        assert_eq!(set.sum(|set| &set.0), counted);
    }

    #[test]
    fn no_count_is_lost_when_more_threads_count_than_have_shards() {
        const THREADS: usize = OWN + 20;
        const EACH: usize = if cfg!(miri) { 3 } else { 300 };
        let set = Set::default();
        let all_live = Barrier::new(THREADS);
        for _ in 0..3 {
            std::thread::scope(|scope| {
                for _ in 0..THREADS {
                    scope.spawn(|| {
                        set.mine().count(|set| &set.0);
                        all_live.wait();
                        (0..EACH).for_each(|n| set.mine().count_at(|set| &set.1, n % 3));
                    });
                }
            });
        }
        assert_eq!(set.sum(|set| &set.0), 3 * THREADS as u64);
        assert_eq!(set.sums(|set| &set.1), [(THREADS * EACH) as u64; 3]);
    }

    #[test]
    fn each_number_has_a_shard_of_its_own() {
        let set = Set::default();
        for number in (0..u64::BITS).map(Some).chain([None]) {
            let mine = set.of(number);
            assert_eq!((mine.own.is_some(), mine.shard.0.get()), (number.is_some(), 0), "{number:?}");
            mine.count(|set| &set.0);
        }
        assert_eq!(set.sum(|set| &set.0), OWN as u64 + 1);
    }

    #[test]
    fn a_number_is_had_by_one_at_a_time() {
        let numbers = Numbers(AtomicU64::new(0));
        let all: Vec<_> = (0..OWN).map(|_| numbers.take()).collect();
        assert_eq!(all, (0..u64::BITS).map(Some).collect::<Vec<_>>());
        assert_eq!(numbers.take(), None);
        for number in [63, 0, 7] {
            numbers.give_back(number);
            assert_eq!((numbers.take(), numbers.take()), (Some(number), None));
        }
    }

    #[test]
    fn a_thread_that_ends_gives_its_number_back() {
        // While other tests have them all, there is none to get.
        let has_one = || std::thread::spawn(own_number).join().unwrap().is_some();
        let got = (0..100_000).filter(|_| has_one()).take(2 * OWN).count();
        assert_eq!(got, 2 * OWN, "more than there are, one after the other");
    }
}
