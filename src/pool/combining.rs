//! Flat combining: whoever holds the core's lock serves the workers that wait for it.
//!
//! A core that two processors change in turn goes from cache to cache, line by line, which takes longer than what is
//! done to it. So a worker that comes from a run and finds the lock taken leaves its request here, and mostly gets the
//! answer without a look at the core. And one that was served, and comes from a run that was brief, leaves its request
//! before it tries the lock at all: the core stays with one worker as long as both are at it. Should the other not come,
//! that has cost a microsecond, and it is not done again before it was served again.
//!
//! # Protocol
//!
//! A worker that finds the lock taken:
//!
//! 1. puts its request down at its own place, **then** sets its bit;
//! 2. waits until it is answered, or has the lock itself;
//! 3. has the lock: it takes back its bit and what lies at its place, which is the request, or the answer to it.
//!
//! Whoever has the lock, and serves others:
//!
//! 1. takes all bits that are set;
//! 2. for each, takes the request, does what it says, puts the answer down, **then** tells that it is answered;
//! 3. picks once more, if it has found nothing for itself: what ended may have set something free, and nobody tells of it.
//!
//! *A request is served once.* Bits are taken under the lock alone, and each of them is gone before the lock is free.
//!
//! *Nobody depends on being served.* Who leaves the lock without serving leaves it free, and then step 3 has it.

use std::sync::PoisonError;

use crossbeam_utils::CachePadded;

use super::sync::{AtomicBool, AtomicU64, Mutex, MutexGuard, Ordering};

/// Workers of higher numbers wait for the lock as everybody does.
const PLACES: usize = 64;

/// What lies at a worker's place.
#[derive(Debug)]
pub(super) enum Paper<Q, A> {
    Request(Q),
    Answer(A),
}

/// See the module's description. One worker has one request at a time.
#[derive(Debug)]
pub(super) struct Combining<Q, A> {
    asked: CachePadded<AtomicU64>,
    places: Vec<CachePadded<Place<Q, A>>>,
}

#[derive(Debug)]
struct Place<Q, A> {
    is_answered: AtomicBool,
    /// Never waited for: whose turn it is, the bit and `is_answered` tell.
    paper: Mutex<Option<Paper<Q, A>>>,
}

impl<Q, A> Combining<Q, A> {
    pub(super) fn new(workers: usize) -> Self {
        let place =
            || CachePadded::new(Place { is_answered: AtomicBool::new(false), paper: Mutex::new(None) });
        Self {
            asked: CachePadded::new(AtomicU64::new(0)),
            places: (0..workers.min(PLACES)).map(|_| place()).collect(),
        }
    }

    /// Whether the worker can ask.
    pub(super) fn has_place(&self, worker: usize) -> bool {
        worker < self.places.len()
    }

    /// Step 1 of who waits, who must have a place.
    pub(super) fn ask(&self, worker: usize, request: Q) {
        let Some(place) = self.places.get(worker) else { return };
        place.is_answered.store(false, Ordering::Relaxed);
        *place.paper() = Some(Paper::Request(request));
        self.asked.fetch_or(1 << worker, Ordering::Release);
    }

    pub(super) fn is_answered(&self, worker: usize) -> bool {
        self.places.get(worker).is_some_and(|place| place.is_answered.load(Ordering::Acquire))
    }

    /// The answer, after [`Combining::is_answered`].
    pub(super) fn take_answer(&self, worker: usize) -> Option<A> {
        match self.places.get(worker)?.paper().take()? {
            Paper::Answer(answer) => Some(answer),
            Paper::Request(_) => None,
        }
    }

    #[cfg(test)]
    pub(super) fn is_asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed) != 0
    }

    /// Step 3 of who waits. Under the lock.
    pub(super) fn take_back(&self, worker: usize) -> Option<Paper<Q, A>> {
        let place = self.places.get(worker)?;
        self.asked.fetch_and(!(1 << worker), Ordering::Relaxed);
        place.paper().take()
    }

    /// Steps 1 and 2 of who serves. Under the lock.
    pub(super) fn serve(&self, mut answer: impl FnMut(usize, Q) -> A) {
        // Mostly nobody has asked, and a look does not take the line from those who are about to.
        if self.asked.load(Ordering::Relaxed) == 0 {
            return;
        }
        let mut asked = self.asked.swap(0, Ordering::Acquire);
        while asked != 0 {
            let worker = asked.trailing_zeros() as usize;
            asked &= asked - 1;
            let Some(place) = self.places.get(worker) else { continue };
            let mut paper = place.paper();
            let Some(Paper::Request(request)) = paper.take() else { continue };
            *paper = Some(Paper::Answer(answer(worker, request)));
            drop(paper);
            place.is_answered.store(true, Ordering::Release);
        }
    }
}

impl<Q, A> Place<Q, A> {
    fn paper(&self) -> MutexGuard<'_, Option<Paper<Q, A>>> {
        self.paper.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
