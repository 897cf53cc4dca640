//! The engine: what the pool runs. It takes jobs from the pool, runs their handlers, and resolves every job.
//!
//! Everything that a job meets after its admission is here or below: the pool picks it, [`Engine::run`] runs its
//! handler (`run.rs`), and it leaves with its outcome (`leaving.rs`).

use std::cell::RefCell;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use super::accounts::Accounts;
use super::flight::Flights;
use super::job::{More, Pushed, Queued};
use super::leaving::Leaving;
use super::numbered::Numbered;
use super::outcomes::Subscribers;
use super::retry::reason_to_leave;
use super::station::Station;
use super::watchdog::Watchdog;
use crate::dead_letters::DeadLetters;
use crate::outcome::{Ending, Outcome};
use crate::pool::{Finished, Host, Pool};
use crate::process::{Cancel, CancelLevel};
use crate::recording::Recorder;
use crate::scheduler::{Arrival, Dispatch, JobKey, Resolved};
use crate::telemetry::Telemetry;
use crate::time::{Clock, Time};

/// Called with every outcome, on the thread that resolves the job.
pub(super) type Observer = Box<dyn Fn(&Outcome) + Send + Sync>;

thread_local! {
    /// The pools in whose observers and handlers in Rust the thread is.
    static INSIDE: RefCell<Vec<usize>> = const { RefCell::new(Vec::new()) };
}

/// The calling thread is inside of somebody else's code, until this is dropped.
pub(super) struct Inside;

impl Inside {
    pub(super) fn enter(engine: &Engine) -> Self {
        INSIDE.with_borrow_mut(|inside| inside.push(engine.identity()));
        Self
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        INSIDE.with_borrow_mut(Vec::pop);
    }
}

/// See the module's description.
pub(super) struct Engine {
    pub(super) number: Numbered,
    pub(super) clock: Clock,
    pub(super) telemetry: Telemetry,
    pub(super) accounts: Accounts,
    pub(super) observers: Vec<Observer>,
    pub(super) letters: DeadLetters,
    pub(super) recorder: Option<Recorder>,
    pub(super) subscribers: Subscribers,
    /// What each worker runs is stopped by its token; `None`: it has not begun.
    cancels: Vec<Mutex<Option<Cancel>>>,
    /// How what runs is to be stopped: a [`CancelLevel`] as a number.
    stopping: AtomicU8,
    /// Sees to it that handlers in Rust cost nobody else's time.
    pub(super) watchdog: Arc<Watchdog>,
    /// Threads that were replaced and have not come back.
    pub(super) overrunning: AtomicUsize,
    /// How many there may be.
    pub(super) max_overrun: AtomicUsize,
    /// Set once, right after the engine has been made: the engine is the pool's host.
    pub(super) pool: OnceLock<Weak<Pool<Self>>>,
}

impl Engine {
    pub(super) fn new(
        (workers, max_overrun): (usize, u16),
        clock: Clock,
        (telemetry, accounts): (Telemetry, Accounts),
        observers: Vec<Observer>,
        (letters, recorder): (DeadLetters, Option<Recorder>),
    ) -> Arc<Self> {
        Arc::new_cyclic(|engine| Self {
            number: Numbered::new(Weak::clone(engine)),
            clock,
            telemetry,
            accounts,
            observers,
            letters,
            recorder,
            subscribers: Subscribers::open(),
            cancels: (0..workers).map(|_| Mutex::default()).collect(),
            stopping: AtomicU8::new(CancelLevel::None as u8),
            watchdog: Watchdog::new(workers, clock),
            overrunning: AtomicUsize::new(0),
            max_overrun: AtomicUsize::new(max_overrun.into()),
            pool: OnceLock::new(),
        })
    }

    /// True inside of an observer or a handler in Rust of this pool: its job has no outcome before it returns, so who
    /// drains there would wait for itself.
    pub(super) fn is_inside(&self) -> bool {
        INSIDE.with_borrow(|inside| inside.contains(&self.identity()))
    }

    fn identity(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    pub(super) fn attach(&self, pool: &Arc<Pool<Self>>) {
        let _ = self.pool.set(Arc::downgrade(pool));
    }

    /// Cancels a job that waits. False: it does not wait (any more).
    pub(super) fn cancel_waiting(&self, key: impl FnOnce() -> Option<JobKey>) -> bool {
        self.pool.get().and_then(Weak::upgrade).is_some_and(|pool| pool.cancel(key))
    }

    /// A token for what the worker runs from now on.
    fn stop_for(&self, worker: usize) -> Cancel {
        let stop = Cancel::new();
        if let Some(slot) = self.cancels.get(worker) {
            *lock(slot) = Some(stop.clone());
        }
        stop
    }

    /// Sees to it that the worker's token stops its next run, and not before it is to be stopped.
    pub(super) fn prepare_stop(&self, station: &mut Station) {
        if station.stop.is_cancelled() {
            station.renew(self.stop_for(station.flights.worker));
        }
        // Looked at when the token can be found: this run sees the level, or who raises it finds this token.
        if self.is_stopping() {
            station.stop.cancel();
        }
    }

    pub(super) fn has_observers(&self) -> bool {
        !self.observers.is_empty()
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst) >= CancelLevel::Stop as u8
    }

    fn stop_all(&self, level: CancelLevel) {
        self.stopping.fetch_max(level as u8, Ordering::SeqCst);
        for cancel in &self.cancels {
            match &*lock(cancel) {
                Some(cancel) if level == CancelLevel::Kill => cancel.kill(),
                Some(cancel) => cancel.cancel(),
                None => {}
            }
        }
        self.watchdog.end(level);
    }
}

impl Host for Engine {
    type Job = Queued;
    type Pushed = Pushed;
    type Station = Station;

    fn number(pushed: &Pushed) -> u64 {
        pushed.place()
    }

    fn arrival(&self, pushed: Pushed) -> Arrival<Queued> {
        pushed.arrival()
    }

    fn station(&self, worker: usize) -> Station {
        let stop = self.stop_for(worker);
        let flights = Arc::new(Flights::new(worker, stop.clone()));
        self.watchdog.know(&flights);
        Station::new(flights, stop)
    }

    fn rests(&self, station: &mut Station) {
        station.clear();
    }

    fn run(
        &self,
        station: &mut Station,
        dispatch: Dispatch<Queued>,
        started: Time,
    ) -> Option<Finished<Queued>> {
        self.run_dispatch(station, dispatch, started)
    }

    fn resolve(&self, Resolved { body, admitted, outcome, waited, .. }: Resolved<Queued>) {
        let waited = || waited.until(self.clock.now().since(admitted));
        let (entry, leaving) = Leaving::of(body, |before| before.unwrap_or_else(waited));
        let reason = reason_to_leave(More::attempts(leaving.more.as_deref()), outcome);
        self.end(&entry, leaving, false, Ending::new(outcome, reason));
    }

    fn placed(&self, queued: &Queued, key: JobKey) {
        queued.job.placed(key);
    }

    fn is_unwanted(&self, queued: &Queued) -> bool {
        queued.job.is_unwanted()
    }

    fn stop_running(&self) {
        self.stop_all(CancelLevel::Stop);
    }

    fn kill_running(&self) {
        self.stop_all(CancelLevel::Kill);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").finish_non_exhaustive()
    }
}
