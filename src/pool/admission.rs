//! The admission word: how many jobs of each class wait, and whether the pool is closed, in one atomic word.
//!
//! Four lanes of 15 bits count what was admitted and has not been picked, resolved or displaced: jobs on their way
//! in, ready, behind their chains, in batches and delayed alike. One compare-and-swap decides an admission, so the
//! bounds are never overshot and nobody is refused while there is room, whatever the number of submitting threads
//! (adding first and taking back on overflow can refuse both of two racers for the last place).
//!
//! **Beyond a lane.** A class with more waiting jobs than its lane can count (a queue may be that large, and a retry is
//! never refused) moves all counts behind a mutex: whoever needs the first place too many takes the mutex and sets
//! `MOVED` in the word, and from then on no compare-and-swap succeeds on it. When the queue is a quarter of a lane
//! again, whoever gives back a place moves the counts back into the word, under the mutex. The closed bit stays in the
//! word in either case. Who found it open and still holds the mutex was before the close: whoever counts after that waits
//! for the mutex.
//!
//! **The policy** is read without a lock and as a whole. One that is nothing but a capacity, as most are, is one
//! number; others are behind an [`ArcSwap`], which costs a submit two locked operations of its thread's own.
//!
//! The word carries no data: what a place is for travels through the lane, which synchronises by itself. `Relaxed`
//! would do for the counts; the closed bit and the wait for room need the orderings that are noted where they are.

use std::sync::{Arc, PoisonError};

use arc_swap::ArcSwap;
use crossbeam_utils::CachePadded;

use super::sync::{AtomicU32, AtomicU64, Mutex, MutexGuard, Ordering};
use crate::class::{PerClass, PriorityClass};
use crate::outcome::Refusal;
use crate::scheduler::AdmissionRule;

const LANE_BITS: u32 = 15;
pub(super) const LANE_MAX: u32 = (1 << LANE_BITS) - 1;
const CLOSED: u64 = 1 << (LANE_BITS * 4);
/// The counts are behind the mutex.
const MOVED: u64 = CLOSED << 1;
/// The policy is more than a capacity. No capacity is 0.
const NOT_PLAIN: u32 = 0;

/// See the module's description.
#[derive(Debug)]
pub(super) struct Admission {
    word: CachePadded<AtomicU64>,
    /// What counts while the word says so.
    counts: Mutex<PerClass<u32>>,
    /// The capacity, if the policy is nothing else: no bounds of classes, and nobody displaced.
    plain: AtomicU32,
    /// Replaced as a whole, under the core's lock: whoever decides does so by one of them.
    policy: ArcSwap<Policy>,
    /// Most that a lane counts: less than it could where tests want it.
    lane_max: u32,
}

#[derive(Clone, Copy, Debug)]
struct Policy {
    rule: AdmissionRule,
    displace: bool,
}

impl Policy {
    fn plain(&self) -> u32 {
        let AdmissionRule { capacity, guarantee, ceiling } = &self.rule;
        let has_no_bounds = guarantee.values().all(|n| *n == 0) && ceiling.values().all(|n| n >= capacity);
        let is_plain = has_no_bounds && !self.displace;
        if is_plain { *capacity } else { NOT_PLAIN }
    }
}

/// What becomes of the counts: a place is taken by one class, given back by one, or both.
#[derive(Clone, Copy, Debug, Default)]
struct Step {
    from: Option<PriorityClass>,
    to: Option<PriorityClass>,
}

impl Step {
    /// `None`: the lane has no more bits.
    fn packed(self, word: u64, lane_max: u32) -> Option<u64> {
        let word = self.from.map_or(word, |class| word - one(class));
        match self.to {
            Some(class) if lane(word, class) >= lane_max => None,
            Some(class) => Some(word + one(class)),
            None => Some(word),
        }
    }

    fn apply(self, counts: &mut PerClass<u32>) {
        if let Some(class) = self.from {
            counts[class] -= 1;
        }
        if let Some(class) = self.to {
            counts[class] += 1;
        }
    }
}

