#![doc = include_str!("../README.md")]

#[doc(hidden)]
pub mod bench_door;
mod breaker;
mod class;
pub mod config;
mod dead_letters;
mod event;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
mod handler;
mod hook;
#[cfg(feature = "http")]
mod http;
mod kind;
mod manager;
mod matcher;
mod metrics;
mod outcome;
mod params;
mod pattern;
mod pool;
#[doc(hidden)]
pub mod process;
mod recording;
mod redact;
mod runtime;
mod scheduler;
mod simulate;
mod telemetry;
#[doc(hidden)]
pub mod text;
mod time;

pub use breaker::{BreakerState, BreakerStatus};
pub use class::{PerClass, PriorityClass};
pub use config::Config;
pub use dead_letters::{DeadLetter, DeadLetterCounts, DeadLetterError};
pub use event::{Event, EventError, FieldPath, RawJson, Scalar};
pub use handler::{BatchAnswer, BatchHandler, Call, EventHandler, Parallel};
pub use hook::{
    BatchKey, BatchPolicy, BreakerPolicy, CommandLine, CommandSpec, HandlerSpec, Hook, HookName, HttpSpec,
    HttpUrl, InheritEnv, Leftovers, MaxWait, OnBatchFailure, Order, ResidentSpec, ResourceLimits,
    RetryPolicy, Secret,
};
pub use kind::{EventKind, KindSet};
pub use manager::{
    DelegationPhase, HookManager, HookPerformanceConfig, ManagerError, ShutdownGuard, ToolUseId, Triggered,
    get_hook_performance_config, hook_manager, set_performance_mode, try_hook_manager,
};
pub use matcher::{
    FieldIs, Matched, Matcher, Selector, SelectorError, SelectorPlace, SelectorProblem, ToolPattern,
};
pub use metrics::{
    Counts, Distribution, HookSnapshot, LaneGauges, Ledger, Part, PoolGauges, RunCounts, Snapshot, Timing,
};
pub use outcome::{
    Answer, Attempt, JobId, Json, Outcome, OutcomeKind, ProcessReport, Refusal, Skip, WaitCause, WaitSplit,
};
pub use process::{Captured, End, StartError, StopReason, Stopped, UnknownReason};
pub use recording::{Fate, Recorded, RecordedJob, RecordedRun, Recorder, Recording, RunEnd};
pub use redact::{RedactError, Redactor};
pub use runtime::{
    BuildError, Decision, HandlerProblem, HookPool, HookPoolBuilder, JobHandle, Outcomes, Preview,
    ReloadError, Reloaded, ResizeError, Submission, SubmittedHook,
};
pub use simulate::{Depth, Load, Simulation, SimulationReport};
