//! The simulated pool: what comes on one side, seats on the other, the real core between them.
//!
//! Time jumps from one happening to the next: the end of a run, then an arrival, then a deadline of the core.
//!
//! Invariant: every submission is counted once, and memory is that of what waits and runs.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::time::Duration;

use hdrhistogram::Histogram;
use slab::Slab;

use super::feed::{Coming, Feed, Job, Stream, small};
use super::is_serial;
use super::report::{Depth, SimulationReport};
use super::tape::Tape;
use crate::breaker::{Breaker, Pass};
use crate::class::PerClass;
use crate::config::Config;
use crate::hook::{BatchKey, Hook, HookName, Order};
use crate::metrics::{Counts, HookSnapshot, Ledger, Snapshot};
use crate::outcome::{Refusal, Skip};
use crate::params::{batch_params, core_params, hook_params};
use crate::recording::{Fate, Recording};
use crate::scheduler::{Arrival, BatchParams, Batching, Core, HookParams, HookSlot, Picked, RunKey};
use crate::time::{Time, nanos};

/// What a run is made of, beside the configuration and its streams.
#[derive(Debug)]
pub(super) struct Setting {
    pub(super) recording: Option<Arc<Recording>>,
    pub(super) seed: u64,
    /// Seat time between the end of a run and the start of the next.
    pub(super) overhead: Duration,
    /// The longest wait that is in time.
    pub(super) target: Option<Duration>,
    pub(super) tape: Tape,
}

/// What a hook's runs are like.
#[derive(Debug)]
pub(super) struct HookFacts {
    name: HookName,
    pub(super) is_serial: bool,
    in_order: bool,
    /// Of its batches. `None`: it takes one event at a time.
    bounds: Option<BatchParams>,
    batches_by: By,
    /// `None`: a hook that is made for the streams of a class.
    pub(super) hook: Option<Arc<Hook>>,
    pub(super) breaker: Option<Breaker>,
    pub(super) counts: PerClass<Counts>,
}

/// What the jobs of a batch have in common.
#[derive(Clone, Copy, Debug)]
enum By {
    Hook,
    Session,
    Field,
}

/// A run that holds a seat.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) key: RunKey,
    pub(super) hook: HookSlot,
    /// The leave of the hook's breaker.
    pub(super) pass: Option<Pass>,
    pub(super) held: Duration,
    pub(super) first: Picked<Job>,
    pub(super) rest: Vec<Picked<Job>>,
}

pub(super) struct World {
    pub(super) core: Core<Job>,
    pub(super) feed: Feed,
    pub(super) hooks: Vec<HookFacts>,
    /// The ends of runs: when, in the order of their starts, where they are kept.
    pub(super) ends: BinaryHeap<Reverse<(u64, u64, usize)>>,
    pub(super) running: Slab<Running>,
    pub(super) started: u64,
    submitted: u64,
    pub(super) now: u64,
    pub(super) bytes: u64,
    max_bytes: u64,
    max_event_bytes: u64,
    /// The job whose submitter waits for room, and who sends nothing else meanwhile.
    held_up: Option<Arrival<Job>>,
    pub(super) default_timeout: Duration,
    pub(super) overhead: Duration,
    pub(super) target: u64,
    seed: u64,
    seats: u32,
    pub(super) busy: u128,
    pub(super) waits: PerClass<u128>,
    pub(super) waited: PerClass<u64>,
    pub(super) in_time: PerClass<u64>,
    depth: Histogram<u64>,
    pub(super) tape: Tape,
}

impl World {
    pub(super) fn new(config: &Config, streams: Vec<Stream>, setting: Setting) -> Self {
        let mut core = Core::new(core_params(config));
        let mut hooks: Vec<HookFacts> = Vec::new();
        for hook in &config.hooks {
            core.add_hook(hook_params(hook));
            hooks.push(HookFacts {
                name: hook.name.clone(),
                is_serial: is_serial(&hook.handler),
                in_order: hook.order == Order::Session,
                bounds: batch_params(hook, hook.handler.takes_many()),
                batches_by: match hook.batch.as_ref().map(|batch| &batch.key) {
                    None | Some(BatchKey::Hook) => By::Hook,
                    Some(BatchKey::Session) => By::Session,
                    Some(BatchKey::Field(_)) => By::Field,
                },
                hook: Some(Arc::clone(hook)),
                breaker: hook.breaker.map(Breaker::new),
                counts: PerClass::default(),
            });
        }
        let mut placed = Vec::new();
        for stream in streams {
            let slot = if let Some(hook) = stream.hook {
                HookSlot(small(hook))
            } else {
                hooks.push(HookFacts {
                    name: stream.name(),
                    is_serial: false,
                    in_order: true,
                    bounds: None,
                    batches_by: By::Hook,
                    hook: None,
                    breaker: None,
                    counts: PerClass::default(),
                });
                core.add_hook(HookParams::default())
            };
            placed.push((stream, slot));
        }
        let Setting { recording, seed, overhead, target, tape } = setting;
        Self {
            core,
            feed: Feed::new(placed, recording, seed),
            hooks,
            ends: BinaryHeap::new(),
            running: Slab::new(),
            started: 0,
            submitted: 0,
            now: 0,
            bytes: 0,
            max_bytes: config.queue.max_bytes,
            max_event_bytes: config.queue.max_event_bytes.min(config.queue.max_bytes),
            held_up: None,
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
            tape,
        }
    }

