//! Leaving: a job has its outcome, is counted, logged, and told of.
//!
//! Invariant: each job comes here once, and observers see its outcome before those who wait for it. An outcome that nobody
//! can ask for is only counted.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::engine::{Engine, Inside};
use super::flight::Running;
use super::handle::JobShared;
use super::hooks::HookEntry;
use super::job::{Job, More, Queued};
use super::outcomes::Told;
use crate::outcome::{Ending, Outcome, OutcomeKind, WaitSplit};
use crate::telemetry;

/// A job that is about to have its outcome, with what it waited for before its first start or its end.
pub(super) struct Leaving {
    pub(super) job: Job,
    pub(super) more: Option<Box<More>>,
    pub(super) waited: WaitSplit,
}

impl Leaving {
    /// A job that leaves the queue, with the definition that it goes by. `waited` is given what it waited for if it has
    /// been started before.
    pub(super) fn of(
        Queued { job, entry, more }: Queued,
        waited: impl FnOnce(Option<WaitSplit>) -> WaitSplit,
    ) -> (Arc<HookEntry>, Self) {
        let waited = waited(more.as_ref().and_then(|more| more.waited));
        (entry, Self { job, more, waited })
    }
}

impl From<Running> for Leaving {
    fn from(Running { job, more, place, .. }: Running) -> Self {
        Self { job, more, waited: place.waited }
    }
}

impl Engine {
    /// Gives the job its outcome. `started`: it has been picked.
    pub(super) fn end(&self, entry: &HookEntry, leaving: Leaving, started: bool, ending: Ending) {
        let Leaving { job, more, waited } = leaving;
        let attempts = more.map(|more| more.attempts).unwrap_or_default();
        let JobShared { id, class, .. } = **job;
        entry.record.counters.resolved(class, job.kind(), started, (ending.kind, ending.run), &waited);
        self.record_end(id, started, &attempts, &ending);
        if !job.has_handle() && !self.is_heard(ending.kind) {
            return job.leave(&self.accounts);
        }
        let outcome = Outcome {
            job: id,
            hook: entry.hook.name.clone(),
            event: job.event().clone(),
            class,
            kind: ending.kind,
            wait: waited.total(),
            waited_for: waited,
            attempts,
            run: ending.run,
            reason: ending.reason,
            hint: ending.hint,
            message: ending.message,
            verdict: ending.verdict,
            process: ending.process,
        };
        let outcome = Arc::new(outcome);
        job.tell(&outcome);
        telemetry::finished(&outcome, &entry.hook.redactor, &entry.record.complaints, self.clock);
        entry.record.recent.note(&outcome);
        self.letters.offer(&outcome, &entry.hook.redactor);
        let inside = Inside::enter(self);
        for observer in &self.observers {
            // An observer is the caller's code: its panic must not take a worker with it.
            if catch_unwind(AssertUnwindSafe(|| observer(&outcome))).is_err() {
                telemetry::observer_panicked(id);
            }
        }
        drop(inside);
        if self.subscribers.tell(&outcome) == Told::SomebodyIsSlow {
            telemetry::subscriber_is_slow();
        }
        job.resolve(outcome, &self.accounts);
    }

    /// Somebody beside the handles may want to know of an outcome of that kind. Most successes nobody asks for.
    fn is_heard(&self, kind: OutcomeKind) -> bool {
        kind != OutcomeKind::Succeeded
            || self.has_observers()
            || self.subscribers.has_some()
            || self.letters.keeps(kind)
            || telemetry::tells_of_success()
    }
}
