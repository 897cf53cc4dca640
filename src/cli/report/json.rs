//! The report for programs: one JSON object whose shape never depends on what happened.
//!
//! Every name of the ledger is there, zeros included, in the order of the ledger. A time without samples is `null` at
//! its place, so `.hooks.NAME.wait_us.p99` can be asked for in any report. A hook has a `breaker` if one is configured,
//! and `removed` if the hook itself is so no more. `wait_split_us` sums what all jobs that have ended waited for. Hooks stand in the order of the
//! configuration, classes in the order of importance.

use std::time::Duration;

use hookpool::{BreakerStatus, Counts, HookSnapshot, Ledger, OutcomeKind, Refusal, Skip, Timing, WaitSplit};
use serde::ser::{Serialize, SerializeMap, Serializer};

use super::{EventCounts, RunReport};

/// How the object is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// On one line: for files, pipes and programs that read lines.
    Line,
    /// Indented: for a terminal.
    Indented,
}

/// The report, with a line break at its end.
pub(crate) fn render(report: &RunReport, layout: Layout) -> String {
    let whole = Whole(report);
    let text = match layout {
        Layout::Line => serde_json::to_string(&whole),
        Layout::Indented => serde_json::to_string_pretty(&whole),
    };
    let mut text = text.expect("numbers, booleans and maps with text as keys always serialise");
    text.push('\n');
    text
}

/// The counters of everything, as an object without hooks and classes.
pub(crate) fn totals(ledger: &Ledger) -> serde_json::Value {
    struct Totals<'a>(&'a Ledger);
    impl Serialize for Totals<'_> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let mut map = serializer.serialize_map(None)?;
            counters(&mut map, &self.0.snapshot.total)?;
            map.serialize_entry("balanced", &self.0.is_balanced())?;
            map.end()
        }
    }
    serde_json::to_value(Totals(ledger))
        .expect("numbers, booleans and maps with text as keys always serialise")
}

struct Whole<'a>(&'a RunReport);

impl Serialize for Whole<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(RunReport { events, ledger, elapsed, failures: _ }) = self;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("events", &Events(events))?;
        counters(&mut map, &ledger.snapshot.total)?;
        map.serialize_entry("balanced", &ledger.is_balanced())?;
        map.serialize_entry("elapsed_us", &micros(*elapsed))?;
        let hooks = &ledger.snapshot.hooks;
        let hooks = || hooks.iter().map(|hook| (hook.name.as_str(), Part::of(hook)));
        map.serialize_entry("hooks", &Entries(hooks))?;
        let classes = || {
            ledger
                .snapshot
                .classes()
                .map(|(class, counts)| (class.name(), Part { counts, breaker: None, removed: false }))
        };
        map.serialize_entry("classes", &Entries(classes))?;
        map.end()
    }
}

/// What the whole, a hook and a class have in common.
fn counters<M: SerializeMap>(map: &mut M, counts: &Counts) -> Result<(), M::Error> {
    map.serialize_entry("submitted", &counts.submitted())?;
    map.serialize_entry("admitted", &counts.admitted())?;
    let refused = || Refusal::ALL.iter().map(|why| (why.name(), counts.refused(*why)));
    map.serialize_entry("refused", &Entries(refused))?;
    let skipped = || Skip::ALL.iter().map(|why| (why.name(), counts.skipped(*why)));
    map.serialize_entry("skipped", &Entries(skipped))?;
    let outcomes = || OutcomeKind::ALL.iter().map(|kind| (kind.name(), counts.outcome(*kind)));
    map.serialize_entry("outcomes", &Entries(outcomes))?;
    map.serialize_entry("queued", &counts.queued())?;
    map.serialize_entry("running", &counts.running())?;
    map.serialize_entry("retries", &counts.retries())
}

struct Events<'a>(&'a EventCounts);

impl Serialize for Events<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let EventCounts { read, invalid, matched } = *self.0;
        serializer.collect_map([("read", read), ("invalid", invalid), ("matched", matched)])
    }
}

/// The counters of one hook or class, with its times, and what only some hooks have.
struct Part<'a> {
    counts: &'a Counts,
    breaker: Option<BreakerStatus>,
    removed: bool,
}

impl<'a> Part<'a> {
    fn of(hook: &'a HookSnapshot) -> Self {
        Self { counts: &hook.counts, breaker: hook.breaker, removed: hook.removed }
    }
}

impl Serialize for Part<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        counters(&mut map, self.counts)?;
        map.serialize_entry("wait_us", &Times(self.counts.wait()))?;
        map.serialize_entry("run_us", &Times(self.counts.run()))?;
        if let Some(breaker) = &self.breaker {
            map.serialize_entry("breaker", &Breaker(breaker))?;
        }
        if self.removed {
            map.serialize_entry("removed", &true)?;
        }
        map.serialize_entry("wait_split_us", &Waited(self.counts.waited_for()))?;
        map.end()
    }
}

struct Breaker<'a>(&'a BreakerStatus);

impl Serialize for Breaker<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(3))?;
        map.serialize_entry("state", self.0.state.name())?;
        map.serialize_entry("opened", &self.0.opened)?;
        map.serialize_entry("failures_in_a_row", &self.0.failures_in_a_row)?;
        map.end()
    }
}

struct Waited(WaitSplit);

impl Serialize for Waited {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(cause, part)| (cause.name(), micros(part))))
    }
}

struct Times(Option<Timing>);

impl Serialize for Times {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let time = |of: fn(Timing) -> Duration| self.0.map(|timing| micros(of(timing)));
        serializer.collect_map([
            ("p50", time(|timing| timing.p50)),
            ("p99", time(|timing| timing.p99)),
            ("max", time(|timing| timing.max)),
        ])
    }
}

/// A map in the order of the iterator that the function makes.
struct Entries<F>(F);

impl<K: Serialize, V: Serialize, I: Iterator<Item = (K, V)>, F: Fn() -> I> Serialize for Entries<F> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map((self.0)())
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
