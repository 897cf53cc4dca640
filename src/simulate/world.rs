//! The simulated pool: streams of jobs on one side, seats on the other, the real core between them.
//!
//! Time jumps from one happening to the next: the end of a run, then an arrival, then a deadline of the core. What a job
//! would do is drawn when it arrives, from a generator of its stream's own: so two configurations under one load and
//! seed get the very same jobs, and differ in nothing but what they make of them.
//!
//! Invariant: every submission is counted once, and memory is that of what waits and runs.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use hdrhistogram::Histogram;
use slab::Slab;

use super::draw::{Random, whole};
use super::is_serial;
use super::load::{Arrivals, StreamLoad};
use super::report::{Depth, SimulationReport};
use crate::class::{PerClass, PriorityClass};
use crate::config::Config;
use crate::hook::{BatchKey, Hook, HookName, Order};
use crate::metrics::{Counts, HookSnapshot, Ledger, Snapshot};
use crate::outcome::{OutcomeKind, Refusal, Skip};
use crate::params::{core_params, hook_params};
use crate::scheduler::{Arrival, Core, Dispatch, HookParams, HookSlot, Picked, Retry, RunKey};
use crate::time::{Time, nanos};

/// A stream that knows whose jobs it has.
#[derive(Clone, Debug)]
pub(super) struct Stream {
    load: StreamLoad,
    /// Its hook's position in the configuration. `None`: it has a hook of its own.
    hook: Option<usize>,
    class: PriorityClass,
    max_wait: Option<Duration>,
    skip: Option<Skip>,
}

impl Stream {
    pub(super) fn new(load: StreamLoad, hook: Option<usize>, class: PriorityClass, config: &Config) -> Self {
        let own = hook.and_then(|at| config.hooks.get(at));
        let max_wait = match own {
            Some(hook) => config.max_wait(hook, class),
            None => config.classes[class].max_wait.unwrap_or(config.queue.max_wait),
        };
        let skip = if config.performance_mode {
            Some(Skip::PerformanceMode)
        } else {
            own.is_some_and(|hook| !hook.enabled).then_some(Skip::HookDisabled)
        };
        Self { load, hook, class, max_wait: max_wait.limit, skip }
    }
}

/// What is kept of a job.
#[derive(Debug)]
struct Job {
    /// What its handler needs, in nanoseconds: for each attempt as much.
    run: u64,
    /// What decides about the failure of each attempt.
    luck: u64,
    /// Attempts that have ended.
    attempts: u32,
    bytes: u32,
    stream: u32,
}

impl Job {
    /// Whether the attempt that ends now fails.
    fn fails(&self, failures: f64) -> bool {
        failures > 0.0 && Random::new(self.luck, self.attempts.into()).unit() <= failures
    }
}

/// A stream in motion.
#[derive(Debug)]
struct Source {
    stream: Stream,
    slot: HookSlot,
    /// One for each purpose: when, whose, how long, how it ends.
    moments: Random,
    sessions: Random,
    spans: Random,
    ends: Random,
}

/// What a hook's runs are like.
#[derive(Debug)]
struct HookFacts {
    name: HookName,
    is_serial: bool,
    in_order: bool,
    by_session: bool,
    /// The longest run of that many events; `None`: the configuration's default.
    hook: Option<std::sync::Arc<Hook>>,
    counts: PerClass<Counts>,
}

/// A run that holds a seat.
#[derive(Debug)]
struct Running {
    key: RunKey,
    hook: HookSlot,
    held: Duration,
    first: Picked<Job>,
    rest: Vec<Picked<Job>>,
}

pub(super) struct World {
    core: Core<Job>,
    sources: Vec<Source>,
    hooks: Vec<HookFacts>,
    /// The next arrivals: when, by which stream, by which of its ways.
    due: BinaryHeap<Reverse<(u64, u32, u32)>>,
    /// The ends of runs: when, in the order of their starts, where they are kept.
    ends: BinaryHeap<Reverse<(u64, u64, usize)>>,
    running: Slab<Running>,
    started: u64,
    submitted: u64,
    now: u64,
    bytes: u64,
    max_bytes: u64,
    max_event_bytes: u64,
    default_timeout: Duration,
    overhead: Duration,
    target: u64,
    seed: u64,
    seats: u32,
    busy: u128,
    waits: PerClass<u128>,
    waited: PerClass<u64>,
    in_time: PerClass<u64>,
    depth: Histogram<u64>,
}

