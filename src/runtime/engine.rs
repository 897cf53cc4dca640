//! The engine: what the pool runs. It takes jobs from the pool, runs their handlers, and resolves every job.
//!
//! Everything that a job meets after its admission is here or below: the pool picks it, [`Engine::run`] runs its
//! handler, [`Engine::resolve`] gives it its outcome, counts it, logs it, and tells who waits for it.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use smallvec::SmallVec;

use super::breaking::Releases;
use super::crew::Crew;
use super::flight::{Flight, Running};
use super::handle::{JobShared, Stop};
use super::hooks::HookEntry;
use super::job::{Job, Pushed};
use super::numbered::Numbered;
use super::outcomes::{Subscribers, Told};
use super::retry::reason_to_leave;
use super::watchdog::Watchdog;
use crate::breaker::Pass;
use crate::dead_letters::DeadLetters;
use crate::handler::{Task, panic_text};
use crate::hook::Hook;
use crate::outcome::{Answer, Ending, Outcome, OutcomeKind, WaitSplit};
use crate::pool::{Finished, Host, Pool};
use crate::process::{Cancel, CancelLevel};
use crate::recording::Recorder;
use crate::scheduler::{Arrival, Dispatch, JobKey};
use crate::telemetry::{self, Telemetry};
use crate::time::{Clock, Time};

/// Called with every outcome, on the thread that resolves the job.
pub(super) type Observer = Box<dyn Fn(&Outcome) + Send + Sync>;

thread_local! {
    /// The pools in whose observers and handlers in Rust the thread is.
    static INSIDE: RefCell<Vec<usize>> = const { RefCell::new(Vec::new()) };
}

/// The calling thread is inside of somebody else's code, until this is dropped.
struct Inside;

