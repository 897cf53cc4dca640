//! A flight: the jobs of one dispatch while their handler runs.
//!
//! It is between two parties. The worker takes each job out when its handler has told how it ended. The watchdog takes
//! out what is left when the time of a handler that cannot be stopped is over, and may then give the worker's place to
//! another thread. Whoever takes a job out resolves it, so each has exactly one outcome. A place is not given away while
//! the worker still resolves one, nor with one that waits to run again: when a run is over, all its jobs have an outcome,
//! or are being told of. (A worker that comes back late does not wait until observers have been told of what was taken
//! from it; who drains the pool does.)
//!
//! A thread has one flight after the other, all of them in one place that both parties know: to begin one allocates
//! nothing and counts no reference. So the watchdog names the flight that it means by its number. To one that has landed
//! it does nothing.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use smallvec::SmallVec;

use super::crew::Member;
use super::hooks::HookEntry;
use super::job::{Job, More, Queued};
use crate::breaker::Pass;
use crate::process::Cancel;
use crate::scheduler::{Picked, Retry, RunKey};
use crate::time::Time;

/// The flights of one thread. See the module's description.
#[derive(Debug)]
pub(super) struct Flights {
    pub(super) worker: usize,
    state: Mutex<State>,
    /// The worker has seen to all that it has taken out.
    seen_to: Condvar,
}

#[derive(Debug)]
struct State {
    /// Of the flight: how many there were.
    number: u64,
    /// What flies, or flew last.
    aboard: Option<Aboard>,
    /// Stops the handler.
    stop: Cancel,
    /// Until when the handler may run. `None`: nobody watches it.
    until: Option<Time>,
    jobs: Jobs,
    /// The only one that the handler has now; `None`: it has all.
    alone: Option<usize>,
    /// Jobs of several that the worker has taken out and has not seen to.
    in_hand: usize,
    /// Jobs that run again when this is over.
    again: Vec<Retry<Queued>>,
    phase: Phase,
}

/// What a flight is, beside its jobs.
#[derive(Debug)]
pub(super) struct Aboard {
    pub(super) run: RunKey,
    pub(super) entry: Arc<HookEntry>,
    pub(super) started: Time,
    /// Of the hook's breaker, if it has one.
    pub(super) pass: Option<Pass>,
}

/// What the watchdog has taken from a flight whose time is over.
pub(super) struct Late {
    pub(super) run: RunKey,
    pub(super) entry: Arc<HookEntry>,
    pub(super) started: Time,
    /// The jobs that were left, each with whether the handler has it.
    pub(super) jobs: Vec<(Running, bool)>,
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
pub(super) struct InHand<'a>(Option<&'a Flights>);

