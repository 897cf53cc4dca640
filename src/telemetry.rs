//! What the log says, and when. Every line that a job causes is written here.
//!
//! The library only emits `tracing` events; who wants to see them subscribes. All carry `hook`, `class`, `job` and
//! `session`. Levels: `debug` for the course of a job, `info` for a handler that failed, `warn` for what an operator
//! should know: handlers that time out or cannot be started, jobs that are refused, a queue that is nearly full.
//! Warnings about the queue and about a hook's handlers are limited, so that a flood of events is not answered with a flood of lines.
//!
//! Invariant: nothing here panics. A subscriber is the caller's code and may; a worker that it took along would leave
//! its job without an outcome, and a submit must not fail for want of a log line.

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use tracing::level_filters::LevelFilter;

use crate::breaker::Turn;
use crate::class::PriorityClass;
use crate::event::{Event, Subject};
use crate::hook::{Hook, HookName};
use crate::outcome::{Attempt, JobId, Outcome, OutcomeKind, Refusal, Skip, WaitSplit};
use crate::redact::Redactor;
use crate::text::{escape, shortened};
use crate::time::{Clock, Time, nanos};

/// Lines that are limited, and what they depend on.
#[derive(Debug)]
pub(crate) struct Telemetry {
    clock: Clock,
    capacity: AtomicU32,
    /// Waiting jobs from which on the queue is near its capacity.
    near: AtomicU32,
    /// Waiting jobs below which it is so no more.
    relaxed: AtomicU32,
    is_near: AtomicBool,
    refusals: Limiter,
}

impl Telemetry {
    pub(crate) fn new(capacity: u32, warn_at: f64, clock: Clock) -> Self {
        let telemetry = Self {
            clock,
            capacity: AtomicU32::default(),
            near: AtomicU32::default(),
            relaxed: AtomicU32::default(),
            is_near: AtomicBool::new(false),
            refusals: Limiter::default(),
        };
        telemetry.set_bounds(capacity, warn_at);
        telemetry
    }

    /// The queue holds so many jobs from now on, and is near that at the part `warn_at` of it.
    pub(crate) fn set_bounds(&self, capacity: u32, warn_at: f64) {
        // In range: warn_at is between 0 and 1.
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a part of a u32 fits a u32"
        )]
        let part = |of: f64| (f64::from(capacity) * of).ceil() as u32;
        self.capacity.store(capacity, Ordering::Relaxed);
        self.near.store(part(warn_at).max(1), Ordering::Relaxed);
        self.relaxed.store(part(warn_at * 0.75), Ordering::Relaxed);
    }

    /// The job is in the queue, which holds `waiting` jobs now.
    pub(crate) fn queued(&self, hook: &Hook, event: &Event, job: JobId, class: PriorityClass, waiting: u32) {
        say(|| {
            tracing::debug!(
                hook = %hook.name, class = %class, job = %job, session = session(event, &hook.redactor).as_deref(),
                "Successfully queued {} hook for background processing", name(event, &hook.redactor)
            );
        });
        if waiting >= self.near.load(Ordering::Relaxed) {
            if !self.is_near.load(Ordering::Relaxed) && !self.is_near.swap(true, Ordering::Relaxed) {
                let capacity = self.capacity.load(Ordering::Relaxed);
                say(|| {
                    tracing::warn!(waiting, capacity, "the hook queue is near its capacity");
                });
            }
        } else if waiting < self.relaxed.load(Ordering::Relaxed) && self.is_near.load(Ordering::Relaxed) {
            // Not before it is well below: a queue that hovers at the mark warns once.
            self.is_near.store(false, Ordering::Relaxed);
        }
    }

    pub(crate) fn refused(&self, hook: &Hook, event: &impl Subject, class: PriorityClass, why: Refusal) {
        say(|| {
            tracing::debug!(hook = %hook.name, class = %class, session = session(event, &hook.redactor).as_deref(), reason = %why, "refused");
        });
        // Where nobody listens, a refusal costs no look at the clock.
        if why == Refusal::Closed || tracing::Level::WARN > LevelFilter::current() {
            return;
        }
        if let Some(unreported) = self.refusals.pass(self.clock.now(), Limiter::QUEUE) {
            say(|| {
                tracing::warn!(
                    hook = %hook.name, class = %class, reason = %why, unreported, hint = why.hint(),
                    "dropped a {} hook: {}", name(event, &hook.redactor), explain(why)
                );
            });
        }
    }
}

pub(crate) fn skipped(hook: &Hook, event: &impl Subject, why: Skip) {
    say(
        || tracing::trace!(hook = %hook.name, session = session(event, &hook.redactor).as_deref(), reason = %why, "skipped"),
    );
}

