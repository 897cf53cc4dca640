//! The record of one job: what it was, how long it waited and ran, how it ended and why.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use crate::class::PriorityClass;
use crate::event::Event;
use crate::hook::HookName;
use crate::outcome::{Json, OutcomeKind, WaitSplit};
use crate::process::{Captured, End, Stopped};
use crate::redact::Redactor;

/// Numbers the jobs of a pool, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(pub(crate) u64);

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// How a job ended, as far as its handler knows.
#[derive(Debug)]
pub(crate) struct Ending {
    pub(crate) kind: OutcomeKind,
    /// In words; empty for a success.
    pub(crate) reason: String,
    /// What would help, where that is certain.
    pub(crate) hint: Option<String>,
    /// `None`: it never ran, or whoever runs the handler has to look at the clock.
    pub(crate) run: Option<Duration>,
    pub(crate) process: Option<Box<ProcessReport>>,
    /// What the handler said of it.
    pub(crate) message: Option<String>,
    pub(crate) verdict: Option<Json>,
    /// Its handler works, and refused it: exit status 2.
    pub(crate) says_no: bool,
    /// The same happened to another job of its dispatch, whose ending tells of it.
    pub(crate) repeats: bool,
}

impl Ending {
    pub(crate) fn new(kind: OutcomeKind, reason: impl Into<String>) -> Self {
        let reason = reason.into();
        Self {
            kind,
            reason,
            hint: None,
            run: None,
            process: None,
            message: None,
            verdict: None,
            says_no: false,
            repeats: false,
        }
    }

    /// Takes the secrets out, but for the verdict: a program acts on that, so only what is written of it is redacted.
    pub(crate) fn redact(&mut self, redactor: &Redactor) {
        if !redactor.is_on() {
            return;
        }
        let clean = |text: &mut String| {
            if !text.is_empty()
                && let Cow::Owned(new) = redactor.text(text)
            {
                *text = new;
            }
        };
        clean(&mut self.reason);
        self.message.iter_mut().chain(&mut self.hint).for_each(clean);
        if let Some(process) = &mut self.process {
            for stream in [&mut process.stdout, &mut process.stderr] {
                if stream.total() > 0 {
                    *stream = std::mem::take(stream).redacted(redactor);
                }
            }
        }
    }
}

/// How an attempt ended that was not the job's last one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Attempt {
    /// How it ended.
    pub kind: OutcomeKind,
    /// In words, why it ended like this.
    pub reason: String,
    /// Time from start to end. `None`: its handler never ran.
    pub run: Option<Duration>,
}

/// The end of one job. Each admitted job has exactly one.
#[derive(Debug)]
#[non_exhaustive]
pub struct Outcome {
    /// The job, as its handler saw it in `HOOKPOOL_JOB`.
    pub job: JobId,
    /// The hook that it was for.
    pub hook: HookName,
    /// The event that it was for, as it was submitted. [`HookPool::redactor`](crate::HookPool::redactor) takes the secrets
    /// out of what is written of it.
    pub event: Event,
    /// Its class.
    pub class: PriorityClass,
    /// How it ended.
    pub kind: OutcomeKind,
    /// Time from admission to its first start, or to its end if it never started.
    pub wait: Duration,
    /// What it waited for: parts that make up `wait` exactly.
    pub waited_for: WaitSplit,
    /// The attempts before the last one, if it was tried again (`hook.NAME.retry`).
    pub attempts: Vec<Attempt>,
    /// Time from start to end, of the last attempt. `None`: its handler never ran.
    pub run: Option<Duration>,
    /// In words, why it ended like this; empty for a success. Redacted, as the message and the output are (`[redact]`).
    pub reason: String,
    /// What would help, when the end of its handler proves it: a program that is missing, a timeout, a signal. It is
    /// never taken from what the handler wrote. What kept a handler from being started says so in `reason`.
    pub hint: Option<String>,
    /// What the handler said of it to people, if anything.
    pub message: Option<String>,
    /// What the handler said of it to programs, if anything; exactly as it was said.
    pub verdict: Option<Json>,
    /// What is known of the handler's process. `None`: there was none.
    pub process: Option<Box<ProcessReport>>,
}

/// What is known of a handler's process after its end.
#[derive(Debug)]
#[non_exhaustive]
pub struct ProcessReport {
    /// Exit status or signal.
    pub end: End,
    /// When and why it was told to end, if it was.
    pub stopped: Option<Stopped>,
    /// Processor time, in user and system mode, of the process and of its reaped children. `None`: unknown.
    pub cpu_time: Option<Duration>,
    /// Largest resident memory, in bytes. `None`: unknown.
    pub peak_memory: Option<u64>,
    /// What it wrote to standard output, as far as it was kept.
    pub stdout: Captured,
    /// What it wrote to standard error, as far as it was kept.
    pub stderr: Captured,
    /// Bytes of the event that it did not read.
    pub stdin_left: usize,
    /// Something that it left behind held its pipes open.
    pub pipe_held: bool,
    /// Something that it left behind in its process group was killed.
    pub leftovers_killed: bool,
    /// Processes that had left its group and were killed. Always 0 without
    /// [`sweep_escapees`](crate::HookPoolBuilder::sweep_escapees).
    pub escapees_killed: usize,
}

impl Outcome {
    /// Bytes that it holds, for limits of memory: all that comes from outside, and an allowance for the rest.
    pub(crate) fn bytes(&self) -> u64 {
        let output = self.process.as_ref().map_or(0, |process| {
            let streams = [&process.stdout, &process.stderr].into_iter();
            streams.map(|stream| stream.head().len() + stream.tail().len()).sum()
        });
        let attempts = self.attempts.iter().map(|attempt| attempt.reason.len() + 64).sum::<usize>();
        let said = [&self.message, &self.hint].into_iter().flatten().map(String::len).sum::<usize>();
        let verdict = self.verdict.as_ref().map_or(0, |verdict| verdict.as_str().len());
        let rest = 512 + self.reason.len();
        (self.event.payload().len() + output + attempts + said + verdict + rest) as u64
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.hook, self.event.name(), self.kind)?;
        if !self.reason.is_empty() {
            write!(f, ": {}", self.reason)?;
        }
        Ok(())
    }
}