    /// Until `jobs` have been submitted or `duration` has passed, and on until the last of them has ended.
    pub(super) fn run(mut self, jobs: u64, duration: Option<Duration>) -> (SimulationReport, Recording) {
        let last = duration.map_or(u64::MAX, nanos);
        loop {
            let arrival = if self.held_up.is_some() { u64::MAX } else { self.feed.next_at() };
            let is_over = self.submitted >= jobs || arrival > last || arrival == u64::MAX;
            if is_over && self.held_up.is_none() {
                // Batches need not wait for what never comes.
                self.core.close(Time(self.now));
                break;
            }
            if !self.step(arrival, jobs) {
                // Nothing that happens makes room any more.
                self.give_up();
            }
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
        if next == u64::MAX && self.ends.is_empty() {
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
        if let Some(arrival) = self.held_up.take() {
            self.admit(Arrival { admitted: Time(self.now), ..arrival }, true);
            self.pick();
            self.settle();
        }
        true
    }

    fn arrive(&mut self, jobs: u64) {
        let Some((at, size)) = self.feed.next(self.now) else { return };
        for n in 0..size {
            if self.submitted >= jobs {
                return;
            }
            // Each of a burst comes by itself: what can start has started before the next one is there.
            if n > 0 {
                self.pick();
            }
            if let Some(coming) = self.feed.draw(at) {
                self.submit(coming);
            }
        }
    }

    fn submit(&mut self, coming: Coming) {
        self.submitted += 1;
        let now = Time(self.now);
        self.core.tick(now);
        self.settle();
        let Some(facts) = self.hooks.get_mut(coming.slot.0 as usize) else { return };
        self.tape.comes(&coming, &facts.name, self.now);
        let Coming { slot, class, session, batch, max_wait, skip, waits, job } = coming;
        let is_open = || facts.breaker.as_ref().is_some_and(|breaker| breaker.refuses(|| now));
        if let Some(why) = skip.or_else(|| is_open().then_some(Skip::BreakerOpen)) {
            facts.counts[class].count_skipped(why);
            self.tape.becomes(job.number, Fate::Skipped(why));
            return;
        }
        let batch_key = match facts.batches_by {
            By::Hook => None,
            By::Session => session.map(|session| session.wrapping_add(1)),
            By::Field => batch,
        };
        let arrival = Arrival {
            hook: slot,
            class,
            session: session.filter(|_| facts.in_order),
            batching: facts.bounds.map(|bounds| Batching {
                definition: 0,
                key: batch_key.unwrap_or(0),
                bounds,
            }),
            bytes: job.bytes,
            admitted: now,
            max_wait,
            body: job,
        };
        let waiting: u32 = self.core.waiting().values().sum();
        // It grows as needed, so recording cannot fail for want of range.
        let _ = self.depth.record(waiting.into());
        self.admit(arrival, waits);
    }

    /// `waits`: its submitter waits for room.
    fn admit(&mut self, arrival: Arrival<Job>, waits: bool) {
        let (class, slot, number) = (arrival.class, arrival.hook, arrival.body.number);
        let bytes = u64::from(arrival.bytes);
        let offered = if bytes > self.max_event_bytes {
            Err((Refusal::TooLarge, arrival))
        } else if self.bytes + bytes > self.max_bytes {
            Err((Refusal::BytesFull, arrival))
        } else {
            self.core.offer(arrival, Time(self.now)).map_err(|refused| (refused.why, refused.arrival))
        };
        let Some(facts) = self.hooks.get_mut(slot.0 as usize) else { return };
        let counts = &mut facts.counts[class];
        match offered {
            Ok(_) => {
                self.bytes += bytes;
                counts.count_admitted();
            }
            Err((why, arrival)) if waits && why.is_for_room() => self.held_up = Some(arrival),
            Err((why, _)) => {
                counts.count_refused(why);
                self.tape.becomes(number, Fate::Refused(why));
            }
        }
    }

    /// Refuses the job whose submitter waits.
    fn give_up(&mut self) {
        if let Some(arrival) = self.held_up.take() {
            self.admit(arrival, false);
        }
    }

    fn pick(&mut self) {
        while let Some(dispatch) = self.core.pick(Time(self.now)) {
            self.start(dispatch);
        }
    }

    /// Counts the jobs that left without being picked.
    fn settle(&mut self) {
        for left in self.core.take_resolved() {
            self.bytes -= u64::from(left.body.bytes);
            let slot = self.feed.slot_of(&left.body).unwrap_or(HookSlot(0));
            if let Some(facts) = self.hooks.get_mut(slot.0 as usize) {
                facts.counts[left.class].count_left(left.outcome, &left.waited);
            }
            self.tape.becomes(left.body.number, Fate::Admitted(Some(left.outcome)));
        }
    }

    fn report(self) -> (SimulationReport, Recording) {
        let still_admitted = self.core.waiting().values().map(|n| u64::from(*n)).sum();
        let now = Time(self.now);
        let hooks = self.hooks.into_iter().map(|facts| HookSnapshot {
            breaker: facts.breaker.as_ref().map(|breaker| breaker.status(now)),
            ..HookSnapshot::of_classes(facts.name, facts.counts)
        });
        let snapshot = Snapshot::new(hooks, []);
        let mean_wait = PerClass::from_fn(|class| {
            let started = snapshot.classes[class].wait().map_or(0, |wait| wait.samples);
            let mean = self.waits[class].checked_div(started.into()).unwrap_or(0);
            Duration::from_nanos(u64::try_from(mean).unwrap_or(u64::MAX))
        });
        let there = u128::from(self.now) * u128::from(self.seats);
        #[expect(clippy::cast_precision_loss, reason = "a few digits are shown")]
        let utilisation = if there == 0 { 0.0 } else { self.busy as f64 / there as f64 };
        let report = SimulationReport {
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
        };
        (report, self.tape.end())
    }
}
