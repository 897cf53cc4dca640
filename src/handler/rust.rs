//! Handlers in Rust: functions of the program around the pool, called on the worker threads.
//!
//! One gets a [`Call`] for each event, or a slice of them for the members of a batch, and gives back what it has to say.
//! It cannot be stopped from outside: a well-behaved one looks at [`Call::is_cancelled`] while it does long work, and
//! the runtime sees to it that the others cost nobody else's time.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use super::{Given, Task, panic_text};
use crate::event::Event;
use crate::hook::{HookName, OnBatchFailure};
use crate::kind::EventKind;
use crate::outcome::{Answer, Ending, JobId, OutcomeKind};
use crate::process::Cancel;

/// One event for a handler in Rust, with what the pool knows of its job. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Call {
    pub(crate) hook: HookName,
    pub(crate) event: Event,
    pub(crate) job: JobId,
    pub(crate) attempt: u32,
    pub(crate) deadline: Instant,
    /// Of a member of a batch; of one that runs alone, `stop`.
    pub(crate) cancel: Option<Cancel>,
    pub(crate) stop: Cancel,
}

impl Call {
    /// What happened.
    #[must_use]
    pub fn event(&self) -> &Event {
        &self.event
    }

    /// The kind of the event.
    #[must_use]
    pub fn kind(&self) -> EventKind {
        self.event.kind()
    }

    /// The session of the event, if it has one.
    #[must_use]
    pub fn session(&self) -> Option<&str> {
        self.event.session()
    }

    /// The hook that the handler is called for.
    #[must_use]
    pub fn hook(&self) -> &HookName {
        &self.hook
    }

    /// The job: as the submission's handle and the outcome name it.
    #[must_use]
    pub fn job(&self) -> JobId {
        self.job
    }

    /// How often the handler has been given this event, this time included: 1 for the first.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// When the job ends as `timed_out`, whatever its handler does. For a batch, when all of it does.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Time until the deadline; nothing when it has passed.
    #[must_use]
    pub fn remaining(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// True when nobody wants the result any more: the job was cancelled, its deadline has passed, or the pool is at
    /// its end. A handler that does long work should look at this now and then, and return.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.stop.is_cancelled() || self.cancel.as_ref().is_some_and(Cancel::is_cancelled)
    }

    /// The same for a handler that is not in Rust.
    pub(super) fn task<'a>(&'a self, given: &Given<'a>) -> Task<'a> {
        let Self { event, job, attempt, cancel, stop, .. } = self;
        let (hook, class, cancel) = (given.hook, given.class, cancel.as_ref());
        Task { hook, event, job: *job, class, attempt: *attempt, cancel, stop }
    }
}

/// A handler in Rust for one event at a time. Every closure that takes a [`Call`] and gives back something that can
/// become an [`Answer`] (nothing, an answer, or a `Result` of these with an error that has a text) is one.
///
/// It is called on several worker threads at once, unless its hook says `max_concurrency = 1`. A panic costs its job
/// the outcome `panicked`, and nothing else.
///
/// ```
/// use hookpool::{Answer, Call, EventHandler};
///
/// struct Counter(std::sync::atomic::AtomicU64);
///
/// impl EventHandler for Counter {
///     fn handle(&self, call: &Call) -> Answer {
///         let bytes = call.event().payload().len() as u64;
///         self.0.fetch_add(bytes, std::sync::atomic::Ordering::Relaxed);
///         Answer::ok()
///     }
/// }
/// ```
pub trait EventHandler: Send + Sync + 'static {
    /// Handles one event.
    fn handle(&self, call: &Call) -> Answer;
}

impl<F, R> EventHandler for F
where
    F: Fn(&Call) -> R + Send + Sync + 'static,
    R: Into<Answer>,
{
    fn handle(&self, call: &Call) -> Answer {
        self(call).into()
    }
}

/// A handler in Rust for many events at once. Every closure that takes a slice of calls and gives back something that
/// can become a [`BatchAnswer`] is one.
///
/// The calls are those of one hook and class, in the order in which they came, and there is at least one. The deadline
/// is the same for all. A panic costs all of them the outcome `panicked`.
pub trait BatchHandler: Send + Sync + 'static {
    /// Handles some events.
    fn handle(&self, calls: &[Call]) -> BatchAnswer;
}

impl<F, R> BatchHandler for F
where
    F: Fn(&[Call]) -> R + Send + Sync + 'static,
    R: Into<BatchAnswer>,
{
    fn handle(&self, calls: &[Call]) -> BatchAnswer {
        self(calls).into()
    }
}

