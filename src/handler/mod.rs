//! Handlers: what runs when a job is picked.
//!
//! A handler is prepared once, when the pool is built, and run on a worker thread for each job. It turns what happened
//! into an [`Ending`]; it knows nothing of queues, and it never fails: a handler that cannot be started is an ending too.

mod command;
mod lines;

use crate::event::Event;
use crate::hook::{HandlerSpec, Hook};
use crate::outcome::Ending;
use crate::outcome::JobId;
use crate::process::Cancel;

pub(crate) use self::command::{CommandHandler, Surroundings};

/// A handler, ready to run.
#[derive(Debug)]
pub(crate) enum Handler {
    Command(CommandHandler),
}

/// One job, as its handler sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Task<'a> {
    pub(crate) hook: &'a Hook,
    pub(crate) event: &'a Event,
    pub(crate) job: JobId,
    /// 1 for the first.
    pub(crate) attempt: u32,
    /// Stops the handler.
    pub(crate) cancel: &'a Cancel,
}

impl Handler {
    /// Resolves and prepares whatever can be before the first event.
    pub(crate) fn prepare(hook: &Hook, surroundings: &Surroundings) -> Self {
        match &hook.handler {
            HandlerSpec::Command(spec) => Self::Command(CommandHandler::prepare(spec, surroundings)),
        }
    }

    pub(crate) fn run(&self, task: &Task<'_>) -> Ending {
        match self {
            Self::Command(command) => command.run(task),
        }
    }

    /// Why it will not start, if that is known before the first event.
    pub(crate) fn fault(&self) -> Option<String> {
        match self {
            Self::Command(command) => command.fault(),
        }
    }
}
