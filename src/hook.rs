//! A hook as the pool uses it: compiled, checked and immutable.
//!
//! The configuration makes hooks; the matcher reads their selectors, the scheduler their policies, and the handlers
//! their handler specifications. A job keeps the `Arc<Hook>` that it was admitted with, whatever is configured later.

mod http;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use smol_str::SmolStr;

pub use self::http::{HttpSpec, HttpUrl, Secret};
use crate::class::{PerClass, PriorityClass};
use crate::event::FieldPath;
use crate::matcher::Selector;
use crate::redact::Redactor;

/// A hook's name: `[a-z][a-z0-9_]*` without `__`. Cheap to clone.
// Every answer, call and outcome has one: a counted reference would go from processor to processor with all of them.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HookName(SmolStr);

impl HookName {
    /// Checks the spelling.
    ///
    /// # Errors
    /// The text, when it is no hook name.
    ///
    /// ```
    /// use hookpool::HookName;
    /// assert_eq!(HookName::new("audit_2").unwrap().as_str(), "audit_2");
    /// assert!(HookName::new("Audit").is_err());
    /// assert!(HookName::new("a__b").is_err());
    /// ```
    pub fn new(name: &str) -> Result<Self, String> {
        let starts_well = name.starts_with(|c: char| c.is_ascii_lowercase());
        let spelt_well = name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        if starts_well && spelt_well && !name.contains("__") {
            Ok(Self(name.into()))
        } else {
            Err(format!("`{name}` is no hook name: it takes a-z, 0-9 and single _, and starts with a letter"))
        }
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for HookName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for HookName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// A configured reaction: which events, which handler, under which rules.
#[derive(Debug, PartialEq)]
pub struct Hook {
    /// How it is called in `hooks.toml`, reports and logs.
    pub name: HookName,
    /// Which events it wants.
    pub selector: Selector,
    /// What runs.
    pub handler: HandlerSpec,
    /// False: it matches, and is skipped as `hook_disabled`.
    pub enabled: bool,
    /// Its class, whatever the event. `None`: the class of the event's kind decides.
    pub priority: Option<PriorityClass>,
    /// Longest run time of one handler.
    pub timeout: Duration,
    /// Time between the polite and the hard signal.
    pub grace: Duration,
    /// Whether its events of one session are handled in order.
    pub order: Order,
    /// How many of its handlers may run at once. `None`: as many as there are seats.
    pub max_concurrency: Option<u32>,
    /// Longest wait before a job expires. `None`: its class decides, else the queue.
    pub max_wait: Option<MaxWait>,
    /// Bytes of output kept of each stream.
    pub max_output: usize,
    /// Takes the secrets out of what is written down of its handler and its events.
    pub redactor: Redactor,
    /// How its events are put together, if its handler takes many at once. `None`: one at a time.
    pub batch: Option<BatchPolicy>,
    /// Whether and when a failed job is tried again. `None`: never.
    pub retry: Option<RetryPolicy>,
    /// When its handler is left alone for a while, because it fails and fails. `None`: never.
    pub breaker: Option<BreakerPolicy>,
}

impl Hook {
    /// Longest run time of a handler that gets that many events at once.
    #[must_use]
    pub fn timeout_for(&self, events: usize) -> Duration {
        let Some(batch) = &self.batch else { return self.timeout };
        let events = u32::try_from(events).unwrap_or(u32::MAX);
        let timeout = self.timeout.saturating_add(batch.timeout_per_item.saturating_mul(events));
        batch.timeout_max.map_or(timeout, |most| timeout.min(most))
    }
}

/// Whether and when a failed job is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Most attempts, the first included: 1 to 100.
    pub attempts: u32,
    /// Wait before the second attempt; it doubles with each further one, up to a minute.
    pub backoff: Duration,
    /// A handler that failed is tried again.
    pub failed: bool,
    /// One that ran longer than its timeout is.
    pub timed_out: bool,
    /// One that could not be started is.
    pub not_started: bool,
}

impl RetryPolicy {
    /// What the doubling of the backoff ends at.
    pub const LONGEST_BACKOFF: Duration = Duration::from_mins(1);

    /// The wait after an attempt, the first of which is 1. `None`: it was the last one.
    #[must_use]
    pub fn wait_after(&self, attempt: u32) -> Option<Duration> {
        if attempt >= self.attempts {
            return None;
        }
        let doubled = self.backoff.saturating_mul(2_u32.saturating_pow(attempt.saturating_sub(1)));
        // Who asks for a longer one at once gets it each time.
        Some(doubled.min(Self::LONGEST_BACKOFF.max(self.backoff)))
    }
}

/// When a handler that fails and fails is left alone, and for how long.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BreakerPolicy {
    /// Failures in a row that open the breaker: 1 to 10,000. `None`: only their share does.
    pub failures: Option<u32>,
    /// Share of failures among the last 20 attempts, once there are 10, that opens it: above 0, at most 1.
    pub rate: Option<f64>,
    /// How long it stays open at first; doubled each time that the next job fails as well.
    pub cooldown: Duration,
    /// How long it stays open at most.
    pub max_cooldown: Duration,
}

/// Bounds of one batch, and what its events have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchPolicy {
    /// Most events: 1 to 10,000.
    pub size: u32,
    /// Most bytes of payload; a larger event is a batch by itself.
    pub bytes: u64,
    /// Longest wait of the first event for others. Zero: a free worker takes what there is at once.
    pub linger: Duration,
    /// What the events of one batch have in common, beside their hook and class.
    pub key: BatchKey,
    /// What each event adds to the hook's timeout.
    pub timeout_per_item: Duration,
    /// Longest run time of one batch. `None`: what the timeout and the events sum up to.
    pub timeout_max: Option<Duration>,
    /// What becomes of the events of a batch that failed as a whole.
    pub on_failure: OnBatchFailure,
}

