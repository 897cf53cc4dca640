//! Copies of the counters at one moment, and the ledger that they must make up.

use std::ops::AddAssign;

use super::gauges::PoolGauges;
use super::runs::RunCounts;
use super::timing::{Distribution, Durations, Timing};
use crate::breaker::BreakerStatus;
use crate::class::{PerClass, PriorityClass};
use crate::hook::HookName;
use crate::kind::EventKind;
use crate::outcome::{OutcomeKind, Refusal, Skip, WaitSplit};

/// What was submitted, by one hook, in one class, or in all, and what became of it. The unit is event × matching hook.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    pub(super) admitted: u64,
    pub(super) refused: [u64; Refusal::COUNT],
    pub(super) skipped: [u64; Skip::COUNT],
    pub(super) outcomes: [u64; OutcomeKind::COUNT],
    pub(super) retries: u64,
    pub(super) waited_for: WaitSplit,
    pub(super) queued: u64,
    pub(super) running: u64,
    pub(super) wait: Durations,
    pub(super) run: Durations,
}

impl Counts {
    /// Everything that was submitted: admitted, refused or skipped.
    #[must_use]
    pub fn submitted(&self) -> u64 {
        self.admitted + self.refused.iter().sum::<u64>() + self.skipped.iter().sum::<u64>()
    }

    /// Jobs that were admitted.
    #[must_use]
    pub fn admitted(&self) -> u64 {
        self.admitted
    }

    /// Jobs that were refused for this reason.
    #[must_use]
    pub fn refused(&self, why: Refusal) -> u64 {
        self.refused.get(why.index()).copied().unwrap_or_default()
    }

    /// Jobs that were refused, for whatever reason.
    #[must_use]
    pub fn all_refused(&self) -> u64 {
        self.refused.iter().sum()
    }

    /// What was skipped for this reason.
    #[must_use]
    pub fn skipped(&self, why: Skip) -> u64 {
        self.skipped.get(why.index()).copied().unwrap_or_default()
    }

    /// Jobs that ended like this.
    #[must_use]
    pub fn outcome(&self, kind: OutcomeKind) -> u64 {
        self.outcomes.get(kind.index()).copied().unwrap_or_default()
    }

    /// Jobs that have ended.
    #[must_use]
    pub fn resolved(&self) -> u64 {
        self.outcomes.iter().sum()
    }

    /// Attempts beyond the first that were asked for. Beside the ledger: a job that is tried again has one outcome.
    #[must_use]
    pub fn retries(&self) -> u64 {
        self.retries
    }

    /// Jobs that wait.
    #[must_use]
    pub fn queued(&self) -> u64 {
        self.queued
    }

    /// Jobs that run.
    #[must_use]
    pub fn running(&self) -> u64 {
        self.running
    }

    /// Time from admission to the first start, of the jobs that were started. `None` without any.
    #[must_use]
    pub fn wait(&self) -> Option<Timing> {
        self.wait.timing()
    }

    /// What the jobs that have ended waited for, all waits together, also of those that left without being started.
    #[must_use]
    pub fn waited_for(&self) -> WaitSplit {
        self.waited_for
    }

    /// Time from start to end, of the handlers that ran. `None` without any.
    #[must_use]
    pub fn run(&self) -> Option<Timing> {
        self.run.timing()
    }

    /// [`Counts::wait`] in detail, in microseconds.
    #[must_use]
    pub fn wait_micros(&self) -> &Distribution {
        self.wait.micros()
    }

    /// [`Counts::run`] in detail, in microseconds.
    #[must_use]
    pub fn run_micros(&self) -> &Distribution {
        self.run.micros()
    }
}

impl Counts {
    fn add_skipped(&mut self, why: Skip, count: u64) {
        if let Some(skipped) = self.skipped.get_mut(why.index()) {
            *skipped += count;
        }
    }
}

impl AddAssign<&Self> for Counts {
    fn add_assign(&mut self, other: &Self) {
        fn add<const N: usize>(to: &mut [u64; N], from: &[u64; N]) {
            for (to, from) in to.iter_mut().zip(from) {
                *to += from;
            }
        }
        self.admitted += other.admitted;
        add(&mut self.refused, &other.refused);
        add(&mut self.skipped, &other.skipped);
        add(&mut self.outcomes, &other.outcomes);
        self.retries += other.retries;
        self.waited_for += &other.waited_for;
        self.queued += other.queued;
        self.running += other.running;
        self.wait.add(&other.wait);
        self.run.add(&other.run);
    }
}

/// The counts of one hook, in one class, for one kind of events: what all sums are made of.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Part {
    /// The class.
    pub class: PriorityClass,
    /// The kind of the events.
    pub kind: EventKind,
    /// The counts.
    pub counts: Counts,
}