/// The job was picked, as one of the class `picked_as`.
pub(crate) fn started(
    hook: &Hook,
    (event, job, class): (&Event, JobId, PriorityClass),
    picked_as: PriorityClass,
    waited: &WaitSplit,
) {
    say(|| {
        tracing::debug!(
            hook = %hook.name, class = %class, job = %job, session = session(event, &hook.redactor).as_deref(),
            picked_as = %picked_as, wait_ms = millis(waited.total()), %waited, "started"
        );
    });
}

/// False: nobody listens to what [`finished`] says of a success.
pub(crate) fn tells_of_success() -> bool {
    tracing::Level::DEBUG <= LevelFilter::current()
}

/// The job has its outcome. `complaints` limits the warnings of its hook.
pub(crate) fn finished(outcome: &Outcome, redactor: &Redactor, complaints: &Limiter, clock: Clock) {
    say(|| tell_of(outcome, redactor, complaints, clock));
}

/// An attempt has failed, the job's `number`th of at most `most`, and the next one comes after `wait`.
pub(crate) fn retried(
    hook: &Hook,
    event: &Event,
    job: JobId,
    attempt: &Attempt,
    (number, most): (u32, u32),
    wait: Duration,
) {
    say(|| {
        tracing::info!(
            hook = %hook.name, job = %job, session = session(event, &hook.redactor).as_deref(), run_ms = attempt.run.map(millis),
            "attempt {number} of {most} {}: {}; next in {wait:?}", attempt.kind, reason(&attempt.reason)
        );
    });
}

/// The hook's breaker has opened or closed.
pub(crate) fn breaker_turned(hook: &Hook, turn: &Turn) {
    say(|| match turn {
        Turn::Opened(cooldown, why) => tracing::warn!(
            hook = %hook.name, "the hook's breaker opened, so it is skipped for {cooldown:?}: {why}"
        ),
        Turn::Closed => {
            tracing::info!(hook = %hook.name, "the hook's breaker closed: its handler works again");
        }
    });
}

/// A handler in Rust is beyond its time and keeps its seat.
pub(crate) fn seat_lost(hook: &Hook, why: &std::io::Error) {
    say(|| {
        tracing::warn!(
            hook = %hook.name,
            "a handler in Rust is beyond its time, and its seat is lost until it returns: {why}"
        );
    });
}

/// A handler in Rust that was given up has returned.
pub(crate) fn came_back(hook: &Hook, elapsed: Duration) {
    say(|| {
        tracing::debug!(
            hook = %hook.name, run_ms = millis(elapsed), "a handler returned after its job had been given up"
        );
    });
}

/// A subscription to outcomes has lost one, its first.
pub(crate) fn subscriber_is_slow() {
    say(|| tracing::warn!("a subscription to outcomes is full: its reader is too slow, and loses some"));
}

/// A dead letter was lost, the first one.
pub(crate) fn letters_dropped() {
    say(|| tracing::warn!("dead letters come faster than they can be written, and some are lost"));
}

/// The end of the pool has waited for its dead letters for long enough.
pub(crate) fn letters_unfinished() {
    say(|| tracing::warn!("some dead letters were not written in time, and may be lost"));
}

/// Others may read the file of dead letters.
pub(crate) fn letters_readable(file: &Path, mode: u32) {
    say(|| {
        tracing::warn!(
            file = %file.display(), mode = format_args!("{mode:o}"),
            "others may look at the dead letters: chmod 600 keeps them from it"
        );
    });
}

/// The file of dead letters cannot be written, for the first time since it could be.
pub(crate) fn letters_failed(file: &Path, error: &std::io::Error) {
    say(|| tracing::warn!(file = %file.display(), "dead letters cannot be written: {error}"));
}

/// An observer of outcomes panicked.
pub(crate) fn observer_panicked(job: JobId) {
    say(|| tracing::error!(job = %job, "an observer of outcomes panicked"));
}

/// A handler that speaks lines said something that is of no use, and that nothing comes of.
pub(crate) fn misspoke(hook: &Hook, what: &str, complaints: &Limiter, now: Time) {
    if let Some(unreported) = complaints.pass(now, Limiter::HOOK) {
        let what = hook.redactor.text(what);
        say(|| tracing::warn!(hook = %hook.name, unreported, "the hook's handler {what}; ignored"));
    }
}

/// The processes of a resident handler end one after the other before they have answered anything.
pub(crate) fn keeps_ending(hook: &HookName, why: &str) {
    say(|| tracing::warn!(hook = %hook, "the hook's handler is not started for a while: {}", reason(why)));
}

