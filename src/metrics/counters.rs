//! The counters of one hook, by class.
//!
//! Each happening is counted once, in one place: an admission by the submitter, an outcome by whoever resolves the job.
//! Everything else (what was submitted, what waits, the sums by class) follows from these.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::snapshot::Counts;
use super::timing::Durations;
use crate::class::{PerClass, PriorityClass};
use crate::outcome::{OutcomeKind, Refusal, Skip, WaitCause, WaitSplit};

/// See the module's description.
#[derive(Debug, Default)]
pub(crate) struct HookCounters {
    classes: PerClass<ClassCounters>,
    timings: Mutex<PerClass<Option<Box<Timings>>>>,
}

#[derive(Debug, Default)]
struct ClassCounters {
    admitted: AtomicU64,
    started: AtomicU64,
    /// Starts whose attempt has ended.
    ended: AtomicU64,
    refused: [AtomicU64; Refusal::COUNT],
    skipped: [AtomicU64; Skip::COUNT],
    outcomes: [AtomicU64; OutcomeKind::COUNT],
    retries: AtomicU64,
    /// Nanoseconds by cause.
    waited_for: [AtomicU64; WaitCause::COUNT],
}

#[derive(Debug, Default)]
struct Timings {
    wait: Durations,
    run: Durations,
}

impl HookCounters {
    pub(crate) fn admitted(&self, class: PriorityClass) {
        self.classes[class].admitted.fetch_add(1, Relaxed);
    }

    /// The job was not admitted after all: it was counted before its push was certain.
    pub(crate) fn refused(&self, class: PriorityClass, why: Refusal) {
        count(&self.classes[class].refused, why.index());
    }

    pub(crate) fn skipped(&self, class: PriorityClass, why: Skip) {
        count(&self.classes[class].skipped, why.index());
    }

    /// The job was picked, after it had waited that long.
    pub(crate) fn started(&self, class: PriorityClass, wait: Duration) {
        self.classes[class].started.fetch_add(1, Relaxed);
        self.time(class, |timings| timings.wait.record(wait));
    }

    /// The job was picked again, for its next attempt.
    pub(crate) fn restarted(&self, class: PriorityClass) {
        self.classes[class].started.fetch_add(1, Relaxed);
    }

    /// An attempt has ended after `run`, and the job waits for the next one.
    pub(crate) fn retried(&self, class: PriorityClass, run: Option<Duration>) {
        if let Some(run) = run {
            self.time(class, |timings| timings.run.record(run));
        }
        self.classes[class].ended.fetch_add(1, Relaxed);
        self.classes[class].retries.fetch_add(1, Relaxed);
    }

    /// The job has its outcome. `run`: how long its handler ran, if it did.
    pub(crate) fn resolved(
        &self,
        class: PriorityClass,
        was_started: bool,
        outcome: OutcomeKind,
        run: Option<Duration>,
    ) {
        if let Some(run) = run {
            self.time(class, |timings| timings.run.record(run));
        }
        if was_started {
            self.classes[class].ended.fetch_add(1, Relaxed);
        }
        count(&self.classes[class].outcomes, outcome.index());
    }

    /// The job waits no more and has its outcome: what it waited for.
    pub(crate) fn waited(&self, class: PriorityClass, split: &WaitSplit) {
        for (cause, counter) in WaitCause::ALL.iter().zip(&self.classes[class].waited_for) {
            counter.fetch_add(split.nanos(*cause), Relaxed);
        }
    }

    /// A copy of everything, by class. Exact when nobody is writing.
    pub(crate) fn counts(&self) -> PerClass<Counts> {
        let timings = self.timings.lock().unwrap_or_else(PoisonError::into_inner);
        PerClass::from_fn(|class| {
            let from = &self.classes[class];
            // Outcomes before admissions: a job that passes in between then looks as if it waited, never as if it had
            // ended twice.
            let outcomes = copy(&from.outcomes);
            let (ended, started) = (from.ended.load(Relaxed), from.started.load(Relaxed));
            let admitted = from.admitted.load(Relaxed);
            let resolved: u64 = outcomes.iter().sum();
            let running = started.saturating_sub(ended);
            Counts {
                admitted,
                refused: copy(&from.refused),
                skipped: copy(&from.skipped),
                outcomes,
                retries: from.retries.load(Relaxed),
                waited_for: WaitSplit::from(copy(&from.waited_for)),
                queued: admitted.saturating_sub(resolved + running),
                running,
                wait: timings[class].as_ref().map(|timings| timings.wait.clone()).unwrap_or_default(),
                run: timings[class].as_ref().map(|timings| timings.run.clone()).unwrap_or_default(),
            }
        })
    }

    fn time(&self, class: PriorityClass, record: impl FnOnce(&mut Timings)) {
        let mut timings = self.timings.lock().unwrap_or_else(PoisonError::into_inner);
        record(timings[class].get_or_insert_default());
    }
}

fn count(counters: &[AtomicU64], index: usize) {
    if let Some(counter) = counters.get(index) {
        counter.fetch_add(1, Relaxed);
    }
}

fn copy<const N: usize>(counters: &[AtomicU64; N]) -> [u64; N] {
    counters.each_ref().map(|counter| counter.load(Relaxed))
}