impl World {
    pub(super) fn new(
        config: &Config,
        streams: Vec<Stream>,
        seed: u64,
        overhead: Duration,
        target: Option<Duration>,
    ) -> Self {
        let mut core = Core::new(core_params(config));
        let mut hooks: Vec<HookFacts> = Vec::new();
        for hook in &config.hooks {
            core.add_hook(hook_params(hook, hook.handler.takes_many()));
            hooks.push(HookFacts {
                name: hook.name.clone(),
                is_serial: is_serial(&hook.handler),
                in_order: hook.order == Order::Session,
                by_session: hook.batch.as_ref().is_some_and(|batch| batch.key == BatchKey::Session),
                hook: Some(std::sync::Arc::clone(hook)),
                counts: PerClass::default(),
            });
        }
        let mut sources = Vec::new();
        for (at, stream) in streams.into_iter().enumerate() {
            let slot = if let Some(hook) = stream.hook {
                HookSlot(small(hook))
            } else {
                let name = HookName::new(&format!("class_{}", stream.class));
                hooks.push(HookFacts {
                    name: name.expect("names of classes are words of small letters"),
                    is_serial: false,
                    in_order: true,
                    by_session: false,
                    hook: None,
                    counts: PerClass::default(),
                });
                core.add_hook(HookParams::default())
            };
            let random = |purpose| Random::new(seed, at as u64 * 4 + purpose);
            let [moments, sessions, spans, ends] = [0, 1, 2, 3].map(random);
            sources.push(Source { stream, slot, moments, sessions, spans, ends });
        }
        Self {
            core,
            sources,
            hooks,
            due: BinaryHeap::new(),
            ends: BinaryHeap::new(),
            running: Slab::new(),
            started: 0,
            submitted: 0,
            now: 0,
            bytes: 0,
            max_bytes: config.queue.max_bytes,
            max_event_bytes: config.queue.max_event_bytes.min(config.queue.max_bytes),
            default_timeout: config.default_timeout,
            overhead,
            target: target.map_or(u64::MAX, nanos),
            seed,
            seats: u32::from(config.pool.workers) + u32::from(config.pool.standby),
            busy: 0,
            waits: PerClass::default(),
            waited: PerClass::default(),
            in_time: PerClass::default(),
            depth: Histogram::new(3).expect("three significant digits are allowed"),
        }
    }

    /// Until `jobs` have been submitted or `duration` has passed, and on until the last of them has ended.
    pub(super) fn run(mut self, jobs: u64, duration: Option<Duration>) -> SimulationReport {
        let last = duration.map_or(u64::MAX, nanos);
        for at in 0..self.sources.len() {
            let ways = self.sources.get(at).map_or(0, |source| source.stream.load.arrivals.len());
            for way in 0..ways {
                self.schedule(at, way);
            }
        }
        loop {
            let arrival = self.due.peek().map_or(u64::MAX, |Reverse((at, ..))| *at);
            if self.submitted >= jobs || arrival > last {
                // Batches need not wait for what never comes.
                self.due.clear();
                self.core.close();
                break;
            }
            self.step(arrival, jobs);
        }
        loop {
            self.pick();
            if !self.step(u64::MAX, jobs) {
                break;
            }
        }
        self.report()
    }

    /// To the next happening. False: there is none.
    fn step(&mut self, arrival: u64, jobs: u64) -> bool {
        let end = self.ends.peek().map_or(u64::MAX, |Reverse((at, ..))| *at);
        let deadline = self.core.next_deadline().map_or(u64::MAX, |time| time.0);
        let next = arrival.min(end).min(deadline);
        if next == u64::MAX {
            return false;
        }
        self.now = self.now.max(next);
        if end <= self.now {
            self.end();
        } else if arrival <= self.now {
            self.arrive(jobs);
        } else {
            self.core.tick(Time(self.now));
        }
        self.pick();
        self.settle();
        true
    }

