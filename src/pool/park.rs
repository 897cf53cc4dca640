//! Sleeping and waking: no worker polls, and no wake-up is lost.
//!
//! # Protocol
//!
//! One word holds two numbers: an *epoch*, which counts every change of the core that may have given somebody something
//! to do, and how many workers are *searching*. Another says how many are *asleep*: it follows the list of sleepers, and
//! is changed under its lock. While all workers are busy nobody writes it, so a submit looks at what is in its
//! processor's cache already.
//!
//! A worker that has nothing to do:
//!
//! 1. counts itself as searching;
//! 2. reads the epoch, **then** looks at the lanes and the core (under the core's lock);
//! 3. found a job: it stops searching, and moves the epoch if the core has more that could run, since others that
//!    search may have looked before. If it was the last to search and somebody sleeps, and there is more, or the epoch
//!    has moved since step 2, or something is in the lanes, it wakes one other worker: what it did not see is now that
//!    worker's to find;
//! 4. found nothing: if nobody else searches it waits a moment for something to come, a few microseconds at most. Then
//!    it counts itself as asleep, and stops searching in one compare-and-swap, which fails if the epoch has moved since
//!    step 2. Then it looks whether the lanes are empty. If either says so it is not asleep after all, and goes on at
//!    step 2.
//!
//! Whoever submits pushes to a lane, and then looks, without writing anything: if somebody sleeps and nobody searches,
//! it wakes one sleeper. Whoever changes the core moves the epoch and then looks in the same way. The waker moves that
//! worker from asleep to searching, so that the next submit does not wake a second one for the same job.
//!
//! *No wake-up is lost.* Between a submit's push and its look there is a fence, and so there is between a worker's step
//! out of the searchers (in 3 and in 4) and its look at the lanes. Of two such fences one is first: either the submit
//! sees that the worker has stopped searching, or that it is asleep, or the worker sees the push. So:
//!
//! - a submit that sees nobody asleep leaves the job to the workers that are awake. One that falls asleep afterwards
//!   sees the push and does not; one that runs a job looks again when that ends.
//! - a submit that sees a searcher leaves the job to it. If it falls asleep, as before. If it goes off with another job
//!   and others search still, the same holds for the last of them; if it was the last itself it sees the push, and every
//!   sleeper that the submit may have seen (these stopped searching before it did), and wakes one.
//! - a change of the core and a worker's step 3 or 4 are two changes of one word, so one of them is first: either the
//!   worker sees that the epoch has moved, or whoever moved it sees that the worker has stopped searching.
//!
//! *Nobody is woken in vain* where that can be known: a submit whose class has no free seat wakes nobody. `open` tells
//! for which classes there is one; it is written under the core's lock before the writer's next step 3 or 4, and read
//! after the push, so a reader sees at least what was true at the last of those steps that came before its fence, and
//! the writer of any later change sees the push. Who opens a class without being on the way to one of those steps (a
//! resume) notifies afterwards. A submit to a paused class wakes nobody for the deadline either: the time of its jobs
//! stands still.
//!
//! **The timekeeper.** When the core has a deadline, a worker that falls asleep does so until then, unless another
//! sleeps until an earlier one. `watched` is the deadline that somebody sleeps for. A deadline before it is a reason to
//! wake a sleeper, who will then take it over.

use std::sync::PoisonError;

use crossbeam_utils::{Backoff, CachePadded};

use super::sync::{
    AtomicBool, AtomicU8, AtomicU32, AtomicU64, Mutex, MutexGuard, Ordering, Thread, current, fence, park,
    park_timeout,
};
use crate::class::{PerClass, PriorityClass};
use crate::time::{Clock, Time};

const SEARCHING_ONE: u64 = 1;
const EPOCH_ONE: u64 = 1 << 16;
const ALL_OPEN: u8 = 0x0f;
const NEVER: u64 = u64::MAX;

#[derive(Debug)]
pub(super) struct Parking {
    word: CachePadded<AtomicU64>,
    /// Length of the list of sleepers, and a worker that is about to be on it. Changed under its lock.
    asleep: CachePadded<AtomicU32>,
    /// Classes with a free seat, as bits; above them, those that are paused.
    open: AtomicU8,
    /// The deadline that a sleeper watches, in nanoseconds.
    watched: AtomicU64,
    sleepers: Mutex<Sleepers>,
    beds: Vec<Bed>,
    clock: Clock,
}

#[derive(Debug, Default)]
struct Sleepers {
    /// The last to fall asleep is the first to be woken, as its caches are the warmest; the timekeeper is the last.
    asleep: Vec<usize>,
    timekeeper: Option<usize>,
}

