//! The watchdog: one thread that knows until when the handlers in Rust may run, and says when one is overdue.
//!
//! There is one only in pools with such handlers. It sleeps until the earliest deadline, and without one until there is
//! one; a worker that sets a deadline wakes it only if that is earlier than what it sleeps until. So a pool that is
//! idle wakes nobody, and one that is busy wakes it about once for each timeout.
//!
//! **No deadline is missed.** Workers set theirs each with its own flights, and look then until when the thread sleeps. The
//! thread first says that it sleeps for ever, then looks at the flights of all workers, one lock after the other, then says
//! until when it really sleeps, and goes to sleep under a lock that whoever wakes it takes. A worker that set its deadline
//! before the thread looked was seen there; one that did so afterwards sees "for ever" or what came later, and wakes it if
//! need be. So does one whose flights are new, and were not known when the thread looked.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::JoinHandle;

use super::engine::Engine;
use super::flight::{Aboard, Flights, Jobs};
use crate::process::CancelLevel;
use crate::time::{Clock, Time};

/// Later than any deadline.
const NEVER: Time = Time(u64::MAX);

/// See the module's description.
#[derive(Debug)]
pub(super) struct Watchdog {
    /// For each worker, the flights of its thread. One that is overdue and keeps its seat may last until [`NEVER`].
    workers: Vec<Mutex<Option<Arc<Flights>>>>,
    /// Until when the thread sleeps; 0 while it is awake and will look at all flights before it sleeps.
    asleep_until: AtomicU64,
    /// How the pool is ending: a [`CancelLevel`] as a number.
    ending: AtomicU8,
    closed: AtomicBool,
    /// Held by the thread from its look at the flights until it sleeps.
    looking: Mutex<()>,
    changed: Condvar,
    clock: Clock,
}

/// A flight whose time is over.
#[derive(Clone, Debug)]
pub(super) struct Overdue {
    pub(super) flights: Arc<Flights>,
    pub(super) number: u64,
}

impl Watchdog {
    pub(super) fn new(workers: usize, clock: Clock) -> Arc<Self> {
        Arc::new(Self {
            workers: (0..workers).map(|_| Mutex::default()).collect(),
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
        while let Some(overdue) = self.next() {
            let Some(engine) = engine.upgrade() else { break };
            apart.retain(|thread| !thread.is_finished());
            apart.extend(engine.overdue_apart(overdue));
        }
        for thread in apart {
            if thread.join().is_err() {
                tracing::error!("a thread that ends overdue jobs panicked");
            }
        }
    }

    /// Waits until a flight is overdue. `None`: there is nothing more to watch.
    fn next(&self) -> Option<Overdue> {
        let mut looking = lock(&self.looking);
        while !self.closed.load(Ordering::SeqCst) {
            self.asleep_until.store(NEVER.0, Ordering::SeqCst);
            let (earliest, flights) = self.earliest().unzip();
            let earliest = earliest.unwrap_or(NEVER);
            let left = self.clock.until(earliest);
            if left.is_zero()
                && let Some(flights) = flights
            {
                self.asleep_until.store(0, Ordering::SeqCst);
                // It may have landed meanwhile, and another one have followed it.
                match flights.overdue(earliest) {
                    Some(number) => return Some(Overdue { flights, number }),
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

    /// The earliest deadline of all.
    fn earliest(&self) -> Option<(Time, Arc<Flights>)> {
        let all = self.workers.iter().filter_map(|worker| lock(worker).clone());
        let watched = all.filter_map(|flights| flights.deadline().map(|until| (until, flights)));
        watched.min_by_key(|(until, _)| *until)
    }

    /// These are the flights of that worker from now on.
    pub(super) fn know(&self, flights: &Arc<Flights>) {
        let Some(worker) = self.workers.get(flights.worker) else { return };
        let before = lock(worker).replace(Arc::clone(flights));
        // Not under the lock: it may be the last to know a handler, whose end is somebody else's code.
        drop(before);
    }

    /// A flight begins, and may last until then, or, if the pool is ending, for its grace. `None`: it is not watched.
    /// Answers with what flew before.
    pub(super) fn take_off(
        &self,
        flights: &Flights,
        (aboard, jobs): (Aboard, Jobs),
        until: Option<Time>,
    ) -> Option<Aboard> {
        let mut deadline = None;
        // Under the lock: the end either finds this deadline there, or is seen here.
        let before = flights.take_off(aboard, jobs, |aboard| {
            deadline = until.map(|until| until.min(self.last(aboard)));
            deadline
        });
        if let Some(deadline) = deadline {
            self.look_until(deadline);
        }
        before
    }

    /// The handler has been given one of its jobs alone, until then.
    pub(super) fn gives(&self, flights: &Flights, alone: usize, until: Time) {
        let mut deadline = NEVER;
        flights.gives(alone, |aboard| {
            deadline = until.min(self.last(aboard));
            deadline
        });
        self.look_until(deadline);
    }

    /// An overdue flight keeps its seat, until it lands or the pool ends. False: it has landed. Then another one may
    /// have followed it, whose deadline must stay.
    pub(super) fn set_aside(&self, Overdue { flights, number }: &Overdue) -> bool {
        let mut last = NEVER;
        let is_aside = flights.set_aside(*number, |aboard| {
            last = self.last(aboard);
            last
        });
        self.look_until(last);
        is_aside
    }

    /// Wakes the thread if it sleeps longer.
    fn look_until(&self, deadline: Time) {
        if deadline.0 < self.asleep_until.load(Ordering::SeqCst) {
            self.wake();
        }
    }

    /// The pool ends: whatever flies has its grace, or nothing.
    pub(super) fn end(&self, level: CancelLevel) {
        self.ending.fetch_max(level as u8, Ordering::SeqCst);
        for worker in &self.workers {
            if let Some(flights) = lock(worker).clone() {
                flights.hasten(|aboard| self.last(aboard));
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
    fn last(&self, aboard: &Aboard) -> Time {
        let ending = self.ending.load(Ordering::SeqCst);
        if ending >= CancelLevel::Kill as u8 {
            self.clock.now()
        } else if ending >= CancelLevel::Stop as u8 {
            self.clock.now() + aboard.entry.hook.grace
        } else {
            NEVER
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
