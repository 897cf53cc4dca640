//! Subscriptions to outcomes: bounded queues from the workers to whoever reads.
//!
//! A worker never waits for a reader: what finds the queue full is lost for that reader, and counted.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use crate::outcome::Outcome;

/// The channel makes room for all at once.
const MOST_WAITING: usize = 65_536;

/// The outcomes of a pool from the subscription on, in the order in which its jobs ended. From
/// [`HookPool::outcomes`](super::HookPool::outcomes).
///
/// As an iterator it waits for the next one, and ends when the pool has been drained and everything was read. It keeps
/// nothing alive; dropping it ends the subscription.
#[derive(Debug)]
pub struct Outcomes {
    receiver: Receiver<Arc<Outcome>>,
    lost: Arc<AtomicU64>,
}

impl Outcomes {
    /// The next outcome if there is one now.
    #[must_use]
    pub fn try_next(&mut self) -> Option<Arc<Outcome>> {
        self.receiver.try_recv().ok()
    }

    /// Waits for the next outcome, at most that long. `None`: there was none, or there will be none.
    #[must_use]
    pub fn next_within(&mut self, timeout: Duration) -> Option<Arc<Outcome>> {
        // A channel takes no timeout that goes beyond the end of time.
        if Instant::now().checked_add(timeout).is_none() {
            return self.next();
        }
        self.receiver.recv_timeout(timeout).ok()
    }

    /// How many outcomes found the queue full, and are lost for this subscription. They are counted in the pool's
    /// ledger, and told to observers, all the same.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}

impl Iterator for Outcomes {
    type Item = Arc<Outcome>;

    fn next(&mut self) -> Option<Self::Item> {
        self.receiver.recv().ok()
    }
}

/// Everybody who has subscribed.
#[derive(Debug, Default)]
pub(super) struct Subscribers {
    /// `None`: the pool has been drained.
    all: RwLock<Option<Vec<Subscriber>>>,
    /// How many there may be: with none an outcome costs one look.
    count: AtomicU64,
}

#[derive(Debug)]
struct Subscriber {
    sender: SyncSender<Arc<Outcome>>,
    lost: Arc<AtomicU64>,
}

/// What telling the subscribers of an outcome has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    All,
    /// Somebody's queue was full for the first time.
    SomebodyIsSlow,
}

impl Subscribers {
    pub(super) fn open() -> Self {
        Self { all: RwLock::new(Some(Vec::new())), count: AtomicU64::new(0) }
    }

    pub(super) fn add(&self, capacity: usize) -> Outcomes {
        let (sender, receiver) = sync_channel(capacity.clamp(1, MOST_WAITING));
        let lost = Arc::<AtomicU64>::default();
        if let Some(all) = &mut *self.all.write().unwrap_or_else(PoisonError::into_inner) {
            all.push(Subscriber { sender, lost: Arc::clone(&lost) });
            self.count.store(all.len() as u64, Ordering::SeqCst);
        }
        Outcomes { receiver, lost }
    }

    pub(super) fn has_some(&self) -> bool {
        self.count.load(Ordering::SeqCst) > 0
    }

    pub(super) fn tell(&self, outcome: &Arc<Outcome>) -> Told {
        if !self.has_some() {
            return Told::All;
        }
        let (mut told, mut somebody_left) = (Told::All, false);
        for subscriber in self.all.read().unwrap_or_else(PoisonError::into_inner).iter().flatten() {
            match subscriber.sender.try_send(Arc::clone(outcome)) {
                Ok(()) => {}
                Err(TrySendError::Full(_)) => {
                    if subscriber.lost.fetch_add(1, Ordering::Relaxed) == 0 {
                        told = Told::SomebodyIsSlow;
                    }
                }
                Err(TrySendError::Disconnected(_)) => somebody_left = true,
            }
        }
        if somebody_left {
            self.forget_who_left();
        }
        told
    }

    /// Who left holds no other reference to what it counted.
    fn forget_who_left(&self) {
        if let Some(all) = &mut *self.all.write().unwrap_or_else(PoisonError::into_inner) {
            all.retain(|subscriber| Arc::strong_count(&subscriber.lost) > 1);
            self.count.store(all.len() as u64, Ordering::SeqCst);
        }
    }

    /// There are no more outcomes: whoever reads finds the end.
    pub(super) fn close(&self) {
        *self.all.write().unwrap_or_else(PoisonError::into_inner) = None;
    }
}
