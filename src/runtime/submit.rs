//! The way of an event to the lanes: which hooks want it, in which class, and whether there is room.
//!
//! This is what the submitting thread pays for. Per event: one match. Per matching hook: one decision; for an admitted
//! one a place in the queue, a job, a push and perhaps a wake-up. A place is taken before anything is built, so a
//! refusal costs next to nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use super::Inner;
use super::bytes::{ByteBudget, Charge, Payload};
use super::engine::HookEntry;
use super::job::{Duty, Job, JobHandle, JobShared};
use super::submission::{Decision, Preview, Submission, SubmittedHook};
use crate::breaker::Breaker;
use crate::class::PriorityClass;
use crate::config::KindPriorities;
use crate::event::{Event, Subject};
use crate::hook::{BatchKey, Hook, Order};
use crate::kind::KindSet;
use crate::matcher::{Matched, Matcher};
use crate::outcome::{JobId, Refusal, Skip};
use crate::pool::Reserved;
use crate::scheduler::{Arrival, HookSlot};
use crate::telemetry;

/// What decides about an event before it is in the queue.
#[derive(Debug)]
pub(super) struct Intake {
    pub(super) matcher: Matcher,
    pub(super) kinds: KindSet,
    pub(super) priority: KindPriorities,
    pub(super) performance_mode: AtomicBool,
    pub(super) max_event_bytes: u64,
    pub(super) bytes: Arc<ByteBudget>,
    /// Only limits that somebody has set count.
    pub(super) replay: bool,
    pub(super) no_match: AtomicU64,
    pub(super) next_job: AtomicU64,
}

/// An event on its way in: its bytes are charged when its first job is admitted.
struct Incoming<'a, S> {
    event: &'a S,
    payload: Option<Arc<Payload>>,
    when_room: bool,
}

impl Inner {
    /// For an event that turns out to be impossible to write, nothing is submitted but for the hooks that would have
    /// been skipped whatever it holds.
    pub(super) fn submit(&self, event: &impl Subject, when_room: bool) -> Submission {
        self.submit_to(None, event, when_room)
    }

    /// `only`: the one hook that counts.
    pub(super) fn submit_to(&self, only: Option<&str>, event: &impl Subject, when_room: bool) -> Submission {
        let mut submission = Submission::default();
        let mut incoming = Incoming { event, payload: None, when_room };
        self.intake.matcher.find_for(event, self.intake.kinds, |at, matched| {
            let Some(entry) = self.engine.hooks.get(at) else { return };
            if only.is_some_and(|only| only != entry.hook.name.as_str()) {
                return;
            }
            if let Some(decision) = self.decide(&mut incoming, at, entry, matched) {
                submission.parts.push(SubmittedHook { hook: entry.hook.name.clone(), decision });
            }
        });
        if submission.is_unmatched() && !event.is_impossible() {
            self.intake.no_match.fetch_add(1, Ordering::Relaxed);
        }
        submission
    }

    /// The class that a job would have, and why there would be none.
    fn assess(&self, entry: &HookEntry, matched: Matched) -> (PriorityClass, Option<Skip>) {
        let hook = &entry.hook;
        let ways = if matched.open.is_empty() { matched.ways } else { matched.open };
        let class = hook.priority.unwrap_or_else(|| self.intake.priority.class_of(ways));
        let skip = if self.intake.performance_mode.load(Ordering::Relaxed) {
            Some(Skip::PerformanceMode)
        } else if !hook.enabled {
            Some(Skip::HookDisabled)
        } else if matched.open.is_empty() {
            Some(Skip::KindDisabled)
        } else {
            let refuses = |breaker: &Breaker| breaker.refuses(|| self.engine.clock.now());
            entry.breaker.as_ref().is_some_and(refuses).then_some(Skip::BreakerOpen)
        };
        (class, skip)
    }

    pub(super) fn preview(&self, event: &Event) -> Vec<Preview> {
        let mut previews = Vec::new();
        self.intake.matcher.find(event, self.intake.kinds, |at, matched| {
            let Some(entry) = self.engine.hooks.get(at) else { return };
            let (class, skip) = self.assess(entry, matched);
            previews.push(Preview { hook: entry.hook.name.clone(), class, skip });
        });
        previews
    }

