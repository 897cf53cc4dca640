//! Test hosts: jobs with a scripted behaviour, a trail of what started and ended, and a ledger.
//!
//! A job carries a [`Ticket`] that must be resolved exactly once; dropping it unresolved is recorded, and so is a second
//! resolution. [`Gate`]s hold a job where the test wants it. A [`Shell`] is what the same scripts can be run on.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use crate::class::PriorityClass;
use crate::outcome::{OutcomeKind, Refusal};
use crate::pool::admission::{Admission, LANE_MAX};
use crate::pool::drain::Remainder;
use crate::pool::{Finished, Host, Pool, Reserved};
use crate::scheduler::{
    Arrival, BatchParams, Batching, CoreParams, Dispatch, HookParams, HookSlot, JobKey, Resolved, Retry,
};
use crate::time::{Clock, Time};

/// Longer than anything here takes on the slowest machine: who waits so long waits for what will not come.
pub(super) const LIMIT: Duration = Duration::from_mins(if cfg!(miri) { 60 } else { 1 });

/// Holds jobs until the test lets them go.
#[derive(Debug, Default)]
pub(super) struct Gate {
    /// Arrived so far; open.
    state: Mutex<(usize, bool)>,
    changed: Condvar,
}

impl Gate {
    pub(super) fn closed() -> Arc<Self> {
        Arc::default()
    }

    pub(super) fn pass(&self) {
        let mut state = self.state.lock().unwrap();
        state.0 += 1;
        self.changed.notify_all();
        while !state.1 {
            state = self.changed.wait(state).unwrap();
        }
    }

    pub(super) fn open(&self) {
        self.state.lock().unwrap().1 = true;
        self.changed.notify_all();
    }

    pub(super) fn await_arrivals(&self, n: usize) {
        let state = self.state.lock().unwrap();
        let (_state, timeout) = self.changed.wait_timeout_while(state, LIMIT, |state| state.0 < n).unwrap();
        assert!(!timeout.timed_out(), "{n} jobs never reached the gate");
    }
}

/// What a job does when it runs.
pub(super) enum Script {
    Nothing,
    Gate(Arc<Gate>),
    /// Waits for `stop_running`, and says that it was cancelled.
    UntilStopped,
    /// Waits for `stop_running`, and wants to run again.
    RetryWhenStopped,
    /// Fails that often, and wants to run again after that time.
    Retry(u32, Duration),
    /// Fails once, and at its retry after that time waits at the gate.
    RetryAtGate(Option<Duration>, Arc<Gate>),
    Panic,
    Call(Box<dyn Fn(&TestHost) + Send + Sync>),
}

/// A job before it is admitted.
pub(super) struct Spec {
    pub(super) id: u32,
    pub(super) hook: u32,
    pub(super) class: PriorityClass,
    pub(super) session: Option<u64>,
    pub(super) max_wait: Option<Duration>,
    pub(super) batch: Option<BatchParams>,
    pub(super) script: Script,
}

impl Spec {
    pub(super) fn new(id: u32, class: PriorityClass) -> Self {
        Self { id, hook: 0, class, session: None, max_wait: None, batch: None, script: Script::Nothing }
    }

    pub(super) fn session(self, session: u64) -> Self {
        Self { session: Some(session), ..self }
    }

    pub(super) fn max_wait(self, max_wait: Duration) -> Self {
        Self { max_wait: Some(max_wait), ..self }
    }

    pub(super) fn script(self, script: Script) -> Self {
        Self { script, ..self }
    }

    pub(super) fn at(self, gate: &Arc<Gate>) -> Self {
        self.script(Script::Gate(Arc::clone(gate)))
    }
}

/// What the host needs to know of a job.
pub(super) struct Job {
    pub(super) id: u32,
    script: Script,
    ticket: Ticket,
    hook: u32,
    class: PriorityClass,
    session: Option<u64>,
    batching: Option<Batching>,
    admitted: Time,
    max_wait: Option<Duration>,
    /// Of its place.
    number: u64,
}

