//! What is known of a run after its end.
//!
//! A report states facts; whether they mean success is the caller's business. Every started handler has exactly one
//! end, and `stopped` says whether it was ours.

use std::fmt;
use std::time::Duration;

use super::capture::Captured;
use super::start_error::StartError;

/// The report of one run.
#[derive(Debug)]
pub struct Run {
    pub end: End,
    /// Set when the handler was told to end. It may still have exited by itself, even with status 0, within its grace.
    pub stopped: Option<Stopped>,
    /// From the call to the handler's end, pipes not included.
    pub run_time: Duration,
    /// From the call until the program ran. `None`: it did not.
    pub spawn_time: Option<Duration>,
    /// Processor time of the handler and of the children that it waited for. `None`: unknown.
    pub cpu_time: Option<Duration>,
    /// Peak resident memory in bytes of the handler's own process, as last seen while it ran: looked at 20 ms after the
    /// start, at each doubling of that, and before a stop. `None`: it ended before the first look, or is unknown.
    pub peak_memory: Option<u64>,
    pub stdout: Captured,
    pub stderr: Captured,
    /// Bytes of standard input that the handler's pipe did not take.
    pub stdin_left: usize,
    /// A process that outlived the run held an output pipe open. The pipe was closed; what came later is lost.
    pub pipe_held: bool,
    /// Living processes were left in the group when the handler ended, and have been killed.
    pub leftovers_killed: bool,
}

impl Run {
    /// True when the handler exited with status 0 and was not told to end.
    pub fn succeeded(&self) -> bool {
        self.end == End::Exited(0) && self.stopped.is_none()
    }

    /// The report of a handler that did not start.
    pub(super) fn not_started(error: StartError, run_time: Duration, stdin_left: usize) -> Self {
        Self {
            end: End::NotStarted(error),
            stopped: None,
            run_time,
            spawn_time: None,
            cpu_time: None,
            peak_memory: None,
            stdout: Captured::default(),
            stderr: Captured::default(),
            stdin_left,
            pipe_held: false,
            leftovers_killed: false,
        }
    }
}

/// How a handler ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// It exited with this status.
    Exited(i32),
    /// This signal ended it.
    Signalled(i32),
    /// It has not ended: it is a resident process, and goes on.
    Running,
    /// It never ran.
    NotStarted(StartError),
    /// It ran and is gone, or cannot be made to go; its status is unknown for this reason. Counts as failed.
    StatusUnknown(UnknownReason),
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(code) => write!(f, "exit status {code}"),
            Self::Signalled(signal) => write!(f, "ended by signal {signal}"),
            Self::Running => f.write_str("it goes on"),
            Self::NotStarted(error) => write!(f, "not started: {error}"),
            Self::StatusUnknown(reason) => write!(f, "exit status unknown: {reason}"),
        }
    }
}

/// Why a status is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UnknownReason {
    /// Somebody else reaped it: the kernel, because `SIGCHLD` is ignored in this process, or other code that waits for
    /// any child.
    ReapedElsewhere,
    /// It is stuck in the kernel and did not die of KILL.
    DoesNotDie,
}

impl fmt::Display for UnknownReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ReapedElsewhere => {
                "something else reaped the handler; SIGCHLD must not be ignored in this process"
            }
            Self::DoesNotDie => "the handler hangs in the kernel and did not die of SIGKILL",
        })
    }
}

/// That a handler was told to end, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stopped {
    pub why: StopReason,
    /// From the start to the polite signal.
    pub term_after: Duration,
    /// From the start to the hard signal, if the handler outlived its grace.
    pub kill_after: Option<Duration>,
}

/// Why a handler was told to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopReason {
    /// Its time was over.
    Deadline,
    /// Its token was cancelled.
    Cancelled,
    /// It wrote more than it may.
    Output,
}
