//! The atomics, locks and threads of the two hand-written protocols, admission and parking: those of the standard
//! library, or loom's, which tries every order in which they can meet (`tests/loom.rs`).

#[cfg(not(loom))]
pub(super) use std::{
    sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering},
    sync::{Mutex, MutexGuard},
    thread::{Thread, current, park, park_timeout},
};

#[cfg(loom)]
pub(super) use self::modelled::{Thread, current, park, park_timeout};
#[cfg(loom)]
pub(super) use loom::{
    sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering},
    sync::{Mutex, MutexGuard},
};

/// Parking with a flag and a condition, as loom's own forgets a wake-up that comes while the thread waits for a lock.
/// A thread that nobody wakes is one that cannot go on, which loom reports; so no sleep ends by itself.
#[cfg(loom)]
mod modelled {
    use std::sync::Arc;

    use loom::sync::{Condvar, Mutex};

    #[derive(Clone, Debug)]
    pub(in crate::pool) struct Thread(Arc<(Mutex<bool>, Condvar)>);

    loom::thread_local! {
        static HERE: Thread = Thread(Arc::new((Mutex::new(false), Condvar::new())));
    }

    impl Thread {
        pub(in crate::pool) fn unpark(&self) {
            let (woken, changed) = &*self.0;
            *woken.lock().unwrap() = true;
            changed.notify_one();
        }
    }

    pub(in crate::pool) fn current() -> Thread {
        HERE.with(Clone::clone)
    }

    pub(in crate::pool) fn park() {
        let Thread(here) = current();
        let (woken, changed) = &*here;
        let mut guard = woken.lock().unwrap();
        while !*guard {
            guard = changed.wait(guard).unwrap();
        }
        *guard = false;
    }

    pub(in crate::pool) fn park_timeout(_left: std::time::Duration) {
        park();
    }
}
