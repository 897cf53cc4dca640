//! Counting by one thread alone: the simulation's way to the counts and histograms that the pool's counters give.

use std::time::Duration;

use super::snapshot::Counts;
use crate::outcome::{OutcomeKind, Refusal, Skip, WaitSplit};

impl Counts {
    pub(crate) fn count_admitted(&mut self) {
        self.admitted += 1;
        self.queued += 1;
    }

    pub(crate) fn count_refused(&mut self, why: Refusal) {
        if let Some(count) = self.refused.get_mut(why.index()) {
            *count += 1;
        }
    }

    pub(crate) fn count_skipped(&mut self, why: Skip) {
        if let Some(count) = self.skipped.get_mut(why.index()) {
            *count += 1;
        }
    }

    /// A waiting job was picked for the first time.
    pub(crate) fn count_started(&mut self, waited: &WaitSplit) {
        self.queued -= 1;
        self.running += 1;
        self.wait.record(waited.total());
        self.waited_for += waited;
    }

    /// An attempt has ended, and the job waits for the next one.
    pub(crate) fn count_retried(&mut self, run: Option<Duration>) {
        self.running -= 1;
        self.queued += 1;
        self.retries += 1;
        if let Some(run) = run {
            self.run.record(run);
        }
    }

    /// A job was picked for its next attempt.
    pub(crate) fn count_restarted(&mut self) {
        self.queued -= 1;
        self.running += 1;
    }

    /// A job that was picked has its outcome. `run`: how long its handler ran, if it did.
    pub(crate) fn count_ended(&mut self, outcome: OutcomeKind, run: Option<Duration>) {
        self.running -= 1;
        if let Some(run) = run {
            self.run.record(run);
        }
        self.count_outcome(outcome);
    }

    /// A job that waited has its outcome. `waited`: for its first start, if it never came.
    pub(crate) fn count_left(&mut self, outcome: OutcomeKind, waited: &WaitSplit) {
        self.queued -= 1;
        self.waited_for += waited;
        self.count_outcome(outcome);
    }

    fn count_outcome(&mut self, outcome: OutcomeKind) {
        if let Some(count) = self.outcomes.get_mut(outcome.index()) {
            *count += 1;
        }
    }
}