impl Admission {
    /// `displace`: a full queue gives the place of a less important job away.
    pub(super) fn new(rule: AdmissionRule, displace: bool) -> Self {
        Self::with_lanes(rule, displace, LANE_MAX)
    }

    pub(super) fn with_lanes(rule: AdmissionRule, displace: bool, lane_max: u32) -> Self {
        let policy = Policy { rule, displace };
        Self {
            word: CachePadded::new(AtomicU64::new(0)),
            counts: Mutex::default(),
            plain: AtomicU32::new(policy.plain()),
            policy: ArcSwap::from_pointee(policy),
            lane_max,
        }
    }

    /// Under the core's lock. A submit that has begun may still go by the old policy.
    pub(super) fn set_policy(&self, rule: AdmissionRule, displace: bool) {
        let policy = Policy { rule, displace };
        self.policy.store(Arc::new(policy));
        // Release: who reads that the policy is not plain any more finds that policy.
        self.plain.store(policy.plain(), Ordering::Release);
    }

    /// Takes a place for a job of `class`. Answers with the number of jobs that wait now.
    pub(super) fn admit(&self, class: PriorityClass) -> Result<u32, Refusal> {
        let capacity = self.plain.load(Ordering::Acquire);
        let step = Step { from: None, to: Some(class) };
        if capacity == NOT_PLAIN {
            let policy = self.policy.load();
            return self.change(|waiting| policy.rule.check(waiting, class).map(|()| step));
        }
        self.admit_plainly(class, capacity).unwrap_or_else(|| {
            self.change(|waiting| if total(waiting) < capacity { Ok(step) } else { Err(Refusal::Full) })
        })
    }

    /// The same step where nothing but the capacity counts, without unpacking the word. `None`: something else does.
    fn admit_plainly(&self, class: PriorityClass, capacity: u32) -> Option<Result<u32, Refusal>> {
        let mut word = self.word.load(Ordering::SeqCst);
        loop {
            if word & (CLOSED | MOVED) != 0 || lane(word, class) >= self.lane_max {
                return None;
            }
            let waiting = sum(word);
            if waiting >= capacity {
                return Some(Err(Refusal::Full));
            }
            let next = word + one(class);
            match self.word.compare_exchange_weak(word, next, Ordering::SeqCst, Ordering::SeqCst) {
                Ok(_) => return Some(Ok(waiting + 1)),
                Err(now) => word = now,
            }
        }
    }

    /// Gives the place of a job of class `victim` to one of `class`, if the rule allows that. The number of waiting
    /// jobs does not change.
    pub(super) fn displace(&self, victim: PriorityClass, class: PriorityClass) -> Result<u32, Refusal> {
        let rule = self.rule();
        self.change(|waiting| match rule.check(waiting, class) {
            Err(Refusal::Full) if rule.victims(waiting, class).any(|other| other == victim) => {
                Ok(Step { from: Some(victim), to: Some(class) })
            }
            Err(why) => Err(why),
            // Room was made in the meantime; nobody has to go.
            Ok(()) => Err(Refusal::Full),
        })
    }

    /// Gives back a place.
    pub(super) fn release(&self, class: PriorityClass) {
        self.step(|waiting, _| {
            debug_assert!(waiting[class] > 0, "a place is given back once");
            Ok(Step { from: Some(class), to: None })
        })
        .expect("nothing refuses that");
    }

    /// Takes a place for a job that returns for a retry. It was admitted once, so it is not refused.
    pub(super) fn readmit(&self, class: PriorityClass) {
        self.step(|_, _| Ok(Step { from: None, to: Some(class) })).expect("nothing refuses that");
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
        let word = self.word.load(Ordering::SeqCst);
        if word & MOVED == 0 {
            return lanes(word);
        }
        // If they have moved back since, this is what they were then.
        *self.lock()
    }

    /// True when more than three quarters of the places are taken.
    pub(super) fn is_well_filled(&self) -> bool {
        let plain = self.plain.load(Ordering::Acquire);
        let capacity = if plain == NOT_PLAIN { self.rule().capacity } else { plain };
        u64::from(total(&self.waiting())) * 4 > u64::from(capacity) * 3
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting() == PerClass::default()
    }

