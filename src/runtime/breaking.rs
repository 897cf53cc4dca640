//! The hooks' breakers and the jobs: who may run, what an end counts as, and how those end that may not run.
//!
//! A dispatch asks when it is picked, not when its jobs are submitted, so what is displaced, expires or is cancelled in
//! the queue holds no probe. What counts as a failure is that the handler failed, hung, panicked or could not be started;
//! exit status 2 is the work of a handler that works, and a cancelled job says nothing. A batch that failed as a whole
//! has failed once.

use std::sync::Arc;

use super::engine::Engine;
use super::flight::Aboard;
use super::hooks::HookEntry;
use super::job::More;
use super::leaving::Leaving;
use crate::breaker::{Breaker, Pass, Turn};
use crate::hook::Hook;
use crate::outcome::{Ending, OutcomeKind};
use crate::telemetry;

/// Ends a dispatch for its hook's breaker, if it has one, when it is dropped.
pub(super) struct Releases<'a>(pub(super) &'a Engine, pub(super) Option<(Arc<Breaker>, Pass)>);

impl Drop for Releases<'_> {
    fn drop(&mut self) {
        let Self(engine, held) = self;
        if let Some((breaker, pass)) = held {
            breaker.release(*pass, engine.clock.now());
        }
    }
}

impl Engine {
    /// The pass of a dispatch that was picked, if its hook has a breaker; or why it must not run.
    pub(super) fn pass(&self, entry: &HookEntry) -> Result<Option<Pass>, String> {
        entry.breaker.as_ref().map(|breaker| breaker.pick(self.clock.now())).transpose()
    }

    /// What the end of an attempt means for the hook's breaker.
    pub(super) fn judge(&self, entry: &HookEntry, pass: Option<Pass>, ending: &Ending) {
        let (Some(breaker), Some(pass)) = (&entry.breaker, pass) else { return };
        let end = match ending.kind {
            OutcomeKind::Succeeded => Ok(()),
            OutcomeKind::Failed if ending.says_no => Ok(()),
            kind if kind.is_failure() => Err(ending.reason.as_str()),
            _ => return,
        };
        if !ending.repeats {
            tell_turn(entry, breaker.record(pass, end, self.clock.now()));
        }
    }

    /// The time of a handler in Rust is over, whatever the number of its events: one failure, unless it is the pool's
    /// end that came too soon for it.
    pub(super) fn record_overdue(&self, aboard: &Aboard) -> Option<Turn> {
        if self.is_stopping() {
            return None;
        }
        let entry = &aboard.entry;
        entry.breaker.as_ref()?.record(aboard.pass?, Err(&too_long(&entry.hook)), self.clock.now())
    }

    /// Ends a job that was picked and may not run: one that has been tried, as its last attempt ended.
    pub(super) fn turn_away(&self, entry: &HookEntry, leaving: Leaving, why: &str) {
        if leaving.job.is_unwanted() {
            let reason = "it was stopped before its handler was started";
            self.end(entry, leaving, false, Ending::new(OutcomeKind::Cancelled, reason));
        } else if More::attempts(leaving.more.as_deref()).is_empty() {
            self.end(entry, leaving, false, Ending::new(OutcomeKind::NotStarted, why));
        } else {
            self.give_up(entry, leaving);
        }
    }
}

pub(super) fn tell_turn(entry: &HookEntry, turn: Option<Turn>) {
    if let Some(turn) = turn {
        telemetry::breaker_turned(&entry.hook, &turn);
    }
}

pub(super) fn too_long(hook: &Hook) -> String {
    format!("it ran longer than its timeout of {:?}", hook.timeout)
}
