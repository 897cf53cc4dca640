//! The scheduler core: what waits, what may run next, and what must not.
//!
//! A pure state machine. It has no clock, no thread, no lock and does no I/O: time comes in as an argument, jobs carry
//! a body of which it knows nothing, and everything that happens is the answer to a call. So it runs in virtual time
//! as well as in the pool, and a failure is replayed from its script. A call that takes the time first does what is due
//! by then, so an answer never depends on how lately somebody called [`Core::tick`].
//!
//! | file | owns |
//! |---|---|
//! | `rule.rs` | who may wait: capacity, guarantees, ceilings |
//! | `chain.rs` | order: the jobs of one hook and session, one at a time, and the importance that a head inherits |
//! | `batch.rs` | open batches: filling, lingering, closing |
//! | `ready.rs` | the queue of each class: what could run now |
//! | `pick.rs` | which class next: strict order with bounded bypass, weights, `max_concurrency` |
//! | `seats.rs` | how many may run, and for which classes a seat is free |
//! | `run.rs` | starting, completing, retrying |
//! | `expiry.rs` | jobs that wait too long; pause |
//! | `wait.rs` | why jobs wait: the causes of each wait, to the nanosecond |
//! | `list.rs`, `job.rs`, `params.rs`, `hashing.rs` | the parts |
//!
//! **Life of a job.** It arrives, and waits in one [`Place`]: behind another job of its chain, in an open batch, ready
//! by itself, or delayed until a retry. [`Core::pick`] takes it out and gives it a seat; [`Core::complete`] frees the
//! seat and lets the chain go on. It may leave before it is picked: displaced, expired, cancelled or abandoned; such
//! jobs are handed out through [`Core::take_resolved`].
//!
//! **Invariants.** (1) Each waiting job is in exactly one place. (2) A chain that is not running and not delayed has
//! its first job placed, and no job behind an unplaced one is placed. (3) No seat limit is exceeded. (4) A job that
//! enters leaves exactly once: by `pick` (and again, if it is retried) or by `take_resolved`.

mod batch;
mod chain;
mod expiry;
mod hashing;
mod job;
mod list;
mod offer;
mod params;
mod pick;
mod ready;
mod rule;
mod run;
mod seats;
#[cfg(test)]
mod tests;
mod wait;

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};

use priority_queue::PriorityQueue;
use slab::Slab;

pub(crate) use self::job::{Arrival, Dispatch, JobKey, Picked, Resolved, Retry, RunKey};
pub(crate) use self::params::{BatchParams, Batching, CoreParams, HookParams, PickParams, SeatParams};
pub(crate) use self::rule::AdmissionRule;

use self::batch::{Batch, BatchKey, Joining};
use self::chain::{Chain, ChainKey};
use self::expiry::ExpiryGroup;
use self::hashing::Keyed;
use self::job::{BatchSlot, ChainSlot, GroupSlot, JobSlot, Place, Run, RunJob, Waiting};
use self::list::{List, ListKind};
use self::pick::Picker;
use self::ready::{ReadyQueue, Unit};
use self::seats::Seats;
use self::wait::{HookClocks, Tally, WaitClocks, Waits};
use crate::class::{ClassSet, PerClass, PriorityClass};
use crate::outcome::OutcomeKind;
use crate::time::Time;

/// A hook, as the core numbers them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct HookSlot(pub(crate) u32);

/// The core. `T` is what the shell around it needs to know of a job.
pub(crate) struct Core<T> {
    params: CoreParams,
    hooks: Vec<HookState>,
    jobs: Slab<Waiting<T>>,
    chains: Slab<Chain>,
    /// The chain of each hook and session that has one.
    named: HashMap<ChainKey, ChainSlot, Keyed>,
    batches: Slab<Batch>,
    /// The batch of each key that still takes members.
    open: HashMap<BatchKey, BatchSlot, Keyed>,
    lingering: BTreeSet<BatchSlot>,
    groups: Vec<ExpiryGroup>,
    runs: Slab<Run>,
    /// Jobs of each class that were never started, the oldest first.
    lanes: PerClass<List>,
    ready: PerClass<ReadyQueue>,
    /// Every waiting job, by its own class.
    waiting: PerClass<u32>,
    picker: Picker,
    seats: Seats,
    /// Hooks that may not run more now: they are paused, or run as much as they may.
    saturated: u32,
    timers: PriorityQueue<Timer, Reverse<(Time, u64)>, Keyed>,
    resolved: Vec<Resolved<T>>,
    paused: ClassSet,
    clocks: WaitClocks,
    /// Next arrival number.
    arrivals: u64,
    /// Ties between equal deadlines are broken by the order in which they were set.
    timer_ticks: u64,
    closing: bool,
}

