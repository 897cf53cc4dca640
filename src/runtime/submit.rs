//! The way of an event to the lanes: which hooks want it, in which class, and whether there is room.
//!
//! This is what the submitting thread pays for. Per event: one match. Per matching hook: one decision; for an admitted
//! one a place in the queue, a job, a push and perhaps a wake-up. A place is taken before anything is built, so a
//! refusal costs next to nothing.

use std::sync::Arc;

use super::Inner;
use super::accounts::{Charge, Owner};
use super::handle::{Admitted, JobHandle, JobShared};
use super::hooks::{HookEntry, HookSet};
use super::job::{Job, Pushed};
use super::record::Submitted;
use super::spares;
use super::submission::{Decision, Preview, Submission};
use crate::breaker::Breaker;
use crate::class::PriorityClass;
use crate::config::Config;
use crate::event::{Event, Subject};
use crate::matcher::Matched;
use crate::outcome::{Refusal, Skip};
use crate::pool::Reserved;
use crate::recording::Fate;
use crate::telemetry;

/// What the hooks that want one event have in common.
#[derive(Clone, Copy)]
struct Incoming<'a> {
    hooks: &'a HookSet,
    when_room: bool,
}

impl Inner {
    /// The answer goes `into` an empty submission, which the caller has where it wants it: an answer that is put together
    /// here and copied there takes as long as a third of all the rest. `only`: the one hook that counts.
    ///
    /// For an event that turns out to be impossible to write, nothing is submitted but for the hooks that would have
    /// been skipped whatever it holds.
    pub(super) fn submit(
        &self,
        into: &mut Submission,
        only: Option<&str>,
        event: impl Subject,
        when_room: bool,
    ) {
        // Once: all of one event's hooks are of one configuration.
        let hooks = self.hooks.load();
        let incoming = Incoming { hooks: &hooks, when_room };
        let mut last = None;
        hooks.matcher.find_for(&event, hooks.config.kinds, |at, matched| {
            let Some(entry) = hooks.entries.get(at) else { return };
            if only.is_none_or(|only| only == entry.hook.name.as_str())
                && let Some((entry, matched)) = last.replace((entry, matched))
            {
                self.decide(into, incoming, entry, &event, matched);
            }
        });
        match last {
            // The last one has the event itself, where the others have references to it.
            Some((entry, matched)) => self.decide(into, incoming, entry, event, matched),
            None if event.is_impossible() => {}
            None => self.unmatched.count(event.kind()),
        }
    }

    /// The class that a job would have, and why there would be none.
    fn assess(&self, config: &Config, entry: &HookEntry, matched: Matched) -> (PriorityClass, Option<Skip>) {
        let hook = &entry.hook;
        let ways = if matched.open.is_empty() { matched.ways } else { matched.open };
        let class = hook.priority.unwrap_or_else(|| config.priority.class_of(ways));
        let skip = if config.performance_mode {
            Some(Skip::PerformanceMode)
        } else if !hook.enabled {
            Some(Skip::HookDisabled)
        } else if matched.open.is_empty() {
            Some(Skip::KindDisabled)
        } else {
            let refuses = |breaker: &Arc<Breaker>| breaker.refuses(|| self.engine.clock.now());
            entry.breaker.as_ref().is_some_and(refuses).then_some(Skip::BreakerOpen)
        };
        (class, skip)
    }

    pub(super) fn preview(&self, event: &Event) -> Vec<Preview> {
        let mut previews = Vec::new();
        let hooks = self.hooks.load();
        hooks.matcher.find(event, hooks.config.kinds, |at, matched| {
            let Some(entry) = hooks.entries.get(at) else { return };
            let (class, skip) = self.assess(&hooks.config, entry, matched);
            previews.push(Preview { hook: entry.hook.name.clone(), class, skip });
        });
        previews
    }

