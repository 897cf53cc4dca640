//! The atomics, locks and threads of the two hand-written protocols, admission and parking: those of the standard
//! library, or loom's, which tries every order in which they can meet. Admission has such models (`tests/loom.rs`);
//! parking has none yet that is to be relied on.

#[cfg(not(loom))]
pub(super) use std::{
    sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering, fence},
    sync::{Mutex, MutexGuard},
    thread::{Thread, current, park, park_timeout},
};

#[cfg(loom)]
pub(super) use self::modelled::{Thread, current, park, park_timeout};
#[cfg(loom)]
pub(super) use loom::{
    sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering, fence},
    sync::{Mutex, MutexGuard},
};

/// A parked thread looks again and again whether it was woken, as loom forgets a wake-up that comes before the sleep. One
/// that is never woken makes the model endless, which loom reports; so it does not matter that no sleep ends by itself.
#[cfg(loom)]
mod modelled {
    #[derive(Debug)]
    pub(in crate::pool) struct Thread;

    impl Thread {
        #[expect(clippy::unused_self, reason = "as that of the standard library")]
        pub(in crate::pool) fn unpark(&self) {}
    }

    pub(in crate::pool) fn current() -> Thread {
        Thread
    }

    pub(in crate::pool) fn park() {
        loom::thread::yield_now();
    }

    pub(in crate::pool) fn park_timeout(_left: std::time::Duration) {
        park();
    }
}
