//! The engine: what the pool runs. It takes jobs from the pool, runs their handlers, and resolves every job.
//!
//! Everything that a job meets after its admission is here or below: the pool picks it, [`Engine::run`] runs its
//! handler, [`Engine::resolve`] gives it its outcome, counts it, logs it, and tells who waits for it.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use super::job::Job;
use crate::event::Event;
use crate::handler::{Handler, Task, panic_text};
use crate::hook::Hook;
use crate::metrics::HookCounters;
use crate::outcome::{Answer, Ending, JobId, Outcome, OutcomeKind};
use crate::pool::{Finished, Host, Pool};
use crate::process::{Cancel, CancelLevel};
use crate::scheduler::{Dispatch, JobKey};
use crate::telemetry::{self, Limiter, Telemetry};
use crate::time::Clock;

/// Called with every outcome, on the thread that resolves the job.
pub(super) type Observer = Box<dyn Fn(&Outcome) + Send + Sync>;

thread_local! {
    static TELLING: Cell<bool> = const { Cell::new(false) };
}

/// True inside of an observer: the job that it is told of has no outcome before it returns, so who drains there would
/// wait for itself.
pub(super) fn is_telling() -> bool {
    TELLING.get()
}

/// See the module's description.
pub(super) struct Engine {
    pub(super) hooks: Vec<HookEntry>,
    pub(super) clock: Clock,
    pub(super) telemetry: Telemetry,
    /// Jobs that were dropped without an outcome.
    pub(super) lost: Arc<AtomicU64>,
    observers: Vec<Observer>,
    /// What each worker runs is stopped by its token.
    cancels: Vec<Mutex<Cancel>>,
    /// How what runs is to be stopped: a [`CancelLevel`] as a number.
    stopping: AtomicU8,
    /// Set once, right after the engine has been made: the engine is the pool's host.
    pool: OnceLock<Weak<Pool<Self>>>,
}

/// A hook with everything that belongs to it at run time. Its position is its number in the scheduler.
#[derive(Debug)]
pub(super) struct HookEntry {
    pub(super) hook: Arc<Hook>,
    pub(super) handler: Handler,
    pub(super) counters: HookCounters,
    /// Keeps a hook that always fails from flooding the log.
    pub(super) complaints: Limiter,
}

impl Engine {
    pub(super) fn new(
        hooks: Vec<HookEntry>,
        workers: usize,
        clock: Clock,
        telemetry: Telemetry,
        observers: Vec<Observer>,
    ) -> Self {
        Self {
            hooks,
            clock,
            telemetry,
            lost: Arc::default(),
            observers,
            cancels: (0..workers).map(|_| Mutex::default()).collect(),
            stopping: AtomicU8::new(CancelLevel::None as u8),
            pool: OnceLock::new(),
        }
    }

    pub(super) fn attach(&self, pool: &Arc<Pool<Self>>) {
        let _ = self.pool.set(Arc::downgrade(pool));
    }

    /// Cancels a job that waits. False: it does not wait (any more).
    pub(super) fn cancel_waiting(&self, key: impl FnOnce() -> Option<JobKey>) -> bool {
        self.pool.get().and_then(Weak::upgrade).is_some_and(|pool| pool.cancel(key))
    }

    fn entry(&self, job: &Job) -> &HookEntry {
        self.hooks.get(job.hook).expect("jobs are made for hooks of their engine")
    }

    /// The token for the next run of a worker.
    fn fresh_cancel(&self, worker: usize) -> Cancel {
        let Some(slot) = self.cancels.get(worker) else { return Cancel::new() };
        let mut cancel = lock(slot);
        if cancel.is_cancelled() {
            *cancel = Cancel::new();
        }
        // Looked at under the lock that `stop_all` takes: this run sees the level, or that sees this token.
        if self.stopping.load(Ordering::SeqCst) >= CancelLevel::Stop as u8 {
            cancel.cancel();
        }
        cancel.clone()
    }

