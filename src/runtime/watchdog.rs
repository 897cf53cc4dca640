//! The watchdog: one thread that knows until when the handlers in Rust may run, and says when one is overdue.
//!
//! There is one only in pools with such handlers. It sleeps until the earliest deadline, and without one until there is
//! one; a worker that sets a deadline wakes it only if that is earlier than what it sleeps until. So a pool that is
//! idle wakes nobody, and one that is busy wakes it about once for each timeout.
//!
//! **No deadline is missed.** Workers set theirs each at its own place, and look then until when the thread sleeps. The
//! thread first says that it sleeps for ever, then looks at all places, one lock after the other, then says until when it
//! really sleeps, and goes to sleep under a lock that whoever wakes it takes. A worker that came to its place before the
//! thread was seen there; one that came after the thread sees "for ever" or what came later, and wakes it if need be.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::JoinHandle;

use crossbeam_utils::CachePadded;

use super::engine::Engine;
use super::flight::Flight;
use crate::process::CancelLevel;
use crate::time::{Clock, Time};

/// Later than any deadline.
const NEVER: Time = Time(u64::MAX);

/// See the module's description.
#[derive(Debug)]
pub(super) struct Watchdog {
    /// For each worker, what it runs and until when. One that is overdue and keeps its seat is here until [`NEVER`].
    /// Padded: each run of a worker changes its own twice.
    places: Vec<CachePadded<Mutex<Option<Watched>>>>,
    /// Until when the thread sleeps; 0 while it is awake and will look at all places before it sleeps.
    asleep_until: AtomicU64,
    /// How the pool is ending: a [`CancelLevel`] as a number.
    ending: AtomicU8,
    closed: AtomicBool,
    /// Held by the thread from its look at the places until it sleeps.
    looking: Mutex<()>,
    changed: Condvar,
    clock: Clock,
}

type Watched = (Time, Arc<Flight>);

impl Watchdog {
    pub(super) fn new(workers: usize, clock: Clock) -> Arc<Self> {
        Arc::new(Self {
            places: (0..workers).map(|_| CachePadded::default()).collect(),
            asleep_until: AtomicU64::new(0),
            ending: AtomicU8::new(CancelLevel::None as u8),
            closed: AtomicBool::new(false),
            looking: Mutex::default(),
            changed: Condvar::new(),
            clock,
        })
    }

    /// Starts the thread.
    pub(super) fn start(self: &Arc<Self>, engine: &Arc<Engine>) -> std::io::Result<JoinHandle<()>> {
        let (watchdog, engine) = (Arc::clone(self), Arc::downgrade(engine));
        let thread = std::thread::Builder::new().name("hookpool-watchdog".to_owned());
        thread.spawn(move || watchdog.watch(&engine))
    }

    fn watch(&self, engine: &Weak<Engine>) {
        let mut apart: Vec<JoinHandle<()>> = Vec::new();
        while let Some(flight) = self.next() {
            let Some(engine) = engine.upgrade() else { break };
            apart.retain(|thread| !thread.is_finished());
            apart.extend(engine.overdue_apart(&flight));
        }
        for thread in apart {
            if thread.join().is_err() {
                tracing::error!("a thread that ends overdue jobs panicked");
            }
        }
    }

    /// Waits until a flight is overdue. `None`: there is nothing more to watch.
    fn next(&self) -> Option<Arc<Flight>> {
        let mut looking = lock(&self.looking);
        while !self.closed.load(Ordering::SeqCst) {
            self.asleep_until.store(NEVER.0, Ordering::SeqCst);
            let places =
                self.places.iter().map(|place| (place, lock(place).as_ref().map_or(NEVER, |set| set.0)));
            let (place, earliest) = places.min_by_key(|(_, deadline)| *deadline)?;
            let left = self.clock.until(earliest);
            if left.is_zero() {
                self.asleep_until.store(0, Ordering::SeqCst);
                // Its flight may have landed meanwhile, and another one have followed it.
                match lock(place).take_if(|set| set.0 <= earliest) {
                    Some((_, flight)) => return Some(flight),
                    None => continue,
                }
            }
            self.asleep_until.store(earliest.0, Ordering::SeqCst);
            looking = if earliest == NEVER {
                self.changed.wait(looking).unwrap_or_else(PoisonError::into_inner)
            } else {
                self.changed.wait_timeout(looking, left).unwrap_or_else(PoisonError::into_inner).0
            };
            // Awake, it looks at everything: nobody need wake it.
            self.asleep_until.store(0, Ordering::SeqCst);
        }
        None
    }

    /// The flight may last until then, or, if the pool is ending, for its grace. For the first time: later, see
    /// [`Watchdog::set_again`].
    pub(super) fn set(&self, flight: &Arc<Flight>, deadline: Time) {
        if let Some(place) = self.place_of(flight) {
            self.put(place, flight, deadline);
        }
    }

    /// The same, unless its place has been given away: its worker's number may be somebody else's.
    pub(super) fn set_again(&self, flight: &Arc<Flight>, deadline: Time) {
        if let Some(place) = self.place_of(flight)
            && !flight.was_given_away()
        {
            self.put(place, flight, deadline);
        }
    }

    /// An overdue flight keeps its seat, until it lands or the pool ends. False: it has landed. Then another one may
    /// have followed it, whose deadline must stay.
    pub(super) fn set_aside(&self, flight: &Arc<Flight>) -> bool {
        let Some(place) = self.place_of(flight) else { return flight.is_overdue() };
        let is_overdue = flight.is_overdue();
        if is_overdue {
            self.put(place, flight, NEVER);
        }
        is_overdue
    }

    fn place_of(&self, flight: &Flight) -> Option<MutexGuard<'_, Option<Watched>>> {
        self.places.get(flight.worker).map(|place| lock(place))
    }

    fn put(&self, mut place: MutexGuard<'_, Option<Watched>>, flight: &Arc<Flight>, deadline: Time) {
        // Under the lock of the place: the end either finds this deadline there, or is seen here.
        let deadline = deadline.min(self.last(flight));
        let before = place.replace((deadline, Arc::clone(flight)));
        drop(place);
        drop(before);
        if deadline.0 < self.asleep_until.load(Ordering::SeqCst) {
            self.wake();
        }
    }

    /// The flight has landed, and is not set aside any more.
    pub(super) fn clear(&self, flight: &Flight) {
        let Some(mut place) = self.place_of(flight) else { return };
        let watched = place.take_if(|(_, watched)| std::ptr::eq(&raw const **watched, flight));
        drop(place);
        drop(watched);
    }

    /// The pool ends: whatever flies has its grace, or nothing.
    pub(super) fn end(&self, level: CancelLevel) {
        self.ending.fetch_max(level as u8, Ordering::SeqCst);
        for place in &self.places {
            if let Some((deadline, flight)) = &mut *lock(place) {
                *deadline = (*deadline).min(self.last(flight));
            }
        }
        self.wake();
    }

    /// Ends the thread.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        self.wake();
    }

    fn wake(&self) {
        drop(lock(&self.looking));
        self.changed.notify_all();
    }

    /// Until when the flight may last at most.
    fn last(&self, flight: &Flight) -> Time {
        let ending = self.ending.load(Ordering::SeqCst);
        if ending >= CancelLevel::Kill as u8 {
            self.clock.now()
        } else if ending >= CancelLevel::Stop as u8 {
            self.clock.now() + flight.entry.hook.grace
        } else {
            NEVER
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
