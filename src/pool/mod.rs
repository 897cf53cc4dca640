//! The pool: the scheduler core, threads around it, and a way in that no handler can hold up.
//!
//! ```text
//! submit ─> admission word ─> lane (one ring for each class) ─> notify
//!                                   │
//!            worker: lock core ─ take in ─ pick ─ unlock ─ run ─ lock core ─ complete …
//! ```
//!
//! | file | owns |
//! |---|---|
//! | `admission.rs` | who gets in: one atomic word |
//! | `lanes.rs` | from the submitters to the core, in order |
//! | `park.rs` | sleeping and waking, with the protocol in prose |
//! | `sync.rs` | the atomics of `admission.rs`, `park.rs` and `combining.rs`, or loom's |
//! | `resize.rs` | other parameters while it runs |
//! | `threads.rs` | the workers' threads, and spare ones |
//! | `worker.rs` | the loop of a worker |
//! | `combining.rs` | what workers that wait for the core's lock want of whoever has it |
//! | `room.rs` | waiting for room, for replays |
//! | `drain.rs` | the end: close, drain, abandon, stop, join |
//! | `one_mutex.rs` | the reference shell, which the pool must answer like |
//! | `status.rs` | how it stands |
//!
//! A submit reserves a place first, builds the job only then, pushes it and notifies. It never waits for a lock that is
//! held while a handler runs: the core's lock is held for picking and completing alone, and a submit takes it only to
//! displace a job of a full queue.
//!
//! The pool knows nothing of hooks and handlers. What a job is, how it runs and who is told of its outcome is the
//! [`Host`]'s.

mod admission;
mod combining;
mod drain;
mod lanes;
pub(crate) mod one_mutex;
mod park;
mod resize;
mod room;
mod status;
mod sync;
#[cfg(test)]
mod tests;
mod threads;
mod worker;

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

use crossbeam_utils::{Backoff, CachePadded};

use self::admission::Admission;
use self::combining::Combining;
use self::lanes::Lanes;
use self::park::Parking;
pub(crate) use self::resize::Departed;
use self::room::Room;
pub(crate) use self::status::PoolStatus;
use self::threads::WorkerThread;
use self::worker::{Found, Ran};
use crate::class::{PerClass, PriorityClass};
use crate::outcome::{OutcomeKind, Refusal};
use crate::scheduler::{Arrival, Core, CoreParams, Dispatch, HookParams, HookSlot, JobKey, Resolved, Retry};
use crate::time::{Clock, Time};

/// What the pool runs, and whom it tells.
pub(crate) trait Host: Send + Sync + 'static {
    /// What the host needs to know of a job.
    type Job: Send + 'static;

    /// A job on its way to the core. Best of few words: see `lanes.rs`.
    type Pushed: Send + 'static;

    /// What a worker's thread keeps from one run to the next.
    type Station;

    /// The number of its place.
    fn number(pushed: &Self::Pushed) -> u64;

    /// The job, and what the core has to know of it. Under the core's lock: it must be quick and not call the pool.
    fn arrival(&self, pushed: Self::Pushed) -> Arrival<Self::Job>;

    /// Called by each thread once, before it runs anything. One that replaces another has its number.
    fn station(&self, worker: usize) -> Self::Station;

    /// The worker has found nothing to do after a run, and may be about to sleep. It should be quick: a deadline may come
    /// meanwhile that nobody watches.
    fn rests(&self, station: &mut Self::Station);

    /// Runs the jobs of one pick on the calling worker thread, resolves them, and says how long it took since `now`. It should not
    /// panic: the seat is freed, and what was dropped unresolved is the host's to find out. `None`: meanwhile the
    /// worker was [replaced](Pool::replace), and its run [completed](Pool::complete).
    fn run(
        &self,
        station: &mut Self::Station,
        dispatch: Dispatch<Self::Job>,
        now: Time,
    ) -> Option<Finished<Self::Job>>;

    /// A job left the queue without being picked. On the thread that made it leave, without a lock: it may call the
    /// pool. It must be quick and must not panic.
    fn resolve(&self, left: Resolved<Self::Job>);

    /// The job waits in the core now, under this key; again, under another one, when it waits for its retry. Under the
    /// core's lock: it must not call the pool.
    fn placed(&self, job: &Self::Job, key: JobKey);

    /// Somebody has cancelled the job while it was not in the core. Asked for one that is back for its retry, once it has
    /// been [placed](Host::placed): who cancels it later finds it there.
    fn is_unwanted(&self, job: &Self::Job) -> bool;

    /// Stop what runs: the shutdown's deadline has passed. That goes for a run that was picked before and begins only
    /// afterwards, too. May be called more than once.
    fn stop_running(&self);

    /// Like [`Host::stop_running`], but without grace.
    fn kill_running(&self);
}

