//! Boarding: what a job that was picked goes through before its handler runs.
//!
//! What it waits with is parted from it, its wait is over, and whoever cancels it from now on stops a run. A job that nobody has a handle on needs no way to be stopped: nobody ever can.

use std::sync::Arc;

use super::crew::Crew;
use super::engine::Engine;
use super::flight::Running;
use super::handle::Stop;
use super::hooks::HookEntry;
use super::job::{Job, More, Queued};
use super::leaving::Leaving;
use crate::breaker::Pass;
use crate::outcome::{Ending, OutcomeKind};
use crate::process::Cancel;
use crate::scheduler::Picked;
use crate::time::Time;

/// A job that was picked, before its handler runs.
pub(super) struct Boarding {
    /// Its wait is what it waited for until now.
    place: Picked<()>,
    job: Job,
    more: Option<Box<More>>,
    /// It has not been started before.
    is_first: bool,
    is_unwanted: bool,
    has_handle: bool,
}

impl Boarding {
    /// With the definition that it goes by.
    pub(super) fn of(picked: Picked<Queued>, now: Time) -> (Self, Arc<HookEntry>) {
        let (mut place, Queued { job, entry, more }) = picked.part();
        // First: what a handle did that is gone by now has been done before.
        let has_handle = job.may_be_cancelled();
        let is_unwanted = job.is_unwanted();
        let waited_before = more.as_ref().and_then(|more| more.waited);
        let is_first = waited_before.is_none();
        place.waited = waited_before.unwrap_or_else(|| place.waited.until(now.since(place.admitted)));
        (Self { place, job, more, is_first, is_unwanted, has_handle }, entry)
    }
}

impl Engine {
    /// A job of a dispatch whose handler is about to run. `None`: it may not, or nobody wants it any more, and it has its
    /// outcome.
    pub(super) fn start(
        &self,
        entry: &HookEntry,
        boarding: Boarding,
        (stop, crew): (&Cancel, Option<&Arc<Crew>>),
        pass: &Result<Option<Pass>, String>,
    ) -> Option<Running> {
        let Boarding { place, job, more, is_first, is_unwanted, has_handle } = boarding;
        let mut running = Running { job, more, place, member: None };
        if let Err(why) = pass {
            self.turn_away(entry, Leaving::from(running), why);
            return None;
        }
        let (job, class) = (&running.job, running.job.class);
        if is_first {
            entry.record.counters.started(class, job.kind(), running.place.waited.total());
        } else {
            entry.record.counters.restarted(class, job.kind());
        }
        // Who cancels one member of a batch does not stop the others.
        running.member = crew.map(Crew::add);
        let is_wanted = if has_handle {
            job.start(running.member.clone().map_or_else(|| Stop::All(stop.clone()), Stop::Member))
        } else {
            !is_unwanted
        };
        if !is_wanted {
            running.is_over();
            let reason = "it was stopped before its handler was started";
            self.end(entry, Leaving::from(running), true, Ending::new(OutcomeKind::Cancelled, reason));
            return None;
        }
        Some(running)
    }
}
