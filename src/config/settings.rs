//! The effective configuration: typed, checked, with every default filled in.
//!
//! Nothing here knows where a value came from; the layers and their merging do.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::live::Sources;
use crate::class::{PerClass, PriorityClass};
use crate::hook::{Hook, MaxWait};
use crate::kind::KindSet;
use crate::outcome::OutcomeKind;
use crate::redact::Redactor;

/// Everything that decides how a pool behaves. It remembers what it was loaded from, so that a running pool can load it
/// again; a field that was changed by hand is then as it was loaded.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// True: every hook is skipped.
    pub performance_mode: bool,
    /// Threads and seats.
    pub pool: PoolSettings,
    /// Bounds of what waits.
    pub queue: QueueSettings,
    /// How the next job is picked.
    pub scheduler: SchedulerSettings,
    /// What each class may take.
    pub classes: PerClass<ClassSettings>,
    /// The kinds and groups that are switched on.
    pub kinds: KindSet,
    /// The class of each kind and group.
    pub priority: KindPriorities,
    /// Longest run time of a handler, for hooks that name none.
    pub default_timeout: Duration,
    /// The default for hooks that take many events at once.
    pub batching: BatchingSettings,
    /// How a shutdown ends.
    pub shutdown: ShutdownSettings,
    /// `[redact]`: takes secrets out of what is written down.
    pub redactor: Redactor,
    /// `[failures]`: what is kept of them in memory.
    pub failures: FailureSettings,
    /// `[dead_letters]`: the file that failures are written to. `None`: no file is named.
    pub dead_letters: Option<DeadLetterSettings>,
    /// `CLAUDE_MPM_HOOK_DEBUG`: detailed log lines.
    pub debug: bool,
    /// The hooks, in the order in which they were declared.
    pub hooks: Vec<Arc<Hook>>,
    /// The files that were read, the least important first.
    pub files: Vec<PathBuf>,
    /// A field that was changed by hand is not among them.
    pub(super) sources: Arc<Sources>,
}

impl Config {
    /// How long a job of the hook may wait in that class: the hook says so, else the class, else the queue.
    #[must_use]
    pub fn max_wait(&self, hook: &Hook, class: PriorityClass) -> MaxWait {
        hook.max_wait.or(self.classes[class].max_wait).unwrap_or(self.queue.max_wait)
    }
}

/// `[pool]`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolSettings {
    /// Jobs of any class that may run at once: 1 to [`PoolSettings::MAX_WORKERS`].
    pub workers: u16,
    /// Extra seats for the classes of `standby_for`: 0 to [`PoolSettings::MAX_STANDBY`].
    pub standby: u16,
    /// The least important class that may take a standby seat.
    pub standby_for: PriorityClass,
    /// Handlers in Rust beyond their time whose threads may be replaced by new ones: 0 to 256.
    pub max_overrun: u16,
}

impl PoolSettings {
    /// The most workers that a pool can have.
    pub const MAX_WORKERS: u16 = 256;
    /// The most standby seats that a pool can have.
    pub const MAX_STANDBY: u16 = 64;
}

/// `[queue]`
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct QueueSettings {
    /// Waiting jobs: 1 to [`QueueSettings::MAX_CAPACITY`].
    pub capacity: u32,
    /// Bytes of distinct payloads that wait or run.
    pub max_bytes: u64,
    /// Bytes of one event.
    pub max_event_bytes: u64,
    /// What happens to an arrival when the queue is full.
    pub on_full: OnFull,
    /// How long a job may wait, where neither its hook nor its class says so.
    pub max_wait: MaxWait,
    /// Fill level, of 1, at which the queue is near capacity.
    pub warn_at: f64,
}

impl QueueSettings {
    /// Largest queue.
    pub const MAX_CAPACITY: u32 = 1_000_000;
    /// While a class has more waiting jobs than this, those who submit take turns at a lock.
    pub const WITHOUT_LOCK: u32 = 32_767;
}

/// What happens to an arrival when the queue is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFull {
    /// It is refused.
    DropNew,
    /// The oldest job of the least important class gives up its place, if it is less important than the arrival.
    Displace,
}

/// `[scheduler]`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SchedulerSettings {
    /// How the class of the next job is chosen.
    pub mode: PickMode,
    /// Weighted mode: the share of each class in the seats' time.
    pub weights: PerClass<u32>,
    /// How often in a row a waiting class may be passed over by more important ones; `None`: without end.
    pub bypass: Option<PerClass<u32>>,
}

/// How the class of the next job is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PickMode {
    /// The most important class that has a job.
    Strict,
    /// `critical` first; the others share the seats' time in proportion to fixed weights.
    Weighted,
}

/// `[class.NAME]`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClassSettings {
    /// Places in the queue that no other class can take.
    pub guarantee: u32,
    /// Most jobs of the class that may wait.
    pub ceiling: u32,
    /// Most jobs of the class that may run at once.
    pub seats: u16,
    /// Longest wait of the class's jobs, for hooks that name none. `None`: that of the queue.
    pub max_wait: Option<MaxWait>,
}

/// The class of each kind and group, for hooks that name none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KindPriorities {
    slots: [Option<PriorityClass>; KindSet::SLOTS],
    default: PriorityClass,
}

impl KindPriorities {
    /// All kinds have the `default` class.
    #[must_use]
    pub const fn new(default: PriorityClass) -> Self {
        Self { slots: [None; KindSet::SLOTS], default }
    }

    /// Gives every kind and group of `kinds` the class.
    pub fn set(&mut self, kinds: KindSet, class: PriorityClass) {
        for kind in kinds.members() {
            if let Some(slot) = self.slots.get_mut(kind.slot()) {
                *slot = Some(class);
            }
        }
    }

    /// The most important class of the matched kinds that have one, else the default.
    #[must_use]
    pub fn class_of(&self, matched: KindSet) -> PriorityClass {
        matched
            .members()
            .filter_map(|kind| self.slots.get(kind.slot()).copied().flatten())
            .reduce(PriorityClass::most_important)
            .unwrap_or(self.default)
    }
}

/// `[batching]`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchingSettings {
    /// True: hooks that take lines and say nothing of their own are batched.
    pub enabled: bool,
    /// Most events of one batch: 1 to 10,000.
    pub size: u32,
    /// Most bytes of one batch.
    pub bytes: u64,
    /// Longest wait for a batch to fill.
    pub linger: Duration,
}

/// `[failures]`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FailureSettings {
    /// The last failures that are kept of each hook: 0 to 1000.
    pub keep: u32,
    /// Most bytes of their events and output, for each hook; the newest failure is kept in any case.
    pub max_bytes: u64,
}

/// `[dead_letters]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetterSettings {
    /// The newest file; absolute if it was read from a file.
    pub file: PathBuf,
    /// Most bytes of one file.
    pub max_bytes: u64,
    /// How many older files are kept: 0 to 100.
    pub keep: u32,
    /// The outcomes that are written.
    pub on: Vec<OutcomeKind>,
    /// True: events and verdicts are written without their secrets.
    pub redact: bool,
}

/// `[shutdown]`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShutdownSettings {
    /// How long a shutdown lets jobs start and run on.
    pub drain: Duration,
}