impl Drop for InHand<'_> {
    fn drop(&mut self) {
        let Some(flights) = self.0 else { return };
        let mut state = flights.lock();
        state.in_hand -= 1;
        if state.in_hand == 0 {
            flights.seen_to.notify_all();
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

impl Flights {
    pub(super) fn new(worker: usize, stop: Cancel) -> Self {
        let state = State {
            number: 0,
            aboard: None,
            stop,
            until: None,
            jobs: Jobs::new(),
            alone: None,
            in_hand: 0,
            again: Vec::new(),
            phase: Phase::Landed,
        };
        Self { worker, state: Mutex::new(state), seen_to: Condvar::new() }
    }

    /// Handlers are stopped by this token from now on.
    pub(super) fn stop_by(&self, stop: Cancel) {
        self.lock().stop = stop;
    }

    /// The next flight begins. `until` is asked for its deadline under the lock. Answers with what flew before.
    pub(super) fn take_off(
        &self,
        aboard: Aboard,
        jobs: Jobs,
        until: impl FnOnce(&Aboard) -> Option<Time>,
    ) -> Option<Aboard> {
        let mut state = self.lock();
        state.number += 1;
        // A handler that is stopped before it begins is not called, and ends at once.
        state.until = if state.stop.is_cancelled() { None } else { until(&aboard) };
        state.jobs = jobs;
        (state.alone, state.phase) = (None, Phase::InTime);
        state.aboard.replace(aboard)
    }

    /// Takes one job out; `None`: somebody else has. The other answer is kept until the job has its outcome, or is to
    /// run again.
    pub(super) fn take(&self, index: usize) -> Option<(Running, InHand<'_>)> {
        let mut state = self.lock();
        let running = state.jobs.get_mut(index)?.take()?;
        // Of a job alone nothing is left that could be overdue.
        let has_others = state.jobs.len() > 1;
        if has_others {
            state.in_hand += 1;
        } else {
            state.until = None;
        }
        drop(state);
        running.is_over();
        Some((running, InHand(has_others.then_some(self))))
    }

    /// A job that was taken out runs again when this is over.
    pub(super) fn runs_again(&self, job: Retry<Queued>) {
        self.lock().again.push(job);
    }

    /// Somebody has taken the job out.
    pub(super) fn has_ended(&self, index: usize) -> bool {
        self.lock().jobs.get(index).is_none_or(Option::is_none)
    }

    /// The handler has been given one of them by itself, and until when is asked for under the lock; not if its time was
    /// over before: then its jobs have been taken out, and its place may have been given away.
    pub(super) fn gives(&self, alone: usize, until: impl FnOnce(&Aboard) -> Time) {
        let mut state = self.lock();
        state.alone = Some(alone);
        if state.phase == Phase::InTime && state.until.is_some() {
            state.until = state.aboard.as_ref().map(until);
        }
    }

    /// Until when the handler may run, if somebody watches it.
    pub(super) fn deadline(&self) -> Option<Time> {
        self.lock().until
    }

    /// The number of the flight, if its deadline is not later than this one; then nobody watches it any more.
    pub(super) fn overdue(&self, at: Time) -> Option<u64> {
        let mut state = self.lock();
        state.until.take_if(|until| *until <= at).map(|_| state.number)
    }

    /// What is watched has no more time than `last` says of it.
    pub(super) fn hasten(&self, last: impl FnOnce(&Aboard) -> Time) {
        let mut state = self.lock();
        if let State { until: Some(until), aboard: Some(aboard), .. } = &mut *state {
            *until = (*until).min(last(aboard));
        }
    }

    /// The time is over: takes out what is left. `None`: nothing was, or it has landed. The first time the handler has
    /// been stopped, and `tell` called, before the worker can have landed: it goes on with the same token unless that
    /// has been used.
    pub(super) fn time_out(&self, number: u64, tell: impl FnOnce(&Aboard)) -> Option<Late> {
        let mut state = self.lock();
        if state.number != number {
            return None;
        }
        let State { aboard: Some(aboard), stop, jobs, alone, phase, .. } = &mut *state else { return None };
        let is_in_time = *phase == Phase::InTime && jobs.iter().any(Option::is_some);
        if !is_in_time && *phase != Phase::Overdue {
            return None;
        }
        let has = |index| alone.is_none_or(|alone| alone == index);
        let left = jobs.iter_mut().enumerate();
        let left: Vec<_> =
            left.filter_map(|(index, job)| job.take().map(|running| (running, has(index)))).collect();
        for (running, _) in &left {
            running.is_over();
        }
        if is_in_time {
            *phase = Phase::Overdue;
            stop.cancel();
            tell(aboard);
        }
        Some(Late { run: aboard.run, entry: Arc::clone(&aboard.entry), started: aboard.started, jobs: left })
    }

    /// Gives the worker's place away, unless it has come back or there is no way to: then `None`. Otherwise the jobs that
    /// were to run again, which have no place to go back to. `replace` is called only if there is a place to give.
    pub(super) fn give_away<E>(
        &self,
        number: u64,
        replace: impl FnOnce() -> Result<(), E>,
    ) -> Result<Option<Vec<Retry<Queued>>>, E> {
        let mut state = self.lock();
        while state.is_overdue(number) && state.in_hand > 0 {
            state = self.seen_to.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if !state.is_overdue(number) {
            return Ok(None);
        }
        replace()?;
        (state.phase, state.until) = (Phase::GivenAway, None);
        Ok(Some(std::mem::take(&mut state.again)))
    }

    /// Its time is over, and its worker is not back: it keeps its seat, and is watched until then. False: it has landed.
    pub(super) fn set_aside(&self, number: u64, until: impl FnOnce(&Aboard) -> Time) -> bool {
        let mut state = self.lock();
        let is_overdue = state.is_overdue(number);
        if is_overdue {
            state.until = state.aboard.as_ref().map(until);
        }
        is_overdue
    }

    /// The worker is back from the handler, with the jobs that run again. `None`: its place is somebody else's.
    pub(super) fn land(&self) -> Option<Vec<Retry<Queued>>> {
        let mut state = self.lock();
        state.until = None;
        let before = std::mem::replace(&mut state.phase, Phase::Landed);
        (before != Phase::GivenAway).then(|| std::mem::take(&mut state.again))
    }

    /// What flew last. Only between two flights.
    pub(super) fn unload(&self) -> Option<Aboard> {
        self.lock().aboard.take()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_overdue(&self, number: u64) -> bool {
        self.number == number && self.phase == Phase::Overdue
    }
}
