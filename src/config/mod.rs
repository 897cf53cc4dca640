//! What the user wrote, from every layer, made into one checked [`Config`].
//!
//! The layers, the later ones win key by key: the built-in defaults, files, the older `CLAUDE_MPM_*` variables,
//! `HOOKPOOL_*` variables, and what the program was told on its command line. One registry says which settings there
//! are; every layer is checked against it, and everything that is wrong is reported at once, each thing with its
//! place. A configuration with an error is not used at all.
//!
//! A problem's path through the modules: `file` and `env` read layers, `layer` walks them against the `registry`
//! with the readers of `value`, `merge` puts them together, `compile` checks across settings.

mod change;
mod check;
mod compile;
mod env;
mod export;
mod file;
mod layer;
mod live;
mod load;
mod loaded;
mod merge;
mod nearest;
mod problem;
mod raw;
mod registry;
mod settings;
mod source;
mod value;

pub use change::{Applies, Change};
pub use check::Checked;
pub(crate) use env::{inherited_environment, inherited_session};
pub use export::{example, schema};
pub(crate) use file::{cannot_read, parse_file, read_source};
pub(crate) use live::Amendment;
pub use load::ConfigLoader;
pub use loaded::Loaded;
pub(crate) use nearest::nearest;
pub use problem::{ConfigError, Origin, Position, Problem, Severity};
pub(crate) use problem::{Problems, shown};
pub use settings::{
    BatchingSettings, ClassSettings, Config, DeadLetterSettings, FailureSettings, KindPriorities, OnFull,
    PickMode, PoolSettings, QueueSettings, SchedulerSettings, ShutdownSettings,
};

pub(crate) use source::{SourceText, Spot};
pub(crate) use value::described;

/// Reads a duration as `hooks.toml` does: `2s`, `500ms`, `1m 30s`, `1.5h`; a bare number is seconds; at most 30 days.
///
/// # Errors
/// What is wrong, and what would be right.
///
/// ```
/// use hookpool::config::parse_duration;
/// use std::time::Duration;
/// assert_eq!(parse_duration("1.5s"), Ok(Duration::from_millis(1500)));
/// assert!(parse_duration("soon").is_err());
/// ```
pub fn parse_duration(text: &str) -> Result<std::time::Duration, String> {
    let nanos = value::quantity::nanos(text, value::Bare::Seconds);
    nanos
        .map(std::time::Duration::from_nanos)
        .ok_or_else(|| format!("`{text}` is no duration; write it as 2s, 500ms or 1m 30s, at most 30 days"))
}

#[cfg(test)]
mod tests;