/// What a handler says of the events of a batch.
///
/// ```
/// use hookpool::{Answer, BatchAnswer};
///
/// let all: BatchAnswer = ().into();
/// assert_eq!(all, BatchAnswer::All(Answer::ok()));
/// let each: BatchAnswer = vec![Ok(()), Err("empty")].into();
/// assert_eq!(each, BatchAnswer::Each(vec![Answer::ok(), Answer::failed("empty")]));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BatchAnswer {
    /// The same of all of them. A failure is one of the batch as a whole: with `on_batch_failure = "split"` each event
    /// is given to the handler once more, by itself.
    All(Answer),
    /// Of each its own, in the order of the calls. An event without an answer has failed; answers beyond the last event
    /// are ignored.
    Each(Vec<Answer>),
}

impl From<()> for BatchAnswer {
    fn from((): ()) -> Self {
        Self::All(Answer::ok())
    }
}

impl From<Answer> for BatchAnswer {
    fn from(answer: Answer) -> Self {
        Self::All(answer)
    }
}

impl<A: Into<Answer>> From<Vec<A>> for BatchAnswer {
    fn from(answers: Vec<A>) -> Self {
        Self::Each(answers.into_iter().map(Into::into).collect())
    }
}

impl<A: Into<BatchAnswer>, E: std::fmt::Display> From<Result<A, E>> for BatchAnswer {
    fn from(result: Result<A, E>) -> Self {
        result.map_or_else(|error| Self::All(Answer::failed(error)), Into::into)
    }
}

/// A handler that was registered with the builder.
pub(crate) enum RustHandler {
    Single(Box<dyn EventHandler>),
    Batch(Box<dyn BatchHandler>),
}

impl RustHandler {
    pub(super) fn run(&self, given: Given<'_>, done: &mut dyn FnMut(usize, Ending)) {
        let Given { hook, calls, alone, .. } = given;
        if calls.first().is_none_or(|call| call.stop.is_cancelled()) {
            let reason = "it was stopped before its handler was started";
            (0..calls.len()).for_each(|index| done(index, Ending::new(OutcomeKind::Cancelled, reason)));
            return;
        }
        let handler = match self {
            Self::Single(handler) => {
                for (index, call) in calls.iter().enumerate() {
                    done(index, ending(call, caught(|| handler.handle(call))));
                }
                return;
            }
            Self::Batch(handler) => handler,
        };
        let splits = hook.batch.as_ref().is_some_and(|batch| batch.on_failure == OnBatchFailure::Split);
        let mut give = |first: usize, calls: &[Call], answer: BatchAnswer| {
            let calls = (first..).zip(calls);
            match answer {
                BatchAnswer::All(answer) => {
                    for ((index, call), answer) in calls.zip(std::iter::repeat(answer)) {
                        done(index, Ending { repeats: index > first, ..ending(call, answer) });
                    }
                }
                BatchAnswer::Each(answers) => {
                    let missing = || Answer::failed("its handler gave no answer for it");
                    let answers = answers.into_iter().chain(std::iter::repeat_with(missing));
                    for ((index, call), answer) in calls.zip(answers) {
                        done(index, ending(call, answer));
                    }
                }
            }
        };
        let answer = caught(|| handler.handle(calls));
        let failed_as_a_whole = matches!(&answer, BatchAnswer::All(answer) if !answer.is_ok());
        if !(splits && failed_as_a_whole && calls.len() > 1) {
            give(0, calls, answer);
            return;
        }
        for (index, call) in calls.iter().enumerate() {
            // Who was cancelled meanwhile ends with the batch.
            if call.is_cancelled() {
                give(index, std::slice::from_ref(call), answer.clone());
            } else {
                let one = [Call { deadline: alone(hook.timeout_for(1), index), ..call.clone() }];
                give(index, &one, caught(|| handler.handle(&one)));
            }
        }
    }
}

/// What the handler says. A panic is an answer, too.
fn caught<A: From<Answer>>(handle: impl FnOnce() -> A) -> A {
    let answer = catch_unwind(AssertUnwindSafe(handle));
    answer.unwrap_or_else(|panic| Answer::panicked(panic_text(&*panic)).into())
}

/// What the answer means: a handler that was cancelled and gave up has not failed.
fn ending(call: &Call, answer: Answer) -> Ending {
    let ending = Ending::from(answer);
    if ending.kind == OutcomeKind::Failed && call.is_cancelled() {
        let reason = format!("it was cancelled while it ran, and its handler gave up: {}", ending.reason);
        return Ending { kind: OutcomeKind::Cancelled, reason, ..ending };
    }
    ending
}

impl std::fmt::Debug for RustHandler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Single(_) => "Single",
            Self::Batch(_) => "Batch",
        })
    }
}