/// What became of a run.
#[derive(Debug)]
pub(crate) struct Finished<J> {
    pub(crate) elapsed: Duration,
    /// Jobs that shall run again.
    pub(crate) retries: Vec<Retry<J>>,
}

/// Threads that a pool can grow to; one that starts with more can shrink only.
pub(crate) const MOST_WORKERS: usize = 256 + 64;

/// The pool. Dropping it without a drain leaves its threads to themselves: the owner drains.
pub(crate) struct Pool<H: Host> {
    shared: Arc<Shared<H>>,
    /// The threads that have not been joined.
    threads: Mutex<Vec<WorkerThread>>,
}

struct Shared<H: Host> {
    host: Arc<H>,
    core: CachePadded<Mutex<Core<H::Job>>>,
    /// Of workers that wait for that lock.
    requests: Combining<Ran<H>, Option<Found<H>>>,
    admission: Admission,
    lanes: Lanes<H::Pushed>,
    /// Number of the next job.
    numbers: CachePadded<AtomicU64>,
    parking: Parking,
    room: Room,
    /// The end of a drain is not waited for any longer.
    hurried: AtomicBool,
    /// Nothing starts any more: what waits is abandoned. Changed under the core's lock.
    cut: AtomicBool,
    /// Set when the workers are to leave as soon as they find nothing.
    leaving: AtomicBool,
    /// Threads that are telling the host of jobs that left the queue. Raised under the core's lock.
    telling: AtomicUsize,
    /// Guards nothing but the order of "is it quiet" and "it may be quiet now".
    quiet: Mutex<()>,
    may_be_quiet: Condvar,
    clock: Clock,
}

/// A place in the queue, taken and not yet used. It must be pushed.
#[derive(Debug)]
#[must_use = "a place that is not pushed is lost"]
pub(crate) struct Reserved {
    class: PriorityClass,
    /// Jobs that wait, this one included.
    pub(crate) waiting: u32,
    /// Number of the job. Of two that one thread reserves, or two threads one after the other, the first has the lower
    /// one; and that is the order in which they are taken in.
    pub(crate) number: u64,
}

impl<H: Host> Pool<H> {
    /// Starts a pool with as many threads as seats.
    pub(crate) fn start(
        params: CoreParams,
        hooks: &[HookParams],
        clock: Clock,
        host: Arc<H>,
    ) -> std::io::Result<Self> {
        let admission = Admission::new(params.rule, params.displace);
        Self::start_behind(admission, params, hooks, clock, host)
    }

    fn start_behind(
        admission: Admission,
        params: CoreParams,
        hooks: &[HookParams],
        clock: Clock,
        host: Arc<H>,
    ) -> std::io::Result<Self> {
        let mut core = Core::new(params);
        for hook in hooks {
            core.add_hook(*hook);
        }
        let workers = params.seats.in_all();
        let shared = Arc::new(Shared {
            host,
            core: CachePadded::new(Mutex::new(core)),
            requests: Combining::new(workers.max(MOST_WORKERS)),
            admission,
            lanes: Lanes::new(),
            numbers: CachePadded::new(AtomicU64::new(0)),
            parking: Parking::new(workers.max(MOST_WORKERS), clock),
            room: Room::default(),
            hurried: AtomicBool::new(false),
            cut: AtomicBool::new(false),
            leaving: AtomicBool::new(false),
            telling: AtomicUsize::new(0),
            quiet: Mutex::new(()),
            may_be_quiet: Condvar::new(),
            clock,
        });
        let pool = Self { shared, threads: Mutex::default() };
        for worker in 0..workers {
            if let Err(error) = pool.spawn(worker).map(|thread| pool.threads().push(thread)) {
                pool.drain(Duration::ZERO, Duration::ZERO);
                return Err(error);
            }
        }
        Ok(pool)
    }