/// Where one worker sleeps.
#[derive(Debug, Default)]
struct Bed {
    thread: Mutex<Option<Thread>>,
    woken: AtomicBool,
}

/// The epoch that a search began with: proof that the searcher looked only afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Epoch(u64);

impl Parking {
    pub(super) fn new(workers: usize, clock: Clock) -> Self {
        Self {
            word: CachePadded::new(AtomicU64::new(0)),
            asleep: CachePadded::new(AtomicU32::new(0)),
            open: AtomicU8::new(ALL_OPEN),
            watched: AtomicU64::new(NEVER),
            sleepers: Mutex::default(),
            beds: (0..workers).map(|_| Bed::default()).collect(),
            clock,
        }
    }

    /// Called by each worker once, before anything else: from now on its bed is this thread's.
    pub(super) fn check_in(&self, worker: usize) {
        if let Some(bed) = self.beds.get(worker) {
            *bed.thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(current());
        }
    }

    pub(super) fn start_search(&self) {
        self.word.fetch_add(SEARCHING_ONE, Ordering::SeqCst);
    }

    pub(super) fn epoch(&self) -> Epoch {
        epoch_of(self.word.load(Ordering::SeqCst))
    }

    /// Step 3: the searcher has a job. `more`: there is something else to do, or to watch.
    pub(super) fn stop_search(&self, since: Epoch, more: bool, lanes_are_empty: impl FnOnce() -> bool) {
        // Others that search may have looked before this worker made `more`: they must not fall asleep on that.
        let step = if more { EPOCH_ONE } else { 0 };
        let before = self.word.fetch_add(step.wrapping_sub(SEARCHING_ONE), Ordering::SeqCst);
        if searching(before) > 1 {
            return;
        }
        fence(Ordering::SeqCst);
        let somebody_sleeps = self.asleep.load(Ordering::Relaxed) > 0;
        if somebody_sleeps && (more || epoch_of(before) != since || !lanes_are_empty()) {
            self.wake_one();
        }
    }

    /// Before step 4: waits a moment for something to look at, if nobody else does. True: there is something.
    pub(super) fn linger(&self, since: Epoch, lanes_are_empty: impl Fn() -> bool) -> bool {
        let backoff = Backoff::new();
        while !backoff.is_completed() {
            let word = self.word.load(Ordering::Relaxed);
            if epoch_of(word) != since || !lanes_are_empty() {
                return true;
            }
            if searching(word) > 1 {
                return false;
            }
            backoff.snooze();
        }
        false
    }

    /// Step 4: the searcher has nothing, and sleeps until it is woken or the deadline comes. Returns at once, still
    /// searching, if the epoch has moved or the lanes are not empty. Searching again when it returns.
    pub(super) fn sleep(
        &self,
        worker: usize,
        since: Epoch,
        deadline: Option<Time>,
        lanes_are_empty: impl FnOnce() -> bool,
    ) {
        let Some(bed) = self.beds.get(worker) else { return };
        let mut sleepers = self.lock();
        sleepers.asleep.push(worker);
        self.count_asleep(&sleepers);
        if !self.leave_searchers(since) {
            sleepers.asleep.pop();
            self.count_asleep(&sleepers);
            return;
        }
        fence(Ordering::SeqCst);
        if !lanes_are_empty() {
            self.start_search();
            sleepers.asleep.pop();
            self.count_asleep(&sleepers);
            return;
        }
        let deadline = deadline.filter(|deadline| deadline.0 < self.watched.load(Ordering::Relaxed));
        if let Some(deadline) = deadline {
            sleepers.timekeeper = Some(worker);
            self.watched.store(deadline.0, Ordering::SeqCst);
        }
        drop(sleepers);
        while !bed.woken.swap(false, Ordering::Acquire) {
            match deadline.map(|deadline| self.clock.until(deadline)) {
                None => park(),
                Some(left) if !left.is_zero() => park_timeout(left),
                Some(_) => {
                    if self.rise(worker) {
                        break;
                    }
                    // Somebody is waking us at this moment; the flag is about to be set.
                    park();
                }
            }
        }
        if deadline.is_some() {
            let mut sleepers = self.lock();
            if sleepers.timekeeper == Some(worker) {
                sleepers.timekeeper = None;
                self.watched.store(NEVER, Ordering::SeqCst);
            }
        }
    }

    /// There is something new for a worker to find in the core, in any class.
    pub(super) fn notify(&self) {
        let word = self.word.fetch_add(EPOCH_ONE, Ordering::SeqCst);
        if searching(word) == 0 && self.asleep.load(Ordering::SeqCst) > 0 {
            self.wake_one();
        }
    }

