//! A job of the runtime: one hook bound to one event, and the duty to give it exactly one outcome.
//!
//! What a job owes it owes by its [`Share`], which is over with [`Share::resolve`]. One that is dropped without that is a fault of hookpool: debug builds panic,
//! release builds count it as lost, and the ledger does not balance.

use std::ops::Deref;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use super::accounts::Charge;
use super::crew::Crew;
use super::hooks::HookEntry;
use crate::class::PriorityClass;
use crate::event::Event;
use crate::kind::EventKind;
use crate::outcome::{Attempt, JobId, Outcome, WaitSplit};
use crate::process::Cancel;
use crate::scheduler::JobKey;
use crate::time::Time;

/// See the module's description.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) id: JobId,
    /// What its hook was defined as when it was admitted.
    pub(super) entry: Arc<HookEntry>,
    pub(super) class: PriorityClass,
    pub(super) admitted: Time,
    pub(super) shared: Share,
    /// The attempts that have failed and were not the last.
    pub(super) attempts: Vec<Attempt>,
    /// Its wait; `None`: it still waits for its first start. Boxed, as most that wait have none.
    pub(super) waited: Option<Box<WaitSplit>>,
}

impl Job {
    pub(super) fn kind(&self) -> EventKind {
        self.shared.event.kind()
    }

    /// What it waited for, if it waits no more since now: that is what the core says and, on top, how long it took to
    /// come here. Said once, it stays: a job that is tried again has waited before its first attempt.
    pub(super) fn has_waited(&mut self, waited: WaitSplit, now: Time) -> WaitSplit {
        **self.waited.get_or_insert_with(|| Box::new(waited.until(now.since(self.admitted))))
    }

    /// Number of the attempt that runs, or comes next: 1 for the first.
    pub(super) fn attempt(&self) -> u32 {
        u32::try_from(self.attempts.len()).unwrap_or(u32::MAX).saturating_add(1)
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
    pub(super) event: Event,
    account: Account,
    state: Mutex<State>,
    resolved: Condvar,
    /// Where it waits in the core. A retry waits under a new key.
    key: Mutex<Option<JobKey>>,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Waiting,
    /// Cancelled after it was picked and before it was started.
    Unwanted,
    /// Its handler runs, and stops when this is cancelled.
    Running(Stop),
    /// It has its outcome, and observers are told of it on this thread.
    Telling(Arc<Outcome>, ThreadId),
    Resolved(Arc<Outcome>),
}

/// Who keeps the account of the bytes of an event.
#[derive(Debug)]
enum Account {
    /// The first job that was admitted, for all of them.
    Own(Charge),
    Of(Arc<JobShared>),
}

/// A job's own part in what it shares. As long as it has it, it owes an outcome, and the bytes of its event are in use. A
/// handle has none.
#[derive(Debug)]
pub(super) struct Share {
    shared: Arc<JobShared>,
    is_resolved: bool,
}

impl Share {
    /// For the first job of an event. The bytes have a second user: who submits, until all jobs are admitted.
    pub(super) fn first(event: &Event, charge: Charge) -> Self {
        Self::new(JobShared::new(event, Account::Own(charge.for_two())))
    }

    fn new(shared: JobShared) -> Self {
        Self { shared: Arc::new(shared), is_resolved: false }
    }

    /// For a handle.
    pub(super) fn for_handle(&self) -> Arc<JobShared> {
        Arc::clone(&self.shared)
    }

    /// The job has its outcome. Its bytes are free before anybody who waits can know that.
    pub(super) fn resolve(mut self, outcome: Arc<Outcome>) {
        self.is_resolved = true;
        let shared = self.for_handle();
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
        let charge = self.charge();
        if !self.is_resolved {
            charge.accounts().lost.fetch_add(1, Ordering::Relaxed);
        }
        charge.leave();
        debug_assert!(self.is_resolved || thread::panicking(), "a job was dropped without an outcome");
    }
}

impl JobShared {
    fn new(event: &Event, account: Account) -> Self {
        let (state, resolved, key) = Default::default();
        Self { event: event.clone(), account, state, resolved, key }
    }

    /// For another job of the same event.
    pub(super) fn another(self: &Arc<Self>) -> Share {
        let first = match &self.account {
            Account::Own(_) => self,
            Account::Of(first) => first,
        };
        first.charge().join();
        Share::new(Self::new(&first.event, Account::Of(Arc::clone(first))))
    }

    /// The bytes of its event.
    pub(super) fn charge(&self) -> &Charge {
        match &self.account {
            Account::Own(charge) => charge,
            Account::Of(first) => first.charge(),
        }
    }

    pub(super) fn placed(&self, key: JobKey) {
        *self.key.lock().unwrap_or_else(PoisonError::into_inner) = Some(key);
    }

    /// Its handler is about to run. False: nobody wants it any more.
    pub(super) fn start(&self, stop: Stop) -> bool {
        let mut state = self.lock();
        let is_wanted = !matches!(*state, State::Unwanted);
        *state = State::Running(stop);
        is_wanted
    }

    /// Its attempt has failed, and it is to wait for the next one. False: it has been cancelled meanwhile.
    pub(super) fn wait_again(&self) -> bool {
        let mut state = self.lock();
        let is_wanted = matches!(&*state, State::Running(stop) if !stop.cancel.is_cancelled());
        if is_wanted {
            *state = State::Waiting;
        }
        is_wanted
    }

    /// It was cancelled between two attempts, when it was not in the queue.
    pub(super) fn is_unwanted(&self) -> bool {
        matches!(*self.lock(), State::Unwanted)
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
        *self.key.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A handle on an admitted job: waits for its outcome, or cancels it. Dropping it changes nothing for the job.
#[derive(Clone, Debug)]
pub struct JobHandle {
    pub(super) id: JobId,
    pub(super) shared: Arc<JobShared>,
}

impl JobHandle {
    /// The job's number, as its handler sees it in `HOOKPOOL_JOB`.
    #[must_use]
    pub fn id(&self) -> JobId {
        self.id
    }

    /// The outcome, if there is one yet.
    #[must_use]
    pub fn outcome(&self) -> Option<Arc<Outcome>> {
        match &*self.shared.lock() {
            State::Telling(outcome, _) | State::Resolved(outcome) => Some(Arc::clone(outcome)),
            State::Waiting | State::Unwanted | State::Running(_) => None,
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
        let Some(engine) = self.shared.charge().accounts().engine.upgrade() else { return false };
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
        let mut state = self.shared.lock();
        match &*state {
            State::Waiting => *state = State::Unwanted,
            State::Unwanted => {}
            State::Running(stop) => stop.stop(),
            State::Telling(..) | State::Resolved(_) => return false,
        }
        true
    }

    /// `None`: it waits. False: it has its outcome.
    fn stop_if_running(&self) -> Option<bool> {
        match &*self.shared.lock() {
            State::Waiting => None,
            State::Unwanted => Some(true),
            State::Running(stop) => {
                stop.stop();
                Some(true)
            }
            State::Telling(..) | State::Resolved(_) => Some(false),
        }
    }
}