/// What the events of one batch have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BatchKey {
    /// Nothing more.
    Hook,
    /// The session; events without one go together.
    Session,
    /// The value of a field; events without it go together.
    Field(FieldPath),
}

/// What becomes of the events of a batch that failed as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnBatchFailure {
    /// They have failed.
    Fail,
    /// Each is given to the handler once more, by itself.
    Split,
}

/// Whether events of one hook and one session wait for each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// In order, one at a time.
    Session,
    /// In any order, at once.
    None,
}

/// How long a job may wait for its first start, and whether the user said so: a replay ignores the built-in limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaxWait {
    /// `None`: for ever.
    pub limit: Option<Duration>,
    /// False when the limit is the built-in one.
    pub explicit: bool,
}

/// What runs when a hook's event is taken.
#[derive(Debug, PartialEq, Eq)]
pub enum HandlerSpec {
    /// A program, one process for each event, which gets the event as it is.
    Command(CommandSpec),
    /// A program, one process for each batch, which gets its events as lines and answers with lines.
    Lines(CommandSpec),
    /// A program whose processes stay, get events as lines and answer each with a line.
    Resident(ResidentSpec),
    /// A web service: one request for each event, or for each batch.
    Http(HttpSpec),
    /// A handler in Rust, registered with the pool's builder under the hook's name.
    Registered,
}

impl HandlerSpec {
    /// True when the handler may be one that is given many events at once.
    #[must_use]
    pub fn takes_many(&self) -> bool {
        match self {
            Self::Command(_) => false,
            Self::Lines(_) | Self::Resident(_) | Self::Registered => true,
            Self::Http(http) => http.lines,
        }
    }

    /// The program, if the handler is one.
    #[must_use]
    pub fn command(&self) -> Option<&CommandSpec> {
        match self {
            Self::Command(command) | Self::Lines(command) => Some(command),
            Self::Resident(resident) => Some(&resident.command),
            Self::Http(_) | Self::Registered => None,
        }
    }
}

/// A program whose processes stay. How many events one of them may have at once is the hook's batch policy.
#[derive(Debug, PartialEq, Eq)]
pub struct ResidentSpec {
    /// The program.
    pub command: CommandSpec,
    /// Most processes: 1 to 320. They are started when there is work for them.
    pub instances: u32,
    /// How long a process may be without work before it is ended. `None`: for ever.
    pub idle_timeout: Option<Duration>,
    /// Answers after which a process is replaced. `None`: any number.
    pub max_events: Option<u32>,
    /// Age at which a process is replaced, as soon as it has done what it does. `None`: any age.
    pub max_age: Option<Duration>,
}

/// A program to start, with everything resolved that can be before the first event. Its `Debug` form leaves out what
/// may be secret: arguments, and the values of variables.
#[derive(PartialEq, Eq)]
pub struct CommandSpec {
    /// What the user wrote.
    pub line: CommandLine,
    /// Working directory; absolute.
    pub cwd: PathBuf,
    /// Variables added to, or replacing those of, the handler's environment.
    pub env: BTreeMap<OsString, OsString>,
    /// What of hookpool's own environment the handler sees.
    pub inherit: InheritEnv,
    /// What becomes of the group's processes that outlive a handler that succeeded.
    pub leftovers: Leftovers,
    /// What its processes may take of the machine.
    pub limits: ResourceLimits,
    /// For jobs of each class, how much weaker than hookpool its processes are ranked: 0 to 19. Linux. A process that
    /// stays has the rank of its hook's own class.
    pub nice: PerClass<u8>,
}

/// What the processes of a handler may take of the machine. `None`: whatever the system lets them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ResourceLimits {
    /// Bytes of memory for data, of each process. Linux.
    pub memory: Option<u64>,
    /// Seconds of processor time, of each process. Linux.
    pub cpu: Option<u64>,
    /// Open files, of each process; one more than the largest number of one. Linux.
    pub files: Option<u64>,
    /// Bytes that all of them together may write to standard output and standard error before they are stopped; of a
    /// process that stays, from one answer to the next.
    pub output: Option<u64>,
}

/// The two forms of `run`. Its `Debug` form leaves out what may be secret.
#[derive(Clone, PartialEq, Eq)]
pub enum CommandLine {
    /// A string: given to `/bin/sh -c`.
    Shell(String),
    /// A list: program and arguments, executed as they are.
    Exec {
        /// A path, or a bare name that is looked up in `PATH` once, when the pool is built.
        program: OsString,
        /// What follows the program's name.
        args: Vec<OsString>,
    },
}

impl fmt::Debug for CommandSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let variables: Vec<_> = self.env.keys().collect();
        f.debug_struct("CommandSpec")
            .field("line", &self.line)
            .field("cwd", &self.cwd)
            .field("env", &variables)
            .field("inherit", &self.inherit)
            .field("leftovers", &self.leftovers)
            .field("limits", &self.limits)
            .field("nice", &self.nice)
            .finish()
    }
}

impl fmt::Debug for CommandLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shell(_) => f.write_str("Shell(..)"),
            Self::Exec { args, .. } => write!(f, "Exec(.., {} arguments)", args.len()),
        }
    }
}

/// What a handler sees of hookpool's own environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InheritEnv {
    /// Everything.
    All,
    /// These names alone (`env_clear = true` or `["PATH", …]`).
    Only(Vec<OsString>),
}

/// What becomes of processes that a successful handler left in its group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leftovers {
    /// They are killed.
    Kill,
    /// They are left alone: the handler starts a daemon on purpose.
    Keep,
}
