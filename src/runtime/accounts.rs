//! What is counted for the jobs of a pool: the bytes of payloads that wait or run, each counted once however many hooks
//! want it, and jobs that were lost.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use crossbeam_utils::CachePadded;

use super::engine::Engine;

/// See the module's description.
#[derive(Debug)]
pub(super) struct Accounts {
    /// Apart from the rest, which submitters write when they make a handle, and workers never.
    pub(super) bytes: CachePadded<ByteBudget>,
    /// Jobs that were dropped without an outcome.
    pub(super) lost: AtomicU64,
    /// For handles, which keep no pool alive. Set right after the engine was made.
    engine: OnceLock<Weak<Engine>>,
}

/// How many bytes of payload are in use, and how many may be.
#[derive(Debug)]
pub(super) struct ByteBudget {
    used: AtomicU64,
    limit: AtomicU64,
}

/// Bytes that are counted until this is dropped, or [kept](Charge::keep).
#[derive(Debug)]
pub(super) struct Charge<'a> {
    bytes: u64,
    accounts: &'a Accounts,
}

/// Bytes of an event that are counted until the last of their users has left.
#[derive(Debug)]
pub(super) struct Used {
    bytes: u64,
    users: AtomicU32,
}

impl Accounts {
    pub(super) fn new(max_bytes: u64) -> Self {
        Self {
            bytes: CachePadded::new(ByteBudget::new(max_bytes)),
            lost: AtomicU64::new(0),
            engine: OnceLock::new(),
        }
    }

    pub(super) fn attach(&self, engine: &Arc<Engine>) {
        let _ = self.engine.set(Arc::downgrade(engine));
    }

    /// `None`: it is gone.
    pub(super) fn engine(&self) -> Option<Arc<Engine>> {
        self.engine.get().and_then(Weak::upgrade)
    }

    /// Counts so many bytes. `None`: there is no room for them now.
    pub(super) fn charge(&self, bytes: u64) -> Option<Charge<'_>> {
        self.bytes.take(bytes).then(|| Charge { bytes, accounts: self })
    }
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

    pub(super) fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// False: there is no room for so many now.
    fn take(&self, bytes: u64) -> bool {
        let limit = self.limit();
        let add = |used: u64| used.checked_add(bytes).filter(|sum| *sum <= limit);
        // SeqCst: pairs with the count of those who wait for room, like the admission word.
        self.used.fetch_update(Ordering::SeqCst, Ordering::SeqCst, add).is_ok()
    }

    fn give_back(&self, bytes: u64) {
        self.used.fetch_sub(bytes, Ordering::SeqCst);
    }
}

impl Charge<'_> {
    /// They are in use by two from now on: a job, and who submits, until all jobs of the event are admitted.
    pub(super) fn keep(mut self) -> Used {
        Used { bytes: std::mem::take(&mut self.bytes), users: AtomicU32::new(2) }
    }
}

impl Drop for Charge<'_> {
    fn drop(&mut self) {
        if self.bytes > 0 {
            self.accounts.bytes.give_back(self.bytes);
        }
    }
}

impl Used {
    /// One user more. Only a user may ask for that.
    pub(super) fn join(&self) {
        self.users.fetch_add(1, Ordering::Relaxed);
    }

    /// A user leaves, and the last one gives the bytes back.
    pub(super) fn leave(&self, accounts: &Accounts) {
        if self.users.fetch_sub(1, Ordering::AcqRel) == 1 {
            accounts.bytes.give_back(self.bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_counted_once_and_given_back_by_the_last_user() {
        let accounts = Accounts::new(10);
        let used = accounts.charge(6).unwrap().keep();
        assert!(accounts.charge(5).is_none());
        used.join();
        used.leave(&accounts);
        used.leave(&accounts);
        assert!(accounts.charge(5).is_none(), "another still uses them");
        used.leave(&accounts);
        drop(accounts.charge(10).unwrap());
        assert_eq!(accounts.bytes.used(), 0, "and if nobody came to use them");
    }
}
