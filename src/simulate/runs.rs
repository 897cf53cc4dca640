//! The runs of a simulated pool: what starts, how long it holds its seat, and how its jobs end.
//!
//! The hooks' breakers are those of the pool, in virtual time.

use std::cmp::Reverse;
use std::time::Duration;

use super::feed::Job;
use super::world::{Running, World};
use crate::hook::RetryPolicy;
use crate::outcome::OutcomeKind;
use crate::recording::{Fate, RunEnd};
use crate::scheduler::{Dispatch, HookSlot, Picked, Retry, RunKey};
use crate::time::{Time, nanos};

impl World {
    pub(super) fn start(&mut self, dispatch: Dispatch<Job>) {
        let Dispatch { run, hook, class: _, first, rest } = dispatch;
        let now = Time(self.now);
        let Some(facts) = self.hooks.get_mut(hook.0 as usize) else { return };
        let Ok(pass) = facts.breaker.as_ref().map(|breaker| breaker.pick(now)).transpose() else {
            return self.turn_away(run, hook, first, rest);
        };
        for job in std::iter::once(&first).chain(&rest) {
            let counts = &mut facts.counts[job.class];
            if job.body.attempts > 0 {
                counts.count_restarted();
                continue;
            }
            counts.count_started(&job.waited);
            let span = nanos(job.waited.total());
            self.waits[job.class] += u128::from(span);
            self.waited[job.class] += u64::from(span > 0);
            self.in_time[job.class] += u64::from(span <= self.target);
        }
        let length = self.length(hook, &first, &rest);
        let held = length.saturating_add(self.overhead);
        self.busy += u128::from(nanos(held));
        let at = self.running.insert(Running { key: run, hook, pass, held, first, rest });
        self.started += 1;
        self.ends.push(Reverse((self.now.saturating_add(nanos(held)), self.started, at)));
    }

    /// The breaker opened while they waited: they do not run, and end as their last attempt did, if there was one.
    fn turn_away(&mut self, run: RunKey, hook: HookSlot, first: Picked<Job>, rest: Vec<Picked<Job>>) {
        if let Some(facts) = self.hooks.get_mut(hook.0 as usize) {
            for job in std::iter::once(first).chain(rest) {
                let outcome = match job.body.attempts {
                    0 => OutcomeKind::NotStarted,
                    _ => job.body.last.outcome(),
                };
                facts.counts[job.class].count_left(outcome, &job.waited);
                self.bytes -= u64::from(job.body.bytes);
                self.tape.becomes(job.body.number, Fate::Admitted(Some(outcome)));
            }
        }
        self.core.complete(run, Duration::ZERO, Vec::new(), Time(self.now));
    }

    /// How long a run holds its seat, overhead apart.
    fn length(&self, hook: HookSlot, first: &Picked<Job>, rest: &[Picked<Job>]) -> Duration {
        let timeout = self.timeout(hook, 1 + rest.len());
        let all = || std::iter::once(first).chain(rest);
        if self.hooks.get(hook.0 as usize).is_some_and(|facts| facts.is_serial) {
            return all().map(|job| self.alone(hook, &job.body, timeout).0).sum();
        }
        match self.feed.per_event(&first.body) {
            Some(_) if rest.is_empty() => self.alone(hook, &first.body, timeout).0,
            Some(per_event) => {
                let others = u32::try_from(rest.len()).unwrap_or(u32::MAX);
                let own = Duration::from_nanos(self.feed.attempt(&first.body).0);
                own.saturating_add(per_event.saturating_mul(others)).min(timeout)
            }
            None => all().map(|job| self.alone(hook, &job.body, timeout).0).max().unwrap_or_default(),
        }
    }

    /// How long the attempt of a job runs that has its handler to itself, and how it ends. One that was recorded as
    /// stopped would not have ended by itself; what it took longer than its timeout then, up to the grace, it takes now.
    fn alone(&self, hook: HookSlot, job: &Job, timeout: Duration) -> (Duration, RunEnd) {
        let (run, end) = self.feed.attempt(job);
        let run = Duration::from_nanos(run);
        match end {
            RunEnd::TimedOut => {
                let hook = self.hooks.get(hook.0 as usize).and_then(|facts| facts.hook.as_ref());
                let grace = hook.map_or(Duration::ZERO, |hook| hook.grace);
                (run.clamp(timeout, timeout.saturating_add(grace)), end)
            }
            _ if run >= timeout => (timeout, RunEnd::TimedOut),
            _ => (run, end),
        }
    }

    fn timeout(&self, hook: HookSlot, events: usize) -> Duration {
        let hook = self.hooks.get(hook.0 as usize).and_then(|facts| facts.hook.as_ref());
        hook.map_or(self.default_timeout, |hook| hook.timeout_for(events))
    }

    /// The next run ends.
    pub(super) fn end(&mut self) {
        let Some(Reverse((_, _, at))) = self.ends.pop() else { return };
        let Running { key, hook, pass, held, first, rest } = self.running.remove(at);
        let timeout = self.timeout(hook, 1 + rest.len());
        let length = held.saturating_sub(self.overhead);
        let now = Time(self.now);
        let policy = self.hooks.get(hook.0 as usize).and_then(|facts| facts.hook.as_ref()?.retry);
        let is_serial = self.hooks.get(hook.0 as usize).is_some_and(|facts| facts.is_serial);
        // A batch of drawn jobs takes as long as it takes, for each of them.
        let is_one = !rest.is_empty() && !is_serial && self.feed.per_event(&first.body).is_some();
        let mut again = Vec::new();
        let mut was_late = false;
        for mut job in std::iter::once(first).chain(rest) {
            let (run, end) = if !is_one {
                self.alone(hook, &job.body, timeout)
            } else if length >= timeout {
                (length, RunEnd::TimedOut)
            } else {
                (length, self.feed.attempt(&job.body).1)
            };
            job.body.attempts += 1;
            job.body.last = end;
            self.tape.runs(job.body.number, end, run);
            let Some(facts) = self.hooks.get_mut(hook.0 as usize) else { return };
            if let (Some(breaker), Some(pass)) = (&facts.breaker, pass) {
                // A batch that is late as a whole has failed once.
                let repeats = is_one && was_late;
                was_late |= end == RunEnd::TimedOut;
                let failed = !matches!(end, RunEnd::Succeeded | RunEnd::SaidNo);
                if !repeats {
                    breaker.record(pass, if failed { Err(end.outcome().name()) } else { Ok(()) }, now);
                }
            }
            let is_blocked = facts.breaker.as_ref().is_some_and(crate::breaker::Breaker::blocks);
            let policy = policy.filter(|policy| !is_blocked && covers(policy, end));
            let counts = &mut facts.counts[job.class];
            let run = (end != RunEnd::NotStarted).then_some(run);
            if let Some(wait) = policy.and_then(|policy| policy.wait_after(job.body.attempts)) {
                counts.count_retried(run);
                again.push(Retry { job, at: now + wait });
            } else {
                counts.count_ended(end.outcome(), run);
                self.bytes -= u64::from(job.body.bytes);
                self.tape.becomes(job.body.number, Fate::Admitted(Some(end.outcome())));
            }
        }
        self.core.complete(key, held, again, now);
    }
}

fn covers(policy: &RetryPolicy, end: RunEnd) -> bool {
    match end {
        RunEnd::Failed => policy.failed,
        RunEnd::TimedOut => policy.timed_out,
        RunEnd::NotStarted => policy.not_started,
        RunEnd::Succeeded | RunEnd::SaidNo | RunEnd::Panicked => false,
    }
}