    /// The jobs of a dispatch whose handler is about to run. Those that nobody wants any more get their outcome.
    fn start(&self, dispatch: Dispatch<Job>, stop: &Cancel) -> Vec<Option<Running<'_>>> {
        let picked_as = dispatch.class;
        debug_assert_eq!(dispatch.hook.0 as usize, dispatch.first.body.hook, "hooks are numbered alike");
        let runs_alone = dispatch.rest.is_empty();
        let mut running = Vec::with_capacity(1 + dispatch.rest.len());
        for picked in std::iter::once(dispatch.first).chain(dispatch.rest) {
            let job = picked.body;
            let entry = self.entry(&job);
            let wait = self.clock.now().since(job.admitted);
            entry.counters.started(job.class, wait);
            // Who cancels one member of a batch does not stop the others.
            let cancel = if runs_alone { stop.clone() } else { Cancel::new() };
            if !job.shared.start(cancel.clone()) {
                let reason = "it was stopped before its handler was started";
                self.end(job, true, wait, Ending::new(OutcomeKind::Cancelled, reason));
                continue;
            }
            telemetry::started(&entry.hook, &job.payload.event, job.id, job.class, picked_as, wait);
            running.push(Some(Running { entry, job, wait, cancel }));
        }
        running
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
    }

    /// Gives the job its outcome. `started`: it has been picked.
    fn end(&self, job: Job, started: bool, wait: std::time::Duration, ending: Ending) {
        let Job { id, hook: _, class, admitted: _, ref payload, .. } = job;
        let entry = self.entry(&job);
        entry.counters.resolved(class, started, ending.kind, ending.run);
        let outcome = Outcome {
            job: id,
            hook: entry.hook.name.clone(),
            event: payload.event.clone(),
            class,
            kind: ending.kind,
            wait,
            run: ending.run,
            reason: ending.reason,
            message: ending.message,
            verdict: ending.verdict,
            process: ending.process,
        };
        let outcome = Arc::new(outcome);
        job.shared.tell(&outcome);
        telemetry::finished(&outcome, &entry.complaints, self.clock.now());
        let outer = TELLING.replace(true);
        for observer in &self.observers {
            // An observer is the caller's code: its panic must not take a worker with it.
            if catch_unwind(AssertUnwindSafe(|| observer(&outcome))).is_err() {
                telemetry::observer_panicked(id);
            }
        }
        TELLING.set(outer);
        job.shared.resolve(outcome);
        job.duty.done();
    }
}

impl Host for Engine {
    type Job = Job;

    fn run(&self, worker: usize, dispatch: Dispatch<Job>) -> Finished<Job> {
        let started = self.clock.now();
        let stop = self.fresh_cancel(worker);
        let mut running = self.start(dispatch, &stop);
        let Some(Running { entry, .. }) = running.first().and_then(Option::as_ref) else {
            return Finished::after(self.clock.now().since(started));
        };
        let handler = &entry.handler;
        // A job that has its outcome is gone, while the handler may look at its event.
        let views: Vec<_> = running.iter().flatten().map(Running::view).collect();
        let tasks: Vec<_> = views.iter().map(|view| view.task(&stop)).collect();
        let mut done = |index: usize, mut ending: Ending| {
            // A second ending of the same task is nothing that anybody could use.
            let Some(Running { job, wait, .. }) = running.get_mut(index).and_then(Option::take) else {
                return;
            };
            if ending.run.is_none() && ending.kind.has_run() {
                ending.run = Some(self.clock.now().since(started));
            }
            self.end(job, true, wait, ending);
        };
        let run = catch_unwind(AssertUnwindSafe(|| handler.run(&tasks, &mut done)));
        let panic = run.err().map(|panic| panic_text(&*panic));
        for index in 0..tasks.len() {
            done(index, panic.as_deref().map_or_else(Ending::forgotten, Ending::panicked));
        }
        Finished::after(self.clock.now().since(started))
    }

    fn resolve(&self, job: Job, outcome: OutcomeKind) {
        let wait = self.clock.now().since(job.admitted);
        let reason = match outcome {
            OutcomeKind::Displaced => "it gave up its place to a more important job".to_owned(),
            OutcomeKind::Expired => "it waited longer than its max_wait".to_owned(),
            OutcomeKind::Abandoned => "it had not been started when the shutdown's deadline came".to_owned(),
            OutcomeKind::Cancelled => "it was cancelled while it waited".to_owned(),
            _ => String::new(),
        };
        self.end(job, false, wait, Ending::new(outcome, reason));
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

/// A job whose handler runs.
struct Running<'a> {
    entry: &'a HookEntry,
    job: Job,
    wait: std::time::Duration,
    cancel: Cancel,
}

/// What the handler sees of a job, and keeps seeing when that has its outcome.
struct View<'a> {
    hook: &'a Hook,
    event: Event,
    job: JobId,
    cancel: Cancel,
}

impl<'a> Running<'a> {
    fn view(&self) -> View<'a> {
        View {
            hook: &self.entry.hook,
            event: self.job.payload.event.clone(),
            job: self.job.id,
            cancel: self.cancel.clone(),
        }
    }
}

impl View<'_> {
    fn task<'b>(&'b self, stop: &'b Cancel) -> Task<'b> {
        Task { hook: self.hook, event: &self.event, job: self.job, attempt: 1, cancel: &self.cancel, stop }
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
        f.debug_struct("Engine").field("hooks", &self.hooks.len()).finish_non_exhaustive()
    }
}
