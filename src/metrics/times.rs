//! How long the jobs of one cell waited and ran: histograms that many threads write at the cost of a note.
//!
//! A histogram is too large for every thread to have its own, so there are a few, each behind a lock; and a lock for
//! each value would cost more than the value. So a thread notes its values at a place of its own, where it only stores,
//! and puts them into its histogram when the place is full. Who reads goes by both.
//!
//! Invariant: a value is either noted or in the histogram. It goes from here to there under the histogram's lock, so who
//! has that lock finds each value once. A place is written by one thread, like the counters of its shard.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use crossbeam_utils::CachePadded;

use super::shard::{Mine, Sharded};
use super::timing::Durations;

/// Histograms of each sort in a cell.
const STRIPES: usize = 4;

/// Values that a thread notes before it needs the lock.
const NOTES: usize = 16;

/// What is timed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sort {
    Wait,
    Run,
}

/// The durations of both sorts.
#[derive(Debug, Default)]
pub(super) struct Times {
    pub(super) wait: Durations,
    pub(super) run: Durations,
}

/// See the module's description.
#[derive(Debug, Default)]
pub(super) struct StripedTimes([OnceLock<Box<CachePadded<Mutex<Times>>>>; STRIPES]);

/// What one thread has noted.
#[derive(Debug, Default)]
pub(super) struct Notes {
    noted: AtomicUsize,
    /// Microseconds, twice as many, and one more for a run.
    values: [AtomicU64; NOTES],
}

impl Times {
    fn of(&mut self, sort: Sort) -> &mut Durations {
        match sort {
            Sort::Wait => &mut self.wait,
            Sort::Run => &mut self.run,
        }
    }

    fn record(&mut self, value: u64) {
        let sort = if value & 1 == 1 { Sort::Run } else { Sort::Wait };
        self.of(sort).record(Duration::from_micros(value >> 1));
    }
}

impl Notes {
    /// By the thread whose notes these are. False: there is no place.
    fn add(&self, value: u64) -> bool {
        let noted = self.noted.load(Ordering::Relaxed);
        let Some(place) = self.values.get(noted) else { return false };
        place.store(value, Ordering::Relaxed);
        // Whoever sees that it is there sees what it is.
        self.noted.store(noted + 1, Ordering::Release);
        true
    }

    /// Under the lock of the histogram that they belong to.
    fn put_into(&self, times: &mut Times) {
        let noted = self.noted.load(Ordering::Acquire);
        self.values.iter().take(noted).for_each(|value| times.record(value.load(Ordering::Relaxed)));
    }

    /// By the thread whose notes these are, under the same lock: they are in the histogram.
    fn clear(&self) {
        self.noted.store(0, Ordering::Relaxed);
    }
}

impl StripedTimes {
    /// By the thread that has this shard.
    pub(super) fn record<C>(
        &self,
        mine: &Mine<'_, C>,
        notes: impl FnOnce(&C) -> &Notes,
        sort: Sort,
        took: Duration,
    ) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX).min(u64::MAX >> 1);
        let value = micros << 1 | u64::from(sort == Sort::Run);
        let Some((number, shard)) = mine.own() else {
            return self.stripe(0).record(value);
        };
        let notes = notes(shard);
        if !notes.add(value) {
            let mut times = self.stripe(number);
            notes.put_into(&mut times);
            notes.clear();
            times.record(value);
        }
    }

    /// All durations, with what is noted in the shards.
    pub(super) fn sum<C: Default>(&self, shards: &Sharded<C>, notes: impl Fn(&C) -> &Notes) -> Times {
        let mut sum = Times::default();
        for number in 0..STRIPES {
            let times = self.stripe(number);
            sum.wait.add(&times.wait);
            sum.run.add(&times.run);
            for shard in shards.numbered().filter(|(of, _)| of % STRIPES == number).map(|(_, shard)| shard) {
                notes(shard).put_into(&mut sum);
            }
        }
        sum
    }

    /// That of the threads of this number.
    fn stripe(&self, number: usize) -> MutexGuard<'_, Times> {
        let [first, ..] = &self.0;
        let stripe = self.0.get(number % STRIPES).unwrap_or(first).get_or_init(Box::default);
        stripe.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::*;

    #[test]
    fn what_is_noted_is_read_and_so_is_what_was_put_away() {
        let (times, shards) = (StripedTimes::default(), Sharded::<Notes>::default());
        for n in 1..=3 * NOTES as u64 + 2 {
            let sort = if n % 3 == 0 { Sort::Run } else { Sort::Wait };
            times.record(&shards.mine(), |notes| notes, sort, Duration::from_micros(n));
            let sum = times.sum(&shards, |notes| notes);
            let (wait, run) = (sum.wait.micros(), sum.run.micros());
            assert_eq!((wait.samples(), run.samples()), (n - n / 3, n / 3), "after {n}");
            assert_eq!(wait.sum() + run.sum(), n * (n + 1) / 2);
        }
        times.record(&shards.mine(), |notes| notes, Sort::Run, Duration::MAX);
        assert_eq!(times.sum(&shards, |notes| notes).run.micros().max(), u64::MAX >> 1);
    }

    /// Threads record, one after the other with the same number too, and somebody reads meanwhile.
    #[test]
    fn each_value_is_read_once_while_it_goes_from_the_notes_to_the_histogram() {
        const EACH: u64 = if cfg!(miri) { 40 } else { 20_000 };
        let (times, shards) = (StripedTimes::default(), Sharded::<Notes>::default());
        let (recorded, is_over) = (AtomicU64::new(0), AtomicBool::new(false));
        std::thread::scope(|scope| {
            let writers: Vec<_> = (0..2)
                .map(|_| {
                    scope.spawn(|| {
                        for _ in 0..EACH {
                            times.record(&shards.mine(), |notes| notes, Sort::Wait, Duration::from_micros(1));
                            recorded.fetch_add(1, Ordering::SeqCst);
                        }
                    })
                })
                .collect();
            scope.spawn(|| {
                let mut last = 0;
                while !is_over.load(Ordering::Acquire) {
                    let before = recorded.load(Ordering::SeqCst);
                    let seen = times.sum(&shards, |notes| notes).wait.micros().samples();
                    // Two that were recorded may not be counted by their writers yet.
                    let after = recorded.load(Ordering::SeqCst) + 2;
                    assert!((before.max(last)..=after).contains(&seen), "{before} {last} {seen} {after}");
                    last = seen;
                }
            });
            for writer in writers {
                writer.join().unwrap();
            }
            is_over.store(true, Ordering::Release);
        });
        assert_eq!(times.sum(&shards, |notes| notes).wait.micros().samples(), 2 * EACH);
    }

    #[test]
    fn threads_without_a_shard_of_their_own_record_at_once() {
        let (times, shards) = (StripedTimes::default(), Sharded::<Notes>::default());
        let common = shards.of(None);
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    for _ in 0..100 {
                        times.record(&common, |notes| notes, Sort::Run, Duration::from_micros(2));
                    }
                });
            }
        });
        assert_eq!(times.sum(&shards, |notes| notes).run.micros().sum(), 600);
    }
}
