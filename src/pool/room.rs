//! Waiting for room in the queue, for those who would rather wait than be refused.
//!
//! Nobody who does not wait pays for it beyond one load. A waiter counts itself, reads how often it was told, tries
//! once more, and sleeps unless it was told meanwhile; who makes room does that first and looks at the count second.
//! Both are sequentially consistent, so either the waiter's try sees the room, or the other sees the waiter.
//!
//! An attempt runs without a lock, as it may do whatever an attempt needs: displace a job, tell the host.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

#[derive(Debug, Default)]
pub(super) struct Room {
    waiters: AtomicU32,
    /// How often room was made while somebody waited.
    told: Mutex<u64>,
    changed: Condvar,
}

impl Room {
    /// Tries until it has an answer other than "no room".
    pub(super) fn wait_until<T>(&self, mut attempt: impl FnMut() -> Option<T>) -> T {
        // SeqCst: comes before the attempt's look at the room. Pairs with the load in `tell`.
        self.waiters.fetch_add(1, Ordering::SeqCst);
        let answer = loop {
            let seen = *self.lock();
            if let Some(answer) = attempt() {
                break answer;
            }
            let mut told = self.lock();
            while *told == seen {
                told = self.changed.wait(told).unwrap_or_else(PoisonError::into_inner);
            }
        };
        self.waiters.fetch_sub(1, Ordering::SeqCst);
        answer
    }

    /// There may be room now.
    pub(super) fn tell(&self) {
        // SeqCst: comes after the room was made. Pairs with the count in `wait_until`.
        if self.waiters.load(Ordering::SeqCst) > 0 {
            *self.lock() += 1;
            self.changed.notify_all();
        }
    }

    #[cfg(test)]
    pub(super) fn waiters(&self) -> u32 {
        self.waiters.load(Ordering::SeqCst)
    }

    fn lock(&self) -> MutexGuard<'_, u64> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
