//! How the pool stands at one moment.

use std::time::Duration;

use super::{Host, Pool};
use crate::class::{ClassSet, PerClass};
use crate::scheduler::{HookSlot, SeatParams};

/// See the module's description.
#[derive(Clone, Debug)]
pub(crate) struct PoolStatus {
    pub(crate) seats: SeatParams,
    pub(crate) capacity: u32,
    pub(crate) waiting: PerClass<u32>,
    /// How long the oldest job of each class waits that has not been started.
    pub(crate) oldest: PerClass<Option<Duration>>,
    /// Seats that are taken.
    pub(crate) busy: PerClass<u32>,
    pub(crate) paused: ClassSet,
    pub(crate) paused_hooks: Vec<HookSlot>,
    pub(crate) threads: usize,
    pub(crate) asleep: usize,
}

impl<H: Host> Pool<H> {
    /// Takes in what was pushed and does what is due first, so it may tell the host of jobs that left.
    pub(crate) fn status(&self) -> PoolStatus {
        let shared = &*self.shared;
        let threads = self.threads().len();
        shared.with_core(|core, now| PoolStatus {
            seats: core.params().seats,
            capacity: core.params().rule.capacity,
            waiting: shared.admission.waiting(),
            oldest: PerClass::from_fn(|class| core.oldest(class).map(|admitted| now.since(admitted))),
            busy: core.running(),
            paused: core.paused(),
            paused_hooks: core.paused_hooks().collect(),
            threads,
            asleep: shared.parking.asleep(),
        })
    }
}
