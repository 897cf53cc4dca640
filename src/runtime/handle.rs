//! What a job and its handles share: the way to its outcome, and back for who does not want it any more.
//!
//! Invariant: the state goes from pushed to waiting to running, back to waiting for a retry, and ends with the outcome,
//! which is told to observers before anybody who waits sees it.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use super::accounts::{Account, Accounts};
use super::crew::Crew;
use super::hooks::HookEntry;
use super::job::More;
use super::numbered::PoolNumber;
use crate::class::PriorityClass;
use crate::event::Event;
use crate::outcome::{JobId, Outcome};
use crate::process::Cancel;
use crate::scheduler::JobKey;
use crate::time::Time;

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

/// What is decided when a job is admitted.
pub(super) struct Admitted {
    pub(super) id: JobId,
    pub(super) pool: PoolNumber,
    pub(super) event: Event,
    pub(super) class: PriorityClass,
    pub(super) at: Time,
    pub(super) max_wait: Option<Duration>,
    pub(super) account: Account,
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
    pub(super) account: Account,
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

impl JobShared {
    /// Of a job that is on its way to the core, with what is the job's alone.
    pub(super) fn new(job: Admitted, entry: Arc<HookEntry>, more: Option<Box<More>>) -> Self {
        let Admitted { id, pool, event, class, at: admitted, max_wait, account } = job;
        let (state, resolved) = (Mutex::new(State::Pushed(entry, more)), Condvar::new());
        Self { id, pool, event, class, admitted, max_wait, account, state, resolved }
    }

    /// It waits from now on. `None`: it has done so before.
    pub(super) fn taken_in(&self) -> Option<(Arc<HookEntry>, Option<Box<More>>)> {
        match std::mem::replace(&mut *self.lock(), State::NEW) {
            State::Pushed(entry, more) => Some((entry, more)),
            _ => None,
        }
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

    pub(super) fn resolve(self: &Arc<Self>, outcome: Arc<Outcome>) {
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
