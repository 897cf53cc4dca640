//! Hooks off the critical path.

mod class;
pub mod config;
mod event;
mod hook;
mod kind;
mod matcher;
mod outcome;
mod pool;
mod scheduler;
mod time;
#[doc(hidden)]
pub mod process;

pub use class::{PerClass, PriorityClass};
pub use config::Config;
pub use event::{Event, EventError, FieldPath, Scalar};
pub use hook::{
    CommandLine, CommandSpec, HandlerSpec, Hook, HookName, InheritEnv, Leftovers, MaxWait, Order,
};
pub use kind::{EventKind, KindSet};
pub use matcher::{
    FieldIs, Matched, Matcher, Selector, SelectorError, SelectorPlace, SelectorProblem, ToolPattern,
};
pub use outcome::{OutcomeKind, Refusal, Skip};
