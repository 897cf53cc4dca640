//! How a hook's handler gets its events: `mode`, and the settings that only one mode has.

use std::time::Duration;

use super::super::layer::Key;
use super::super::problem::{Problems, Severity};
use super::super::raw::{NumberOr, RawHook};
use super::hook::HookCompiler;
use crate::hook::{BatchKey, BatchPolicy, CommandSpec, HandlerSpec, OnBatchFailure, ResidentSpec};

/// How long a resident process may be without work, if the hook does not say so: as the registry has it.
const IDLE_TIMEOUT: Duration = Duration::from_mins(5);

impl HookCompiler<'_> {
    /// The handler of a command in the mode that the hook names.
    pub(super) fn in_mode(
        &self,
        name: &str,
        raw: &RawHook,
        command: CommandSpec,
        problems: &mut Problems,
    ) -> HandlerSpec {
        let mode = raw.mode.as_deref().unwrap_or("single");
        if mode == "resident" {
            return HandlerSpec::Resident(ResidentSpec {
                command,
                instances: raw.instances.unwrap_or(1),
                idle_timeout: raw.idle_timeout.as_ref().map_or(Some(IDLE_TIMEOUT), duration),
                max_events: raw.max_events,
                max_age: raw.max_age.as_ref().and_then(duration),
            });
        }
        let why = "only a handler with `mode = \"resident\"` has it";
        self.no_effect(name, of_residents(raw), why, problems);
        if mode == "lines" { HandlerSpec::Lines(command) } else { HandlerSpec::Command(command) }
    }

    /// Says of a hook without a program that nothing comes of how its program would get events.
    pub(super) fn has_no_mode(&self, name: &str, raw: &RawHook, problems: &mut Problems) {
        let keys = [raw.mode.is_some().then_some("mode"), raw.limits.is_some().then_some("limits")];
        let keys = keys.into_iter().flatten().chain(of_residents(raw));
        self.no_effect(name, keys, "the hook has no program", problems);
    }

    /// How many events the handler gets at once, and which.
    pub(super) fn batch_of(
        &self,
        name: &str,
        raw: &RawHook,
        handler: &HandlerSpec,
        problems: &mut Problems,
    ) -> Option<BatchPolicy> {
        let keys = [("batch", raw.batch.is_some()), ("on_batch_failure", raw.on_batch_failure.is_some())];
        let keys = keys.into_iter().filter_map(|(key, is_set)| is_set.then_some(key));
        match handler {
            HandlerSpec::Resident(_) => {
                let why = "a resident handler gets as many events at once as `window` says";
                self.no_effect(name, keys, why, problems);
                raw.window.filter(|window| *window > 1).map(window)
            }
            handler if handler.takes_many() => self.batch(raw),
            _ => {
                self.no_effect(name, keys, "the hook's handler gets one event at a time", problems);
                None
            }
        }
    }

    pub(super) fn no_effect(
        &self,
        name: &str,
        keys: impl Iterator<Item = &'static str>,
        why: &str,
        problems: &mut Problems,
    ) {
        for field in keys {
            let key = Key::new(&["hook", name, field]);
            let message = format!("`{key}` has no effect: {why}");
            let spot = self.merged.first_spot(&key).cloned().unwrap_or_else(|| self.merged.spot(&key));
            problems.push(spot.origin(), &key, Severity::Warning, message, None);
        }
    }
}

/// The settings of resident handlers that the hook has.
pub(super) fn of_residents(raw: &RawHook) -> impl Iterator<Item = &'static str> {
    let keys = [
        ("instances", raw.instances.is_some()),
        ("idle_timeout", raw.idle_timeout.is_some()),
        ("max_events", raw.max_events.is_some()),
        ("max_age", raw.max_age.is_some()),
        ("window", raw.window.is_some()),
    ];
    keys.into_iter().filter_map(|(key, is_set)| is_set.then_some(key))
}

/// A resident process takes what there is at once, and no more than that many.
fn window(size: u32) -> BatchPolicy {
    BatchPolicy {
        size,
        bytes: u64::MAX,
        linger: Duration::ZERO,
        key: BatchKey::Hook,
        timeout_per_item: Duration::ZERO,
        timeout_max: None,
        on_failure: OnBatchFailure::Fail,
    }
}

/// How many of the hook's handlers may run at once: of a resident one no more than there are processes.
pub(super) fn most_at_once(raw: &RawHook, handler: &HandlerSpec) -> Option<u32> {
    match handler {
        HandlerSpec::Resident(spec) => {
            Some(raw.max_concurrency.map_or(spec.instances, |own| own.min(spec.instances)))
        }
        _ => raw.max_concurrency,
    }
}

fn duration(value: &NumberOr) -> Option<Duration> {
    value.number().map(Duration::from_nanos)
}
