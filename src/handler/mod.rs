//! Handlers: what runs when a job is picked.
//!
//! A handler is prepared once, when the pool is built, and run on a worker thread for each dispatch: one job, or the
//! members of a batch. It turns what happened to each of them into an [`Ending`], and tells of it as soon as it knows;
//! it knows nothing of queues, and it never fails: a handler that cannot be started is an ending too.

mod batch;
mod command;
mod lines;
mod resident;

use crate::event::Event;
use crate::hook::{HandlerSpec, Hook};
use crate::outcome::Ending;
use crate::outcome::JobId;
use crate::process::Cancel;

use self::batch::LinesHandler;
pub(crate) use self::command::{CommandHandler, Surroundings};
use self::resident::ResidentHandler;
pub(crate) use self::resident::Residents;

/// A handler, ready to run.
#[derive(Debug)]
pub(crate) enum Handler {
    Command(CommandHandler),
    Lines(LinesHandler),
    Resident(ResidentHandler),
}

/// One job, as its handler sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Task<'a> {
    pub(crate) hook: &'a Hook,
    pub(crate) event: &'a Event,
    pub(crate) job: JobId,
    /// 1 for the first.
    pub(crate) attempt: u32,
    /// Says that this job is not wanted any more. That of a job which runs alone is `stop` itself.
    pub(crate) cancel: &'a Cancel,
    /// Stops the handler, whatever it runs.
    pub(crate) stop: &'a Cancel,
}

impl Handler {
    /// Resolves and prepares whatever can be before the first event.
    pub(crate) fn prepare(hook: &Hook, surroundings: &Surroundings) -> Self {
        match &hook.handler {
            HandlerSpec::Command(spec) => Self::Command(CommandHandler::prepare(spec, surroundings)),
            HandlerSpec::Lines(spec) => Self::Lines(LinesHandler::prepare(spec, surroundings)),
            HandlerSpec::Resident(spec) => Self::Resident(ResidentHandler::prepare(spec, hook, surroundings)),
        }
    }

    /// Runs all tasks of one dispatch. `done` is told how each of them ended, by its position, once and as soon as that
    /// is known. There is more than one task only if [`HandlerSpec::takes_many`] and the hook has a batch policy.
    pub(crate) fn run(&self, tasks: &[Task<'_>], done: &mut dyn FnMut(usize, Ending)) {
        match self {
            Self::Command(command) => {
                for (index, task) in tasks.iter().enumerate() {
                    done(index, command.run(task));
                }
            }
            Self::Lines(lines) => lines.run(tasks, done),
            Self::Resident(resident) => resident.run(tasks, done),
        }
    }

    /// Why it will not start, if that is known before the first event.
    pub(crate) fn fault(&self) -> Option<String> {
        match self {
            Self::Command(command) => command.fault(),
            Self::Lines(lines) => lines.fault(),
            Self::Resident(resident) => resident.fault(),
        }
    }
}