/// What the core keeps of a hook.
#[derive(Debug, Default)]
struct HookState {
    params: HookParams,
    paused: bool,
    /// Runs that hold a seat.
    running: u32,
    /// Units that were ready when the hook had as many runs as it may have.
    parked: PerClass<ReadyQueue>,
    groups: Vec<GroupSlot>,
    clocks: HookClocks,
}

/// What a deadline is for. The key of the deadline queue: setting it again replaces it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Timer {
    Linger(BatchSlot),
    Expiry(GroupSlot),
    Retry(JobSlot),
}

impl<T> Core<T> {
    pub(crate) fn new(params: CoreParams) -> Self {
        let keyed = Keyed::default();
        Self {
            hooks: Vec::new(),
            jobs: Slab::new(),
            chains: Slab::new(),
            named: HashMap::with_hasher(keyed),
            batches: Slab::new(),
            open: HashMap::with_hasher(keyed),
            lingering: BTreeSet::new(),
            groups: Vec::new(),
            runs: Slab::new(),
            lanes: PerClass::default(),
            ready: PerClass::default(),
            waiting: PerClass::default(),
            picker: Picker::default(),
            seats: Seats::new(&params.seats),
            saturated: 0,
            timers: PriorityQueue::with_hasher(keyed),
            resolved: Vec::new(),
            paused: ClassSet::default(),
            clocks: WaitClocks::default(),
            arrivals: 0,
            timer_ticks: 0,
            closing: false,
            params,
        }
    }

    pub(crate) fn add_hook(&mut self, params: HookParams) -> HookSlot {
        let slot = HookSlot(u32::try_from(self.hooks.len()).expect("fewer than 2^32 hooks"));
        self.hooks.push(HookState { params, ..HookState::default() });
        slot
    }

    /// Another definition of the hook holds from now on. Jobs that are here keep theirs, but for how many of the hook's
    /// may run at once. Its batches wait for no more members: who comes now goes by the new definition.
    pub(crate) fn set_hook(&mut self, hook: HookSlot, params: HookParams, now: Time) {
        self.tick(now);
        self.hook(hook).params = params;
        self.set_hook_clocks(hook);
        self.flush_batches_of(hook);
        self.unpark(hook);
    }

    /// Takes in a job that was admitted. The jobs of a chain keep the order of their arrivals.
    pub(crate) fn arrive(&mut self, arrival: Arrival<T>, now: Time) -> JobKey {
        self.tick(now);
        let seq = self.arrivals;
        self.arrivals += 1;
        let Arrival { hook, class, session, batching, bytes, admitted, max_wait, body } = arrival;
        let chain = session.map(|session| self.chain_of(ChainKey { hook, session }));
        let slot = JobSlot::from_index(self.jobs.insert(Waiting {
            seq,
            hook,
            class,
            chain,
            batching: batching.map(|batching| Box::new(Joining { batching, bytes, lingered: 0 })),
            // A clock that is read twice at the same moment may be a little ahead of the core's.
            admitted: admitted.min(now),
            place: Place::Behind,
            group: None,
            paused_before: 0,
            started: false,
            links: list::Links::default(),
            tally: Tally::default(),
            waits: Waits::Not,
            body,
        }));
        self.waiting[class] += 1;
        self.lanes[class].push_back(&mut self.jobs, ListKind::Lane, slot);
        if let Some(max_wait) = max_wait {
            self.watch_expiry(slot, max_wait, now);
        }
        match chain {
            Some(key) => self.join_chain(slot, key, now),
            None => self.place(slot, now),
        }
        self.begin_wait(slot);
        self.relieve();
        JobKey::of(slot, seq)
    }

    pub(crate) fn params(&self) -> &CoreParams {
        &self.params
    }

    /// Goes by other parameters from now on. Nothing that waits is lost, and nothing that runs is stopped: a queue that
    /// holds more than it may refuses until that has gone, and seats that are too many are not given again.
    pub(crate) fn set_params(&mut self, params: CoreParams, now: Time) {
        self.tick(now);
        if params.pick != self.params.pick {
            self.repick(&params.pick);
        }
        self.params = params;
        self.seats.change(&self.params.seats);
        self.relieve();
    }