impl Job {
    /// It was never admitted, so nobody owes it an outcome.
    pub(super) fn forgo(mut self) {
        self.ticket.resolved = true;
    }
}

/// The duty to resolve a job.
struct Ticket {
    id: u32,
    seen: Arc<Seen>,
    resolved: bool,
}

impl Ticket {
    fn resolve(&mut self, outcome: OutcomeKind) {
        assert!(!std::mem::replace(&mut self.resolved, true), "job {} is resolved twice", self.id);
        self.seen.lock().outcomes.push((self.id, outcome));
        self.seen.changed.notify_all();
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if !self.resolved {
            let panics = std::thread::panicking();
            let mut log = self.seen.lock();
            if panics {
                log.outcomes.push((self.id, OutcomeKind::Panicked));
            } else {
                log.lost.push(self.id);
            }
            drop(log);
            self.seen.changed.notify_all();
        }
    }
}

/// A step on the trail of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Mark {
    Start(u32),
    End(u32),
}

#[derive(Default)]
struct Seen {
    log: Mutex<Log>,
    changed: Condvar,
}

#[derive(Debug, Default)]
pub(super) struct Log {
    pub(super) outcomes: Vec<(u32, OutcomeKind)>,
    pub(super) trail: Vec<Mark>,
    /// Jobs that were dropped without an outcome.
    pub(super) lost: Vec<u32>,
    /// How often each job was said to wait in the core.
    placed: HashMap<u32, (u32, JobKey)>,
    /// Those that were cancelled while they were not in the core.
    pub(super) unwanted: Vec<u32>,
    stopping: bool,
}

impl Seen {
    fn lock(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap()
    }
}

pub(super) struct TestHost {
    seen: Arc<Seen>,
    clock: Clock,
    /// Holds who tells of a job that left.
    pub(super) resolve_gate: Mutex<Option<Arc<Gate>>>,
    /// Keeps the trail; off where millions of jobs run.
    pub(super) keeps_trail: AtomicBool,
}

impl TestHost {
    pub(super) fn new(clock: Clock) -> Arc<Self> {
        Arc::new(Self {
            seen: Arc::default(),
            clock,
            resolve_gate: Mutex::default(),
            keeps_trail: AtomicBool::new(true),
        })
    }

    pub(super) fn job(&self, spec: Spec) -> Job {
        let Spec { id, hook, class, session, max_wait, batch, script } = spec;
        let ticket = Ticket { id, seen: Arc::clone(&self.seen), resolved: false };
        let batching = batch.map(|bounds| Batching { definition: 0, key: 0, bounds });
        let admitted = self.clock.now();
        Job { id, script, ticket, hook, class, session, batching, admitted, max_wait, number: 0 }
    }

