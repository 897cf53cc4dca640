//! Spare jobs: the memory of jobs that have ended, for those that come.
//!
//! A job is made on a thread that submits and ends on another one, which is what allocators are worst at: what one thread
//! gives back chunk by chunk another one has to find chunk by chunk, and every eighth submit waited for that. So it goes
//! back in magazines (Bonwick and Adams, "Magazines and Vmem", 2001). A thread fills and empties two of its own, and where
//! it would go to the allocator for one job it exchanges a whole one at the depot. And as the memory of a spare is in
//! another processor's cache, a submit [fetches](warm) that of a later one, while nobody waits for it.
//!
//! Invariant: a spare holds nothing but its memory, and nobody else has a reference to it. There are never more of them than
//! two magazines for each thread, and a depot full of magazines. A job that ends before its handle is dropped is none: then
//! the thread that drops the handle frees it, which mostly is the one that submits, and where the allocator is at its best.

use std::cell::RefCell;
use std::mem;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};

use crossbeam_queue::ArrayQueue;

use super::handle::{Admitted, JobShared};

/// Jobs of a magazine: so many that few submits are delayed by an exchange.
const ROUNDS: usize = 64;
/// Full magazines that the depot keeps. More of them would be colder ones.
const MAGAZINES: usize = 16;
/// How many submits before its use a spare is fetched.
const AHEAD: usize = 4;

static DEPOT: LazyLock<Depot> = LazyLock::new(Depot::new);
/// How many each thread has, by which they are counted.
static COUNTS: Mutex<Vec<Weak<AtomicUsize>>> = Mutex::new(Vec::new());

thread_local! {
    static OWN: RefCell<Own> = RefCell::new(Own::counted());
}

type Magazine = Vec<Arc<JobShared>>;

/// Where threads exchange magazines. Nobody waits here.
struct Depot {
    full: ArrayQueue<Magazine>,
    empty: ArrayQueue<Magazine>,
}

/// The two magazines of a thread.
struct Own {
    loaded: Magazine,
    previous: Magazine,
    /// How many jobs are in both.
    count: Arc<AtomicUsize>,
}

/// A job in the place of a spare one, if there is any.
pub(super) fn job(admitted: Admitted) -> Arc<JobShared> {
    // A thread that ends has none any more.
    let spare = OWN.try_with(|own| own.borrow_mut().take(&DEPOT)).ok().flatten();
    let Some(mut spare) = spare else { return Arc::new(JobShared::new(admitted)) };
    Arc::get_mut(&mut spare).expect("nobody else has a spare").fill(admitted);
    spare
}

/// Keeps the memory of a job that has ended, unless somebody has a handle on it.
pub(super) fn keep(mut job: Arc<JobShared>) {
    if let Some(place) = Arc::get_mut(&mut job) {
        place.empty();
        // On a thread that ends it goes to the allocator.
        let _ = OWN.try_with(|own| own.borrow_mut().keep(job, &DEPOT));
    }
}

/// Has the memory of a spare in the cache by the time when this thread needs it.
pub(super) fn warm() {
    let _ = OWN.try_with(|own| {
        if let Some(spare) = own.borrow().loaded.iter().nth_back(AHEAD - 1) {
            spare.warm();
        }
    });
}

/// Blocks and bytes that are kept, but for the threads' own magazines themselves. Exact while no job begins or ends.
pub(crate) fn kept() -> (usize, usize) {
    let counts = COUNTS.lock().unwrap_or_else(PoisonError::into_inner);
    let own = counts.iter().filter_map(Weak::upgrade).map(|count| count.load(Ordering::Relaxed));
    let jobs = own.sum::<usize>() + DEPOT.full.len() * ROUNDS;
    let magazines = DEPOT.full.len() + DEPOT.empty.len();
    // A job is behind its two counts of references.
    let job = 2 * size_of::<AtomicUsize>() + size_of::<JobShared>();
    (jobs + magazines, jobs * job + magazines * ROUNDS * size_of::<Arc<JobShared>>())
}

impl Depot {
    fn new() -> Self {
        Self { full: ArrayQueue::new(MAGAZINES), empty: ArrayQueue::new(MAGAZINES) }
    }
}

impl Own {
    fn new() -> Self {
        Self { loaded: Vec::new(), previous: Vec::new(), count: Arc::default() }
    }

    /// Of a thread.
    fn counted() -> Self {
        let own = Self::new();
        let mut counts = COUNTS.lock().unwrap_or_else(PoisonError::into_inner);
        // Of threads that have ended.
        counts.retain(|count| count.strong_count() > 0);
        counts.push(Arc::downgrade(&own.count));
        drop(counts);
        own
    }

    fn note_count(&self) {
        self.count.store(self.loaded.len() + self.previous.len(), Ordering::Relaxed);
    }