    /// A job of that class was pushed; `deadline` is when it expires.
    pub(super) fn notify_pushed(&self, class: PriorityClass, deadline: Option<Time>) {
        fence(Ordering::SeqCst);
        if self.asleep.load(Ordering::Relaxed) == 0 || searching(self.word.load(Ordering::Relaxed)) > 0 {
            return;
        }
        let open = self.open.load(Ordering::SeqCst);
        let seat_is_open = open & bit(class) != 0;
        // The time of what is paused stands still.
        let time_runs = open & (bit(class) << PriorityClass::COUNT) == 0;
        if seat_is_open || time_runs && deadline.is_some_and(|deadline| self.is_unwatched(deadline)) {
            self.wake_one();
        }
    }

    /// Everybody has to look: the pool shuts down.
    pub(super) fn notify_all(&self) {
        self.word.fetch_add(EPOCH_ONE, Ordering::SeqCst);
        while self.wake_one() {}
    }

    /// Says for which classes a seat is free, and which are paused. Under the core's lock. Who opens a class otherwise
    /// than on the way to step 3 or 4 must notify afterwards.
    pub(super) fn set_open(&self, open: PerClass<bool>, paused: PerClass<bool>) {
        let bits = |of: PerClass<bool>| {
            of.iter().filter(|(_, is)| **is).fold(0, |bits, (class, _)| bits | bit(class))
        };
        let bits = bits(open) | bits(paused) << PriorityClass::COUNT;
        // Mostly it is so already, and everybody who submits reads it.
        if self.open.load(Ordering::Relaxed) != bits {
            self.open.store(bits, Ordering::SeqCst);
        }
    }

    /// True when nobody watches a deadline as early as this one.
    pub(super) fn is_unwatched(&self, deadline: Time) -> bool {
        deadline.0 < self.watched.load(Ordering::SeqCst)
    }

    #[cfg(test)]
    pub(super) fn asleep(&self) -> usize {
        let sleepers = self.lock();
        let asleep = sleepers.asleep.len();
        assert_eq!(self.asleep.load(Ordering::SeqCst) as usize, asleep, "the count follows the list");
        asleep
    }

    /// False: the epoch has moved since, and the worker is still searching.
    fn leave_searchers(&self, since: Epoch) -> bool {
        let mut word = self.word.load(Ordering::SeqCst);
        while epoch_of(word) == since {
            let left = word - SEARCHING_ONE;
            match self.word.compare_exchange_weak(word, left, Ordering::SeqCst, Ordering::SeqCst) {
                Ok(_) => return true,
                Err(now) => word = now,
            }
        }
        false
    }

    fn wake_one(&self) -> bool {
        let mut sleepers = self.lock();
        // Better not the one who watches the clock: another would have to be woken to take its place.
        let watches = |worker: &usize| sleepers.timekeeper == Some(*worker);
        let Some(last) = sleepers.asleep.len().checked_sub(1) else { return false };
        let at = sleepers.asleep.iter().rposition(|worker| !watches(worker)).unwrap_or(last);
        let worker = sleepers.asleep.remove(at);
        self.start_search();
        self.count_asleep(&sleepers);
        drop(sleepers);
        if let Some(bed) = self.beds.get(worker) {
            // Not a store, which loom takes for one that may come before the sleeper's last look at the flag.
            bed.woken.swap(true, Ordering::Release);
            if let Some(thread) = &*bed.thread.lock().unwrap_or_else(PoisonError::into_inner) {
                thread.unpark();
            }
        }
        true
    }

    /// A sleeper rises by itself. False: somebody has taken it off the list already.
    fn rise(&self, worker: usize) -> bool {
        let mut sleepers = self.lock();
        let Some(at) = sleepers.asleep.iter().position(|other| *other == worker) else { return false };
        sleepers.asleep.remove(at);
        self.start_search();
        self.count_asleep(&sleepers);
        true
    }

    fn count_asleep(&self, sleepers: &Sleepers) {
        self.asleep.store(u32::try_from(sleepers.asleep.len()).unwrap_or(u32::MAX), Ordering::SeqCst);
    }

