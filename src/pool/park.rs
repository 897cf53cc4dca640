//! Sleeping and waking: no worker polls, and no wake-up is lost.
//!
//! # Protocol
//!
//! One word holds three numbers: an *epoch*, which counts everything that may have given somebody something to do; how
//! many workers are *searching*; and how many are *asleep*.
//!
//! A worker that has nothing to do:
//!
//! 1. counts itself as searching;
//! 2. reads the epoch, **then** looks at the lanes and the core (under the core's lock);
//! 3. found a job: it stops searching, and moves the epoch if the core has more that could run, since others that
//!    search may have looked before. If it was the last to search, and there is more or the epoch has moved since step
//!    2, it wakes one other worker: what it did not see is now that worker's to find;
//! 4. found nothing: it dozes for a few microseconds, still searching, and goes on at step 2 if the epoch moves
//!    meanwhile. Then it goes from searching to asleep in one compare-and-swap, which fails if the epoch has moved since
//!    step 2; then it goes on at step 2. The list of sleepers is changed under its lock together with the word.
//!
//! A worker that comes from a run looks once before it counts itself as searching, as it mostly finds its next job at once:
//! it reads the epoch, then looks. Nobody relies on it meanwhile, so it owes a wake-up only for what it leaves, or has
//! opened: if there is more, or it has changed for which classes a seat is free and the epoch has moved, it notifies like
//! whoever makes work. If it finds nothing it goes to step 1. Another worker may look in its place (`combining.rs`): what
//! is left and opened is then the other's to tell, as part of its own look.
//!
//! Whoever makes work (a submit, mostly):
//!
//! 1. makes it visible, by a push to a lane;
//! 2. moves the epoch, and sees the two counts in the same operation;
//! 3. wakes one sleeper if nobody is searching; the waker moves that worker from asleep to searching, so that the next
//!    submit does not wake a second one for the same job.
//!
//! *No wake-up is lost.* Take a job pushed before the epoch moved from e to e+1. A worker that read an epoch after that
//! sees the job, since the read comes after the move and the move after the push. A worker that read e cannot fall
//! asleep, and if it leaves with other work as the last searcher it sees e+1 and wakes another. If nobody was
//! searching, the submit woke a sleeper itself, or there was none: then every worker is running a job, and looks again
//! when it completes.
//!
//! *Nobody is woken in vain* where that can be known: a submit whose class has no free seat wakes nobody. `open` tells
//! for which classes there is one; it is written under the core's lock before the writer's next step 3 or 4, or its next
//! look at the epoch if it came from a run, and read after the epoch has moved, so a reader sees at least what was true at
//! the last of those that came before it, and the writer of any later change sees that the epoch has moved. Who opens a class without being on the way to one
//! of those steps (a resume) notifies afterwards. A submit to a paused class wakes nobody for the deadline either: the
//! time of its jobs stands still.
//!
//! **The timekeeper.** When the core has a deadline, a worker that falls asleep does so until then, unless another
//! sleeps until an earlier one. `watched` is the deadline that somebody sleeps for. A deadline before it is a reason to
//! wake a sleeper, who will then take it over.

use std::sync::PoisonError;

use crossbeam_utils::{Backoff, CachePadded};

use super::sync::{
    AtomicBool, AtomicU8, AtomicU64, Mutex, MutexGuard, Ordering, Thread, current, park, park_timeout,
};
use crate::class::{ClassSet, PriorityClass};
use crate::time::{Clock, Time};

const ASLEEP_ONE: u64 = 1;
const SEARCHING_ONE: u64 = 1 << 16;
const EPOCH_ONE: u64 = 1 << 32;
const COUNT: u64 = 0xffff;
const ALL_OPEN: u8 = 0x0f;
const NEVER: u64 = u64::MAX;