    pub(super) fn rule(&self) -> AdmissionRule {
        self.policy.load().rule
    }

    pub(super) fn displaces(&self) -> bool {
        self.plain.load(Ordering::Acquire) == NOT_PLAIN && self.policy.load().displace
    }

    /// True when [`Admission::admit`] would say now that the queue is full, as far as one look at the word shows that.
    pub(super) fn is_plainly_full(&self) -> bool {
        let capacity = self.plain.load(Ordering::Acquire);
        let word = self.word.load(Ordering::SeqCst);
        capacity != NOT_PLAIN && word & (CLOSED | MOVED) == 0 && sum(word) >= capacity
    }

    /// A step of somebody who is refused once the pool is closed. Answers with the number of jobs that wait then.
    fn change(&self, decide: impl Fn(&PerClass<u32>) -> Result<Step, Refusal>) -> Result<u32, Refusal> {
        self.step(|waiting, closed| if closed { Err(Refusal::Closed) } else { decide(waiting) })
    }

    /// Decides by the counts as they are, and changes them, at once.
    fn step(&self, decide: impl Fn(&PerClass<u32>, bool) -> Result<Step, Refusal>) -> Result<u32, Refusal> {
        // SeqCst: pairs with the count of those who wait for room, see `room.rs`, and with the closed bit of others.
        let mut word = self.word.load(Ordering::SeqCst);
        loop {
            if word & MOVED != 0 {
                match self.step_moved(&decide) {
                    Some(answer) => return answer,
                    None => word = self.word.load(Ordering::SeqCst),
                }
                continue;
            }
            let step = decide(&lanes(word), word & CLOSED != 0)?;
            let Some(next) = step.packed(word, self.lane_max) else {
                self.move_out();
                word = self.word.load(Ordering::SeqCst);
                continue;
            };
            match self.word.compare_exchange_weak(word, next, Ordering::SeqCst, Ordering::SeqCst) {
                Ok(_) => return Ok(total(&lanes(next))),
                Err(now) => word = now,
            }
        }
    }

    /// The same behind the mutex. `None`: the counts are in the word again.
    fn step_moved(
        &self,
        decide: impl Fn(&PerClass<u32>, bool) -> Result<Step, Refusal>,
    ) -> Option<Result<u32, Refusal>> {
        let mut counts = self.lock();
        let word = self.word.load(Ordering::SeqCst);
        if word & MOVED == 0 {
            return None;
        }
        let step = match decide(&counts, word & CLOSED != 0) {
            Ok(step) => step,
            Err(why) => return Some(Err(why)),
        };
        step.apply(&mut counts);
        let waiting = total(&counts);
        if waiting <= self.lane_max / 4 {
            // Nobody else changes a word that has moved, but for closing it.
            let packed = counts.iter().fold(0, |word, (class, n)| word | u64::from(*n) << shift(class));
            self.word.fetch_add(packed.wrapping_sub(MOVED), Ordering::SeqCst);
        }
        Some(Ok(waiting))
    }

    fn move_out(&self) {
        let mut counts = self.lock();
        let before = self.word.fetch_or(MOVED, Ordering::SeqCst);
        if before & MOVED == 0 {
            *counts = lanes(before);
            // Nothing is left of them, so that they can be added again.
            self.word.fetch_and(CLOSED | MOVED, Ordering::SeqCst);
        }
    }

    fn lock(&self) -> MutexGuard<'_, PerClass<u32>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
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

fn lane(word: u64, class: PriorityClass) -> u32 {
    u32::try_from((word >> shift(class)) & u64::from(LANE_MAX)).unwrap_or(u32::MAX)
}

fn lanes(word: u64) -> PerClass<u32> {
    PerClass::from_fn(|class| lane(word, class))
}

/// The total of all lanes of a word.
fn sum(word: u64) -> u32 {
    PriorityClass::ALL.iter().map(|class| lane(word, *class)).sum()
}

fn total(waiting: &PerClass<u32>) -> u32 {
    waiting.values().sum()
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests;