    fn lock(&self) -> MutexGuard<'_, Sleepers> {
        self.sleepers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn searching(word: u64) -> u64 {
    word % EPOCH_ONE
}

fn epoch_of(word: u64) -> Epoch {
    Epoch(word / EPOCH_ONE)
}

fn bit(class: PriorityClass) -> u8 {
    1 << class.index()
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;
    use PriorityClass::{High, Low};

    fn parking(workers: usize) -> Parking {
        Parking::new(workers, Clock::start())
    }

    fn searching(parking: &Parking) -> u64 {
        super::searching(parking.word.load(Ordering::SeqCst))
    }

    /// The other one may have looked before this one made what is left.
    #[test]
    fn a_searcher_that_leaves_work_behind_keeps_the_others_awake() {
        let parking = parking(2);
        parking.start_search();
        parking.start_search();
        let (mine, others) = (parking.epoch(), parking.epoch());
        parking.stop_search(mine, true, || true);
        assert_ne!(parking.epoch().0, others.0);
        parking.sleep(1, others, None, || true);
        assert_eq!((parking.asleep(), searching(&parking)), (0, 1), "it looks again");
    }

    #[test]
    fn nobody_falls_asleep_on_a_notification() {
        let parking = parking(1);
        parking.start_search();
        let looked = parking.epoch();
        parking.notify();
        parking.sleep(0, looked, None, || true);
        assert_eq!((parking.asleep(), searching(&parking)), (0, 1));
    }

    #[test]
    fn nobody_falls_asleep_on_a_push() {
        let parking = parking(1);
        parking.start_search();
        parking.sleep(0, parking.epoch(), None, || false);
        assert_eq!((parking.asleep(), searching(&parking)), (0, 1));
        assert!(parking.linger(parking.epoch(), || false));
        assert!(!parking.linger(parking.epoch(), || true), "not for long");
    }

    /// Its submitter saw somebody who searched.
    #[test]
    fn the_last_searcher_does_not_go_off_with_a_job_and_leave_a_push_to_nobody() {
        for (lanes_are_empty, is_woken_then) in [(true, false), (false, true)] {
            let parking = parking(2);
            lie_down(&parking, 0, None);
            parking.start_search();
            parking.stop_search(parking.epoch(), false, || lanes_are_empty);
            assert_eq!(is_woken(&parking, 0), is_woken_then);
        }
    }

    #[test]
    fn a_sleeper_rises_by_itself_at_its_deadline() {
        let parking = parking(1);
        parking.start_search();
        parking.sleep(0, parking.epoch(), Some(Time(1)), || true);
        assert_eq!((parking.asleep(), searching(&parking)), (0, 1));
        assert!(parking.is_unwatched(Time(u64::MAX - 1)));
    }

    /// Without threads: a sleeper that is not in its bed is woken all the same.
    fn lie_down(parking: &Parking, worker: usize, watches: Option<Time>) {
        let mut sleepers = parking.lock();
        sleepers.asleep.push(worker);
        parking.count_asleep(&sleepers);
        if let Some(time) = watches {
            sleepers.timekeeper = Some(worker);
            parking.watched.store(time.0, Ordering::SeqCst);
        }
    }

    fn is_woken(parking: &Parking, worker: usize) -> bool {
        parking.beds[worker].woken.load(Ordering::SeqCst)
    }

    #[test]
    fn the_timekeeper_is_woken_last_and_one_is_woken_at_a_time() {
        let parking = parking(3);
        lie_down(&parking, 0, None);
        lie_down(&parking, 1, None);
        lie_down(&parking, 2, Some(Time(9)));
        parking.notify();
        parking.notify();
        let woken = || [0, 1, 2].map(|worker| is_woken(&parking, worker));
        assert_eq!(woken(), [false, true, false], "the second notification finds one searching");
        parking.stop_search(parking.epoch(), true, || true);
        assert_eq!(woken(), [true, true, false]);
        parking.stop_search(parking.epoch(), true, || true);
        assert_eq!(woken(), [true; 3]);
    }

    #[test]
    fn a_push_wakes_only_for_a_free_seat_or_an_earlier_deadline() {
        let only = |open: &[PriorityClass]| PerClass::from_fn(|class| open.contains(&class));
        let push = |open: &[PriorityClass], paused: &[PriorityClass], class, deadline: Option<u64>| {
            let parking = parking(1);
            lie_down(&parking, 0, Some(Time(100)));
            parking.set_open(only(open), only(paused));
            parking.notify_pushed(class, deadline.map(Time));
            is_woken(&parking, 0)
        };
        assert!(push(&[High, Low], &[], Low, None));
        assert!(!push(&[High], &[], Low, None), "no seat");
        assert!(!push(&[High], &[], Low, Some(100)), "somebody watches");
        assert!(push(&[High], &[], Low, Some(99)));
        assert!(!push(&[High], &[Low], Low, Some(99)), "its time stands still");
    }
}