    /// `None`: the event cannot be written.
    fn decide(
        &self,
        incoming: &mut Incoming<'_, impl Subject>,
        at: usize,
        entry: &HookEntry,
        matched: Matched,
    ) -> Option<Decision> {
        let hook = &entry.hook;
        let (class, skip) = self.assess(entry, matched);
        if let Some(why) = skip {
            entry.counters.skipped(class, why);
            telemetry::skipped(hook, incoming.event, why);
            return Some(Decision::Skipped(why));
        }
        let event = incoming.event.event()?;
        Some(match self.admit(incoming, event, class) {
            Ok((place, payload)) => Decision::Admitted(self.push(place, payload, at, entry, class)),
            Err(why) => {
                entry.counters.refused(class, why);
                self.engine.telemetry.refused(hook, event, class, why);
                Decision::Refused(why)
            }
        })
    }

    /// Room for the event's bytes, then a place in the queue; only then the payload that the event's jobs share. The
    /// bytes come first because a place, once taken, has to be used.
    fn admit(
        &self,
        incoming: &mut Incoming<'_, impl Subject>,
        event: &Event,
        class: PriorityClass,
    ) -> Result<(Reserved, Arc<Payload>), Refusal> {
        let bytes = event.payload().len() as u64;
        if bytes > self.intake.max_event_bytes {
            return Err(Refusal::TooLarge);
        }
        let charge = match &incoming.payload {
            Some(_) => None,
            None => Some(self.charge(bytes, incoming.when_room)?),
        };
        let place =
            if incoming.when_room { self.pool.reserve_when_room(class) } else { self.pool.reserve(class) }?;
        if let Some(charge) = charge {
            incoming.payload = Some(Payload::new(event, charge));
        }
        let payload = incoming.payload.as_ref().expect("an admitted event has been charged");
        Ok((place, Arc::clone(payload)))
    }

    fn charge(&self, bytes: u64, when_room: bool) -> Result<Charge, Refusal> {
        let attempt = || match self.intake.bytes.charge(bytes) {
            Some(charge) => Ok(charge),
            None if self.pool.is_closed() => Err(Refusal::Closed),
            None => Err(Refusal::BytesFull),
        };
        match attempt() {
            Err(Refusal::BytesFull) if when_room => self.pool.wait_for_room(|| match attempt() {
                Err(Refusal::BytesFull) => None,
                answer => Some(answer),
            }),
            answer => answer,
        }
    }

    fn push(
        &self,
        place: Reserved,
        payload: Arc<Payload>,
        at: usize,
        entry: &HookEntry,
        class: PriorityClass,
    ) -> JobHandle {
        let hook = &entry.hook;
        let id = JobId(self.intake.next_job.fetch_add(1, Ordering::Relaxed) + 1);
        let shared = Arc::new(JobShared::default());
        let engine = &self.engine;
        let handle = JobHandle { id, shared: Arc::clone(&shared), engine: Arc::downgrade(engine) };
        let event = payload.event.clone();
        let admitted = engine.clock.now();
        let session = event.session_key().filter(|_| hook.order == Order::Session);
        let arrival = Arrival {
            hook: HookSlot(u32::try_from(at).unwrap_or(u32::MAX)),
            class,
            session,
            batch_key: batch_key(hook, &event),
            bytes: u32::try_from(event.payload().len()).unwrap_or(u32::MAX),
            admitted,
            max_wait: self.max_wait(hook, class),
            body: Job {
                id,
                hook: at,
                class,
                admitted,
                payload,
                shared,
                duty: Duty::new(&engine.lost),
                attempts: Vec::new(),
                waited: None,
            },
        };
        let waiting = place.waiting;
        entry.counters.admitted(class);
        // Before the push: the job may have started when that returns.
        engine.telemetry.queued(hook, &event, id, class, waiting);
        self.pool.push(place, arrival);
        handle
    }

    fn max_wait(&self, hook: &Hook, class: PriorityClass) -> Option<Duration> {
        let max_wait = self.config.max_wait(hook, class);
        max_wait.limit.filter(|_| max_wait.explicit || !self.intake.replay)
    }
}

/// Events of one hook, class and key may be handled together.
fn batch_key(hook: &Hook, event: &Event) -> u64 {
    let key = match hook.batch.as_ref().map(|batch| &batch.key) {
        None | Some(BatchKey::Hook) => None,
        Some(BatchKey::Session) => event.session_key(),
        Some(BatchKey::Field(path)) => event.field_key(path),
    };
    key.unwrap_or(0)
}
