//! The watchdog: one thread that knows until when the handlers in Rust may run, and says when one is overdue.
//!
//! There is one only in pools with such handlers. It sleeps until the earliest deadline, and without one until there is
//! one; a worker that sets a deadline wakes it only if that is earlier than what it sleeps until. So a pool that is
//! idle wakes nobody, and one that is busy wakes it about once for each timeout.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::JoinHandle;

use super::engine::Engine;
use super::flight::Flight;
use crate::process::CancelLevel;
use crate::time::{Clock, Time};

/// Later than any deadline.
const NEVER: Time = Time(u64::MAX);

/// See the module's description.
#[derive(Debug)]
pub(super) struct Watchdog {
    state: Mutex<State>,
    changed: Condvar,
    clock: Clock,
}

#[derive(Debug)]
struct State {
    /// For each worker, what it runs and until when. One that is overdue and keeps its seat is here until [`NEVER`].
    watched: Vec<Option<(Time, Arc<Flight>)>>,
    asleep_until: Time,
    /// How the pool is ending.
    ending: CancelLevel,
    closed: bool,
}

impl Watchdog {
    pub(super) fn new(workers: usize, clock: Clock) -> Arc<Self> {
        let state = State {
            watched: (0..workers).map(|_| None).collect(),
            asleep_until: Time(0),
            ending: CancelLevel::None,
            closed: false,
        };
        Arc::new(Self { state: Mutex::new(state), changed: Condvar::new(), clock })
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
        let mut state = self.lock();
        loop {
            if state.closed {
                return None;
            }
            let of = |slot: &Option<(Time, _)>| slot.as_ref().map(|(deadline, _)| *deadline);
            let earliest = state.watched.iter().filter_map(of).min().unwrap_or(NEVER);
            let left = self.clock.until(earliest);
            if left.is_zero() {
                let due = state.watched.iter_mut().find(|slot| of(slot) == Some(earliest));
                return due.and_then(Option::take).map(|(_, flight)| flight);
            }
            state.asleep_until = earliest;
            state = if earliest == NEVER {
                self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
            } else {
                self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0
            };
            // Awake, it looks at everything: nobody need wake it.
            state.asleep_until = Time(0);
        }
    }

    /// The flight may last until then, or, if the pool is ending, for its grace.
    pub(super) fn set(&self, flight: &Arc<Flight>, deadline: Time) {
        let state = self.lock();
        // Its worker's number may be somebody else's.
        if !flight.was_given_away() {
            self.put(state, flight, deadline);
        }
    }

    /// An overdue flight keeps its seat, until it lands or the pool ends. False: it has landed. Then another one may
    /// have followed it, whose deadline must stay.
    pub(super) fn set_aside(&self, flight: &Arc<Flight>) -> bool {
        let state = self.lock();
        let is_overdue = flight.is_overdue();
        if is_overdue {
            self.put(state, flight, NEVER);
        }
        is_overdue
    }

    fn put(&self, mut state: MutexGuard<'_, State>, flight: &Arc<Flight>, deadline: Time) {
        let deadline = deadline.min(self.last(flight, state.ending));
        if let Some(slot) = state.watched.get_mut(flight.worker) {
            *slot = Some((deadline, Arc::clone(flight)));
        }
        self.wake_for(deadline, &state);
    }

    /// The flight has landed, and is not set aside any more.
    pub(super) fn clear(&self, flight: &Flight) {
        let mut state = self.lock();
        let is_it = |slot: &Option<(Time, Arc<Flight>)>| {
            slot.as_ref().is_some_and(|(_, watched)| std::ptr::eq(&raw const **watched, flight))
        };
        if let Some(slot) = state.watched.get_mut(flight.worker).filter(|slot| is_it(slot)) {
            *slot = None;
        }
    }

    /// The pool ends: whatever flies has its grace, or nothing.
    pub(super) fn end(&self, level: CancelLevel) {
        let mut state = self.lock();
        state.ending = state.ending.max(level);
        let ending = state.ending;
        for (deadline, flight) in state.watched.iter_mut().flatten() {
            *deadline = (*deadline).min(self.last(flight, ending));
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Ends the thread.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    /// Until when the flight may last at most.
    fn last(&self, flight: &Flight, ending: CancelLevel) -> Time {
        match ending {
            CancelLevel::None => NEVER,
            CancelLevel::Stop => self.clock.now() + flight.entry.hook.grace,
            CancelLevel::Kill => self.clock.now(),
        }
    }

    fn wake_for(&self, deadline: Time, state: &MutexGuard<'_, State>) {
        if deadline < state.asleep_until {
            self.changed.notify_all();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