    /// Sets the next arrival of one way of a stream.
    fn schedule(&mut self, at: usize, way: usize) {
        let Some(source) = self.sources.get_mut(at) else { return };
        let Some(arrivals) = source.stream.load.arrivals.get(way) else { return };
        let gap = match arrivals {
            Arrivals::Poisson { gap } => whole(gap * source.moments.exponential()),
            Arrivals::Every(every) | Arrivals::Burst { every, .. } => nanos(*every),
        };
        let (at, way) = (small(at), small(way));
        self.due.push(Reverse((self.now.saturating_add(gap), at, way)));
    }

    fn arrive(&mut self, jobs: u64) {
        let Some(Reverse((_, at, way))) = self.due.pop() else { return };
        let (at, way) = (at as usize, way as usize);
        self.schedule(at, way);
        let arrivals = self.sources.get(at).and_then(|source| source.stream.load.arrivals.get(way));
        let size = match arrivals {
            Some(Arrivals::Burst { size, .. }) => *size,
            _ => 1,
        };
        for n in 0..size {
            if self.submitted >= jobs {
                return;
            }
            // Each of a burst comes by itself: what can start has started before the next one is there.
            if n > 0 {
                self.pick();
            }
            self.submit(at);
        }
    }

    fn submit(&mut self, at: usize) {
        self.submitted += 1;
        let now = Time(self.now);
        self.core.tick(now);
        self.settle();
        let Some(source) = self.sources.get_mut(at) else { return };
        let load = &source.stream.load;
        let session = (load.sessions > 0).then(|| u64::from(source.sessions.below(load.sessions)));
        let job = Job {
            run: load.run_time.draw(&mut source.spans),
            luck: source.ends.next(),
            attempts: 0,
            bytes: load.bytes,
            stream: small(at),
        };
        let (class, slot, max_wait) = (source.stream.class, source.slot, source.stream.max_wait);
        let Some(facts) = self.hooks.get_mut(slot.0 as usize) else { return };
        let counts = &mut facts.counts[class];
        if let Some(why) = source.stream.skip {
            counts.count_skipped(why);
            return;
        }
        let waiting: u32 = self.core.waiting().values().sum();
        // It grows as needed, so recording cannot fail for want of range.
        let _ = self.depth.record(waiting.into());
        let bytes = u64::from(job.bytes);
        if bytes > self.max_event_bytes {
            counts.count_refused(Refusal::TooLarge);
            return;
        }
        if self.bytes + bytes > self.max_bytes {
            counts.count_refused(Refusal::BytesFull);
            return;
        }
        self.bytes += bytes;
        let arrival = Arrival {
            hook: slot,
            class,
            session: session.filter(|_| facts.in_order),
            batch_key: session.filter(|_| facts.by_session).map_or(0, |session| session + 1),
            bytes: job.bytes,
            admitted: now,
            max_wait,
            body: job,
        };
        match self.core.offer(arrival, now) {
            Ok(_) => counts.count_admitted(),
            Err(refused) => {
                self.bytes -= u64::from(refused.arrival.bytes);
                counts.count_refused(refused.why);
            }
        }
    }

    fn pick(&mut self) {
        while let Some(dispatch) = self.core.pick(Time(self.now)) {
            self.start(dispatch);
        }
    }

    fn start(&mut self, dispatch: Dispatch<Job>) {
        let Dispatch { run, hook, class: _, first, rest } = dispatch;
        let now = Time(self.now);
        for job in std::iter::once(&first).chain(&rest) {
            let wait = now.since(job.admitted);
            let Some(facts) = self.hooks.get_mut(hook.0 as usize) else { return };
            if job.body.attempts > 0 {
                facts.counts[job.class].count_restarted();
                continue;
            }
            facts.counts[job.class].count_started(wait);
            let span = nanos(wait);
            self.waits[job.class] += u128::from(span);
            self.waited[job.class] += u64::from(span > 0);
            self.in_time[job.class] += u64::from(span <= self.target);
        }
        let length = self.length(hook, &first, &rest);
        let held = length.saturating_add(self.overhead);
        self.busy += u128::from(nanos(held));
        let at = self.running.insert(Running { key: run, hook, held, first, rest });
        self.started += 1;
        self.ends.push(Reverse((self.now.saturating_add(nanos(held)), self.started, at)));
    }