/// The counts of one hook.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HookSnapshot {
    /// The hook.
    pub name: HookName,
    /// Its counts, in all classes.
    pub counts: Counts,
    /// Its counts by class: more than one when kinds of different importance lead to it.
    pub classes: PerClass<Counts>,
    /// Its counts by class and kind, those in which something was submitted. Empty for a simulation, whose events have
    /// no kind.
    pub parts: Vec<Part>,
    /// What the runs of its handler have cost.
    pub runs: RunCounts,
    /// Its circuit breaker. `None`: it has none (`hook.NAME.breaker`).
    pub breaker: Option<BreakerStatus>,
    /// None of its jobs may start ([`HookPool::pause`](crate::HookPool::pause)).
    pub paused: bool,
    /// It is configured no more, and listed for what it has counted.
    pub removed: bool,
}

impl HookSnapshot {
    pub(crate) fn of_parts(name: HookName, parts: Vec<Part>) -> Self {
        let mut classes = PerClass::<Counts>::default();
        for part in &parts {
            classes[part.class] += &part.counts;
        }
        Self { parts, ..Self::of_classes(name, classes) }
    }

    pub(crate) fn of_classes(name: HookName, classes: PerClass<Counts>) -> Self {
        let mut counts = Counts::default();
        classes.values().for_each(|of_class| counts += of_class);
        let (parts, runs) = (Vec::new(), RunCounts::default());
        Self { name, counts, classes, parts, runs, breaker: None, paused: false, removed: false }
    }

    /// The classes in which something was submitted for it, the most important first.
    pub fn classes(&self) -> impl Iterator<Item = PriorityClass> {
        self.classes.iter().filter(|(_, counts)| counts.submitted() > 0).map(|(class, _)| class)
    }
}

/// A copy of all counts at one moment. While jobs pass, the parts are from slightly different moments; at rest they
/// are exact.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Snapshot {
    /// Sums over everything, events that no hook wanted included.
    pub total: Counts,
    /// Sums by class. An event that no hook wanted is in none.
    pub classes: PerClass<Counts>,
    /// Sums by kind, of the kinds in which something was submitted; events that no hook wanted included.
    pub kinds: Vec<(EventKind, Counts)>,
    /// Every configured hook, in the order of the configuration; behind them those that have counted something and are
    /// configured no more.
    pub hooks: Vec<HookSnapshot>,
    /// How the pool stands.
    pub pool: PoolGauges,
    /// How often the configuration was changed while the pool ran.
    pub reloads: u64,
}

impl Snapshot {
    /// `unmatched`: events of each kind that no hook wanted.
    pub(crate) fn new(
        hooks: impl IntoIterator<Item = HookSnapshot>,
        unmatched: impl IntoIterator<Item = (EventKind, u64)>,
    ) -> Self {
        let is_told = |hook: &HookSnapshot| !hook.removed || hook.counts.submitted() > 0;
        let mut snapshot = Self { hooks: hooks.into_iter().filter(is_told).collect(), ..Self::default() };
        let mut kinds: [Counts; EventKind::COUNT] = std::array::from_fn(|_| Counts::default());
        for hook in &snapshot.hooks {
            snapshot.total += &hook.counts;
            for (class, counts) in hook.classes.iter() {
                snapshot.classes[class] += counts;
            }
            for Part { kind, counts, .. } in &hook.parts {
                if let Some(sum) = kinds.get_mut(kind.index()) {
                    *sum += counts;
                }
            }
        }
        for (kind, count) in unmatched {
            let of_kind = kinds.get_mut(kind.index());
            for counts in of_kind.into_iter().chain([&mut snapshot.total]) {
                counts.add_skipped(Skip::NoMatch, count);
            }
        }
        let kinds = EventKind::ALL.iter().copied().zip(kinds);
        snapshot.kinds = kinds.filter(|(_, counts)| counts.submitted() > 0).collect();
        snapshot
    }

    /// Events that were skipped for this reason, whatever hooks there might have been.
    pub(crate) fn of_skipped(why: Skip, count: u64) -> Self {
        let mut snapshot = Self::default();
        snapshot.total.add_skipped(why, count);
        snapshot
    }

    /// The classes with their counts, the most important first.
    pub fn classes(&self) -> impl Iterator<Item = (PriorityClass, &Counts)> {
        self.classes.iter()
    }
}

/// The account of a pool that has been drained.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Ledger {
    /// The final counts.
    pub snapshot: Snapshot,
    /// Jobs that were dropped without an outcome: a fault of hookpool.
    pub lost: u64,
    /// Handlers in Rust that were still running when the drain gave up on them.
    pub leaked: usize,
    /// Jobs that the admission word counts as waiting; 0 after a drain.
    pub(crate) still_admitted: u64,
}

impl Ledger {
    /// Jobs that the queue still counts as waiting; 0 after a drain that went well.
    #[must_use]
    pub fn still_queued(&self) -> u64 {
        self.still_admitted
    }

    /// True when every admitted job has exactly one outcome, and nothing waits or runs.
    #[must_use]
    pub fn is_balanced(&self) -> bool {
        let total = &self.snapshot.total;
        self.lost == 0
            && self.still_admitted == 0
            && total.queued() == 0
            && total.running() == 0
            && total.admitted() == total.resolved()
    }
}
