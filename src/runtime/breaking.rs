//! The hooks' breakers and the jobs: who may run, what an end counts as, and how those end that may not run.
//!
//! A dispatch asks when it is picked, not when its jobs are submitted, so what is displaced, expires or is cancelled in
//! the queue holds no probe. What counts as a failure is that the handler failed, hung, panicked or could not be started;
//! exit status 2 is the work of a handler that works, and a cancelled job says nothing. A batch that failed as a whole
//! has failed once.

use super::engine::Engine;
use super::flight::Flight;
use super::job::Job;
use crate::breaker::{Breaker, Pass, Turn};
use crate::hook::Hook;
use crate::outcome::{Ending, OutcomeKind};
use crate::telemetry;

/// Ends a dispatch for its hook's breaker when it is dropped.
pub(super) struct Releases<'a>(pub(super) &'a Engine, pub(super) usize, pub(super) Option<Pass>);

impl Drop for Releases<'_> {
    fn drop(&mut self) {
        let Self(engine, hook, pass) = self;
        if let (Some(breaker), Some(pass)) = (engine.breaker(*hook), pass) {
            breaker.release(*pass, engine.clock.now());
        }
    }
}

impl Engine {
    pub(super) fn breaker(&self, hook: usize) -> Option<&Breaker> {
        self.hooks.get(hook)?.breaker.as_ref()
    }

    /// The pass of a dispatch that was picked, if its hook has a breaker; or why it must not run.
    pub(super) fn pass(&self, hook: usize) -> Result<Option<Pass>, String> {
        self.breaker(hook).map(|breaker| breaker.pick(self.clock.now())).transpose()
    }

    /// What the end of an attempt means for the hook's breaker.
    pub(super) fn judge(&self, hook: usize, pass: Option<Pass>, ending: &Ending) {
        let (Some(breaker), Some(pass)) = (self.breaker(hook), pass) else { return };
        let end = match ending.kind {
            OutcomeKind::Succeeded => Ok(()),
            OutcomeKind::Failed if ending.says_no => Ok(()),
            kind if kind.is_failure() => Err(ending.reason.as_str()),
            _ => return,
        };
        if !ending.repeats {
            self.tell_turn(hook, breaker.record(pass, end, self.clock.now()));
        }
    }

    /// The time of a handler in Rust is over, whatever the number of its events: one failure, unless it is the pool's
    /// end that came too soon for it.
    pub(super) fn record_overdue(&self, flight: &Flight) -> Option<Turn> {
        let entry = self.hooks.get(flight.hook).filter(|_| !self.is_stopping())?;
        entry.breaker.as_ref()?.record(flight.pass?, Err(&too_long(&entry.hook)), self.clock.now())
    }

    pub(super) fn tell_turn(&self, hook: usize, turn: Option<Turn>) {
        if let (Some(entry), Some(turn)) = (self.hooks.get(hook), turn) {
            telemetry::breaker_turned(&entry.hook, &turn);
        }
    }

    /// Ends a job that was picked and may not run: one that has been tried, as its last attempt ended.
    pub(super) fn turn_away(&self, job: Job, why: &str) {
        if job.shared.is_unwanted() {
            let reason = "it was stopped before its handler was started";
            self.end(job, false, Ending::new(OutcomeKind::Cancelled, reason));
        } else if job.attempts.is_empty() {
            self.end(job, false, Ending::new(OutcomeKind::NotStarted, why));
        } else {
            self.give_up(job);
        }
    }
}

pub(super) fn too_long(hook: &Hook) -> String {
    format!("it ran longer than its timeout of {:?}", hook.timeout)
}
