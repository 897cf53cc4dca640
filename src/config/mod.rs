//! What the user wrote, from every layer, made into one checked [`Config`].
//!
//! The layers, the later ones win key by key: the built-in defaults, files, the older `CLAUDE_MPM_*` variables,
//! `HOOKPOOL_*` variables, and what the program was told on its command line. One registry says which settings there
//! are; every layer is checked against it, and everything that is wrong is reported at once, each thing with its
//! place. A configuration with an error is not used at all.
//!
//! A problem's path through the modules: `file` and `env` read layers, `layer` walks them against the `registry`
//! with the readers of `value`, `merge` puts them together, `compile` checks across settings.

mod compile;
mod env;
mod file;
mod layer;
mod load;
mod merge;
mod nearest;
mod problem;
mod raw;
mod registry;
mod settings;
mod source;
mod value;

pub(crate) use env::inherited_environment;
pub use load::{ConfigLoader, Loaded};
pub use problem::{ConfigError, Origin, Position, Problem, Severity};
pub use settings::{
    BatchingSettings, ClassSettings, Config, KindPriorities, OnFull, PickMode, PoolSettings, QueueSettings,
    SchedulerSettings, ShutdownSettings,
};

#[cfg(test)]
mod tests;
