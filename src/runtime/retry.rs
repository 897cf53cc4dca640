//! What follows from the end of an attempt: the job's outcome, or another attempt.
//!
//! No worker waits for a retry: the job goes back to the core, which keeps its place, and its session waits for it.
//! A job is not tried again once somebody cancelled it, once the pool stops what runs, or after exit status 2, with
//! which a handler that works says no: to an event, or to all of a batch that it answered none of. Nor is one whose hook's breaker is open, nor a handler
//! in Rust that was still running when its time was over.

use std::sync::Arc;

use super::engine::Engine;
use super::flight::Running;
use super::hooks::HookEntry;
use super::job::{More, Queued};
use super::leaving::Leaving;
use crate::breaker::Pass;
use crate::hook::RetryPolicy;
use crate::outcome::{Attempt, Ending, OutcomeKind};
use crate::scheduler::Retry;
use crate::telemetry;

impl Engine {
    /// Ends the job, or gives it back for its next attempt.
    pub(super) fn settle(
        &self,
        entry: &Arc<HookEntry>,
        running: Running,
        pass: Option<Pass>,
        ending: Ending,
    ) -> Option<Retry<Queued>> {
        let Running { job, more, place, .. } = running;
        self.judge(entry, pass, &ending);
        let is_blocked = entry.breaker.as_ref().is_some_and(|breaker| breaker.blocks());
        let policy = entry.hook.retry.filter(|policy| !is_blocked && covers(policy, &ending));
        let wait = policy.and_then(|policy| policy.wait_after(More::attempt(more.as_deref())));
        let leaving = Leaving { job, more, waited: place.waited };
        let Some(wait) = wait.filter(|_| !self.is_stopping()) else {
            self.end(entry, leaving, true, ending);
            return None;
        };
        let Leaving { job, more, waited } = leaving;
        let number = More::attempt(more.as_deref());
        let mut more = more.unwrap_or_default();
        let attempt = Attempt { kind: ending.kind, reason: ending.reason.clone(), run: ending.run };
        more.attempts.push(attempt.clone());
        more.waited = Some(waited);
        if !job.wait_again() {
            // The last attempt is what the outcome itself tells of.
            more.attempts.pop();
            self.end(entry, Leaving { job, more: Some(more), waited }, true, ending);
            return None;
        }
        entry.record.counters.retried(job.class, job.kind(), ending.run);
        let attempts = policy.map_or(1, |policy| policy.attempts);
        telemetry::retried(&entry.hook, job.event(), job.id, &attempt, (number, attempts), wait);
        let queued = Queued { job, entry: Arc::clone(entry), more: Some(more) };
        Some(Retry { job: place.with(queued), at: self.clock.now() + wait })
    }

    /// Those that nobody has cancelled since their attempt ended: the others of a batch may have run on.
    pub(super) fn still_wanted(&self, mut again: Vec<Retry<Queued>>) -> Vec<Retry<Queued>> {
        let unwanted = again.extract_if(.., |retry| retry.job.body.job.is_unwanted()).collect::<Vec<_>>();
        for retry in unwanted {
            let reason = "it was cancelled before its next attempt";
            let (entry, leaving) = Leaving::of(retry.job.body, Option::unwrap_or_default);
            self.end(&entry, leaving, false, Ending::new(OutcomeKind::Cancelled, reason));
        }
        again
    }

    /// Ends a job that cannot be tried again after all, as its last attempt ended.
    pub(super) fn give_up(&self, entry: &HookEntry, mut leaving: Leaving) {
        let last = leaving.more.as_mut().and_then(|more| more.attempts.pop());
        let ending = match last {
            Some(Attempt { kind, reason, .. }) => Ending::new(kind, reason),
            None => Ending::new(OutcomeKind::Failed, "it could not be tried again"),
        };
        self.end(entry, leaving, false, ending);
    }
}

fn covers(policy: &RetryPolicy, ending: &Ending) -> bool {
    match ending.kind {
        OutcomeKind::Failed => policy.failed && !ending.says_no,
        OutcomeKind::TimedOut => policy.timed_out,
        OutcomeKind::NotStarted => policy.not_started,
        _ => false,
    }
}

/// Why a job left the queue without being picked.
pub(super) fn reason_to_leave(attempts: &[Attempt], outcome: OutcomeKind) -> String {
    let mut reason = match outcome {
        OutcomeKind::Displaced => "it gave up its place to a more important job".to_owned(),
        OutcomeKind::Expired => "it waited longer than its max_wait".to_owned(),
        OutcomeKind::Abandoned => "it had not been started when the shutdown's deadline came".to_owned(),
        OutcomeKind::Cancelled => "it was cancelled while it waited".to_owned(),
        _ => String::new(),
    };
    if outcome == OutcomeKind::Abandoned
        && let Some(Attempt { kind, reason: why, .. }) = attempts.last()
    {
        let attempt = attempts.len();
        reason =
            format!("the shutdown's deadline came before its next attempt; attempt {attempt} {kind}: {why}");
    }
    reason
}
