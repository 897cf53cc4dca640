//! A flight: the jobs of one dispatch while their handler runs.
//!
//! It is between two parties. The worker takes each job out when its handler has told how it ended. The watchdog takes
//! out what is left when the time of a handler that cannot be stopped is over, and may then give the worker's place to
//! another thread. Whoever takes a job out resolves it, so each has exactly one outcome. A place is not given away while
//! the worker still resolves one, nor with one that waits to run again: when a run is over, all its jobs have an outcome.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use smallvec::SmallVec;

use super::crew::Member;
use super::hooks::HookEntry;
use super::job::{Job, More};
use crate::breaker::Pass;
use crate::process::Cancel;
use crate::scheduler::{Picked, Retry, RunKey};
use crate::time::Time;

/// See the module's description.
#[derive(Debug)]
pub(super) struct Flight {
    pub(super) worker: usize,
    pub(super) run: RunKey,
    pub(super) entry: Arc<HookEntry>,
    pub(super) started: Time,
    pub(super) stop: Cancel,
    /// Of the hook's breaker, if it has one.
    pub(super) pass: Option<Pass>,
    state: Mutex<State>,
    /// The worker has seen to all that it has taken out.
    seen_to: Condvar,
}

#[derive(Debug)]
struct State {
    jobs: Jobs,
    /// The only one that the handler has now; `None`: it has all.
    alone: Option<usize>,
    /// Jobs of several that the worker has taken out and has not seen to.
    in_hand: usize,
    /// Jobs that run again when this is over.
    again: Vec<Retry<Job>>,
    phase: Phase,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The handler runs, and has time to.
    InTime,
    /// Its time is over, and it holds its seat.
    Overdue,
    /// Its time is over, and its seat and its worker's number are somebody else's.
    GivenAway,
    /// The worker is back.
    Landed,
}

/// The worker sees to a job that it has taken out of others, until this is dropped.
pub(super) struct InHand<'a>(Option<&'a Flight>);

impl Drop for InHand<'_> {
    fn drop(&mut self) {
        let Some(flight) = self.0 else { return };
        let mut state = flight.lock();
        state.in_hand -= 1;
        if state.in_hand == 0 {
            flight.seen_to.notify_all();
        }
    }
}

/// A job whose handler runs.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) job: Job,
    pub(super) more: Option<Box<More>>,
    /// Its place in the queue, if it goes back there, and its wait.
    pub(super) place: Picked<()>,
    /// Of the crew of its batch.
    pub(super) member: Option<Arc<Member>>,
}

impl Running {
    /// It has its outcome, or will have it at once.
    pub(super) fn is_over(&self) {
        if let Some(member) = &self.member {
            member.gone();
        }
    }
}

/// Those of one dispatch.
pub(super) type Jobs = SmallVec<[Option<Running>; 1]>;

impl Flight {
    pub(super) fn new(
        (worker, run): (usize, RunKey),
        entry: Arc<HookEntry>,
        started: Time,
        (stop, pass): (Cancel, Option<Pass>),
        jobs: Jobs,
    ) -> Self {
        let state = State { jobs, alone: None, in_hand: 0, again: Vec::new(), phase: Phase::InTime };
        let (state, seen_to) = (Mutex::new(state), Condvar::new());
        Self { worker, run, entry, started, stop, pass, state, seen_to }
    }

    /// Takes one job out; `None`: somebody else has. The other answer is kept until the job has its outcome, or is to
    /// run again.
    pub(super) fn take(&self, index: usize) -> Option<(Running, InHand<'_>)> {
        let mut state = self.lock();
        let running = state.jobs.get_mut(index)?.take()?;
        // Of a job alone nothing is left that could be overdue.
        let has_others = state.jobs.len() > 1;
        state.in_hand += usize::from(has_others);
        drop(state);
        running.is_over();
        Some((running, InHand(has_others.then_some(self))))
    }

    /// A job that was taken out runs again when this is over.
    pub(super) fn runs_again(&self, job: Retry<Job>) {
        self.lock().again.push(job);
    }

    /// Somebody has taken the job out.
    pub(super) fn has_ended(&self, index: usize) -> bool {
        self.lock().jobs.get(index).is_none_or(Option::is_none)
    }

    /// The handler has been given one of them by itself.
    pub(super) fn gives(&self, alone: usize) {
        self.lock().alone = Some(alone);
    }

    /// The time is over: takes out what is left, each with whether the handler has it. `None`: nothing was. Otherwise
    /// the handler has been stopped, and `tell` called, before the worker can have landed: it goes on with the same token
    /// unless that has been used.
    pub(super) fn time_out(&self, tell: impl FnOnce()) -> Option<Vec<(Running, bool)>> {
        let mut state = self.lock();
        let alone = state.alone;
        let left = state.jobs.iter_mut().enumerate();
        let has = |index| alone.is_none_or(|alone| alone == index);
        let left: Vec<_> =
            left.filter_map(|(index, job)| job.take().map(|running| (running, has(index)))).collect();
        for (running, _) in &left {
            running.is_over();
        }
        if left.is_empty() {
            return None;
        }
        state.phase = Phase::Overdue;
        self.stop.cancel();
        tell();
        Some(left)
    }

    /// Gives the worker's place away, unless it has come back or there is no way to: then `None`. Otherwise the jobs that
    /// were to run again, which have no place to go back to. `replace` is called only if there is a place to give.
    pub(super) fn give_away<E>(
        &self,
        replace: impl FnOnce() -> Result<(), E>,
    ) -> Result<Option<Vec<Retry<Job>>>, E> {
        let mut state = self.lock();
        while state.phase == Phase::Overdue && state.in_hand > 0 {
            state = self.seen_to.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.phase != Phase::Overdue {
            return Ok(None);
        }
        replace()?;
        state.phase = Phase::GivenAway;
        Ok(Some(std::mem::take(&mut state.again)))
    }

    /// Its time is over, and its worker is not back.
    pub(super) fn is_overdue(&self) -> bool {
        self.lock().phase == Phase::Overdue
    }

    pub(super) fn was_given_away(&self) -> bool {
        self.lock().phase == Phase::GivenAway
    }

    /// The worker is back from the handler, with the jobs that run again. `None`: its place is somebody else's.
    pub(super) fn land(&self) -> Option<Vec<Retry<Job>>> {
        let mut state = self.lock();
        let before = std::mem::replace(&mut state.phase, Phase::Landed);
        (before != Phase::GivenAway).then(|| std::mem::take(&mut state.again))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
