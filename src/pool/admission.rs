//! The admission word: how many jobs of each class wait, and whether the pool is closed, in one atomic word.
//!
//! Four lanes of 15 bits count what was admitted and has not been picked, resolved or displaced: jobs on their way
//! in, ready, behind their chains, in batches and delayed alike. One compare-and-swap decides an admission, so the
//! bounds are never overshot and nobody is refused while there is room, whatever the number of submitting threads
//! (adding first and taking back on overflow can refuse both of two racers for the last place).
//!
//! The word carries no data: what a place is for travels through the lane, which synchronises by itself. `Relaxed`
//! would do for the counts; the closed bit and the wait for room need the orderings that are noted where they are.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use arc_swap::ArcSwap;
use crossbeam_utils::CachePadded;

use crate::class::{PerClass, PriorityClass};
use crate::outcome::Refusal;
use crate::scheduler::AdmissionRule;

const LANE_BITS: u32 = 15;
const LANE_MAX: u64 = (1 << LANE_BITS) - 1;
const CLOSED: u64 = 1 << (LANE_BITS * 4);

/// See the module's description.
#[derive(Debug)]
pub(super) struct AdmissionWord {
    word: CachePadded<AtomicU64>,
    /// Jobs that wait for a retry and for which their lane has no more bits. A retry is never refused, so the lanes
    /// alone do not bound them. Changed under the core's lock.
    beyond: PerClass<AtomicU32>,
    /// Replaced as a whole, under the core's lock: whoever decides does so by one of them.
    policy: ArcSwap<Policy>,
}

#[derive(Clone, Copy, Debug)]
struct Policy {
    rule: AdmissionRule,
    displace: bool,
}

impl Policy {
    fn new(rule: AdmissionRule, displace: bool) -> Self {
        debug_assert!(u64::from(rule.capacity) <= LANE_MAX, "the configuration bounds the capacity");
        Self { rule, displace }
    }
}

impl AdmissionWord {
    /// `displace`: a full queue gives the place of a less important job away.
    pub(super) fn new(rule: AdmissionRule, displace: bool) -> Self {
        let policy = ArcSwap::from_pointee(Policy::new(rule, displace));
        Self { word: CachePadded::new(AtomicU64::new(0)), beyond: PerClass::default(), policy }
    }

    /// Under the core's lock. A submit that has begun may still go by the old policy.
    pub(super) fn set_policy(&self, rule: AdmissionRule, displace: bool) {
        self.policy.store(Arc::new(Policy::new(rule, displace)));
    }

    /// Takes a place for a job of `class`. Answers with the number of jobs that wait now.
    pub(super) fn admit(&self, class: PriorityClass) -> Result<u32, Refusal> {
        let policy = self.policy.load();
        self.update(|word| {
            if word & CLOSED != 0 {
                return Err(Refusal::Closed);
            }
            policy.rule.check(&lanes(word), class)?;
            Ok(word + one(class))
        })
        .map(total)
    }

    /// Gives the place of a job of class `victim` to one of `class`, if the rule allows that. The number of waiting
    /// jobs does not change.
    pub(super) fn displace(&self, victim: PriorityClass, class: PriorityClass) -> Result<u32, Refusal> {
        let rule = self.rule();
        self.update(|word| {
            if word & CLOSED != 0 {
                return Err(Refusal::Closed);
            }
            let waiting = lanes(word);
            match rule.check(&waiting, class) {
                Err(Refusal::Full) if rule.victims(&waiting, class).any(|other| other == victim) => {
                    Ok(word - one(victim) + one(class))
                }
                Err(why) => Err(why),
                // Room was made in the meantime; nobody has to go.
                Ok(()) => Err(Refusal::Full),
            }
        })
        .map(total)
    }