    pub(super) fn log(&self) -> MutexGuard<'_, Log> {
        self.seen.lock()
    }

    /// Waits until the log is so. Fails with the log.
    pub(super) fn wait(&self, what: &str, is_so: impl Fn(&Log) -> bool) {
        let log = self.seen.lock();
        let (log, timeout) = self.seen.changed.wait_timeout_while(log, LIMIT, |log| !is_so(log)).unwrap();
        if timeout.timed_out() {
            let tail: Vec<_> = log.trail.iter().rev().take(20).collect();
            panic!("{what}: never. {} outcomes, lost {:?}, last {tail:?}", log.outcomes.len(), log.lost);
        }
    }

    pub(super) fn await_outcomes(&self, n: usize) {
        self.wait(&format!("{n} outcomes"), |log| log.outcomes.len() >= n);
    }

    pub(super) fn await_outcome(&self, id: u32) -> OutcomeKind {
        self.wait(&format!("the outcome of {id}"), |log| log.outcomes.iter().any(|(other, _)| *other == id));
        self.outcome(id).unwrap()
    }

    pub(super) fn outcome(&self, id: u32) -> Option<OutcomeKind> {
        self.log().outcomes.iter().find(|(other, _)| *other == id).map(|(_, outcome)| *outcome)
    }

    pub(super) fn await_placed(&self, id: u32, times: u32) {
        self.wait(&format!("{id} placed"), |log| log.placed.get(&id).is_some_and(|(n, _)| *n >= times));
    }

    pub(super) fn key(&self, id: u32) -> Option<JobKey> {
        self.log().placed.get(&id).map(|(_, key)| *key)
    }

    /// In the order in which they started.
    pub(super) fn starts(&self) -> Vec<u32> {
        let is_start = |mark: &Mark| match mark {
            Mark::Start(id) => Some(*id),
            Mark::End(_) => None,
        };
        self.log().trail.iter().filter_map(is_start).collect()
    }

    /// Every admitted job has exactly one outcome. (A second one panics where it happens.)
    pub(super) fn assert_balanced(&self, admitted: usize) {
        let log = self.log();
        assert_eq!(log.lost, [] as [u32; 0], "every job has an outcome");
        assert_eq!(log.outcomes.len(), admitted, "as many outcomes as jobs");
    }

    pub(super) fn count(&self, outcome: OutcomeKind) -> usize {
        self.log().outcomes.iter().filter(|(_, other)| *other == outcome).count()
    }

    fn mark(&self, mark: Mark) {
        if self.keeps_trail.load(Ordering::Relaxed) {
            self.seen.lock().trail.push(mark);
            self.seen.changed.notify_all();
        }
    }

    fn await_stop(&self) {
        let mut log = self.seen.lock();
        while !log.stopping {
            log = self.seen.changed.wait(log).unwrap();
        }
    }

    /// The outcome, or the time at which it shall run again.
    fn play(&self, script: &mut Script) -> Result<OutcomeKind, Time> {
        match script {
            Script::Nothing | Script::Retry(0, _) => {}
            Script::Gate(gate) => gate.pass(),
            Script::UntilStopped => {
                self.await_stop();
                return Ok(OutcomeKind::Cancelled);
            }
            Script::RetryWhenStopped => {
                self.await_stop();
                return Err(self.clock.now());
            }
            Script::Retry(times, delay) => {
                *times -= 1;
                return Err(self.clock.now() + *delay);
            }
            Script::RetryAtGate(delay, gate) => match delay.take() {
                Some(delay) => return Err(self.clock.now() + delay),
                None => gate.pass(),
            },
            Script::Panic => std::panic::resume_unwind(Box::new("as the script says")),
            Script::Call(call) => call(self),
        }
        Ok(OutcomeKind::Succeeded)
    }
}

impl Host for TestHost {
    type Job = Job;
    type Pushed = Job;
    type Station = ();

    fn number(job: &Job) -> u64 {
        job.number
    }

    fn arrival(&self, job: Job) -> Arrival<Job> {
        Arrival {
            hook: HookSlot(job.hook),
            class: job.class,
            session: job.session,
            batching: job.batching,
            bytes: 1,
            admitted: job.admitted,
            max_wait: job.max_wait,
            body: job,
        }
    }

    fn station(&self, _worker: usize) {}

    fn rests(&self, (): &mut ()) {}

    fn run(&self, (): &mut (), dispatch: Dispatch<Job>, now: Time) -> Option<Finished<Job>> {
        assert!(dispatch.first.admitted <= now, "it is picked before it was admitted");
        let mut finished = Finished::after(Duration::from_micros(1));
        for mut picked in std::iter::once(dispatch.first).chain(dispatch.rest) {
            self.mark(Mark::Start(picked.body.id));
            let end = self.play(&mut picked.body.script);
            self.mark(Mark::End(picked.body.id));
            match end {
                Ok(outcome) => picked.body.ticket.resolve(outcome),
                Err(at) => finished.retries.push(Retry { job: picked, at }),
            }
        }
        Some(finished)
    }

    fn resolve(&self, Resolved { body: mut job, outcome, .. }: Resolved<Job>) {
        let gate = self.resolve_gate.lock().unwrap().clone();
        if let Some(gate) = gate {
            gate.pass();
        }
        job.ticket.resolve(outcome);
    }