    /// How long a run is that has no limit but the hook's timeouts.
    fn length(&self, hook: HookSlot, first: &Picked<Job>, rest: &[Picked<Job>]) -> Duration {
        let timeout = self.timeout(hook, 1 + rest.len());
        let Some(facts) = self.hooks.get(hook.0 as usize) else { return timeout };
        let own = |job: &Picked<Job>| Duration::from_nanos(job.body.run);
        if facts.is_serial {
            return std::iter::once(first).chain(rest).map(|job| own(job).min(timeout)).sum();
        }
        let stream = self.sources.get(first.body.stream as usize);
        let per_event = stream.map_or(Duration::ZERO, |source| source.stream.load.per_event);
        let others = u32::try_from(rest.len()).unwrap_or(u32::MAX);
        own(first).saturating_add(per_event.saturating_mul(others)).min(timeout)
    }

    fn timeout(&self, hook: HookSlot, events: usize) -> Duration {
        let hook = self.hooks.get(hook.0 as usize).and_then(|facts| facts.hook.as_ref());
        hook.map_or(self.default_timeout, |hook| hook.timeout_for(events))
    }

    fn end(&mut self) {
        let Some(Reverse((_, _, at))) = self.ends.pop() else { return };
        let Running { key, hook, held, first, rest } = self.running.remove(at);
        let timeout = self.timeout(hook, 1 + rest.len());
        let length = held.saturating_sub(self.overhead);
        let Some(facts) = self.hooks.get_mut(hook.0 as usize) else { return };
        let policy = facts.hook.as_ref().and_then(|hook| hook.retry);
        let mut again = Vec::new();
        for mut job in std::iter::once(first).chain(rest) {
            let run = if facts.is_serial { Duration::from_nanos(job.body.run).min(timeout) } else { length };
            let failures =
                self.sources.get(job.body.stream as usize).map_or(0.0, |source| source.stream.load.failures);
            let (outcome, covered) = if run >= timeout {
                (OutcomeKind::TimedOut, policy.filter(|policy| policy.timed_out))
            } else if job.body.fails(failures) {
                (OutcomeKind::Failed, policy.filter(|policy| policy.failed))
            } else {
                (OutcomeKind::Succeeded, None)
            };
            job.body.attempts += 1;
            let counts = &mut facts.counts[job.class];
            if let Some(wait) = covered.and_then(|policy| policy.wait_after(job.body.attempts)) {
                counts.count_retried(run);
                again.push(Retry { job, at: Time(self.now) + wait });
            } else {
                counts.count_ended(outcome, run);
                self.bytes -= u64::from(job.body.bytes);
            }
        }
        self.core.complete(key, held, again, Time(self.now));
    }

    /// Counts the jobs that left without being picked.
    fn settle(&mut self) {
        for left in self.core.take_resolved() {
            self.bytes -= u64::from(left.body.bytes);
            let slot = self.sources.get(left.body.stream as usize).map_or(HookSlot(0), |source| source.slot);
            if let Some(facts) = self.hooks.get_mut(slot.0 as usize) {
                facts.counts[left.class].count_left(left.outcome);
            }
        }
    }

    fn report(self) -> SimulationReport {
        let still_admitted = self.core.waiting().values().map(|n| u64::from(*n)).sum();
        let hooks = self.hooks.into_iter().map(|facts| HookSnapshot::of_classes(facts.name, facts.counts));
        let snapshot = Snapshot::new(hooks, []);
        let mean_wait = PerClass::from_fn(|class| {
            let started = snapshot.classes[class].wait().map_or(0, |wait| wait.samples);
            let mean = self.waits[class].checked_div(started.into()).unwrap_or(0);
            Duration::from_nanos(u64::try_from(mean).unwrap_or(u64::MAX))
        });
        let there = u128::from(self.now) * u128::from(self.seats);
        #[expect(clippy::cast_precision_loss, reason = "a few digits are shown")]
        let utilisation = if there == 0 { 0.0 } else { self.busy as f64 / there as f64 };
        SimulationReport {
            ledger: Ledger { snapshot, lost: 0, leaked: 0, still_admitted },
            seed: self.seed,
            elapsed: Duration::from_nanos(self.now),
            seats: self.seats,
            utilisation,
            mean_wait,
            waited: self.waited,
            depth: Depth {
                p50: self.depth.value_at_quantile(0.5),
                p99: self.depth.value_at_quantile(0.99),
                max: self.depth.max(),
            },
            in_time: self.in_time,
        }
    }
}

fn small(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