    /// Gives back a place. The jobs of a class are all the same here, so those beyond the lane go first; then a lane
    /// that is not full has none beyond it.
    pub(super) fn release(&self, class: PriorityClass) {
        let beyond = &self.beyond[class];
        let took = |n: u32| n.checked_sub(1);
        if beyond.load(Ordering::Relaxed) > 0
            && beyond.fetch_update(Ordering::SeqCst, Ordering::SeqCst, took).is_ok()
        {
            return;
        }
        // SeqCst: pairs with the count of those who wait for room, see `room.rs`.
        let before = self.word.fetch_sub(one(class), Ordering::SeqCst);
        debug_assert!(lanes(before)[class] > 0, "a place is given back once");
    }

    /// Takes a place for a job that returns for a retry. It was admitted once, so it is not refused.
    pub(super) fn readmit(&self, class: PriorityClass) {
        let fits = |word: u64| (u64::from(lanes(word)[class]) < LANE_MAX).then(|| word + one(class));
        if self.word.fetch_update(Ordering::SeqCst, Ordering::SeqCst, fits).is_err() {
            self.beyond[class].fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Admits nothing more. The cut is exact: what was admitted before counts, what comes later is refused.
    pub(super) fn close(&self) {
        self.word.fetch_or(CLOSED, Ordering::SeqCst);
    }

    pub(super) fn is_closed(&self) -> bool {
        self.word.load(Ordering::SeqCst) & CLOSED != 0
    }

    /// Waiting jobs of each class.
    pub(super) fn waiting(&self) -> PerClass<u32> {
        let lanes = self.ruled();
        PerClass::from_fn(|class| lanes[class] + self.beyond[class].load(Ordering::Relaxed))
    }

    /// What the rule goes by: the same, without what is beyond the lanes.
    pub(super) fn ruled(&self) -> PerClass<u32> {
        lanes(self.word.load(Ordering::Acquire))
    }

    /// True when more than three quarters of the places are taken.
    pub(super) fn is_well_filled(&self) -> bool {
        let waiting: u32 = self.ruled().values().sum();
        u64::from(waiting) * 4 > u64::from(self.rule().capacity) * 3
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting() == PerClass::default()
    }

    pub(super) fn rule(&self) -> AdmissionRule {
        self.policy.load().rule
    }

    pub(super) fn displaces(&self) -> bool {
        self.policy.load().displace
    }

    fn update(&self, change: impl Fn(u64) -> Result<u64, Refusal>) -> Result<u64, Refusal> {
        let mut word = self.word.load(Ordering::SeqCst);
        loop {
            let next = change(word)?;
            match self.word.compare_exchange_weak(word, next, Ordering::SeqCst, Ordering::SeqCst) {
                Ok(_) => return Ok(next),
                Err(now) => word = now,
            }
        }
    }
}

fn shift(class: PriorityClass) -> u32 {
    match class {
        PriorityClass::Critical => 0,
        PriorityClass::High => LANE_BITS,
        PriorityClass::Normal => LANE_BITS * 2,
        PriorityClass::Low => LANE_BITS * 3,
    }
}

fn one(class: PriorityClass) -> u64 {
    1 << shift(class)
}

fn lanes(word: u64) -> PerClass<u32> {
    PerClass::from_fn(|class| u32::try_from((word >> shift(class)) & LANE_MAX).unwrap_or(u32::MAX))
}

fn total(word: u64) -> u32 {
    lanes(word).values().sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use PriorityClass::{Critical, High, Low, Normal};

    fn word(capacity: u32, guarantee: [u32; 4]) -> AdmissionWord {
        let rule = AdmissionRule {
            capacity,
            guarantee: PerClass::from_fn(|class| guarantee[class.index()]),
            ceiling: PerClass::from_fn(|_| capacity),
        };
        AdmissionWord::new(rule, false)
    }

    #[test]
    fn a_queue_that_holds_more_than_it_may_refuses_until_that_has_gone() {
        let word = word(4, [0; 4]);
        (0..4).for_each(|_| assert!(word.admit(Low).is_ok()));
        let smaller = AdmissionRule { capacity: 2, ceiling: PerClass::from_fn(|_| 2), ..word.rule() };
        word.set_policy(smaller, false);
        for _ in 0..3 {
            assert_eq!(word.admit(High), Err(Refusal::Full));
            word.release(Low);
        }
        assert_eq!(word.admit(High), Ok(2));
        word.set_policy(AdmissionRule { capacity: 3, ..smaller }, false);
        assert_eq!(word.admit(High), Ok(3));
    }

    #[test]
    fn the_largest_queue_fits_into_one_lane() {
        let word = word(32_767, [0; 4]);
        for n in 1..=32_767 {
            assert_eq!(word.admit(Low), Ok(n));
        }
        assert_eq!(word.admit(Low), Err(Refusal::Full));
        assert_eq!(word.admit(Critical), Err(Refusal::Full));
        assert_eq!(word.waiting()[Low], 32_767);
        assert_eq!(word.waiting()[Normal], 0);
    }

    #[test]
    fn a_displacement_keeps_the_number_of_waiting_jobs() {
        let word = word(2, [0; 4]);
        word.admit(Low).unwrap();
        word.admit(Normal).unwrap();
        assert_eq!(word.displace(Low, High), Ok(2));
        assert_eq!(word.displace(Low, High), Err(Refusal::Full), "no low job is left");
        assert_eq!(word.displace(Normal, Normal), Err(Refusal::Full), "not more important");
        word.release(High);
        assert_eq!(word.displace(Normal, High), Err(Refusal::Full), "there is room");
    }

    #[test]
    fn nothing_is_admitted_after_the_close() {
        let word = word(2, [0; 4]);
        word.admit(Low).unwrap();
        word.close();
        assert_eq!(word.admit(Critical), Err(Refusal::Closed));
        assert_eq!(word.displace(Low, High), Err(Refusal::Closed));
        word.release(Low);
        assert!(word.is_empty() && word.is_closed());
    }

    #[test]
    fn retries_beyond_the_largest_queue_are_counted() {
        let word = word(32_767, [0; 4]);
        for _ in 0..32_767 {
            word.admit(Low).unwrap();
        }
        word.readmit(Low);
        word.readmit(Low);
        assert!(!word.is_closed(), "no lane overflows into what is above it");
        assert_eq!(word.waiting()[Low], 32_769);
        assert_eq!(word.admit(High), Err(Refusal::Full));
        for _ in 0..32_769 {
            assert!(!word.is_empty());
            word.release(Low);
        }
        assert!(word.is_empty());
        assert_eq!(word.admit(High), Ok(1));
    }

    /// Threads fight for the last places. With add-then-undo some would be refused while there is room.
    #[test]
    fn many_threads_fill_the_queue_exactly() {
        const THREADS: u32 = 8;
        const EACH: u32 = 4_000;
        let capacity = THREADS * EACH / 2;
        let word = word(capacity, [0; 4]);
        let admitted = AtomicU32::new(0);
        std::thread::scope(|scope| {
            for n in 0..THREADS {
                let (word, admitted) = (&word, &admitted);
                scope.spawn(move || {
                    for _ in 0..EACH {
                        let class = if n % 2 == 0 { Low } else { High };
                        if word.admit(class).is_ok() {
                            admitted.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        assert_eq!(admitted.load(Ordering::Relaxed), capacity);
        assert_eq!(word.waiting().values().sum::<u32>(), capacity);
    }

    /// One place, always taken and given back by the same thread: with exact admission each thread that finds the
    /// other's place free gets it, and the count never exceeds the capacity.
    #[test]
    fn the_bound_is_never_overshot() {
        let word = word(3, [0; 4]);
        let inside = AtomicU32::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..20_000 {
                        if word.admit(Normal).is_ok() {
                            assert!(inside.fetch_add(1, Ordering::SeqCst) < 3);
                            inside.fetch_sub(1, Ordering::SeqCst);
                            word.release(Normal);
                        }
                    }
                });
            }
        });
        assert!(word.is_empty());
    }
}