fn tell_of(outcome: &Outcome, redactor: &Redactor, complaints: &Limiter, clock: Clock) {
    let event = &outcome.event;
    macro_rules! line {
        ($level:ident, $($more:tt)+) => {
            tracing::$level!(
                hook = %outcome.hook, class = %outcome.class, job = %outcome.job, session = session(event, redactor).as_deref(),
                outcome = %outcome.kind, wait_ms = millis(outcome.wait), run_ms = outcome.run.map(millis),
                $($more)+
            )
        };
    }
    if let Some(run) = outcome.run {
        line!(
            debug,
            "Hook {} processed in background thread (took {:.2}s)",
            name(event, redactor),
            run.as_secs_f64()
        );
    } else {
        line!(
            debug,
            "Hook {} ended without running: {}; {}",
            name(event, redactor),
            outcome.kind,
            outcome.waited_for
        );
    }
    match outcome.kind {
        OutcomeKind::TimedOut | OutcomeKind::NotStarted | OutcomeKind::Panicked => {
            if let Some(unreported) = complaints.pass(clock.now(), Limiter::HOOK) {
                line!(
                    warn,
                    unreported,
                    hint = outcome.hint.as_deref(),
                    "hook {}: {}",
                    outcome.kind,
                    reason(&outcome.reason)
                );
            }
        }
        OutcomeKind::Failed => {
            line!(info, hint = outcome.hint.as_deref(), "hook failed: {}", reason(&outcome.reason));
        }
        _ => {}
    }
}

/// Writes lines; a panic of who writes them ends here.
fn say(lines: impl FnOnce()) {
    let _ = catch_unwind(AssertUnwindSafe(lines));
}

/// What is told of an event is part of its payload, and may be a secret.
fn name(event: &impl Subject, redactor: &Redactor) -> String {
    escape(&redactor.text(event.name())).to_string()
}

fn session<'e>(event: &'e impl Subject, redactor: &Redactor) -> Option<Cow<'e, str>> {
    event.session().map(|session| redactor.text(session))
}

/// What a handler says of its event can be of any length; who wants all of it has the outcome.
fn reason(text: &str) -> Cow<'_, str> {
    const LONGEST: usize = 1000;
    shortened(text, LONGEST)
}

fn explain(why: Refusal) -> &'static str {
    match why {
        Refusal::Full => "the queue is full (queue.capacity)",
        Refusal::ClassFull => "its class has reached its ceiling (class.NAME.ceiling)",
        Refusal::BytesFull => "the payloads that wait have reached their limit (queue.max_bytes)",
        Refusal::TooLarge => "the event is larger than allowed (queue.max_event_bytes)",
        Refusal::Closed => "the pool is shutting down",
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a log line does not wait for 500 million years")]
fn millis(duration: Duration) -> u64 {
    duration.as_millis() as u64
}

/// Lets one line pass, then at most one in each period, and counts the others.
#[derive(Debug, Default)]
pub(crate) struct Limiter {
    /// When the next line may pass, in nanoseconds; 0: at once.
    next: AtomicU64,
    held_back: AtomicU64,
}

impl Limiter {
    /// Between warnings of a queue that drops.
    const QUEUE: Duration = Duration::from_secs(1);
    /// Between warnings of one hook whose handlers fail in the same way as a rule.
    const HOOK: Duration = Duration::from_secs(10);

    /// `None`: not now. Else the number of lines that were held back since the last one.
    fn pass(&self, now: Time, period: Duration) -> Option<u64> {
        let next = self.next.load(Ordering::Relaxed);
        let passes = now.0 >= next
            && self
                .next
                .compare_exchange(
                    next,
                    now.0.saturating_add(nanos(period)),
                    Ordering::Relaxed,
                    Ordering::Relaxed,
                )
                .is_ok();
        if passes {
            Some(self.held_back.swap(0, Ordering::Relaxed))
        } else {
            self.held_back.fetch_add(1, Ordering::Relaxed);
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_lines_passes_once_a_second_with_the_number_of_the_others() {
        let limiter = Limiter::default();
        let at = |ms: u64| Time(ms * 1_000_000);
        assert_eq!(limiter.pass(at(0), Limiter::QUEUE), Some(0));
        for ms in 1..1000 {
            assert_eq!(limiter.pass(at(ms), Limiter::QUEUE), None);
        }
        assert_eq!(limiter.pass(at(1000), Limiter::QUEUE), Some(999));
        assert_eq!(limiter.pass(at(1001), Limiter::QUEUE), None);
        assert_eq!(limiter.pass(at(5000), Limiter::QUEUE), Some(1));
    }
}
