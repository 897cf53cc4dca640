//! What the scheduler core needs to know of the configuration: plain numbers.

use std::time::Duration;

use crate::class::{PerClass, PriorityClass};
use crate::scheduler::rule::AdmissionRule;

/// Everything that decides what the core does, except for the hooks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CoreParams {
    pub(crate) rule: AdmissionRule,
    /// True: a full queue displaces a less important job; false: it refuses the arrival.
    pub(crate) displace: bool,
    pub(crate) seats: SeatParams,
    pub(crate) pick: PickParams,
    /// Waiting jobs from which on no batch lingers.
    pub(crate) pressure: u32,
}

impl CoreParams {
    /// A queue of that capacity, that many workers, no standby seat, strict order without bypass, no displacement: for
    /// tests, and for `bench_door`.
    pub(crate) fn plain(workers: u32, capacity: u32) -> Self {
        Self {
            rule: AdmissionRule {
                capacity,
                guarantee: PerClass::default(),
                ceiling: PerClass::from_fn(|_| capacity),
            },
            displace: false,
            seats: SeatParams {
                workers,
                standby: 0,
                standby_for: PriorityClass::High,
                per_class: PerClass::from_fn(|_| u32::MAX),
            },
            pick: PickParams { weighted: false, weights: PerClass::from_fn(|_| 1), bypass: None },
            pressure: u32::MAX,
        }
    }
}

/// The rights to run a job.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SeatParams {
    /// Seats for every class.
    pub(crate) workers: u32,
    /// Further seats that only `standby_for` and more important classes may take.
    pub(crate) standby: u32,
    pub(crate) standby_for: PriorityClass,
    /// Most seats that the class may take.
    pub(crate) per_class: PerClass<u32>,
}

impl SeatParams {
    /// Most runs at once, and so the number of threads.
    pub(crate) fn in_all(&self) -> usize {
        (self.workers + self.standby) as usize
    }

    /// The class may take standby seats.
    pub(crate) fn stands_by(&self, class: PriorityClass) -> bool {
        !self.standby_for.is_more_important_than(class)
    }

    /// The seats that the class could take if nothing else ran and it had no limit of its own.
    pub(crate) fn open_to(&self, class: PriorityClass) -> u32 {
        self.workers.saturating_add(if self.stands_by(class) { self.standby } else { 0 })
    }
}

/// How the class of the next job is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PickParams {
    /// True: the classes below `critical` share the seats' time by `weights`; false: strictly by importance.
    pub(crate) weighted: bool,
    pub(crate) weights: PerClass<u32>,
    /// How often a class that could run may be passed over by more important ones, at least once; `None`: without end.
    pub(crate) bypass: Option<PerClass<u32>>,
}

/// What the core needs to know of one hook.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct HookParams {
    /// Most handlers of the hook at once; at least 1.
    pub(crate) max_concurrency: Option<u32>,
}

/// How a job may be put together with others. It brings this along, so what a hook is changed to later does not reach it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Batching {
    /// Which of its hook's definitions it goes by: a batch never mixes two.
    pub(crate) definition: u32,
    /// What the members of a batch have in common beside their hook, class and definition.
    pub(crate) key: u64,
    /// The same for all jobs of one definition.
    pub(crate) bounds: BatchParams,
}

/// Bounds of one batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BatchParams {
    /// Most jobs; at least 1.
    pub(crate) size: u32,
    /// Most bytes of payload; a larger event is a batch by itself.
    pub(crate) bytes: u64,
    /// Longest wait of the first member for others. Zero: the batch is ready at once, and fills while it waits.
    pub(crate) linger: Duration,
}
