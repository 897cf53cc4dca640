//! What a job and its handles share: the way to its outcome, and back for who does not want it any more.
//!
//! Invariant: the state goes from waiting to running, back to waiting for a retry, and ends with the outcome, which is
//! told to observers before anybody who waits sees it. A job that nobody has a handle on needs neither of the last two,
//! and is not in them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use super::accounts::{Accounts, Owner, Users};
use super::crew::Member;
use super::job::Own;
use super::numbered::PoolNumber;
use crate::class::PriorityClass;
use crate::event::Event;
use crate::outcome::{JobId, Outcome};
use crate::process::Cancel;
use crate::scheduler::JobKey;
use crate::time::Time;

/// How a running job is stopped.
#[derive(Debug)]
pub(super) enum Stop {
    /// With its handler.
    All(Cancel),
    /// As one of the batch that its handler runs.
    Member(Arc<Member>),
}

impl Stop {
    fn stop(&self) {
        match self {
            Self::All(cancel) => cancel.cancel(),
            Self::Member(member) => member.cancel(),
        }
    }

    fn is_cancelled(&self) -> bool {
        match self {
            Self::All(cancel) => cancel.is_cancelled(),
            Self::Member(member) => member.cancel.is_cancelled(),
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
    pub(super) owner: Owner,
}

/// What a job and its handle share: one allocation for both, and for what the jobs of one event have in common. There may
/// be a million of them.
#[derive(Debug)]
pub(super) struct JobShared {
    pub(super) id: JobId,
    pub(super) event: Event,
    pub(super) admitted: Time,
    /// Of the account of the event's bytes.
    pub(super) owner: Owner,
    /// Of that account, if this job keeps it.
    pub(super) users: Users,
    state: Mutex<State>,
    /// Where in the core it waits, or waited last: a [`JobKey`]. Written and read under the core's lock.
    key: AtomicU64,
    resolved: Condvar,
    /// By which a handle finds it.
    pool: PoolNumber,
    pub(super) class: PriorityClass,
}

#[derive(Debug)]
enum State {
    /// On its way to the core, in it, or picked from it: then what is the job's alone has been taken out.
    Waiting {
        own: Option<Own>,
        /// False: it was cancelled when it was not in the queue (any more), and before it was started.
        wanted: bool,
    },
    /// Its handler runs, and stops when this is cancelled. Only if there is a handle: nobody else can look.
    Running(Stop),
    /// It has its outcome, and observers are told of it on this thread.
    Telling(Arc<Outcome>, ThreadId),
    Resolved(Arc<Outcome>),
}

/// What a job that was picked had with it.
pub(super) struct Taken {
    pub(super) own: Own,
    /// It has been cancelled meanwhile.
    pub(super) is_unwanted: bool,
    /// Somebody may still cancel it. If nobody can now, nobody ever will: handles come from handles.
    pub(super) has_handle: bool,
}

impl JobShared {
    /// Of a job that is on its way to the core, with what is the job's alone.
    pub(super) fn new(job: Admitted, own: Own) -> Self {
        let Admitted { id, pool, event, class, at: admitted, owner } = job;
        let state = Mutex::new(State::Waiting { own: Some(own), wanted: true });
        let (key, resolved) = (AtomicU64::new(JobKey::NONE), Condvar::new());
        Self { id, event, admitted, owner, users: Users::one(), state, key, resolved, pool, class }
    }

    /// Looks at what is the job's alone while it waits. `None`: it waits no more.
    pub(super) fn with_own<T>(&self, look: impl FnOnce(&mut Own) -> T) -> Option<T> {
        match &mut *self.lock() {
            State::Waiting { own: Some(own), .. } => Some(look(own)),
            _ => None,
        }
    }

    /// It was picked, or leaves without. `None`: it has done so before.
    pub(super) fn take_own(self: &Arc<Self>) -> Option<Taken> {
        match &mut *self.lock() {
            State::Waiting { own, wanted } => {
                let (own, is_unwanted) = (own.take()?, !*wanted);
                // Under the lock: whoever cancels and drops a handle later finds that it waits no more.
                Some(Taken { own, is_unwanted, has_handle: self.has_handle() })
            }
            _ => None,
        }
    }

    /// Somebody has a handle, or another job of the same event uses this one's account.
    pub(super) fn has_handle(self: &Arc<Self>) -> bool {
        Arc::strong_count(self) > 1
    }

    /// A job uses the bytes of its event no more.
    pub(super) fn leave(self: &Arc<Self>, accounts: &Accounts) {
        let is_last = match &self.owner {
            Some(owner) => owner.users.leave(),
            // Who could join has a reference.
            None => !self.has_handle() || self.users.leave(),
        };
        if is_last {
            accounts.bytes.give_back(self.event.payload().len() as u64);
        }
    }

    /// It waits in the core, under this key. Under the core's lock.
    pub(super) fn placed(&self, key: JobKey) {
        self.key.store(key.to_bits(), Ordering::Relaxed);
    }

    /// Its handler is about to run. False: nobody wants it any more.
    pub(super) fn start(&self, stop: Stop) -> bool {
        let mut state = self.lock();
        let is_wanted = !matches!(&*state, State::Waiting { wanted: false, .. });
        *state = State::Running(stop);
        is_wanted
    }

    /// Its attempt has failed, and it is to wait for the next one. `Err`: it has been cancelled meanwhile.
    pub(super) fn wait_again(&self, own: Own) -> Result<(), Own> {
        let mut state = self.lock();
        let is_wanted = match &*state {
            State::Waiting { wanted, .. } => *wanted,
            State::Running(stop) => !stop.is_cancelled(),
            State::Telling(..) | State::Resolved(_) => false,
        };
        if !is_wanted {
            return Err(own);
        }
        *state = State::Waiting { own: Some(own), wanted: true };
        Ok(())
    }

    /// It was cancelled between two attempts, when it was not in the queue.
    pub(super) fn is_unwanted(&self) -> bool {
        matches!(&*self.lock(), State::Waiting { wanted: false, .. })
    }

    /// It has its outcome, which observers see before those who wait for it.
    pub(super) fn tell(&self, outcome: &Arc<Outcome>) {
        *self.lock() = State::Telling(Arc::clone(outcome), thread::current().id());
    }

    pub(super) fn resolve(self: &Arc<Self>, outcome: Arc<Outcome>) {
        *self.lock() = State::Resolved(outcome);
        // Without a handle nobody waits, and a notification is a system call all the same.
        if self.has_handle() {
            self.resolved.notify_all();
        }
    }

    pub(super) fn pool(&self) -> PoolNumber {
        self.pool
    }

    /// Under the core's lock, which has taken in everything that was pushed.
    fn key(&self) -> Option<JobKey> {
        match *self.lock() {
            State::Waiting { .. } => JobKey::from_bits(self.key.load(Ordering::Relaxed)),
            _ => None,
        }
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
            State::Waiting { .. } | State::Running(_) => None,
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
            State::Waiting { wanted, .. } => *wanted = false,
            State::Running(stop) => stop.stop(),
            State::Telling(..) | State::Resolved(_) => return false,
        }
        true
    }

    /// `None`: it waits. False: it has its outcome.
    fn stop_if_running(&self) -> Option<bool> {
        match &*self.shared.lock() {
            State::Waiting { wanted, .. } => (!wanted).then_some(true),
            State::Running(stop) => {
                stop.stop();
                Some(true)
            }
            State::Telling(..) | State::Resolved(_) => Some(false),
        }
    }
}
