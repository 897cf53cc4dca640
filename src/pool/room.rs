//! Waiting for room in the queue, for those who would rather wait than be refused.
//!
//! Nobody who does not wait pays for it beyond one load. A waiter counts itself, reads how often it was told, tries
//! once more, and sleeps unless it was told meanwhile; who makes room does that first and looks at the count second.
//! Both are sequentially consistent, so either the waiter's try sees the room, or the other sees the waiter.
//!
//! While the workers have plenty to do, who waits is woken for a handful of places and not for each: that is a context
//! switch less for most jobs. Nothing is held back for long: the worker that holds it back has picked a job, and tells or
//! holds back once more when that ends; a worker that finds nothing tells.
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
    /// How often in a row nothing was told.
    held_back: AtomicU32,
}

/// Places that may be free before somebody who waits is told.
const HANDFUL: u32 = 16;

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

    /// Like [`Room::tell`], by a worker that has picked a job; `plenty`: much more waits. May be put off then.
    pub(super) fn tell_lazily(&self, plenty: impl FnOnce() -> bool) {
        // SeqCst, as in `tell`.
        if self.waiters.load(Ordering::SeqCst) == 0 {
            return;
        }
        // A race of two workers tells a little earlier or later than a handful.
        if plenty() && self.held_back.fetch_add(1, Ordering::Relaxed) + 1 < HANDFUL {
            return;
        }
        self.held_back.store(0, Ordering::Relaxed);
        self.tell();
    }

    #[cfg(test)]
    pub(super) fn waiters(&self) -> u32 {
        self.waiters.load(Ordering::SeqCst)
    }

    fn lock(&self) -> MutexGuard<'_, u64> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waits_is_told_of_a_handful_where_there_is_plenty_and_of_each_place_otherwise() {
        let room = Room::default();
        room.waiters.store(1, Ordering::SeqCst);
        let told_after = |plenty, times| {
            (0..times).for_each(|_| room.tell_lazily(|| plenty));
            *room.lock()
        };
        assert_eq!(told_after(true, HANDFUL - 1), 0);
        assert_eq!(told_after(true, 1), 1);
        assert_eq!(told_after(true, 2 * HANDFUL), 3);
        assert_eq!(told_after(false, 2), 5);
        // What was held back is forgotten when it is told otherwise.
        told_after(true, HANDFUL - 1);
        assert_eq!(told_after(false, 1), 6);
        assert_eq!(told_after(true, HANDFUL - 1), 6);
    }
}