    fn placed(&self, job: &Job, key: JobKey) {
        let mut log = self.seen.lock();
        let placed = log.placed.entry(job.id).or_insert((0, key));
        *placed = (placed.0 + 1, key);
        drop(log);
        self.seen.changed.notify_all();
    }

    fn is_unwanted(&self, job: &Job) -> bool {
        self.seen.lock().unwanted.contains(&job.id)
    }

    fn kill_running(&self) {
        self.stop_running();
    }

    fn stop_running(&self) {
        self.seen.lock().stopping = true;
        self.seen.changed.notify_all();
    }
}

/// A pool, or what should behave like one.
pub(super) trait Shell: Sync {
    fn start(params: CoreParams, hooks: &[HookParams], clock: Clock, host: Arc<TestHost>) -> Self
    where
        Self: Sized;
    fn submit(&self, spec: Spec) -> Result<(), Refusal>;
    fn cancel_job(&self, id: u32) -> bool;
    fn pause_class(&self, class: PriorityClass);
    fn resume_class(&self, class: PriorityClass);
    fn pause_hook(&self, hook: u32);
    fn resume_hook(&self, hook: u32);
    fn close(&self);
    fn drain(&self, deadline: Duration, grace: Duration) -> Remainder;
}

impl Shell for Pool<TestHost> {
    fn start(params: CoreParams, hooks: &[HookParams], clock: Clock, host: Arc<TestHost>) -> Self {
        // Every other one has lanes so narrow that its counts move out of the admission word and back all the time.
        let lane_max = if params.rule.capacity % 2 == 1 { 5 } else { LANE_MAX };
        let admission = Admission::with_lanes(params.rule, params.displace, lane_max);
        Pool::start_behind(admission, params, hooks, clock, host).unwrap()
    }

    fn submit(&self, spec: Spec) -> Result<(), Refusal> {
        push(self, self.reserve(spec.class)?, spec);
        Ok(())
    }

    fn cancel_job(&self, id: u32) -> bool {
        self.cancel(|| self.shared.host.key(id))
    }

    fn pause_class(&self, class: PriorityClass) {
        self.pause_class(class);
    }

    fn resume_class(&self, class: PriorityClass) {
        self.resume_class(class);
    }

    fn pause_hook(&self, hook: u32) {
        self.pause_hook(HookSlot(hook));
    }

    fn resume_hook(&self, hook: u32) {
        self.resume_hook(HookSlot(hook));
    }

    fn close(&self) {
        self.close();
    }

    fn drain(&self, deadline: Duration, grace: Duration) -> Remainder {
        self.drain(deadline, grace)
    }
}

/// Uses a place.
pub(super) fn push(pool: &TestPool, place: Reserved, spec: Spec) {
    let job = Job { number: place.number, ..pool.shared.host.job(spec) };
    let expires = job.max_wait.map(|max_wait| job.admitted + max_wait);
    pool.push(place, job, expires);
}

pub(super) fn params(workers: u32, capacity: u32) -> CoreParams {
    CoreParams::plain(workers, capacity)
}

/// A pool with two plain hooks.
pub(super) fn pool(params: CoreParams) -> (Arc<Pool<TestHost>>, Arc<TestHost>) {
    let clock = Clock::start();
    let host = TestHost::new(clock);
    let pool = Pool::start(params, &[HookParams::default(); 2], clock, Arc::clone(&host)).unwrap();
    (Arc::new(pool), host)
}

/// Waits until every worker sleeps.
pub(super) fn await_sleep(pool: &Pool<TestHost>) {
    let workers = pool.threads().len();
    await_state("all workers asleep", || pool.shared.parking.asleep() == workers);
}

/// Waits for a state that nobody announces.
pub(super) fn await_state(what: &str, is_so: impl Fn() -> bool) {
    let clock = Clock::start();
    while !is_so() {
        assert!(clock.now() < Time::default() + LIMIT, "{what}: never");
        std::thread::yield_now();
    }
}

pub(super) type TestPool = Pool<TestHost>;
