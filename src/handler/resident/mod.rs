//! Resident handlers: processes that stay, get events as lines, and answer each with a line.
//!
//! | file | owns |
//! |---|---|
//! | `instance.rs` | one process: what it is started with, what it has written, how it is ended |
//! | `flight.rs` | the events of one dispatch on their way through a process |
//! | `shelf.rs` | the processes of one hook between their dispatches: starting, resting, replacing, ending |
//!
//! A worker takes a process from the shelf, or starts one, and has it for itself until all events of its dispatch have
//! their outcome. The core runs no more dispatches of the hook at once than it may have processes, and puts no more
//! events into one than its `window` says, so nobody waits here.
//!
//! **Time.** An event's timeout runs from the moment when it is the oldest that the process has: its line is being
//! written and what was before it is answered. Starting a process is part of the time of the event that it is started
//! for.
//!
//! **Faults.** The event that suffers is always the oldest without an answer. It times out, or it fails because the
//! process ended, closed an end of its pipes, or wrote a broken answer. Then the process is ended (TERM, grace, KILL, for
//! its whole group), and those behind that event are given to another one, in order. They may have been begun, so a
//! handler with a `window` may see an event twice. A process that ends at rest, or writes a broken answer
//! there, costs none: it is replaced, and so is one that ends before it has read anything of the event that it was taken
//! from the shelf for. One that was started ahead, and ends so, counts as one that ended early.

mod flight;
mod instance;
mod shelf;

use std::sync::Arc;

#[cfg(any(test, fuzzing))]
pub(super) use self::flight::hear;
use self::flight::{Flight, Parted};
pub(crate) use self::shelf::Residents;
use self::shelf::Shelf;
use super::command::nested_too_deep;
use super::{CommandHandler, Surroundings, Task};
use crate::hook::{Hook, ResidentSpec};
use crate::metrics::HookCounters;
use crate::outcome::Ending;
use crate::process::Stage;

/// See the module's description.
#[derive(Debug)]
pub(crate) struct ResidentHandler {
    shelf: Arc<Shelf>,
}

impl ResidentHandler {
    pub(super) fn prepare(
        spec: &ResidentSpec,
        hook: &Hook,
        surroundings: &Surroundings,
        counters: &Arc<HookCounters>,
    ) -> Self {
        let command = CommandHandler::prepare(&spec.command, surroundings, counters);
        Self { shelf: Shelf::new(command, spec, hook) }
    }

    pub(super) fn fault(&self) -> Option<String> {
        self.shelf.command.fault()
    }

    pub(super) fn run(&self, tasks: &[Task<'_>], done: &mut dyn FnMut(usize, Ending)) {
        let mut flight = Flight::new(tasks, done);
        if let Some(ending) = nested_too_deep(self.shelf.command.surroundings.depth) {
            return flight.end_rest(|| Ending::not_started(ending.reason.clone()));
        }
        let complain = |what: &str| self.shelf.complain(tasks, what);
        while let Some(stop) = flight.next() {
            if stop.is_cancelled() {
                return flight.end_rest(Ending::not_wanted);
            }
            let mut instance = match self.shelf.take_or_start() {
                Ok(instance) => instance,
                Err(reason) => return flight.end_rest(|| Ending::not_started(reason.clone())),
            };
            match flight.fly(&mut instance, &complain) {
                Parted::Done => return self.shelf.give_back(instance),
                parted => {
                    if instance.answered == 0 && parted.is_end() {
                        self.shelf.ended_early();
                    }
                    // Between two events nobody suffers. One that was started for these events is not asked twice.
                    if parted == Parted::Unread && (instance.rested || instance.answered > 0) {
                        self.shelf.end(instance, Stage::Ask);
                    } else {
                        flight.suffer(parted, instance, &self.shelf, &complain);
                    }
                }
            }
        }
    }
}

/// Its hook is defined otherwise, and the last job that was for it has its outcome.
impl Drop for ResidentHandler {
    fn drop(&mut self) {
        self.shelf.retire();
    }
}
