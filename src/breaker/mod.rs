//! Circuit breakers: whether a hook's handler is tried at all, as its last attempts ended.
//!
//! `machine.rs` is the breaker itself, pure and in any time; here it is shared between threads. A submitter pays one
//! relaxed load for a breaker that is closed. What an attempt's end means for it, and what becomes of the jobs that it
//! turns away, is the engine's business.

mod machine;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

pub use self::machine::{BreakerState, BreakerStatus};
pub(crate) use self::machine::{Pass, Turn};

use self::machine::Machine;
use crate::hook::BreakerPolicy;
use crate::time::Time;

/// The breaker of one hook.
#[derive(Debug)]
pub(crate) struct Breaker {
    /// It is not closed.
    blocks: AtomicBool,
    machine: Mutex<Machine>,
}

impl Breaker {
    pub(crate) fn new(policy: BreakerPolicy) -> Self {
        Self { blocks: AtomicBool::new(false), machine: Mutex::new(Machine::new(policy)) }
    }

    /// True while it is not closed.
    pub(crate) fn blocks(&self) -> bool {
        self.blocks.load(Relaxed)
    }

    /// True when a job that comes now would not be run.
    pub(crate) fn refuses(&self, now: impl FnOnce() -> Time) -> bool {
        self.blocks() && self.lock().refuses(now())
    }

    /// A pass for the dispatch that was picked now, or why it must not run.
    pub(crate) fn pick(&self, now: Time) -> Result<Pass, String> {
        self.change(|machine| machine.pick(now))
    }

    /// An attempt of the pass's dispatch has succeeded, or failed for a reason.
    pub(crate) fn record(&self, pass: Pass, end: Result<(), &str>, now: Time) -> Option<Turn> {
        self.change(|machine| machine.record(pass, end, now))
    }

    /// The pass's dispatch is over: if it was to decide and has not, the next one is.
    pub(crate) fn release(&self, pass: Pass, now: Time) {
        self.change(|machine| machine.release(pass, now));
    }

    /// Closes it.
    pub(crate) fn reset(&self) {
        self.change(Machine::reset);
    }

    pub(crate) fn status(&self, now: Time) -> BreakerStatus {
        self.lock().status(now)
    }

    fn change<T>(&self, change: impl FnOnce(&mut Machine) -> T) -> T {
        let mut machine = self.lock();
        let result = change(&mut machine);
        self.blocks.store(!machine.is_closed(), Relaxed);
        result
    }

    fn lock(&self) -> MutexGuard<'_, Machine> {
        self.machine.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
