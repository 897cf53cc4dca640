//! The breaker as a state machine, in whatever time it is given.
//!
//! ```text
//! closed ── failures, or their share ──> open(until) ── first pick after `until` ──> probing
//!   ^                                      ^  ^                                       |  |
//!   |                                      |  └── nothing decided, `until` is now ────┘  |
//!   |                                      └──── failure, cool-down doubled ─────────────┤
//!   └────────────────────────────────────── success ─────────────────────────────────────┘
//! ```
//!
//! Invariants: a probe is a dispatch that was picked, so there is at most one, and nothing that still waits can hold its
//! place. Its end decides or releases, so nothing probes for ever. Each change of phase makes a new generation, and what
//! ends with the pass of an older one is not heard.

use std::time::Duration;

use crate::hook::BreakerPolicy;
use crate::time::Time;

/// Outcomes that the share of failures is taken of: the last ones, and from how many on.
const WINDOW: u32 = 20;
const ENOUGH: u32 = 10;

/// The leave to run one dispatch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pass {
    generation: u64,
}

/// A change that an outcome has made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// It is open for that long, and this is why.
    Opened(Duration, String),
    /// The handler works again.
    Closed,
}

/// What a hook's breaker does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerState {
    /// Jobs run.
    Closed,
    /// No job runs before the cool-down is over.
    Open,
    /// The cool-down is over: one job runs, or may run, and decides.
    HalfOpen,
}

impl BreakerState {
    /// The spelling in reports: `closed`, `open` or `half_open`.
    ///
    /// ```
    /// assert_eq!(hookpool::BreakerState::HalfOpen.name(), "half_open");
    /// ```
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
        }
    }
}

/// A hook's breaker at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BreakerStatus {
    /// What it does.
    pub state: BreakerState,
    /// How often it has opened.
    pub opened: u64,
    /// Failures since the last success.
    pub failures_in_a_row: u32,
    /// What is left of the cool-down. `None`: it is not open.
    pub cooldown_left: Option<Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Closed,
    Open { until: Time },
    Probing,
}

/// See the module's description.
#[derive(Debug)]
pub(super) struct Machine {
    policy: BreakerPolicy,
    phase: Phase,
    generation: u64,
    in_a_row: u32,
    recent: Recent,
    /// Of the next opening.
    cooldown: Duration,
    opened: u64,
    /// Why it opened last.
    why: String,
}

impl Machine {
    pub(super) fn new(policy: BreakerPolicy) -> Self {
        Self {
            policy,
            phase: Phase::Closed,
            generation: 0,
            in_a_row: 0,
            recent: Recent::default(),
            cooldown: policy.cooldown,
            opened: 0,
            why: String::new(),
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.phase == Phase::Closed
    }

    pub(super) fn refuses(&self, now: Time) -> bool {
        match self.phase {
            Phase::Closed => false,
            Phase::Open { until } => now < until,
            Phase::Probing => true,
        }
    }

    pub(super) fn pick(&mut self, now: Time) -> Result<Pass, String> {
        match self.phase {
            Phase::Closed => {}
            Phase::Open { until } if now < until => {
                return Err(format!("the hook's breaker opened while it waited: {}", self.why));
            }
            Phase::Open { .. } => self.enter(Phase::Probing),
            Phase::Probing => {
                return Err(format!("the hook's breaker waited for the end of another job: {}", self.why));
            }
        }
        Ok(Pass { generation: self.generation })
    }

    pub(super) fn record(&mut self, pass: Pass, end: Result<(), &str>, now: Time) -> Option<Turn> {
        if pass.generation != self.generation {
            return None;
        }
        let Err(reason) = end else {
            self.in_a_row = 0;
            self.recent.push(false);
            if self.phase == Phase::Closed {
                return None;
            }
            self.reset();
            return Some(Turn::Closed);
        };
        self.in_a_row = self.in_a_row.saturating_add(1);
        self.recent.push(true);
        let in_a_row = self.policy.failures.is_some_and(|most| self.in_a_row >= most);
        let too_many =
            self.policy.rate.is_some_and(|rate| self.recent.share().is_some_and(|share| share >= rate));
        if self.phase == Phase::Closed && !in_a_row && !too_many {
            return None;
        }
        let what = match (in_a_row || !too_many, self.in_a_row) {
            (true, 1) => "a failure".to_owned(),
            (true, failures) => format!("{failures} failures in a row"),
            (false, _) => format!("{} of the last {} failed", self.recent.failures(), self.recent.count),
        };
        self.why = format!("{what}, the last: {reason}");
        let cooldown = self.cooldown;
        self.cooldown = cooldown.saturating_mul(2).min(self.policy.max_cooldown);
        self.opened += 1;
        self.enter(Phase::Open { until: now + cooldown });
        Some(Turn::Opened(cooldown, self.why.clone()))
    }

    pub(super) fn release(&mut self, pass: Pass, now: Time) {
        if pass.generation == self.generation && self.phase == Phase::Probing {
            self.enter(Phase::Open { until: now });
        }
    }

    pub(super) fn reset(&mut self) {
        self.in_a_row = 0;
        self.recent = Recent::default();
        self.cooldown = self.policy.cooldown;
        self.enter(Phase::Closed);
    }

    pub(super) fn status(&self, now: Time) -> BreakerStatus {
        let (state, cooldown_left) = match self.phase {
            Phase::Closed => (BreakerState::Closed, None),
            Phase::Open { until } if now < until => (BreakerState::Open, Some(until.since(now))),
            Phase::Open { .. } | Phase::Probing => (BreakerState::HalfOpen, None),
        };
        BreakerStatus { state, opened: self.opened, failures_in_a_row: self.in_a_row, cooldown_left }
    }

    fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.generation += 1;
    }
}

/// The last outcomes that count: a bit for each, set for a failure, the latest lowest.
#[derive(Clone, Copy, Debug, Default)]
struct Recent {
    bits: u32,
    count: u32,
}

impl Recent {
    fn push(&mut self, failed: bool) {
        self.bits = (self.bits << 1 | u32::from(failed)) & ((1 << WINDOW) - 1);
        self.count = (self.count + 1).min(WINDOW);
    }

    fn failures(self) -> u32 {
        self.bits.count_ones()
    }

    /// The share of failures. `None`: too few outcomes to say.
    fn share(self) -> Option<f64> {
        (self.count >= ENOUGH).then(|| f64::from(self.failures()) / f64::from(self.count))
    }
}
