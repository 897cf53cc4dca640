//! How a pool stands at one moment: what waits, what is taken, what is paused.

use std::time::Duration;

use crate::class::PerClass;

/// How a pool stands. All zero for what is no pool: a simulation, a manager without one.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct PoolGauges {
    /// Seats for every class (`pool.workers`).
    pub workers: u32,
    /// Seats for important classes alone (`pool.standby`).
    pub standby: u32,
    /// Threads of workers, those included that have lost their seat to another one.
    pub threads: usize,
    /// Threads of workers that have nothing to do.
    pub asleep: usize,
    /// Jobs that may wait (`queue.capacity`).
    pub capacity: u32,
    /// Bytes of events that wait or run, each event counted once.
    pub bytes: u64,
    /// Bytes that there may be (`queue.max_bytes`).
    pub max_bytes: u64,
    /// By class.
    pub lanes: PerClass<LaneGauges>,
}

/// How one class of a pool stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LaneGauges {
    /// Jobs that wait.
    pub waiting: u32,
    /// How long the oldest job waits that has not been started. `None`: there is none.
    pub oldest: Option<Duration>,
    /// Seats that are taken by what was picked in this class.
    pub busy: u32,
    /// None of its jobs may start ([`HookPool::pause_class`](crate::HookPool::pause_class)).
    pub paused: bool,
}
