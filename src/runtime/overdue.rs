//! What becomes of a handler in Rust whose time is over: its jobs are taken from it, and then its seat.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;

use super::breaking::{tell_turn, too_long};
use super::engine::Engine;
use super::flight::Late;
use super::leaving::Leaving;
use super::watchdog::Overdue;
use crate::handler::more_time;
use crate::outcome::{Ending, OutcomeKind};
use crate::telemetry;

impl Engine {
    /// Sees to a flight whose time is over. Observers are somebody else's code and may take their time, so where there
    /// are any it is done by a thread of its own, which is given back: the next deadline does not wait for them.
    pub(super) fn overdue_apart(self: &Arc<Self>, overdue: Overdue) -> Option<JoinHandle<()>> {
        let apart = self.has_observers().then(|| {
            let (engine, overdue) = (Arc::clone(self), overdue.clone());
            let thread = std::thread::Builder::new().name("hookpool-overdue".to_owned());
            thread.spawn(move || engine.overdue(&overdue)).ok()
        });
        let apart = apart.flatten();
        if apart.is_none() {
            self.overdue(&overdue);
        }
        apart
    }

    /// The time of a handler in Rust is over: its jobs get their outcome, and its seat goes to a spare thread if there
    /// may be one more.
    fn overdue(&self, overdue: &Overdue) {
        let Overdue { flights, number } = overdue;
        let mut turn = None;
        // It may have been set aside when its time was over, and the pool ends only now.
        let late = flights.time_out(*number, |aboard| turn = self.record_overdue(aboard));
        let Some(Late { run, entry, started, jobs }) = late else { return };
        let (entry, hook) = (&*entry, &entry.hook);
        let ran = || self.clock.now().since(started);
        tell_turn(entry, turn);
        for (running, was_given) in jobs {
            let leaving = Leaving::from(running);
            if !was_given {
                let reason =
                    "its batch failed, and there was no time left to give it to the handler by itself";
                let ending = Ending { run: Some(ran()), ..Ending::new(OutcomeKind::Failed, reason) };
                self.end(entry, leaving, true, ending);
                continue;
            }
            let reason = if self.is_stopping() {
                "it was still running when the grace at the end of the shutdown was over".to_owned()
            } else {
                too_long(hook)
            };
            let hint = (!self.is_stopping()).then(|| more_time(hook));
            let ending = Ending { run: Some(ran()), hint, ..Ending::new(OutcomeKind::TimedOut, reason) };
            self.end(entry, leaving, true, ending);
        }
        let Some(pool) = self.pool.get().and_then(Weak::upgrade) else { return };
        // At the end nothing is picked, so nobody needs the seat; but the run has to be over.
        let spare = !self.is_stopping();
        let given = if self.may_overrun(spare) {
            let given = flights.give_away(*number, || pool.replace(flights.worker, spare));
            if !matches!(given, Ok(Some(_))) {
                self.overrunning.fetch_sub(1, Ordering::SeqCst);
            }
            given
        } else {
            Err(std::io::Error::other("pool.max_overrun is reached"))
        };
        match given {
            Ok(Some(again)) => {
                // Before its run is over: who waits for the end finds that they have an outcome.
                for retry in self.still_wanted(again) {
                    let (entry, leaving) = Leaving::of(retry.job.body, Option::unwrap_or_default);
                    self.give_up(&entry, leaving);
                }
                pool.complete(run, ran());
            }
            Err(why) if self.watchdog.set_aside(overdue) => {
                telemetry::seat_lost(hook, &why);
            }
            // It has come back meanwhile.
            Ok(None) | Err(_) => {}
        }
    }

    /// Counts one more thread beyond its time; one that needs a spare thread only within the limit.
    fn may_overrun(&self, spare: bool) -> bool {
        let one_more =
            |n: usize| Some(n + 1).filter(|n| !spare || *n <= self.max_overrun.load(Ordering::Relaxed));
        self.overrunning.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_more).is_ok()
    }
}
