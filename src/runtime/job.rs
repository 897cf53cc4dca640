//! A job of the runtime: one hook bound to one event, and the duty to give it exactly one outcome.
//!
//! What a job owes it owes by its [`Share`], which is over with [`Share::resolve`]. One that is dropped without that is a fault of hookpool: debug builds panic,
//! release builds count it as lost, and the ledger does not balance.

use std::ops::Deref;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use super::accounts::{Account, Accounts};
use super::crew::Crew;
use super::hooks::HookEntry;
use super::numbered::PoolNumber;
use crate::class::PriorityClass;
use crate::event::Event;
use crate::hook::Order;
use crate::kind::EventKind;
use crate::outcome::{Attempt, JobId, Outcome, WaitSplit};
use crate::process::Cancel;
use crate::scheduler::{Arrival, Batching, JobKey};
use crate::time::Time;

/// See the module's description. Most that wait are nothing but a pointer to what they share with their handles: a job is
/// moved from one place to another on its way.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) shared: Share,
    more: Option<Box<More>>,
}

/// What most jobs that wait have none of.
#[derive(Debug, Default)]
struct More {
    /// How it may share a batch, until it is in the core.
    batching: Option<Batching>,
    /// The attempts that have failed and were not the last.
    attempts: Vec<Attempt>,
    /// Its wait; `None`: it still waits for its first start.
    waited: Option<WaitSplit>,
}

impl Job {
    /// `None`: it has been taken in before.
    fn taken_in(shared: Arc<JobShared>) -> Option<Self> {
        let State::Pushed(entry, more) = std::mem::replace(&mut *shared.lock(), State::NEW) else {
            return None;
        };
        Some(Self { shared: Share { shared, entry, is_resolved: false }, more })
    }

    /// What the core has to know of it.
    pub(super) fn arrival(mut self) -> Arrival<Self> {
        let JobShared { event, class, admitted, max_wait, .. } = &**self.shared;
        let entry = &self.shared.entry;
        let arrival = Arrival {
            hook: entry.record.slot,
            class: *class,
            session: event.session_key().filter(|_| entry.hook.order == Order::Session),
            batching: None,
            bytes: u32::try_from(event.payload().len()).unwrap_or(u32::MAX),
            admitted: *admitted,
            max_wait: *max_wait,
            body: (),
        };
        let batching = self.more.as_mut().and_then(|more| more.batching.take());
        Arrival { batching, ..arrival }.with(self)
    }

    pub(super) fn kind(&self) -> EventKind {
        self.shared.event.kind()
    }

    fn more(&mut self) -> &mut More {
        self.more.get_or_insert_default()
    }

    /// What it waited for, if it waits no more since now: that is what the core says and, on top, how long it took to
    /// come here. Said once, it stays: a job that is tried again has waited before its first attempt.
    pub(super) fn has_waited(&mut self, waited: WaitSplit, now: impl FnOnce() -> Time) -> WaitSplit {
        let admitted = self.shared.admitted;
        *self.more().waited.get_or_insert_with(|| waited.until(now().since(admitted)))
    }

    /// It still waits for its first start.
    pub(super) fn is_new(&self) -> bool {
        self.more.as_ref().is_none_or(|more| more.waited.is_none())
    }

    /// The attempts that have failed and were not the last.
    pub(super) fn attempts(&self) -> &[Attempt] {
        self.more.as_ref().map_or(&[], |more| &more.attempts)
    }

    pub(super) fn attempts_mut(&mut self) -> &mut Vec<Attempt> {
        &mut self.more().attempts
    }

    /// Number of the attempt that runs, or comes next: 1 for the first.
    pub(super) fn attempt(&self) -> u32 {
        u32::try_from(self.attempts().len()).unwrap_or(u32::MAX).saturating_add(1)
    }
}

/// How a running job is stopped.
#[derive(Clone, Debug)]
pub(super) struct Stop {
    /// Says that the job is not wanted any more.
    pub(super) cancel: Cancel,
    /// The batch that it runs in, and its number there.
    pub(super) crew: Option<(Arc<Crew>, usize)>,
}

impl Stop {
    fn stop(&self) {
        self.cancel.cancel();
        if let Some((crew, member)) = &self.crew {
            crew.cancelled(*member);
        }
    }

    /// The job has its outcome, or will have it at once.
    pub(super) fn is_over(&self) {
        if let Some((crew, member)) = &self.crew {
            crew.gone(*member);
        }
    }
}

/// What a job and its handle share: one allocation for both, and for what the jobs of one event have in common.
#[derive(Debug)]
pub(super) struct JobShared {
    pub(super) id: JobId,
    /// By which a handle finds it.
    pool: PoolNumber,
    pub(super) event: Event,
    pub(super) class: PriorityClass,
    pub(super) admitted: Time,
    /// Longest wait from admission to the first start.
    pub(super) max_wait: Option<Duration>,
    account: Account,
    state: Mutex<State>,
    resolved: Condvar,
}