    /// Nothing, if the event cannot be written.
    fn decide(
        &self,
        into: &mut Submission,
        incoming: Incoming<'_>,
        entry: &Arc<HookEntry>,
        event: impl Subject,
        matched: Matched,
    ) {
        let (class, skip) = self.assess(&incoming.hooks.config, entry, matched);
        if let Some(why) = skip {
            self.skip(incoming, entry, (&event, class), why);
            into.push(entry, || Decision::Skipped(why));
            return;
        }
        let room = {
            let Some(event) = event.event() else { return };
            match self.refuses_plainly(incoming, event) {
                Some(why) => Err(why),
                None => self.admit(incoming, into.latest(), event, class),
            }
        };
        match room {
            Ok(room) => {
                let Some(event) = event.into_event() else { return };
                let handle = self.push(incoming, entry, (event, class), room);
                into.push(entry, || Decision::Admitted(handle));
            }
            Err(why) => {
                let Some(event) = event.event() else { return };
                self.refuse(incoming, entry, (event, class), why);
                into.push(entry, || Decision::Refused(why));
            }
        }
    }

    fn skip(
        &self,
        incoming: Incoming<'_>,
        entry: &Arc<HookEntry>,
        (event, class): (&impl Subject, PriorityClass),
        why: Skip,
    ) {
        entry.record.counters.skipped(class, event.kind(), why);
        telemetry::skipped(&entry.hook, event, why);
        // An event that is not written yet is written for a recording only.
        if self.engine.recorder.is_some()
            && let Some(event) = event.event()
        {
            let submitted = Submitted { entry, event, class, waits: incoming.when_room };
            self.engine.record_arrival(&submitted, Fate::Skipped(why), None, None);
        }
    }

    fn refuse(
        &self,
        incoming: Incoming<'_>,
        entry: &Arc<HookEntry>,
        (event, class): (&Event, PriorityClass),
        why: Refusal,
    ) {
        entry.record.counters.refused(class, event.kind(), why);
        self.engine.telemetry.refused(&entry.hook, event, class, why);
        let submitted = Submitted { entry, event, class, waits: incoming.when_room };
        self.engine.record_arrival(&submitted, Fate::Refused(why), None, None);
    }

    /// What one look shows, before anything is counted and given back, which costs as much as all the rest of a refusal.
    fn refuses_plainly(&self, incoming: Incoming<'_>, event: &Event) -> Option<Refusal> {
        if event.payload().len() as u64 > incoming.hooks.max_event_bytes() {
            return Some(Refusal::TooLarge);
        }
        (!incoming.when_room && self.pool.is_plainly_full()).then_some(Refusal::Full)
    }

    /// Room for the event's bytes, then a place in the queue, and nothing else before. The bytes come first because a
    /// place, once taken, has to be used.
    fn admit(
        &self,
        incoming: Incoming<'_>,
        latest: Option<&Arc<JobShared>>,
        event: &Event,
        class: PriorityClass,
    ) -> Result<(Reserved, Owner), Refusal> {
        let accounts = &self.engine.accounts;
        let joined = latest.and_then(|job| Charge::with(job, accounts));
        let bytes = event.payload().len() as u64;
        let charge = joined.map_or_else(|| self.charge(bytes, incoming.when_room), Ok)?;
        let place =
            if incoming.when_room { self.pool.reserve_when_room(class) } else { self.pool.reserve(class) }?;
        Ok((place, charge.keep()))
    }

    fn charge(&self, bytes: u64, when_room: bool) -> Result<Charge<'_>, Refusal> {
        let attempt = || match self.engine.accounts.charge(bytes) {
            Some(charge) => Ok(charge),
            None if self.pool.is_closed() => Err(Refusal::Closed),
            // There is room for less than that since it was waited for.
            None if bytes > self.engine.accounts.bytes.limit() => Err(Refusal::TooLarge),
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
        incoming: Incoming<'_>,
        entry: &Arc<HookEntry>,
        (event, class): (Event, PriorityClass),
        (place, owner): (Reserved, Owner),
    ) -> JobHandle {
        let id = Job::id(place.number);
        let at = self.engine.clock.now();
        let pool = self.engine.number.get();
        let job = Job::new(Admitted { id, pool, event, class, owner });
        let handle = job.handle();
        let event = handle.shared.event();
        entry.record.counters.admitted(class, event.kind());
        // Before the push: the job may have started when that returns.
        self.engine.telemetry.queued(&entry.hook, event, id, class, place.waiting);
        let submitted = Submitted { entry, event, class, waits: incoming.when_room };
        self.engine.record_arrival(&submitted, Fate::Admitted(None), Some(at), Some(id));
        let expires = entry.max_wait[class].map(|max_wait| at + max_wait);
        self.pool.push(place, Pushed::new(job, entry, at), expires);
        spares::warm();
        handle
    }
}
