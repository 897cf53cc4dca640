//! The settings that concern the whole pool: every table but those of the hooks.

use super::super::settings::{PoolSettings, QueueSettings};
use super::super::value::ValueKind::{
    self, Boolean, Choice, Choices, Class, Off, Ratio, Text, TextList, Workers,
};
use super::Setting;

const CAPACITY: ValueKind = ValueKind::Integer { min: 1, max: QueueSettings::MAX_CAPACITY as u64 };
const PLACES: ValueKind = ValueKind::Integer { min: 0, max: QueueSettings::MAX_CAPACITY as u64 };
const BYPASS: ValueKind = ValueKind::Integer { min: 1, max: 1_000_000 };
const TIME: ValueKind = ValueKind::Duration { zero: false, off: false };
const TIME_OR_NONE: ValueKind = ValueKind::Duration { zero: true, off: false };
const TIME_OR_OFF: ValueKind = ValueKind::Duration { zero: false, off: true };
const SIZE: ValueKind = ValueKind::Size { min: 1 };

const fn integer(min: u64, max: u64) -> ValueKind {
    ValueKind::Integer { min, max }
}

pub(super) const SETTINGS: &[Setting] = &[
    Setting::new("performance_mode", Boolean, "false", "Skips every hook."),
    Setting::new("debug", Boolean, "false", "Writes detailed log lines."),
    Setting::new(
        "pool.workers",
        Workers { max: PoolSettings::MAX_WORKERS as u64 },
        "4",
        "Jobs that may run at once, or \"auto\" for one per core.",
    ),
    Setting::new(
        "pool.standby",
        integer(0, PoolSettings::MAX_STANDBY as u64),
        "1",
        "Extra seats for the classes of `standby_for`.",
    ),
    Setting::new(
        "pool.standby_for",
        Class,
        "\"high\"",
        "The least important class that may take an extra seat.",
    ),
    Setting::new(
        "pool.max_overrun",
        integer(0, 256),
        "4",
        "Handlers in Rust beyond their time that lose their thread's place to a new one; more of them keep it.",
    ),
    Setting::new("queue.capacity", CAPACITY, "1000", "Jobs that may wait."),
    Setting::new("queue.max_bytes", SIZE, "\"64MB\"", "Bytes of distinct payloads that may wait or run."),
    Setting::new("queue.max_event_bytes", SIZE, "\"8MB\"", "Bytes of one event; a larger one is refused."),
    Setting::new(
        "queue.on_full",
        Choice { names: &["drop_new", "displace"], later: &[] },
        "\"drop_new\"",
        "What a full queue does: refuse the arrival, or give it the place of the least important job.",
    ),
    Setting::new(
        "queue.max_wait",
        TIME_OR_OFF,
        "\"30s\"",
        "A job that waited longer expires instead of running; a replay at full speed obeys it only if it is set.",
    ),
    Setting::new("queue.warn_at", Ratio, "0.8", "Fill level at which the queue is near capacity."),
    Setting::new(
        "scheduler.mode",
        Choice { names: &["strict", "weighted"], later: &[] },
        "\"strict\"",
        "How the class of the next job is chosen.",
    ),
    Setting::open(
        "scheduler.bypass",
        Off,
        "How often in a row a waiting class may be passed over; \"off\": without end.",
    ),
    Setting::new("scheduler.bypass.high", BYPASS, "16", "How often `high` may be passed over."),
    Setting::new("scheduler.bypass.normal", BYPASS, "16", "How often `normal` may be passed over."),
    Setting::new("scheduler.bypass.low", BYPASS, "64", "How often `low` may be passed over."),
    Setting::new("class.CLASS.guarantee", PLACES, "0", "Places in the queue that no other class can take."),
    Setting::open(
        "class.CLASS.ceiling",
        CAPACITY,
        "Most jobs of the class that may wait; the queue's capacity by default.",
    ),
    Setting::open(
        "class.CLASS.seats",
        integer(1, 320),
        "Most jobs of the class that may run at once; all seats by default.",
    ),
    Setting::open(
        "class.CLASS.max_wait",
        TIME_OR_OFF,
        "Longest wait of the class; that of the queue by default.",
    ),
    Setting::of_linux(
        "class.CLASS.nice",
        ValueKind::Integer { min: 0, max: 19 },
        "How much less processor time than hookpool's its handlers get where it is short, as `nice` counts it; 0 by default.",
    ),
    Setting::new("defaults.timeout", TIME, "\"2s\"", "Longest run time of one handler."),
    Setting::new("defaults.grace", TIME_OR_NONE, "\"500ms\"", "Time between the polite and the hard signal."),
    Setting::new("defaults.priority", Class, "\"normal\"", "The class of hooks and kinds that name none."),
    Setting::new(
        "defaults.order",
        Choice { names: &["session", "none"], later: &[] },
        "\"session\"",
        "Whether a hook handles the events of one session in order, one at a time.",
    ),
    Setting::new(
        "defaults.max_output",
        SIZE,
        "\"64kB\"",
        "Bytes of output kept of each stream of a handler.",
    ),
    Setting::new("kinds.KIND", Boolean, "true", "Whether hooks run for this kind or group of events."),
    Setting::new(
        "priority.delegation",
        Class,
        "\"high\"",
        "The class of delegations, for hooks that name none.",
    ),
    Setting::open(
        "priority.KIND",
        Class,
        "The class of this kind or group of events, for hooks that name none.",
    ),
    Setting::new(
        "batching.enabled",
        Boolean,
        "false",
        "Batches events for hooks that take many at once and say nothing of their own.",
    ),
    Setting::new("batching.size", integer(1, 10_000), "10", "Most events of one batch."),
    Setting::new("batching.bytes", SIZE, "\"1MB\"", "Most bytes of one batch."),
    Setting::new("batching.linger", TIME_OR_NONE, "\"100ms\"", "Longest wait for a batch to fill."),
    Setting::new("shutdown.drain", TIME_OR_NONE, "\"2s\"", "How long a shutdown lets jobs start and run on."),
    Setting::new(
        "redact.enabled",
        Boolean,
        "true",
        "Takes secrets out of kept output, reasons, log lines and dead letters; handlers get the exact bytes all the same.",
    ),
    Setting::new(
        "redact.defaults",
        Boolean,
        "true",
        "Whether the built-in rules apply: passwords, keys and tokens by their name or their form.",
    ),
    Setting::open(
        "redact.patterns",
        TextList,
        "Regular expressions for more secrets, at most 64; the group `secret` of one, or else all that it matches, goes.",
    ),
    Setting::new(
        "failures.keep",
        integer(0, 1000),
        "20",
        "The last failures of each hook that are kept in memory, with event and output.",
    ),
    Setting::new(
        "failures.max_bytes",
        SIZE,
        "\"1MB\"",
        "Bytes of events and output of the failures kept of one hook; the newest is kept in any case.",
    ),
    Setting::open(
        "dead_letters.file",
        Text { empty: false },
        "The file that failures are written to, one JSON line each, to be replayed; relative to the folder of this file.",
    ),
    Setting::new("dead_letters.max_bytes", SIZE, "\"10MB\"", "Size at which the file becomes an older one."),
    Setting::new(
        "dead_letters.keep",
        integer(0, 100),
        "3",
        "How many older files are kept: FILE.1, FILE.2 and so on.",
    ),
    Setting::new(
        "dead_letters.on",
        Choices(&[
            "failed",
            "timed_out",
            "panicked",
            "not_started",
            "displaced",
            "expired",
            "cancelled",
            "abandoned",
        ]),
        "[\"failed\", \"timed_out\", \"panicked\", \"not_started\"]",
        "The outcomes that are written.",
    ),
    Setting::new(
        "dead_letters.redact",
        Boolean,
        "true",
        "Whether events are written without their secrets, which a replay then misses.",
    ),
];