    /// Takes a place for a job of that class; in a full queue, that of a less important job, if that is the policy.
    pub(crate) fn reserve(&self, class: PriorityClass) -> Result<Reserved, Refusal> {
        let shared = &*self.shared;
        let waiting = match shared.admission.admit(class) {
            Err(Refusal::Full) if shared.admission.displaces() => shared.displace_for(class)?,
            answer => answer?,
        };
        Ok(self.numbered(class, waiting))
    }

    /// True when [`Pool::reserve`] would be refused now because the queue is full, as far as one look shows that.
    pub(crate) fn is_plainly_full(&self) -> bool {
        self.shared.admission.is_plainly_full()
    }

    /// Like [`Pool::reserve`], but waits until there is room, and takes nobody's place. Never answers with a refusal
    /// for want of room, unless an empty queue would give it.
    pub(crate) fn reserve_when_room(&self, class: PriorityClass) -> Result<Reserved, Refusal> {
        let admission = &self.shared.admission;
        let attempt = || match admission.admit(class) {
            // Asked each time: the rule may have changed since.
            Err(why) if why.is_for_room() => {
                admission.rule().check(&PerClass::default(), class).err().map(Err)
            }
            answer => Some(answer),
        };
        let waiting = attempt().unwrap_or_else(|| self.wait_for_room(attempt))?;
        Ok(self.numbered(class, waiting))
    }

    fn numbered(&self, class: PriorityClass, waiting: u32) -> Reserved {
        Reserved { class, waiting, number: self.shared.numbers.fetch_add(1, Ordering::Relaxed) }
    }

    /// Waits until the attempt has an answer; it is made again whenever a job has left the queue or has ended. It must
    /// fail only for want of something that admitted jobs hold.
    pub(crate) fn wait_for_room<T>(&self, attempt: impl FnMut() -> Option<T>) -> T {
        self.shared.room.wait_until(attempt)
    }

    /// Uses a place: the job is on its way to the workers. `expires`: when it will have waited too long.
    pub(crate) fn push(&self, place: Reserved, pushed: H::Pushed, expires: Option<Time>) {
        debug_assert_eq!(place.number, H::number(&pushed), "a job has the number of its place");
        let shared = &*self.shared;
        shared.lanes.push(place.class, pushed);
        shared.parking.notify_pushed(place.class, expires);
    }

    /// Cancels a job that waits. `key` is asked for when everything that was pushed is in the core. False: it does not
    /// wait (any more).
    pub(crate) fn cancel(&self, key: impl FnOnce() -> Option<JobKey>) -> bool {
        self.shared.with_core(|core, now| key().is_some_and(|key| core.cancel(key, now)))
    }

    /// Lets no job of the hook start, and stops its waiting time.
    pub(crate) fn pause_hook(&self, hook: HookSlot) {
        self.shared.with_core(|core, now| core.pause_hook(hook, now));
    }

    pub(crate) fn resume_hook(&self, hook: HookSlot) {
        self.shared.with_core(|core, now| core.resume_hook(hook, now));
    }

    /// Lets no job start that stands in the class, and stops the waiting time of its jobs.
    pub(crate) fn pause_class(&self, class: PriorityClass) {
        self.shared.with_core(|core, now| core.pause_class(class, now));
    }

    pub(crate) fn resume_class(&self, class: PriorityClass) {
        self.shared.with_core(|core, now| core.resume_class(class, now));
        // A job that was pushed meanwhile may have found the class closed.
        self.shared.parking.notify();
    }

    /// True when nothing more is admitted.
    pub(crate) fn is_closed(&self) -> bool {
        self.shared.admission.is_closed()
    }

    /// Jobs of each class that wait.
    pub(crate) fn waiting(&self) -> PerClass<u32> {
        self.shared.admission.waiting()
    }
}

impl<H: Host> Shared<H> {
    /// Runs `f` on a core that has taken in everything that was pushed and has done what is due, and tells of what left.
    fn with_core<R>(&self, f: impl FnOnce(&mut Core<H::Job>, Time) -> R) -> R {
        let (answer, left) = self.within_core(f);
        self.tell(left);
        answer
    }