#[derive(Debug)]
enum State {
    /// On its way to the core, with what is the job's alone.
    Pushed(Arc<HookEntry>, Option<Box<More>>),
    Waiting {
        /// Where in the core. A retry waits under a new key.
        key: Option<JobKey>,
        /// False: it was cancelled after it was picked and before it was started.
        wanted: bool,
    },
    /// Its handler runs, and stops when this is cancelled.
    Running(Stop),
    /// It has its outcome, and observers are told of it on this thread.
    Telling(Arc<Outcome>, ThreadId),
    Resolved(Arc<Outcome>),
}

impl State {
    const NEW: Self = Self::Waiting { key: None, wanted: true };

    fn is_unwanted(&self) -> bool {
        matches!(self, Self::Waiting { wanted: false, .. })
    }
}

/// A job's own part in what it shares. As long as it has it, it owes an outcome, and the bytes of its event are in use. A
/// handle has none, and so keeps no hook's definition with its processes.
#[derive(Debug)]
pub(super) struct Share {
    shared: Arc<JobShared>,
    /// What its hook was defined as when it was admitted.
    pub(super) entry: Arc<HookEntry>,
    is_resolved: bool,
}

/// What is decided when a job is admitted.
pub(super) struct Admitted {
    pub(super) id: JobId,
    pub(super) pool: PoolNumber,
    pub(super) event: Event,
    pub(super) class: PriorityClass,
    pub(super) at: Time,
    pub(super) max_wait: Option<Duration>,
    pub(super) account: Account,
    pub(super) batching: Option<Batching>,
}

/// A job on its way to the core: nothing but a pointer to what it shares, as it is moved and kept in lanes.
#[derive(Debug)]
pub(super) struct Pushed(Option<Arc<JobShared>>);

impl Pushed {
    /// The job's number in the pool, by that of its place.
    pub(super) fn id(place: u64) -> JobId {
        JobId(place + 1)
    }

    pub(super) fn new(job: Admitted, entry: Arc<HookEntry>) -> Self {
        let Admitted { id, pool, event, class, at: admitted, max_wait, account, batching } = job;
        let more = batching.map(|_| Box::new(More { batching, ..More::default() }));
        let (state, resolved) = (Mutex::new(State::Pushed(entry, more)), Condvar::new());
        let shared = JobShared { id, pool, event, class, admitted, max_wait, account, state, resolved };
        Self(Some(Arc::new(shared)))
    }

    fn shared(&self) -> &Arc<JobShared> {
        self.0.as_ref().expect("it is taken out at the end only")
    }

    pub(super) fn place(&self) -> u64 {
        self.shared().id.0 - 1
    }

    pub(super) fn handle(&self) -> JobHandle {
        JobHandle { shared: Arc::clone(self.shared()) }
    }

    /// It has come to the core.
    pub(super) fn into_job(mut self) -> Job {
        self.0.take().and_then(Job::taken_in).expect("it comes once")
    }
}

impl Drop for Pushed {
    fn drop(&mut self) {
        // A job that goes before it came, whose share knows what to do about that.
        drop(self.0.take().and_then(Job::taken_in));
    }
}

impl Share {
    /// The job has its outcome. Its bytes are free before anybody who waits can know that.
    pub(super) fn resolve(mut self, outcome: Arc<Outcome>) {
        self.is_resolved = true;
        let shared = Arc::clone(&self.shared);
        drop(self);
        shared.resolve(outcome);
    }
}

impl Deref for Share {
    type Target = Arc<JobShared>;

    fn deref(&self) -> &Arc<JobShared> {
        &self.shared
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let accounts = &*self.entry.record.accounts;
        if !self.is_resolved {
            accounts.lost.fetch_add(1, Ordering::Relaxed);
        }
        self.shared.leave(accounts);
        debug_assert!(self.is_resolved || thread::panicking(), "a job was dropped without an outcome");
    }
}

impl JobShared {
    pub(super) fn account(&self) -> &Account {
        &self.account
    }

    /// A job uses the bytes of its event no more.
    pub(super) fn leave(&self, accounts: &Accounts) {
        match &self.account {
            Account::Own(users) => {
                if users.leave() {
                    accounts.bytes.give_back(self.event.payload().len() as u64);
                }
            }
            Account::Of(owner) => owner.leave(accounts),
        }
    }

    /// It waits in the core, under this key.
    pub(super) fn placed(&self, at: JobKey) {
        if let State::Waiting { key, .. } = &mut *self.lock() {
            *key = Some(at);
        }
    }

