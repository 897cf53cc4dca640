//! From merged values to the typed [`Config`]: the checks that concern several settings at once.
//!
//! Every problem points at the value that has to change. A value that was refused already is not complained about
//! again: its default stands in, and checks that would only repeat the first problem are left out.

mod batch;
mod dead_letters;
mod doubts;
mod expand;
mod failing;
mod hook;
mod http;
mod machine;
mod mode;
mod redact;
mod relations;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::env::Environment;
use super::layer::{Key, Layer};
use super::loaded::Effective;
use super::merge::Merged;
use super::problem::{Origin, Problems, Severity};
use super::raw::{NumberOr, RawBypass, RawConfig, RawHook};
use super::settings::{
    BatchingSettings, ClassSettings, Config, FailureSettings, KindPriorities, OnFull, PickMode, PoolSettings,
    QueueSettings, SchedulerSettings, ShutdownSettings,
};
use crate::class::{PerClass, PriorityClass};
use crate::hook::MaxWait;
use crate::kind::KindSet;

/// What the compilation needs besides the values.
pub(super) struct Context<'a> {
    pub(super) environment: &'a Environment,
    /// The folder that stands in for a file's where there is none; absolute.
    pub(super) dir: &'a Path,
    pub(super) files: Vec<PathBuf>,
    /// False when a file could not be read: then nothing is said of what is missing.
    pub(super) is_complete: bool,
    /// A hook without a command is for a handler in Rust.
    pub(super) registered_handlers: bool,
    /// Also warn of what is right and does nothing, or not on this machine. Nobody will ask for a value's place.
    pub(super) checking: bool,
}

/// Makes the configuration of the layers, with the place of each value; `None`, with a problem, only when the registry
/// and the types disagree.
pub(super) fn compile(
    layers: &[Layer],
    context: Context<'_>,
    problems: &mut Problems,
) -> Option<(Config, Effective)> {
    let merged = Merged::new(layers);
    let raw: RawConfig = match merged.extract() {
        Ok(raw) => raw,
        Err(error) => {
            problems.error(Origin::BuiltIn, "", format!("the merged values do not fit: {error}"));
            return None;
        }
    };
    let pool = pool(&raw);
    let seats = pool.workers.saturating_add(pool.standby);
    let queue = queue(&raw, &merged, problems);
    let classes = classes(&raw, &merged, queue.capacity, seats, problems);
    let mut priority = KindPriorities::new(class_named(&raw.defaults.priority));
    for (name, class) in &raw.priority {
        if let Some(kinds) = KindSet::from_name(name) {
            priority.set(kinds, class_named(class));
        }
    }
    let enabled = raw.kinds.iter().filter(|(_, enabled)| **enabled);
    let kinds = enabled.filter_map(|(name, _)| KindSet::from_name(name)).fold(KindSet::EMPTY, KindSet::union);
    let batching = BatchingSettings {
        enabled: raw.batching.enabled,
        size: raw.batching.size,
        bytes: raw.batching.bytes,
        linger: Duration::from_nanos(raw.batching.linger),
    };
    let redactor = redact::redactor(&raw.redact, &merged, problems);
    let compiler = hook::HookCompiler {
        merged: &merged,
        context: &context,
        defaults: &raw.defaults,
        batching: &batching,
        redactor: &redactor,
        nice: PerClass::from_fn(|class| raw.class.get(class.name()).and_then(|raw| raw.nice).unwrap_or(0)),
    };
    let nothing = RawHook::default();
    let mut seen = BTreeSet::new();
    let mut hooks = Vec::new();
    for name in layers.iter().flat_map(|layer| &layer.hooks) {
        if seen.insert(name) {
            // A hook whose table is empty has no values to merge.
            let raw = raw.hook.get(name).unwrap_or(&nothing);
            relations::check(name, &merged, problems);
            hooks.extend(compiler.hook(name, raw, problems).map(Arc::new));
        }
    }
    if batching.enabled && hooks.iter().all(|hook| hook.batch.is_none()) {
        let key = Key::new(&["batching", "enabled"]);
        let message =
            "`batching.enabled` has no effect: no hook's handler takes many events at once".to_owned();
        problems.push(merged.spot(&key).origin(), key, Severity::Warning, message, None);
    }

    let config = Config {
        performance_mode: raw.performance_mode,
        pool,
        queue,
        scheduler: scheduler(&raw),
        classes,
        kinds,
        priority,
        default_timeout: Duration::from_nanos(raw.defaults.timeout),
        batching,
        shutdown: ShutdownSettings { drain: Duration::from_nanos(raw.shutdown.drain) },
        redactor: redactor.clone(),
        failures: FailureSettings { keep: raw.failures.keep, max_bytes: raw.failures.max_bytes },
        dead_letters: dead_letters::settings(&raw.dead_letters, &merged, context.dir),
        debug: raw.debug,
        hooks,
        files: context.files.clone(),
        sources: Arc::default(),
    };
    if context.checking {
        doubts::tell(&config, &merged, problems);
        machine::tell(&config, &merged, context.environment, problems);
        return Some((config, Effective::default()));
    }
    let dirs = seen.into_iter().map(|name| (name.clone(), compiler.dir_of(name))).collect();
    Some((config, Effective { values: merged.values(), dirs }))
}