    fn take(&mut self, depot: &Depot) -> Option<Arc<JobShared>> {
        if self.loaded.is_empty() {
            mem::swap(&mut self.loaded, &mut self.previous);
        }
        // A pop of an empty queue costs a fence, and a submit that finds no spare is a common one.
        if self.loaded.is_empty()
            && !depot.full.is_empty()
            && let Some(full) = depot.full.pop()
        {
            let empty = mem::replace(&mut self.loaded, full);
            // A thread begins with none. Beyond what the depot takes it goes to the allocator, here and below.
            if empty.capacity() > 0 {
                let _ = depot.empty.push(empty);
            }
        }
        let spare = self.loaded.pop();
        self.note_count();
        spare
    }

    fn keep(&mut self, spare: Arc<JobShared>, depot: &Depot) {
        if self.loaded.len() >= ROUNDS {
            mem::swap(&mut self.loaded, &mut self.previous);
        }
        if self.loaded.len() >= ROUNDS {
            let empty = depot.empty.pop().unwrap_or_else(|| Vec::with_capacity(ROUNDS));
            let _ = depot.full.push(mem::replace(&mut self.loaded, empty));
        }
        self.loaded.push(spare);
        self.note_count();
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::thread;

    use super::super::handle::tests::admitted;
    use super::*;
    use crate::outcome::JobId;

    fn spare() -> Arc<JobShared> {
        let mut job = Arc::new(JobShared::new(admitted(0)));
        Arc::get_mut(&mut job).unwrap().empty();
        job
    }

    fn take_all(own: &mut Own, depot: &Depot) -> HashSet<*const JobShared> {
        // Kept until the end, so that no address comes twice.
        let all: Vec<_> = std::iter::from_fn(|| own.take(depot)).collect();
        all.iter().map(Arc::as_ptr).collect()
    }

    #[test]
    fn a_job_has_the_memory_of_the_last_one_that_ended_on_its_thread_and_nothing_else_of_it() {
        thread::spawn(|| {
            let first = Arc::new(JobShared::new(admitted(1)));
            let place = Arc::as_ptr(&first);
            keep(first);
            let second = job(admitted(2));
            assert_eq!(Arc::as_ptr(&second), place);
            assert_eq!((second.id, second.event().name()), (JobId(2), "number 2"));
        })
        .join()
        .unwrap();
    }

    #[test]
    fn a_job_that_somebody_has_a_handle_on_is_no_spare() {
        thread::spawn(|| {
            let job = Arc::new(JobShared::new(admitted(1)));
            keep(Arc::clone(&job));
            assert_eq!(job.event().name(), "number 1");
            assert!(OWN.with_borrow(|own| own.loaded.is_empty()));
        })
        .join()
        .unwrap();
    }

    /// A thread on which jobs end, and one that submits.
    #[test]
    fn what_one_thread_has_too_many_of_another_one_uses() {
        let depot = Depot::new();
        let (mut ends, mut submits) = (Own::new(), Own::new());
        let spares: Vec<_> = (0..5 * ROUNDS).map(|_| spare()).collect();
        let places: HashSet<_> = spares.iter().map(Arc::as_ptr).collect();
        for spare in spares {
            ends.keep(spare, &depot);
        }
        assert_eq!((ends.loaded.len(), ends.previous.len(), depot.full.len()), (ROUNDS, ROUNDS, 3));
        let found = take_all(&mut submits, &depot);
        assert_eq!(found.len(), 3 * ROUNDS);
        let own = take_all(&mut ends, &depot);
        assert_eq!(own.len(), 2 * ROUNDS);
        assert_eq!(&found | &own, places);
    }

    #[test]
    fn a_thread_that_submits_what_ends_on_it_has_no_use_for_the_depot() {
        let depot = Depot::new();
        let mut own = Own::new();
        (0..ROUNDS).for_each(|_| own.keep(spare(), &depot));
        for _ in 0..ROUNDS {
            own.keep(spare(), &depot);
            (0..ROUNDS).for_each(|_| drop(own.take(&depot).unwrap()));
            (0..ROUNDS - 1).for_each(|_| own.keep(spare(), &depot));
        }
        assert!(depot.full.is_empty() && depot.empty.is_empty());
    }

    #[test]
    fn there_are_no_more_spares_than_two_magazines_and_a_full_depot() {
        let depot = Depot::new();
        let mut ends = Own::new();
        (0..(MAGAZINES + 5) * ROUNDS).for_each(|_| ends.keep(spare(), &depot));
        assert_eq!(take_all(&mut ends, &depot).len(), (MAGAZINES + 2) * ROUNDS);
        assert!(depot.full.is_empty());
        assert!(depot.empty.pop().is_some_and(|magazine| magazine.capacity() >= ROUNDS), "it is used again");
    }
}