    /// Its handler is about to run. False: nobody wants it any more.
    pub(super) fn start(&self, stop: Stop) -> bool {
        let mut state = self.lock();
        let is_wanted = !state.is_unwanted();
        *state = State::Running(stop);
        is_wanted
    }

    /// Its attempt has failed, and it is to wait for the next one. False: it has been cancelled meanwhile.
    pub(super) fn wait_again(&self) -> bool {
        let mut state = self.lock();
        let is_wanted = matches!(&*state, State::Running(stop) if !stop.cancel.is_cancelled());
        if is_wanted {
            *state = State::NEW;
        }
        is_wanted
    }

    /// It was cancelled between two attempts, when it was not in the queue.
    pub(super) fn is_unwanted(&self) -> bool {
        self.lock().is_unwanted()
    }

    /// It has its outcome, which observers see before those who wait for it.
    pub(super) fn tell(&self, outcome: &Arc<Outcome>) {
        *self.lock() = State::Telling(Arc::clone(outcome), thread::current().id());
    }

    fn resolve(self: &Arc<Self>, outcome: Arc<Outcome>) {
        *self.lock() = State::Resolved(outcome);
        // Without a handle nobody waits, and a notification is a system call all the same.
        if Arc::strong_count(self) > 1 {
            self.resolved.notify_all();
        }
    }

    fn key(&self) -> Option<JobKey> {
        if let State::Waiting { key, .. } = *self.lock() { key } else { None }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A handle on an admitted job: waits for its outcome, or cancels it. Dropping it changes nothing for the job.
#[derive(Clone, Debug)]
pub struct JobHandle {
    pub(super) shared: Arc<JobShared>,
}

impl JobHandle {
    /// The job's number, as its handler sees it in `HOOKPOOL_JOB`.
    #[must_use]
    pub fn id(&self) -> JobId {
        self.shared.id
    }

    /// The outcome, if there is one yet.
    #[must_use]
    pub fn outcome(&self) -> Option<Arc<Outcome>> {
        match &*self.shared.lock() {
            State::Telling(outcome, _) | State::Resolved(outcome) => Some(Arc::clone(outcome)),
            State::Pushed(..) | State::Waiting { .. } | State::Running(_) => None,
        }
    }

    /// Waits for the outcome, at most that long. `None`: it took longer.
    ///
    /// Waiting inside of a handler of the same pool can wait for itself: its seat is taken.
    #[must_use]
    pub fn wait(&self, timeout: Duration) -> Option<Arc<Outcome>> {
        let until = Instant::now().checked_add(timeout);
        let mut state = self.shared.lock();
        loop {
            match &*state {
                State::Resolved(outcome) => return Some(Arc::clone(outcome)),
                // An observer of this very outcome would wait for itself.
                State::Telling(outcome, thread) if *thread == thread::current().id() => {
                    return Some(Arc::clone(outcome));
                }
                _ => {}
            }
            state = match until.map(|until| until.saturating_duration_since(Instant::now())) {
                None => self.shared.resolved.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(left) if left.is_zero() => return None,
                Some(left) => {
                    self.shared.resolved.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }

    /// Cancels the job: a waiting one leaves the queue, a running one is stopped with TERM, grace, KILL. Does not wait
    /// for that. False: it has its outcome already.
    ///
    /// A handler that runs a batch goes on for the other members, and is stopped when the last of them that has no
    /// outcome is cancelled.
    ///
    /// A handler that ends by itself at the same moment keeps the outcome that it earned, and so does a job that leaves
    /// the queue otherwise. An observer that is being told of an outcome sees false for its job.
    pub fn cancel(&self) -> bool {
        let Some(engine) = self.shared.pool.engine() else { return false };
        if let Some(stopped) = self.stop_if_running() {
            return stopped;
        }
        if engine.cancel_waiting(|| self.shared.key()) {
            return true;
        }
        // It may start between the looks; and it may come back to wait for its retry, where it is looked for once more.
        self.stop_or_forbid() && {
            engine.cancel_waiting(|| self.shared.key());
            true
        }
    }

    /// For a job that waits no more: stops it, or keeps it from starting. False: it has its outcome.
    fn stop_or_forbid(&self) -> bool {
        match &mut *self.shared.lock() {
            // Whoever looked for it in the core has taken it in.
            State::Pushed(..) => {}
            State::Waiting { wanted, .. } => *wanted = false,
            State::Running(stop) => stop.stop(),
            State::Telling(..) | State::Resolved(_) => return false,
        }
        true
    }

    /// `None`: it waits. False: it has its outcome.
    fn stop_if_running(&self) -> Option<bool> {
        match &*self.shared.lock() {
            State::Pushed(..) => None,
            State::Waiting { wanted, .. } => (!wanted).then_some(true),
            State::Running(stop) => {
                stop.stop();
                Some(true)
            }
            State::Telling(..) | State::Resolved(_) => Some(false),
        }
    }
}