    /// Gives the next unit a seat: the most important job that may run, or a batch. `None`: nothing may run now.
    pub(crate) fn pick(&mut self, now: Time) -> Option<Dispatch<T>> {
        self.tick(now);
        let (class, eligible) = self.choose()?;
        let (_, unit) = self.ready[class].pop_front()?;
        let expected = self.take_seat(class, eligible);
        Some(self.start(unit, class, expected))
    }

    /// True when [`Core::pick`] would find something: another seat and another unit are free.
    pub(crate) fn has_eligible(&mut self) -> bool {
        self.choose().is_some()
    }

    /// Cancels a waiting job. False: it does not wait (any more).
    pub(crate) fn cancel(&mut self, key: JobKey, now: Time) -> bool {
        self.tick(now);
        let waits = self.jobs.get(key.slot.index()).is_some_and(|job| key.is_of(job.seq));
        if waits {
            self.resolve(key.slot, OutcomeKind::Cancelled, now);
        }
        waits
    }

    /// Nothing more comes: batches stop lingering.
    pub(crate) fn close(&mut self, now: Time) {
        self.tick(now);
        self.closing = true;
        self.flush_batches();
    }

    /// Resolves everything that waits as abandoned.
    pub(crate) fn abandon_waiting(&mut self, now: Time) {
        self.tick(now);
        for class in PriorityClass::ALL {
            while let Some(slot) = self.lanes[class].first() {
                self.resolve(slot, OutcomeKind::Abandoned, now);
            }
        }
        // What is left was started before and waits for its retry.
        let started: Vec<_> = self.jobs.iter().map(|(slot, _)| JobSlot::from_index(slot)).collect();
        for slot in started {
            self.resolve(slot, OutcomeKind::Abandoned, now);
        }
    }

    /// Does what is due: batches stop lingering, jobs expire, retries return.
    #[inline]
    pub(crate) fn tick(&mut self, now: Time) {
        if self.no_deadline_before().is_some_and(|due| due <= now) {
            self.do_what_is_due(now);
        }
        self.pass(now);
    }

    fn do_what_is_due(&mut self, now: Time) {
        while let Some((timer, Reverse((due, _)))) = self.timers.peek().map(|(timer, due)| (*timer, *due)) {
            if due > now {
                break;
            }
            self.timers.pop();
            // However late somebody calls, it has happened when it was due.
            let at = due.max(self.clocks.now());
            self.pass(at);
            match timer {
                Timer::Linger(batch) => self.make_ready(batch),
                Timer::Expiry(group) => self.expire(group, at),
                Timer::Retry(slot) => self.end_delay(slot, at),
            }
        }
    }

    /// When [`Core::tick`] has something to do next. Exact: nobody wakes up for nothing.
    pub(crate) fn next_deadline(&mut self) -> Option<Time> {
        loop {
            let (timer, due) = self.timers.peek().map(|(timer, Reverse((due, _)))| (*timer, *due))?;
            let Timer::Expiry(group) = timer else { return Some(due) };
            // The timer of a group may be early: the job that it was set for has gone since.
            if let Some(due) = self.confirm_deadline(group, due) {
                return Some(due);
            }
        }
    }

    /// [`Core::next_deadline`] is not before this. It costs less, and changes nothing.
    pub(crate) fn no_deadline_before(&self) -> Option<Time> {
        self.timers.peek().map(|(_, Reverse((due, _)))| *due)
    }

    /// The jobs that left without being picked, since the last call.
    pub(crate) fn take_resolved(&mut self) -> Vec<Resolved<T>> {
        std::mem::take(&mut self.resolved)
    }

    /// True when [`Core::displace_oldest`] would find a victim of that class.
    pub(crate) fn can_displace(&self, class: PriorityClass) -> bool {
        self.lanes[class].first().is_some()
    }

    /// The oldest job of the class gives up its place.
    pub(crate) fn displace_oldest(&mut self, class: PriorityClass, now: Time) {
        self.pass(now);
        if let Some(slot) = self.lanes[class].first() {
            self.resolve(slot, OutcomeKind::Displaced, now);
        }
    }

    /// The classes for which a seat is free.
    pub(crate) fn seats_open(&self) -> ClassSet {
        self.seats.free().without(self.paused)
    }

    pub(crate) fn paused(&self) -> ClassSet {
        self.paused
    }

    pub(crate) fn paused_hooks(&self) -> impl Iterator<Item = HookSlot> {
        let slots = (0..).map(HookSlot).zip(&self.hooks);
        slots.filter(|(_, hook)| hook.paused).map(|(slot, _)| slot)
    }

