//! Waiting for room in the queue, for those who would rather wait than be refused.
//!
//! Nobody who does not wait pays for it beyond one load. A waiter counts itself, tries once more and then sleeps; who
//! makes room does that first and looks at the count second. Both are sequentially consistent, so either the waiter's
//! try sees the room, or the other sees the waiter.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};

#[derive(Debug, Default)]
pub(super) struct Room {
    waiters: AtomicU32,
    // Guards nothing but the order of "tried in vain" and "was told".
    lock: Mutex<()>,
    told: Condvar,
}

impl Room {
    /// Tries until it has an answer other than "no room".
    pub(super) fn wait_until<T>(&self, mut attempt: impl FnMut() -> Option<T>) -> T {
        self.waiters.fetch_add(1, Ordering::SeqCst);
        let mut guard = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = loop {
            match attempt() {
                Some(answer) => break answer,
                None => guard = self.told.wait(guard).unwrap_or_else(PoisonError::into_inner),
            }
        };
        self.waiters.fetch_sub(1, Ordering::SeqCst);
        answer
    }

    /// There may be room now.
    pub(super) fn tell(&self) {
        if self.waiters.load(Ordering::SeqCst) > 0 {
            // The lock keeps a waiter from missing this between its try and its sleep.
            drop(self.lock.lock().unwrap_or_else(PoisonError::into_inner));
            self.told.notify_all();
        }
    }
}
