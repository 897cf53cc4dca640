//! The pools of the process by number: how a handle finds its pool without keeping it alive.
//!
//! A handle is made for each job, and seldom used. A reference to the pool would be counted up and down for each of them,
//! by every submitting thread at one place; a number costs nothing.
//!
//! Invariant: a number names one engine for as long as that lives, and none afterwards.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::engine::Engine;

static POOLS: Mutex<Pools> = Mutex::new(Pools { next: 0, engines: BTreeMap::new() });

struct Pools {
    next: u32,
    engines: BTreeMap<u32, Weak<Engine>>,
}

/// See the module's description.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PoolNumber(u32);

/// The number of an engine, for as long as this lives.
#[derive(Debug)]
pub(super) struct Numbered(PoolNumber);

impl Numbered {
    /// For the engine that is being made.
    pub(super) fn new(engine: Weak<Engine>) -> Self {
        let mut pools = pools();
        // After four thousand million pools they begin anew, with those that are free.
        while pools.engines.contains_key(&pools.next) {
            pools.next = pools.next.wrapping_add(1);
        }
        let number = pools.next;
        pools.next = number.wrapping_add(1);
        pools.engines.insert(number, engine);
        Self(PoolNumber(number))
    }

    pub(super) fn get(&self) -> PoolNumber {
        self.0
    }
}

impl Drop for Numbered {
    fn drop(&mut self) {
        pools().engines.remove(&self.0.0);
    }
}

impl PoolNumber {
    /// `None`: it is gone.
    pub(super) fn engine(self) -> Option<Arc<Engine>> {
        let engine = pools().engines.get(&self.0).cloned();
        engine.and_then(|engine| engine.upgrade())
    }
}

fn pools() -> MutexGuard<'static, Pools> {
    POOLS.lock().unwrap_or_else(PoisonError::into_inner)
}