    /// When the oldest job of the class was admitted, of those that were never started.
    pub(crate) fn oldest(&self, class: PriorityClass) -> Option<Time> {
        self.lanes[class].first().map(|slot| self.job(slot).admitted)
    }

    /// The body of a waiting job.
    pub(crate) fn body(&self, key: JobKey) -> Option<&T> {
        self.jobs.get(key.slot.index()).filter(|job| key.is_of(job.seq)).map(|job| &job.body)
    }

    /// Ends the linger of every batch when too much waits.
    fn relieve(&mut self) {
        if self.waiting_in_all() >= self.params.pressure {
            self.flush_batches();
        }
    }

    fn waiting_in_all(&self) -> u32 {
        self.waiting.values().sum()
    }

    /// Seats that are taken, by the class in which the job was picked.
    pub(crate) fn running(&self) -> PerClass<u32> {
        self.seats.taken()
    }

    /// Takes a waiting job out of everything that it is in, and hands it out with that outcome.
    fn resolve(&mut self, slot: JobSlot, outcome: OutcomeKind, now: Time) -> PriorityClass {
        let waited = self.end_wait(slot);
        self.unplace(slot);
        self.forget(slot);
        let chain = self.job(slot).chain;
        if let Some(key) = chain {
            self.unlink(slot, key);
        }
        let job = self.jobs.remove(slot.index());
        self.waiting[job.class] -= 1;
        if let Some(key) = chain {
            self.advance_chain(key, now);
        }
        self.unpark(job.hook);
        self.resolved.push(Resolved {
            body: job.body,
            class: job.class,
            admitted: job.admitted,
            outcome,
            waited,
        });
        job.class
    }

    /// Puts a job that nothing of its chain is in front of where it can be picked: in a batch, or ready by itself.
    fn place(&mut self, slot: JobSlot, now: Time) {
        if let Some(joining) = self.job(slot).batching.as_deref().copied() {
            self.join_batch(slot, joining.batching, now);
        } else {
            let (class, key) = self.standing(slot);
            self.job_mut(slot).place = Place::Ready { class, key, parked: false };
            self.wait_for(slot, Waits::Stands(class));
            self.ready[class].insert(key, Unit::Job(slot));
        }
        self.extend_batch(slot);
    }

    /// Takes a job out of the queue, the batch or the timer that it is placed in.
    fn unplace(&mut self, slot: JobSlot) {
        let job = self.job_mut(slot);
        let hook = job.hook;
        match std::mem::replace(&mut job.place, Place::Behind) {
            Place::Behind => {}
            Place::Ready { class, key, parked } => self.queue_of(hook, class, parked).remove(key),
            Place::Batch(batch) => self.leave_batch(batch, slot),
            Place::Delayed => {
                self.timers.remove(&Timer::Retry(slot));
            }
        }
    }

    /// Takes a job out of its lane and its expiry group: it starts, or it goes.
    fn forget(&mut self, slot: JobSlot) {
        let job = self.job_mut(slot);
        let (class, group) = (job.class, job.group.take());
        if !std::mem::replace(&mut job.started, true) {
            self.lanes[class].remove(&mut self.jobs, ListKind::Lane, slot);
        }
        if let Some(group) = group {
            self.unwatch_expiry(slot, group);
        }
    }

    fn set_timer(&mut self, timer: Timer, due: Time) {
        self.timer_ticks += 1;
        self.timers.push(timer, Reverse((due, self.timer_ticks)));
    }

    fn queue_of(&mut self, hook: HookSlot, class: PriorityClass, parked: bool) -> &mut ReadyQueue {
        if parked { &mut self.hook(hook).parked[class] } else { &mut self.ready[class] }
    }

    fn hook(&mut self, hook: HookSlot) -> &mut HookState {
        self.hooks.get_mut(hook.0 as usize).expect("hooks are never removed")
    }

    fn job(&self, slot: JobSlot) -> &Waiting<T> {
        self.jobs.get(slot.index()).expect("a slot that something refers to is occupied")
    }

    fn job_mut(&mut self, slot: JobSlot) -> &mut Waiting<T> {
        self.jobs.get_mut(slot.index()).expect("a slot that something refers to is occupied")
    }
}

impl<T> std::fmt::Debug for Core<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Core")
            .field("waiting", &self.waiting)
            .field("running", &self.seats.taken())
            .field("chains", &self.chains.len())
            .field("batches", &self.batches.len())
            .finish_non_exhaustive()
    }
}
