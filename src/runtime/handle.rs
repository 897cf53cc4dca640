//! What a job and its handles share: the way to its outcome, and back for who does not want it any more.
//!
//! Invariant: the state goes from waiting to running, back to waiting for a retry, and ends with the outcome, which is
//! told to observers before anybody who waits sees it. A job that nobody has a handle on needs neither of the last two,
//! and is not in them.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use super::accounts::{Accounts, Owner, Users};
use super::crew::Member;
use super::numbered::PoolNumber;
use crate::class::PriorityClass;
use crate::event::Event;
use crate::outcome::{JobId, Outcome};
use crate::process::Cancel;
use crate::scheduler::JobKey;

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
    pub(super) owner: Owner,
}

/// What a job and its handle share: one block of memory for both, and for what the jobs of one event have in common. There may
/// be a million of them.
// The first field and the last one are far apart, so that whoever writes to both has all of it in the cache.
#[derive(Debug)]
#[repr(C)]
pub(super) struct JobShared {
    /// Where in the core it waits, or waited last: a [`JobKey`]. Written and read under the core's lock.
    key: AtomicU64,
    pub(super) id: JobId,
    /// `None`: it is a spare.
    event: Option<Event>,
    /// Of the account of the event's bytes.
    pub(super) owner: Owner,
    /// Of that account, if this job keeps it.
    pub(super) users: Users,
    resolved: Condvar,
    state: Mutex<State>,
    /// By which a handle finds it.
    pool: PoolNumber,
    pub(super) class: PriorityClass,
    /// It was cancelled when it was not in the queue (any more), and before it was started. Set under the lock of the state.
    is_unwanted: AtomicBool,
}

#[derive(Debug)]
enum State {
    /// On its way to the core, in it, or picked from it.
    Waiting,
    /// Its handler runs, and stops when this is cancelled. Only if there is a handle: nobody else can look.
    Running(Stop),
    /// It has its outcome, and observers are told of it on this thread.
    Telling(Box<(Arc<Outcome>, ThreadId)>),
    Resolved(Arc<Outcome>),
}

impl JobShared {
    /// Of a job that is on its way to the core.
    pub(super) fn new(job: Admitted) -> Self {
        let Admitted { id, pool, event, class, owner } = job;
        let (state, key, resolved) =
            (Mutex::new(State::Waiting), AtomicU64::new(JobKey::NONE), Condvar::new());
        let (users, is_unwanted) = (Users::one(), AtomicBool::new(false));
        Self { id, event: Some(event), owner, users, state, key, resolved, pool, class, is_unwanted }
    }

    /// It has ended, and nobody has a reference to it: lets go of what it holds.
    pub(super) fn empty(&mut self) {
        (self.event, self.owner) = (None, None);
        *self.state.get_mut().unwrap_or_else(PoisonError::into_inner) = State::Waiting;
    }

    /// Of a spare, makes a job that is on its way to the core.
    pub(super) fn fill(&mut self, job: Admitted) {
        let Admitted { id, pool, event, class, owner } = job;
        (self.id, self.pool, self.class) = (id, pool, class);
        (self.event, self.owner, self.users) = (Some(event), owner, Users::one());
        *self.key.get_mut() = JobKey::NONE;
        *self.is_unwanted.get_mut() = false;
    }

    /// Fetches the memory of a spare by writing to it, which the processor does not wait for.
    pub(super) fn warm(&self) {
        self.key.store(JobKey::NONE, Ordering::Relaxed);
        self.is_unwanted.store(false, Ordering::Relaxed);
    }

    pub(super) fn event(&self) -> &Event {
        self.event.as_ref().expect("a spare is nobody's job")
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
            accounts.bytes.give_back(self.event().payload().len() as u64);
        }
    }

    /// It waits in the core, under this key. Under the core's lock.
    pub(super) fn placed(&self, key: JobKey) {
        self.key.store(key.to_bits(), Ordering::Relaxed);
    }

    /// Somebody may still cancel it. If nobody can now, nobody ever will, as handles come from handles; and what they did is
    /// seen after this.
    pub(super) fn may_be_cancelled(self: &Arc<Self>) -> bool {
        let has_handle = self.has_handle();
        // Pairs with the release when a handle is dropped.
        fence(Ordering::Acquire);
        has_handle
    }

    /// It was cancelled when it was not in the queue.
    pub(super) fn is_unwanted(&self) -> bool {
        self.is_unwanted.load(Ordering::Acquire)
    }

    /// Its handler is about to run. False: nobody wants it any more.
    pub(super) fn start(&self, stop: Stop) -> bool {
        let mut state = self.lock();
        *state = State::Running(stop);
        !self.is_unwanted()
    }

    /// Its attempt has failed, and it is to wait for the next one. False: it has been cancelled meanwhile.
    pub(super) fn wait_again(&self) -> bool {
        let mut state = self.lock();
        let is_wanted = match &*state {
            State::Waiting => !self.is_unwanted(),
            State::Running(stop) => !stop.is_cancelled(),
            State::Telling(..) | State::Resolved(_) => false,
        };
        if is_wanted {
            *state = State::Waiting;
        }
        is_wanted
    }

    /// It has its outcome, which observers see before those who wait for it.
    pub(super) fn tell(&self, outcome: &Arc<Outcome>) {
        *self.lock() = State::Telling(Box::new((Arc::clone(outcome), thread::current().id())));
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
            State::Waiting => JobKey::from_bits(self.key.load(Ordering::Relaxed)),
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
            State::Resolved(outcome) => Some(Arc::clone(outcome)),
            State::Telling(told) => Some(Arc::clone(&told.0)),
            State::Waiting | State::Running(_) => None,
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
                State::Telling(told) if told.1 == thread::current().id() => return Some(Arc::clone(&told.0)),
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
        match &*self.shared.lock() {
            State::Waiting => self.shared.is_unwanted.store(true, Ordering::Release),
            State::Running(stop) => stop.stop(),
            State::Telling(..) | State::Resolved(_) => return false,
        }
        true
    }

    /// `None`: it waits. False: it has its outcome.
    fn stop_if_running(&self) -> Option<bool> {
        match &*self.shared.lock() {
            State::Waiting => self.shared.is_unwanted().then_some(true),
            State::Running(stop) => {
                stop.stop();
                Some(true)
            }
            State::Telling(..) | State::Resolved(_) => Some(false),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::Weak;

    use super::super::numbered::Numbered;
    use super::*;

    /// Of a pool that is gone.
    pub(crate) fn admitted(id: u64) -> Admitted {
        let event = Event::from_json(format!(r#"{{"event": "number {id}"}}"#)).unwrap();
        let pool = Numbered::new(Weak::new()).get();
        Admitted { id: JobId(id), pool, event, class: PriorityClass::Low, owner: None }
    }

    /// Whatever became of the job whose memory it was.
    #[test]
    fn a_spare_that_is_filled_is_like_a_new_job() {
        let owner = Arc::new(JobShared::new(admitted(1)));
        let mut job =
            JobShared::new(Admitted { owner: Some(owner), class: PriorityClass::High, ..admitted(2) });
        job.key.store(77, Ordering::Relaxed);
        job.is_unwanted.store(true, Ordering::Relaxed);
        job.users.leave();
        assert!(!job.start(Stop::All(Cancel::new())));
        job.empty();
        let next = admitted(3);
        let new = JobShared::new(Admitted { pool: next.pool, ..admitted(3) });
        job.fill(next);
        assert_eq!(format!("{job:?}"), format!("{new:?}"));
    }
}
