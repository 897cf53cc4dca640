//! Copies of the counters at one moment, and the ledger that they must make up.

use std::ops::AddAssign;

use super::timing::{Durations, Timing};
use crate::breaker::BreakerStatus;
use crate::class::{PerClass, PriorityClass};
use crate::hook::HookName;
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
    /// Its circuit breaker. `None`: it has none (`hook.NAME.breaker`).
    pub breaker: Option<BreakerStatus>,
    /// It is configured no more, and listed for what it has counted.
    pub removed: bool,
}

/// What a snapshot is made of, for one hook.
#[derive(Clone, Debug)]
pub(crate) struct HookCounts {
    pub(crate) name: HookName,
    pub(crate) classes: PerClass<Counts>,
    pub(crate) breaker: Option<BreakerStatus>,
    pub(crate) removed: bool,
}

impl HookSnapshot {
    /// The classes in which something was submitted for it, the most important first.
    pub fn classes(&self) -> impl Iterator<Item = PriorityClass> {
        self.classes.iter().filter(|(_, counts)| counts.submitted() > 0).map(|(class, _)| class)
    }
}

/// A copy of all counts at one moment. While jobs pass, the parts are from slightly different moments; at rest they
/// are exact.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Snapshot {
    /// Sums over everything, events that no hook wanted included.
    pub total: Counts,
    /// Sums by class. An event that no hook wanted is in none.
    pub classes: PerClass<Counts>,
    /// Every configured hook, in the order of the configuration; behind them those that have counted something and are
    /// configured no more.
    pub hooks: Vec<HookSnapshot>,
}

impl Snapshot {
    pub(crate) fn new(hooks: impl IntoIterator<Item = HookCounts>, no_match: u64) -> Self {
        let mut snapshot = Self { total: Counts::default(), classes: PerClass::default(), hooks: Vec::new() };
        for HookCounts { name, classes, breaker, removed } in hooks {
            let mut counts = Counts::default();
            for (class, of_class) in classes.iter() {
                counts += of_class;
                snapshot.classes[class] += of_class;
            }
            snapshot.total += &counts;
            if !removed || counts.submitted() > 0 {
                snapshot.hooks.push(HookSnapshot { name, counts, classes, breaker, removed });
            }
        }
        if let Some(skipped) = snapshot.total.skipped.get_mut(Skip::NoMatch.index()) {
            *skipped += no_match;
        }
        snapshot
    }

    /// Events that were skipped for this reason, whatever hooks there might have been.
    pub(crate) fn of_skipped(why: Skip, count: u64) -> Self {
        let mut snapshot = Self::new([], 0);
        if let Some(skipped) = snapshot.total.skipped.get_mut(why.index()) {
            *skipped = count;
        }
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
