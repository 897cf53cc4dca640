//! The bound in bytes: payloads that wait or run, each counted once however many hooks want it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::event::Event;

/// How many bytes of payload are in use, and how many may be.
#[derive(Debug)]
pub(super) struct ByteBudget {
    used: AtomicU64,
    limit: AtomicU64,
}

/// Bytes that are counted, until it is dropped.
#[derive(Debug)]
pub(super) struct Charge {
    bytes: u64,
    budget: Arc<ByteBudget>,
}

/// An event that jobs refer to. Its bytes count from the first admission until the last job has its outcome.
#[derive(Debug)]
pub(super) struct Payload {
    pub(super) event: Event,
    _charge: Charge,
}

impl ByteBudget {
    pub(super) fn new(limit: u64) -> Self {
        Self { used: AtomicU64::new(0), limit: AtomicU64::new(limit) }
    }

    pub(super) fn limit(&self) -> u64 {
        self.limit.load(Ordering::SeqCst)
    }

    /// Allows so many bytes from now on. Where more are in use, none are given until they are back.
    pub(super) fn set_limit(&self, limit: u64) {
        self.limit.store(limit, Ordering::SeqCst);
    }

    /// Counts so many bytes. `None`: there is no room for them now.
    pub(super) fn charge(self: &Arc<Self>, bytes: u64) -> Option<Charge> {
        let limit = self.limit();
        let add = |used: u64| used.checked_add(bytes).filter(|sum| *sum <= limit);
        // SeqCst: pairs with the count of those who wait for room, like the admission word.
        self.used.fetch_update(Ordering::SeqCst, Ordering::SeqCst, add).ok()?;
        Some(Charge { bytes, budget: Arc::clone(self) })
    }
}

impl Payload {
    pub(super) fn new(event: &Event, charge: Charge) -> Arc<Self> {
        Arc::new(Self { event: event.clone(), _charge: charge })
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.bytes, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_counted_once_and_given_back_by_the_last_user() {
        let event = Event::from_json(r#"{"type":"x"}"#).unwrap();
        let size = event.payload().len() as u64;
        let budget = Arc::new(ByteBudget::new(2 * size));
        let first = Payload::new(&event, budget.charge(size).unwrap());
        let shared = Arc::clone(&first);
        let second = Payload::new(&event, budget.charge(size).unwrap());
        assert!(budget.charge(size).is_none());
        drop(first);
        assert!(budget.charge(size).is_none(), "another job still uses it");
        drop(shared);
        assert!(budget.charge(size).is_some());
        drop(second);
        assert_eq!(budget.used.load(Ordering::SeqCst), 0);
    }
}
