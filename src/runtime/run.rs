//! A run: the jobs of one dispatch, from the pick until their worker is back from the handler.
//!
//! They board (`boarding.rs`), fly while the handler has them (`flight.rs`), and each ends by what the handler says of it,
//! or runs again (`retry.rs`). Invariant: when the run is over every job of it has its outcome or goes back, whatever the
//! handler did: it may panic, forget jobs, or tell of one twice.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use smallvec::SmallVec;

use super::boarding::Boarding;
use super::breaking::Releases;
use super::crew::Crew;
use super::engine::{Engine, Inside};
use super::flight::{Aboard, Jobs, Running};
use super::job::{More, Queued};
use super::station::Station;
use crate::handler::{Call, Given, panic_text};
use crate::hook::Hook;
use crate::outcome::{Answer, Ending, OutcomeKind};
use crate::pool::Finished;
use crate::process::Cancel;
use crate::scheduler::Dispatch;
use crate::telemetry;
use crate::time::Time;

impl Engine {
    /// Runs what was picked. `None`: the worker's place was given away meanwhile.
    pub(super) fn run_dispatch(
        &self,
        station: &mut Station,
        dispatch: Dispatch<Queued>,
        started: Time,
    ) -> Option<Finished<Queued>> {
        let Dispatch { run, hook, class: picked_as, first, rest } = dispatch;
        let elapsed = || self.clock.now().since(started);
        let (first, own) = Boarding::of(first, started);
        self.prepare_stop(station);
        station.go_by(&own);
        let Station { flights, stop, stop_for_call: kept, entry, spent } = station;
        let (flights, stop, entry) = (&**flights, &*stop, &*entry.get_or_insert_with(|| Arc::clone(&own)));
        debug_assert_eq!(hook, entry.record.slot, "hooks are numbered alike");
        let pass = self.pass(entry);
        let given = pass.as_ref().ok().copied().flatten();
        // Whatever becomes of the dispatch: when it is over, it holds up no other one.
        let _releases = Releases(self, entry.breaker.clone().zip(given));
        let crew = (!rest.is_empty()).then(|| Arc::new(Crew::new(stop.clone())));
        let mut jobs = Jobs::new();
        let mut board = |boarding| {
            if let Some(running) = self.start(entry, boarding, (stop, crew.as_ref()), &pass) {
                let what = (running.job.event(), running.job.id, running.job.class);
                telemetry::started(&entry.hook, what, picked_as, &running.place.waited);
                jobs.push(Some(running));
            }
        };
        board(first);
        for picked in rest {
            let (boarding, own) = Boarding::of(picked, started);
            board(boarding);
            spent.push(own);
        }
        if let Some(crew) = crew {
            crew.complete();
        }
        let Some(class) = jobs.iter().flatten().map(|running| running.job.class).next() else {
            return Some(Finished::after(elapsed()));
        };
        if entry.handler.takes_many() {
            entry.record.counters.dispatched(jobs.len());
        }
        let until = started + entry.hook.timeout_for(jobs.len());
        let deadline = self.clock.instant(until);
        // A job that has its outcome is gone, while the handler may look at its event.
        let mut calls = SmallVec::<[_; 1]>::new();
        for running in jobs.iter().flatten() {
            calls.push(running.call(&entry.hook, deadline, kept.take().unwrap_or_else(|| stop.clone())));
        }
        // Only a handler in Rust cannot be stopped.
        let is_watched = entry.handler.is_rust();
        let aboard = Aboard { run, entry: own, started, pass: given };
        let before = self.watchdog.take_off(flights, (aboard, jobs), is_watched.then_some(until));
        if let Some(Aboard { entry, .. }) = before {
            spent.push(entry);
        }
        let alone = |timeout, index| {
            let until = self.clock.now() + timeout;
            self.watchdog.gives(flights, index, until);
            self.clock.instant(until)
        };
        let (ended, took, runs_again) = (Cell::new(0), Cell::new(None), Cell::new(false));
        let done = |index: usize, mut ending: Ending| {
            // A second ending of a task, or one that comes too late, is nothing that anybody could use.
            let Some((running, _in_hand)) = flights.take(index) else { return false };
            ended.set(ended.get() + 1);
            ending.redact(&entry.hook.redactor);
            if ending.run.is_none() && ending.kind.has_run() {
                took.set(Some(elapsed()));
                ending.run = took.get();
            }
            if let Some(again) = self.settle(entry, running, given, ending) {
                runs_again.set(true);
                flights.runs_again(again);
            }
            true
        };
        let given = Given { hook: &entry.hook, class, calls: &calls, alone: &alone };
        let ran = {
            let _inside = is_watched.then(|| Inside::enter(self));
            let mut done = |index, ending| {
                done(index, ending);
            };
            catch_unwind(AssertUnwindSafe(|| entry.handler.run(given, &mut done)))
        };
        let all_have_ended = ended.get() == calls.len();
        if !all_have_ended {
            let panic = ran.err().map(|panic| panic_text(&*panic));
            let mut repeats = false;
            for index in (0..calls.len()).filter(|index| !flights.has_ended(*index)) {
                let ending = panic.as_deref().map_or_else(Ending::forgotten, Ending::panicked);
                repeats |= done(index, Ending { repeats, ..ending });
            }
        }
        // A flight of one job that the worker has taken out was never overdue, and is watched no more.
        let has_landed = all_have_ended && calls.len() == 1 && !runs_again.get();
        let again = if has_landed { Some(Vec::new()) } else { flights.land() };
        *kept = calls.into_iter().next().map(|call| call.stop);
        let Some(again) = again else {
            self.overrunning.fetch_sub(1, Ordering::SeqCst);
            telemetry::came_back(&entry.hook, elapsed());
            drop(flights.unload());
            return None;
        };
        // Where nobody else's code was called since, the last look at the clock will do.
        let took = took.get().filter(|_| all_have_ended && !self.has_observers());
        Some(Finished { elapsed: took.unwrap_or_else(elapsed), retries: self.still_wanted(again) })
    }
}

impl Running {
    /// What the handler sees of the job, and keeps seeing when that has its outcome.
    fn call(&self, hook: &Hook, deadline: Instant, stop: Cancel) -> Call {
        let Self { job, more, member, .. } = self;
        Call {
            hook: hook.name.clone(),
            event: job.event().clone(),
            job: job.id,
            attempt: More::attempt(more.as_deref()),
            deadline,
            cancel: member.as_ref().map(|member| member.cancel.clone()),
            stop,
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