impl Inside {
    fn enter(engine: &Engine) -> Self {
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
    observers: Vec<Observer>,
    pub(super) letters: DeadLetters,
    pub(super) recorder: Option<Recorder>,
    pub(super) subscribers: Subscribers,
    /// What each worker runs is stopped by its token.
    cancels: Vec<Mutex<Cancel>>,
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
        telemetry: Telemetry,
        observers: Vec<Observer>,
        (letters, recorder): (DeadLetters, Option<Recorder>),
    ) -> Arc<Self> {
        Arc::new_cyclic(|engine| Self {
            number: Numbered::new(Weak::clone(engine)),
            clock,
            telemetry,
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

    /// The token for the next run of a worker.
    fn fresh_cancel(&self, worker: usize) -> Cancel {
        let Some(slot) = self.cancels.get(worker) else { return Cancel::new() };
        let mut cancel = lock(slot);
        if cancel.is_cancelled() {
            *cancel = Cancel::new();
        }
        // Looked at under the lock that `stop_all` takes: this run sees the level, or that sees this token.
        if self.is_stopping() {
            cancel.cancel();
        }
        cancel.clone()
    }

    /// The jobs of a dispatch whose handler is about to run. Those that nobody wants any more get their outcome.
    fn start(
        &self,
        entry: &HookEntry,
        dispatch: Dispatch<Job>,
        (stop, now): (&Cancel, Time),
        pass: &Result<Option<Pass>, String>,
    ) -> Vec<Option<Running>> {
        let picked_as = dispatch.class;
        debug_assert_eq!(dispatch.hook, entry.record.slot, "hooks are numbered alike");
        let crew = (!dispatch.rest.is_empty()).then(|| Arc::new(Crew::new(stop.clone())));
        let mut running = Vec::with_capacity(1 + dispatch.rest.len());
        for picked in std::iter::once(dispatch.first).chain(dispatch.rest) {
            let (place, mut job) = picked.part();
            let class = job.shared.class;
            let is_first = job.is_new();
            let waited = job.has_waited(place.waited, || now);
            if let Err(why) = pass {
                self.turn_away(job, why);
                continue;
            }
            if is_first {
                entry.record.counters.started(class, job.kind(), waited.total());
            } else {
                entry.record.counters.restarted(class, job.kind());
            }
            // Who cancels one member of a batch does not stop the others.
            let stop = match &crew {
                None => Stop { cancel: stop.clone(), crew: None },
                Some(crew) => Stop { cancel: Cancel::new(), crew: Some((Arc::clone(crew), crew.add())) },
            };
            if !job.shared.start(stop.clone()) {
                stop.is_over();
                let reason = "it was stopped before its handler was started";
                self.end(job, true, Ending::new(OutcomeKind::Cancelled, reason));
                continue;
            }
            telemetry::started(&entry.hook, &job.shared.event, job.shared.id, class, picked_as, &waited);
            running.push(Some(Running { job, place, stop }));
        }
        if let Some(crew) = crew {
            crew.complete();
        }
        running
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
            let cancel = lock(cancel);
            if level == CancelLevel::Kill {
                cancel.kill();
            } else {
                cancel.cancel();
            }
        }
        self.watchdog.end(level);
    }

    /// Gives the job its outcome. `started`: it has been picked.
    pub(super) fn end(&self, mut job: Job, started: bool, ending: Ending) {
        let attempts = std::mem::take(job.attempts_mut());
        let waited = job.has_waited(WaitSplit::default(), || self.clock.now());
        let (kind, share) = (job.kind(), job.shared);
        let JobShared { id, class, .. } = **share;
        let entry = &*share.entry;
        entry.record.counters.resolved(class, kind, started, ending.kind, ending.run);
        entry.record.counters.waited(class, kind, &waited);
        self.record_end(id, started, &attempts, &ending);
        let outcome = Outcome {
            job: id,
            hook: entry.hook.name.clone(),
            event: share.event.clone(),
            class,
            kind: ending.kind,
            wait: waited.total(),
            waited_for: waited,
            attempts,
            run: ending.run,
            reason: ending.reason,
            hint: ending.hint,
            message: ending.message,
            verdict: ending.verdict,
            process: ending.process,
        };
        let outcome = Arc::new(outcome);
        share.tell(&outcome);
        telemetry::finished(&outcome, &entry.hook.redactor, &entry.record.complaints, self.clock);
        entry.record.recent.note(&outcome);
        self.letters.offer(&outcome, &entry.hook.redactor);
        let inside = Inside::enter(self);
        for observer in &self.observers {
            // An observer is the caller's code: its panic must not take a worker with it.
            if catch_unwind(AssertUnwindSafe(|| observer(&outcome))).is_err() {
                telemetry::observer_panicked(id);
            }
        }
        drop(inside);
        if self.subscribers.tell(&outcome) == Told::SomebodyIsSlow {
            telemetry::subscriber_is_slow();
        }
        share.resolve(outcome);
    }
}

impl Host for Engine {
    type Job = Job;
    type Pushed = Pushed;

    fn number(pushed: &Pushed) -> u64 {
        pushed.place()
    }

    fn arrival(&self, pushed: Pushed) -> Arrival<Job> {
        pushed.into_job().arrival()
    }

    fn run(&self, worker: usize, dispatch: Dispatch<Job>) -> Option<Finished<Job>> {
        let started = self.clock.now();
        let elapsed = || self.clock.now().since(started);
        let stop = self.fresh_cancel(worker);
        // Once: all workers and submitters count who uses a definition, at one place.
        let (run, entry) = (dispatch.run, Arc::clone(&dispatch.first.body.shared.entry));
        let pass = self.pass(&entry);
        let given = pass.as_ref().ok().copied().flatten();
        let flight = Arc::new(Flight::new(worker, run, entry, started, (stop, given)));
        let entry = &*flight.entry;
        // Whatever becomes of the dispatch: when it is over, it holds up no other one.
        let _releases = Releases(self, entry, given);
        let running = self.start(entry, dispatch, (&flight.stop, started), &pass);
        if running.is_empty() {
            return Some(Finished::after(elapsed()));
        }
        if entry.handler.takes_many() {
            entry.record.counters.dispatched(running.len());
        }
        // A job that has its outcome is gone, while the handler may look at its event.
        let views: SmallVec<[_; 1]> = running.iter().flatten().map(View::of).collect();
        flight.board(running);
        let is_watched = Cell::new(false);
        let watch = |timeout, alone| {
            let from = if is_watched.replace(true) { self.clock.now() } else { started };
            flight.gives(alone);
            self.watchdog.set(&flight, from + timeout);
        };
        let task = |view| View::task(view, &entry.hook, &flight.stop, &watch);
        let tasks: SmallVec<[_; 1]> = views.iter().map(task).collect();
        let done = |index: usize, mut ending: Ending| {
            // A second ending of a task, or one that comes too late, is nothing that anybody could use.
            let Some((running, _in_hand)) = flight.take(index) else { return false };
            ending = ending.redacted(&entry.hook.redactor);
            if ending.run.is_none() && ending.kind.has_run() {
                ending.run = Some(elapsed());
            }
            if let Some(again) = self.settle(entry, running, given, ending) {
                flight.runs_again(again);
            }
            true
        };
        let ran = {
            let _inside = entry.handler.is_rust().then(|| Inside::enter(self));
            let mut done = |index, ending| {
                done(index, ending);
            };
            catch_unwind(AssertUnwindSafe(|| entry.handler.run(&tasks, &mut done)))
        };
        let panic = ran.err().map(|panic| panic_text(&*panic));
        let mut repeats = false;
        for index in 0..tasks.len() {
            if flight.has_ended(index) {
                continue;
            }
            let ending = panic.as_deref().map_or_else(Ending::forgotten, Ending::panicked);
            repeats |= done(index, Ending { repeats, ..ending });
        }
        let landed = flight.land();
        // After it has landed nobody sets it aside.
        if is_watched.get() {
            self.watchdog.clear(&flight);
        }
        if let Some(again) = landed {
            return Some(Finished { elapsed: elapsed(), retries: self.still_wanted(again) });
        }
        self.overrunning.fetch_sub(1, Ordering::SeqCst);
        telemetry::came_back(&entry.hook, elapsed());
        None
    }

    fn resolve(&self, mut job: Job, outcome: OutcomeKind, waited: WaitSplit) {
        job.has_waited(waited, || self.clock.now());
        let reason = reason_to_leave(&job, outcome);
        self.end(job, false, Ending::new(outcome, reason));
    }

    fn placed(&self, job: &Job, key: JobKey) {
        job.shared.placed(key);
    }

    fn stop_running(&self) {
        self.stop_all(CancelLevel::Stop);
    }

    fn kill_running(&self) {
        self.stop_all(CancelLevel::Kill);
    }
}

/// What the handler sees of a job, and keeps seeing when that has its outcome.
struct View {
    job: Arc<JobShared>,
    attempt: u32,
    cancel: Cancel,
}

impl View {
    fn of(running: &Running) -> Self {
        let job = &running.job;
        Self { job: Arc::clone(&job.shared), attempt: job.attempt(), cancel: running.stop.cancel.clone() }
    }

    fn task<'a>(
        &'a self,
        hook: &'a Hook,
        stop: &'a Cancel,
        watch: &'a dyn Fn(Duration, Option<usize>),
    ) -> Task<'a> {
        Task {
            hook,
            event: &self.job.event,
            job: self.job.id,
            class: self.job.class,
            attempt: self.attempt,
            cancel: &self.cancel,
            stop,
            watch,
        }
    }
}

impl Ending {
    fn panicked(text: &str) -> Self {
        Self::from(Answer::panicked(text.to_owned()))
    }

    fn forgotten() -> Self {
        Self::new(OutcomeKind::Failed, "its handler ended without a word about it")
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