#[derive(Debug)]
pub(super) struct Parking {
    word: CachePadded<AtomicU64>,
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
#[derive(Clone, Copy, Debug)]
pub(super) struct Epoch(u64);

impl Parking {
    pub(super) fn new(workers: usize, clock: Clock) -> Self {
        Self {
            word: CachePadded::new(AtomicU64::new(0)),
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
        Epoch(self.word.load(Ordering::SeqCst) / EPOCH_ONE)
    }

    /// Step 3: the searcher has a job. `more`: there is something else to do, or to watch.
    pub(super) fn stop_search(&self, since: Epoch, more: bool) {
        // Others that search may have looked before this worker made `more`: they must not fall asleep on that.
        let step = if more { EPOCH_ONE } else { 0 };
        let before = self.word.fetch_add(step.wrapping_sub(SEARCHING_ONE), Ordering::SeqCst);
        let was_last = (before / SEARCHING_ONE) & COUNT == 1;
        let moved = before / EPOCH_ONE != since.0;
        if was_last && (more || moved) && before & COUNT > 0 {
            self.wake_one();
        }
    }

    /// A worker that comes from a run, and has not counted itself as searching, has a job. `opened`: there is a free seat
    /// for a class that had none.
    pub(super) fn go_on(&self, since: Epoch, more: bool, opened: bool) {
        if more || opened && self.epoch().0 != since.0 {
            self.notify();
        }
    }

    /// Step 4: the searcher has nothing, and sleeps until it is woken or the deadline comes. Returns at once, still
    /// searching, if the epoch has moved. Searching again when it returns.
    pub(super) fn sleep(&self, worker: usize, since: Epoch, deadline: Option<Time>) {
        let Some(bed) = self.beds.get(worker) else { return };
        if self.dozes(since) {
            return;
        }
        let mut sleepers = self.lock();
        let mut word = self.word.load(Ordering::SeqCst);
        loop {
            if word / EPOCH_ONE != since.0 {
                return;
            }
            let asleep = word - SEARCHING_ONE + ASLEEP_ONE;
            match self.word.compare_exchange_weak(word, asleep, Ordering::SeqCst, Ordering::SeqCst) {
                Ok(_) => break,
                Err(now) => word = now,
            }
        }
        sleepers.asleep.push(worker);
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

    /// First it spins, then it lets others run. True: there is something to look at. Who submits a moment after the last
    /// job has ended is spared the system call that wakes a sleeper, and the job the time that one takes.
    fn dozes(&self, since: Epoch) -> bool {
        // A model that tries all interleavings has no use for trying them again.
        if cfg!(any(loom, miri)) {
            return false;
        }
        let backoff = Backoff::new();
        while !backoff.is_completed() {
            backoff.snooze();
            if self.epoch().0 != since.0 {
                return true;
            }
        }
        false
    }

    /// There is something new for a worker to find, in any class.
    pub(super) fn notify(&self) {
        let before = self.word.fetch_add(EPOCH_ONE, Ordering::SeqCst);
        if before & COUNT > 0 && (before / SEARCHING_ONE) & COUNT == 0 {
            self.wake_one();
        }
    }

    /// A job of that class was pushed; `deadline` is when it expires.
    pub(super) fn notify_pushed(&self, class: PriorityClass, deadline: Option<Time>) {
        let before = self.word.fetch_add(EPOCH_ONE, Ordering::SeqCst);
        if before & COUNT == 0 || (before / SEARCHING_ONE) & COUNT > 0 {
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
        let mut sleepers = self.lock();
        // All at once, so that each is woken once: who falls asleep again has looked.
        let woken = std::mem::take(&mut sleepers.asleep);
        self.word.fetch_add((SEARCHING_ONE - ASLEEP_ONE) * woken.len() as u64, Ordering::SeqCst);
        drop(sleepers);
        for worker in woken {
            self.rouse(worker);
        }
    }

    /// Says for which classes a seat is free, and which are paused. Under the core's lock. Who opens a class otherwise
    /// than on the way to step 3 or 4, or to [`Parking::go_on`], must notify afterwards. True: that is another answer than
    /// before.
    pub(super) fn set_open(&self, open: ClassSet, paused: ClassSet) -> bool {
        let bits = open.bits() | paused.bits() << PriorityClass::COUNT;
        // Nobody else writes it meanwhile, and a store costs as much as a lock.
        let is_other = self.open.load(Ordering::Relaxed) != bits;
        if is_other {
            self.open.store(bits, Ordering::SeqCst);
        }
        is_other
    }

    /// True when nobody watches a deadline as early as this one, and somebody is there who could. For a deadline that is in
    /// the core, under its lock, or with its job in a lane: who begins to search only now looks later, and sees it.
    pub(super) fn is_unwatched(&self, deadline: Time) -> bool {
        let resting = (COUNT * SEARCHING_ONE) | (COUNT * ASLEEP_ONE);
        deadline.0 < self.watched.load(Ordering::SeqCst) && self.word.load(Ordering::SeqCst) & resting != 0
    }

    /// How many workers are asleep.
    pub(super) fn asleep(&self) -> usize {
        let sleepers = self.lock();
        let asleep = sleepers.asleep.len();
        debug_assert_eq!(
            self.word.load(Ordering::SeqCst) & COUNT,
            asleep as u64,
            "the count follows the list"
        );
        asleep
    }

    fn wake_one(&self) {
        let mut sleepers = self.lock();
        // Better not the one who watches the clock: another would have to be woken to take its place.
        let watches = |worker: &usize| sleepers.timekeeper == Some(*worker);
        let Some(last) = sleepers.asleep.len().checked_sub(1) else { return };
        let at = sleepers.asleep.iter().rposition(|worker| !watches(worker)).unwrap_or(last);
        let worker = sleepers.asleep.remove(at);
        self.word.fetch_add(SEARCHING_ONE - ASLEEP_ONE, Ordering::SeqCst);
        drop(sleepers);
        self.rouse(worker);
    }

    /// Wakes a worker that is off the list.
    fn rouse(&self, worker: usize) {
        if let Some(bed) = self.beds.get(worker) {
            // Not a store, which loom takes for one that may come before the sleeper's last look at the flag.
            bed.woken.swap(true, Ordering::Release);
            if let Some(thread) = &*bed.thread.lock().unwrap_or_else(PoisonError::into_inner) {
                thread.unpark();
            }
        }
    }

    /// A sleeper rises by itself. False: somebody has taken it off the list already.
    fn rise(&self, worker: usize) -> bool {
        let mut sleepers = self.lock();
        let Some(at) = sleepers.asleep.iter().position(|other| *other == worker) else { return false };
        sleepers.asleep.remove(at);
        self.word.fetch_add(SEARCHING_ONE - ASLEEP_ONE, Ordering::SeqCst);
        true
    }

    fn lock(&self) -> MutexGuard<'_, Sleepers> {
        self.sleepers.lock().unwrap_or_else(PoisonError::into_inner)
    }
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
        (parking.word.load(Ordering::SeqCst) / SEARCHING_ONE) & COUNT
    }

    /// The other one may have looked before this one made what is left.
    #[test]
    fn a_searcher_that_leaves_work_behind_keeps_the_others_awake() {
        let parking = parking(2);
        parking.start_search();
        parking.start_search();
        let (mine, others) = (parking.epoch(), parking.epoch());
        parking.stop_search(mine, true);
        assert_ne!(parking.epoch().0, others.0);
        parking.sleep(1, others, None);
        assert_eq!((parking.asleep(), searching(&parking)), (0, 1), "it looks again");
    }

    #[test]
    fn nobody_falls_asleep_on_a_notification() {
        let parking = parking(1);
        parking.start_search();
        let looked = parking.epoch();
        parking.notify();
        parking.sleep(0, looked, None);
        assert_eq!((parking.asleep(), searching(&parking)), (0, 1));
    }

    #[test]
    fn a_sleeper_rises_by_itself_at_its_deadline() {
        let parking = parking(1);
        parking.start_search();
        parking.sleep(0, parking.epoch(), Some(Time(1)));
        assert_eq!((parking.asleep(), searching(&parking)), (0, 1));
        assert!(parking.is_unwatched(Time(u64::MAX - 1)));
    }

    /// Without threads: a sleeper that is not in its bed is woken all the same.
    fn lie_down(parking: &Parking, worker: usize, watches: Option<Time>) {
        let mut sleepers = parking.lock();
        sleepers.asleep.push(worker);
        parking.word.fetch_add(ASLEEP_ONE, Ordering::SeqCst);
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
        parking.stop_search(parking.epoch(), true);
        assert_eq!(woken(), [true, true, false]);
        parking.stop_search(parking.epoch(), true);
        assert_eq!(woken(), [true; 3]);
    }

    #[test]
    fn everybody_who_sleeps_is_woken_at_once_and_searches() {
        let parking = parking(3);
        lie_down(&parking, 0, None);
        lie_down(&parking, 2, Some(Time(9)));
        parking.notify_all();
        assert_eq!([0, 1, 2].map(|worker| is_woken(&parking, worker)), [true, false, true]);
        assert_eq!((parking.asleep(), searching(&parking)), (0, 2));
    }

    /// Who searches finds what came, and sees to it that the rest is found.
    #[test]
    fn nobody_is_woken_while_somebody_searches() {
        let parking = parking(2);
        lie_down(&parking, 0, None);
        parking.start_search();
        parking.start_search();
        let looked = parking.epoch();
        parking.notify();
        parking.notify_pushed(High, Some(Time(1)));
        assert!(!is_woken(&parking, 0), "two search");
        parking.stop_search(looked, true);
        parking.notify();
        parking.notify_pushed(High, Some(Time(1)));
        assert!(!is_woken(&parking, 0), "one searches");
        parking.stop_search(parking.epoch(), false);
        assert!(!is_woken(&parking, 0), "the last one leaves nothing behind");
        parking.start_search();
        parking.notify();
        parking.stop_search(looked, false);
        assert!(is_woken(&parking, 0), "the last one has not seen what came");
    }

    #[test]
    fn a_searcher_that_leaves_nothing_behind_lets_the_others_sleep() {
        let parking = parking(2);
        parking.start_search();
        let others = parking.epoch();
        parking.start_search();
        parking.stop_search(parking.epoch(), false);
        assert_eq!((parking.epoch().0, searching(&parking)), (others.0, 1));
    }

    #[test]
    fn a_deadline_is_nobodys_where_nobody_could_watch_it() {
        let parking = parking(2);
        assert!(!parking.is_unwatched(Time(5)), "everybody runs something, and looks again afterwards");
        parking.start_search();
        assert!(parking.is_unwatched(Time(5)), "who searches may have looked before");
        parking.stop_search(parking.epoch(), false);
        lie_down(&parking, 0, Some(Time(10)));
        assert!(parking.is_unwatched(Time(5)) && !parking.is_unwatched(Time(10)));
    }

    #[test]
    fn a_push_wakes_only_for_a_free_seat_or_an_earlier_deadline() {
        let only = |open: &[PriorityClass]| ClassSet::from_fn(|class| open.contains(&class));
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
