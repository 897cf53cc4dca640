//! The settings of one hook, `[hook.NAME]`.

use super::super::value::ValueKind::{
    self, BatchKey, Boolean, BooleanOrList, Choice, Choices, Class, Command, Ratio, Scalar, TextList,
};
use super::{Effect, Setting};

const TIME: ValueKind = ValueKind::Duration { zero: false, off: false };
const TIME_OR_NONE: ValueKind = ValueKind::Duration { zero: true, off: false };
const TIME_OR_OFF: ValueKind = ValueKind::Duration { zero: false, off: true };
const SIZE: ValueKind = ValueKind::Size { min: 1 };
const TEXT: ValueKind = ValueKind::Text { empty: false };
const FREE_TEXT: ValueKind = ValueKind::Text { empty: true };

const fn integer(max: u64) -> ValueKind {
    ValueKind::Integer { min: 1, max }
}

pub(super) const SETTINGS: &[Setting] = &[
    Setting::open(
        "hook.NAME.on",
        TextList,
        "The kinds, groups or raw names of events that it wants; \"*\" is all.",
    ),
    Setting::open(
        "hook.NAME.match.tool",
        TEXT,
        "A case-sensitive regular expression on the whole tool name.",
    ),
    Setting::open(
        "hook.NAME.where.ANY",
        Scalar,
        "A field of the event, by its path, and the value that it must have.",
    ),
    Setting::open(
        "hook.NAME.run",
        Command,
        "What runs: a string for the shell, or a list of program and arguments.",
    ),
    Setting {
        path: "hook.NAME.url",
        kind: TEXT,
        default: None,
        doc: "Where the event is sent instead of running a program: an http or https address.",
        effect: if cfg!(feature = "http") { Effect::Acts } else { Effect::Unsupported },
    },
    Setting::open(
        "hook.NAME.headers.ANY",
        FREE_TEXT,
        "A header that is sent with the event; what is filled in is shown nowhere.",
    ),
    Setting::open(
        "hook.NAME.tls.ca",
        TEXT,
        "A file of certificates (PEM) to trust instead of the built-in authorities; relative to the file's folder.",
    ),
    Setting::open("hook.NAME.enabled", Boolean, "False: it matches, and is skipped."),
    Setting::open("hook.NAME.priority", Class, "The class of its jobs, whatever the event."),
    Setting::open("hook.NAME.timeout", TIME, "Longest run time of its handler."),
    Setting::open("hook.NAME.grace", TIME_OR_NONE, "Time between the polite and the hard signal."),
    Setting::open(
        "hook.NAME.order",
        Choice { names: &["session", "none"], later: &[] },
        "Whether it handles the events of one session in order, one at a time.",
    ),
    Setting::open("hook.NAME.max_concurrency", integer(320), "How many of its handlers may run at once."),
    Setting::open("hook.NAME.max_wait", TIME_OR_OFF, "A job that waited longer expires instead of running."),
    Setting::open("hook.NAME.max_output", SIZE, "Bytes of output kept of each stream of its handler."),
    Setting::open(
        "hook.NAME.cwd",
        TEXT,
        "Working directory; the file's folder by default, and relative to it.",
    ),
    Setting::open("hook.NAME.env.ANY", FREE_TEXT, "A variable of the handler's environment."),
    Setting::open("hook.NAME.env_clear", BooleanOrList, "True: it inherits no variable; a list: only these."),
    Setting::open(
        "hook.NAME.mode",
        Choice { names: &["single", "lines", "resident"], later: &[] },
        "How the handler gets events: each with its own process, as lines of a batch, or as lines to a process that stays.",
    ),
    Setting::open("hook.NAME.batch.size", integer(10_000), "Most events of one batch."),
    Setting::open("hook.NAME.batch.bytes", SIZE, "Most bytes of one batch."),
    Setting::open("hook.NAME.batch.linger", TIME_OR_NONE, "Longest wait for a batch to fill."),
    Setting::open("hook.NAME.batch.key", BatchKey, "What the events of one batch have in common."),
    Setting::open(
        "hook.NAME.batch.timeout_per_item",
        TIME_OR_NONE,
        "Run time that each event of a batch adds.",
    ),
    Setting::open("hook.NAME.batch.timeout_max", TIME, "Longest run time of a batch."),
    Setting::open(
        "hook.NAME.on_batch_failure",
        Choice { names: &["fail", "split"], later: &[] },
        "Whether the events of a batch that failed as a whole have failed, or are tried once more, one by one.",
    ),
    Setting::new("hook.NAME.instances", integer(320), "1", "Most processes of a resident handler."),
    Setting::new(
        "hook.NAME.idle_timeout",
        TIME_OR_OFF,
        "\"5m\"",
        "How long a resident process may be without work before it is ended.",
    ),
    Setting::open(
        "hook.NAME.max_events",
        integer(u32::MAX as u64),
        "Answers after which a resident process is replaced.",
    ),
    Setting::open(
        "hook.NAME.max_age",
        TIME_OR_OFF,
        "Age at which a resident process is replaced, between two events.",
    ),
    Setting::new("hook.NAME.window", integer(1024), "1", "Events that a resident process may have at once."),
    Setting::open(
        "hook.NAME.retry.attempts",
        integer(100),
        "Most attempts, the first included; 3 in a table `retry` that does not say so.",
    ),
    Setting::open(
        "hook.NAME.retry.backoff",
        TIME_OR_NONE,
        "Wait before the second attempt, doubled for each further one up to a minute; \"1s\" unless it is said.",
    ),
    Setting::open(
        "hook.NAME.retry.on",
        Choices(&["failed", "timed_out", "not_started"]),
        "Outcomes that are tried again; all three unless it is said.",
    ),
    Setting::open(
        "hook.NAME.breaker.failures",
        integer(10_000),
        "Failures in a row that open the breaker; 5 in a table `breaker` that says neither this nor `rate`.",
    ),
    Setting::open(
        "hook.NAME.breaker.rate",
        Ratio,
        "Share of failures among the last 20 attempts that opens the breaker, once there are 10.",
    ),
    Setting::open(
        "hook.NAME.breaker.cooldown",
        TIME,
        "How long the breaker stays open, doubled each time that the next job fails as well; \"30s\" unless it is said.",
    ),
    Setting::open(
        "hook.NAME.breaker.max_cooldown",
        TIME,
        "How long the breaker stays open at most; \"10m\" unless it is said.",
    ),
    Setting::of_linux(
        "hook.NAME.limits.memory",
        SIZE,
        "Memory for data of each process of its handler (RLIMIT_DATA); what is above it is refused to the program.",
    ),
    Setting::of_linux(
        "hook.NAME.limits.cpu",
        TIME,
        "Processor time of each process of its handler, in whole seconds, rounded up; then it gets XCPU, and KILL a second \
         later.",
    ),
    Setting::of_linux(
        "hook.NAME.limits.files",
        integer(1_000_000),
        "Open files of each process of its handler.",
    ),
    Setting::open(
        "hook.NAME.limits.output",
        SIZE,
        "Bytes that its handler may write, kept or not, before it is stopped and has failed; a resident one from answer to \
         answer.",
    ),
    Setting::open(
        "hook.NAME.leftovers",
        Choice { names: &["kill", "keep"], later: &[] },
        "What becomes of processes that a successful handler leaves in its group.",
    ),
];