    /// The same, but leaves it to the caller to tell of what left, which must not be forgotten.
    fn within_core<R>(&self, f: impl FnOnce(&mut Core<H::Job>, Time) -> R) -> (R, Vec<Resolved<H::Job>>) {
        let mut left = Vec::new();
        let (answer, wake) = {
            let mut core = self.lock();
            let now = self.take_in(&mut core);
            core.tick(now);
            self.settle(&mut core, &mut left);
            let answer = f(&mut core, now);
            self.settle(&mut core, &mut left);
            self.begin_telling(&left);
            self.parking.set_open(core.seats_open(), core.paused());
            // What left may have held up others of its chain, and nobody else tells the workers of those.
            let to_watch = core.next_deadline().is_some_and(|deadline| self.parking.is_unwatched(deadline));
            (answer, to_watch || core.has_eligible())
        };
        if wake {
            self.parking.notify();
        }
        (answer, left)
    }

    /// Takes in what is in the lanes. Answers with the time, which is read after the last of them was found: none of
    /// them was admitted later.
    fn take_in(&self, core: &mut Core<H::Job>) -> Time {
        let mut found = lanes::Found::new();
        self.lanes.take_all(&mut found, H::number);
        let now = self.clock.now();
        while let Some(pushed) = found.pop() {
            let key = core.arrive(self.host.arrival(pushed), now);
            self.tell_placed(core, key);
        }
        now
    }

    fn tell_placed(&self, core: &Core<H::Job>, key: JobKey) {
        if let Some(job) = core.body(key) {
            self.host.placed(job, key);
        }
    }

    fn displace_for(&self, class: PriorityClass) -> Result<u32, Refusal> {
        self.with_core(|core, now| {
            loop {
                // Room may have been made since.
                match self.admission.admit(class) {
                    Err(Refusal::Full) => {}
                    answer => return answer,
                }
                let waiting = self.admission.waiting();
                // A job that was admitted and not yet pushed is counted and cannot be displaced.
                let rule = self.admission.rule();
                let mut victims = rule.victims(&waiting, class);
                let Some(victim) = victims.find(|victim| core.can_displace(*victim)) else {
                    return Err(Refusal::Full);
                };
                // Refused: the counts have changed since they were looked at, so somebody else got on. Again.
                if let Ok(waiting) = self.admission.displace(victim, class) {
                    core.displace_oldest(victim, now);
                    return Ok(waiting);
                }
            }
        })
    }

    /// Gives back the places of the jobs that left without being picked. Under the core's lock, so that who holds it
    /// sees in the admission word what is in the core, and beside that only what is on its way in.
    fn settle(&self, core: &mut Core<H::Job>, left: &mut Vec<Resolved<H::Job>>) {
        for resolved in core.take_resolved() {
            // The place of a displaced job went to its displacer.
            if resolved.outcome != OutcomeKind::Displaced {
                self.admission.release(resolved.class);
            }
            left.push(resolved);
        }
    }

    /// Under the core's lock: it is not quiet before these have been told of.
    fn begin_telling(&self, left: &[Resolved<H::Job>]) {
        if !left.is_empty() {
            self.telling.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Tells the host of jobs that left without being picked, and the others of their places. Not under the core's
    /// lock.
    fn tell(&self, left: Vec<Resolved<H::Job>>) {
        if left.is_empty() {
            return;
        }
        self.room.tell();
        for resolved in left {
            self.host.resolve(resolved);
        }
        // Once more: what these jobs held beside their places is free only now.
        self.room.tell();
        // SeqCst, as the closed bit: either this sees the close and tells, or who closes and looks then sees this. What
        // the host wrote down comes with it.
        self.telling.fetch_sub(1, Ordering::SeqCst);
        self.tell_quiet_if_closed();
    }

    fn tell_quiet_if_closed(&self) {
        if self.admission.is_closed() {
            self.tell_quiet();
        }
    }

    fn tell_quiet(&self) {
        drop(self.quiet.lock().unwrap_or_else(PoisonError::into_inner));
        self.may_be_quiet.notify_all();
    }

    /// It is held for less than a microsecond mostly, so who finds it taken looks again for a while: to sleep and to be
    /// woken costs more, and a mutex that somebody sleeps on costs a system call at each unlock.
    fn lock(&self) -> MutexGuard<'_, Core<H::Job>> {
        let backoff = Backoff::new();
        while !backoff.is_completed() {
            if let Some(core) = self.try_lock() {
                return core;
            }
            backoff.snooze();
        }
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn try_lock(&self) -> Option<MutexGuard<'_, Core<H::Job>>> {
        match self.core.try_lock() {
            Ok(core) => Some(core),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}

impl<H: Host> std::fmt::Debug for Pool<H> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool").field("waiting", &self.waiting()).finish_non_exhaustive()
    }
}