fn pool(raw: &RawConfig) -> PoolSettings {
    let workers = raw.pool.workers.number().unwrap_or_else(|| {
        let cores = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        u64::try_from(cores).unwrap_or(u64::MAX).clamp(2, 16)
    });
    PoolSettings {
        workers: u16::try_from(workers).unwrap_or(u16::MAX),
        standby: raw.pool.standby,
        standby_for: class_named(&raw.pool.standby_for),
        max_overrun: raw.pool.max_overrun,
    }
}

fn queue(raw: &RawConfig, merged: &Merged<'_>, problems: &mut Problems) -> QueueSettings {
    let queue = &raw.queue;
    let mut max_event_bytes = queue.max_event_bytes;
    if max_event_bytes > queue.max_bytes {
        let key = Key::new(&["queue", "max_event_bytes"]);
        if merged.is_set(&key) && !merged.was_refused(&Key::new(&["queue", "max_bytes"])) {
            let message = format!(
                "`queue.max_event_bytes` must not be above `queue.max_bytes`, which is {} bytes ({})",
                queue.max_bytes,
                merged.spot(&Key::new(&["queue", "max_bytes"])).origin(),
            );
            problems.error(merged.spot(&key).origin(), key, message);
        }
        // Whoever makes the queue small says nothing against the built-in limit of one event.
        max_event_bytes = queue.max_bytes;
    }
    QueueSettings {
        capacity: queue.capacity,
        max_bytes: queue.max_bytes,
        max_event_bytes,
        on_full: if queue.on_full == "displace" { OnFull::Displace } else { OnFull::DropNew },
        max_wait: max_wait(&queue.max_wait, merged.is_set(&Key::new(&["queue", "max_wait"]))),
        warn_at: queue.warn_at,
    }
}

/// Shares of the seats' time in weighted mode. `critical` has none: it goes first.
const WEIGHTS: [u32; PriorityClass::COUNT] = [16, 8, 4, 1];

fn scheduler(raw: &RawConfig) -> SchedulerSettings {
    let bypass = match &raw.scheduler.bypass {
        RawBypass::Off(_) => None,
        RawBypass::Table(table) => Some(PerClass::from_fn(|class| {
            // A table over an "off" of a lower layer may name only some: the others have their defaults.
            let default = match class {
                // Nothing is more important, so it is never passed over.
                PriorityClass::Critical => u32::MAX,
                PriorityClass::High | PriorityClass::Normal => 16,
                PriorityClass::Low => 64,
            };
            table.get(class.name()).copied().unwrap_or(default)
        })),
    };
    let mode = if raw.scheduler.mode == "weighted" { PickMode::Weighted } else { PickMode::Strict };
    SchedulerSettings {
        mode,
        weights: PerClass::from_fn(|class| WEIGHTS.get(class.index()).copied().unwrap_or(1)),
        bypass,
    }
}

fn classes(
    raw: &RawConfig,
    merged: &Merged<'_>,
    capacity: u32,
    seats: u16,
    problems: &mut Problems,
) -> PerClass<ClassSettings> {
    let classes = PerClass::from_fn(|class| {
        let raw = raw.class.get(class.name());
        ClassSettings {
            guarantee: raw.map_or(0, |raw| raw.guarantee),
            ceiling: raw.and_then(|raw| raw.ceiling).unwrap_or(capacity).min(capacity),
            seats: raw.and_then(|raw| raw.seats).unwrap_or(seats).min(seats),
            max_wait: raw.and_then(|raw| raw.max_wait.as_ref()).map(|wait| max_wait(wait, true)),
        }
    });
    let key = |class: PriorityClass, field| Key::new(&["class", class.name(), field]);
    let capacity_key = Key::new(&["queue", "capacity"]);
    let refused = merged.was_refused(&capacity_key)
        || PriorityClass::ALL.iter().any(|class| merged.was_refused(&key(*class, "guarantee")));
    let sum: u64 = classes.values().map(|class| u64::from(class.guarantee)).sum();
    let largest = classes.iter().max_by_key(|(_, settings)| settings.guarantee);
    if let Some((class, _)) = largest.filter(|_| sum > u64::from(capacity) && !refused) {
        let key = key(class, "guarantee");
        let message = format!(
            "the guarantees of all classes must not be above `queue.capacity` together: {sum} is above {capacity} ({})",
            merged.spot(&capacity_key).origin(),
        );
        problems.error(merged.spot(&key).origin(), key, message);
        return classes;
    }
    for (class, settings) in classes.iter() {
        let ceiling = key(class, "ceiling");
        if settings.ceiling < settings.guarantee && merged.is_set(&ceiling) && !refused {
            let message = format!(
                "`{ceiling}` must not be below the class's guarantee, which is {} ({})",
                settings.guarantee,
                merged.spot(&key(class, "guarantee")).origin(),
            );
            problems.error(merged.spot(&ceiling).origin(), ceiling, message);
        }
    }
    classes
}

fn max_wait(wait: &NumberOr, explicit: bool) -> MaxWait {
    MaxWait { limit: wait.number().map(Duration::from_nanos), explicit }
}

/// The class of a name that the registry has checked.
fn class_named(name: &str) -> PriorityClass {
    PriorityClass::from_name(name).unwrap_or(PriorityClass::Normal)
}
