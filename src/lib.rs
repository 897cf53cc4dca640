//! Hooks off the critical path.

mod class;
pub mod config;
mod hook;
mod kind;
mod matcher;
mod outcome;
#[doc(hidden)]
pub mod process;

pub use class::{PerClass, PriorityClass};
pub use config::Config;
pub use hook::{
    CommandLine, CommandSpec, HandlerSpec, Hook, HookName, InheritEnv, Leftovers, MaxWait, Order,
};
pub use kind::{EventKind, KindSet};
pub use matcher::{FieldIs, Selector, ToolPattern};
pub use outcome::{OutcomeKind, Refusal, Skip};
