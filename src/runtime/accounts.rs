//! What is counted for the jobs of a pool: the bytes of payloads that wait or run, each counted once however many hooks
//! want it, and jobs that were lost.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use super::engine::Engine;

/// What every job of a pool refers to. In one piece, so that a job keeps one reference for all of it.
#[derive(Debug)]
pub(super) struct Accounts {
    pub(super) bytes: ByteBudget,
    /// Jobs that were dropped without an outcome.
    pub(super) lost: AtomicU64,
    /// For handles, which keep no pool alive.
    pub(super) engine: Weak<Engine>,
}

/// How many bytes of payload are in use, and how many may be.
#[derive(Debug)]
pub(super) struct ByteBudget {
    used: AtomicU64,
    limit: AtomicU64,
}

/// Bytes of an event that are counted until the last of their users has left. Whoever made it is the first.
#[derive(Debug)]
pub(super) struct Charge {
    bytes: u64,
    users: AtomicU32,
    accounts: Arc<Accounts>,
}

impl Accounts {
    pub(super) fn new(max_bytes: u64, engine: Weak<Engine>) -> Arc<Self> {
        Arc::new(Self { bytes: ByteBudget::new(max_bytes), lost: AtomicU64::new(0), engine })
    }

    /// Counts so many bytes. `None`: there is no room for them now.
    pub(super) fn charge(self: &Arc<Self>, bytes: u64) -> Option<Charge> {
        self.bytes.take(bytes).then(|| Charge { bytes, users: AtomicU32::new(1), accounts: Arc::clone(self) })
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
}

impl Charge {
    pub(super) fn accounts(&self) -> &Accounts {
        &self.accounts
    }

    /// The same with one user more, before anybody else can know of it.
    pub(super) fn for_two(mut self) -> Self {
        *self.users.get_mut() += 1;
        self
    }

    /// One user more. Only a user may ask for that.
    pub(super) fn join(&self) {
        self.users.fetch_add(1, Ordering::Relaxed);
    }

    /// A user leaves, and the last one gives the bytes back.
    pub(super) fn leave(&self) {
        if self.users.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.give_back();
        }
    }

    fn give_back(&self) {
        self.accounts.bytes.used.fetch_sub(self.bytes, Ordering::SeqCst);
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        if *self.users.get_mut() > 0 {
            self.give_back();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_counted_once_and_given_back_by_the_last_user() {
        let accounts = Accounts::new(10, Weak::new());
        let charge = accounts.charge(6).unwrap();
        assert!(accounts.charge(5).is_none());
        charge.join();
        charge.leave();
        assert!(accounts.charge(5).is_none(), "another still uses them");
        charge.leave();
        let other = accounts.charge(10).unwrap();
        drop(charge);
        assert_eq!(accounts.bytes.used(), 10, "they are given back once");
        drop(other);
        assert_eq!(accounts.bytes.used(), 0, "and if nobody came to leave");
    }
}
