//! Handlers: what runs when a job is picked.
//!
//! A handler is prepared once, when its hook is defined, and run on a worker thread for each dispatch: one job, or the
//! members of a batch. It turns what happened to each of them into an [`Ending`], and tells of it as soon as it knows;
//! it knows nothing of queues, and it never fails: a handler that cannot be started is an ending too.

mod batch;
mod command;
#[cfg(any(test, fuzzing))]
pub(crate) mod door;
mod hint;
#[cfg(feature = "http")]
mod http;
mod lines;
mod parallel;
mod resident;
mod rust;

use std::sync::Arc;
use std::time::{Duration, Instant};

use smallvec::SmallVec;

use crate::class::PriorityClass;
use crate::event::Event;
use crate::hook::{HandlerSpec, Hook};
use crate::metrics::HookCounters;
use crate::outcome::{Ending, JobId, OutcomeKind};
use crate::process::Cancel;

use self::batch::LinesHandler;
pub(crate) use self::command::{CommandHandler, Surroundings};
pub(crate) use self::hint::more_time;
#[cfg(feature = "http")]
use self::http::HttpHandler;
pub use self::parallel::Parallel;
use self::resident::ResidentHandler;
pub(crate) use self::resident::Residents;
pub(crate) use self::rust::RustHandler;
pub use self::rust::{BatchAnswer, BatchHandler, Call, EventHandler};

/// A handler, ready to run.
#[derive(Debug)]
pub(crate) enum Handler {
    Command(Box<CommandHandler>),
    Lines(Box<LinesHandler>),
    Resident(ResidentHandler),
    #[cfg(feature = "http")]
    Http(Box<HttpHandler>),
    Rust(Arc<RustHandler>),
    /// There is none: its hook is switched off, or this build has none of its kind.
    Missing,
}

/// The jobs of one dispatch, as they are given to their handler.
#[derive(Clone, Copy)]
pub(crate) struct Given<'a> {
    pub(crate) hook: &'a Hook,
    /// Of all of them.
    pub(crate) class: PriorityClass,
    pub(crate) calls: &'a [Call],
    /// Told by a handler that cannot be stopped for how long it may run from now on with one of them alone, by its
    /// position. Answers with when that is over: then it is taken from it.
    pub(crate) alone: &'a dyn Fn(Duration, usize) -> Instant,
}

/// One job, as its handler sees it.
#[derive(Clone, Copy)]
pub(crate) struct Task<'a> {
    pub(crate) hook: &'a Hook,
    pub(crate) event: &'a Event,
    pub(crate) job: JobId,
    pub(crate) class: PriorityClass,
    /// 1 for the first.
    pub(crate) attempt: u32,
    /// Says that this member of a batch is not wanted any more. `None`: it runs alone, and `stop` says so.
    pub(crate) cancel: Option<&'a Cancel>,
    /// Stops the handler, whatever it runs.
    pub(crate) stop: &'a Cancel,
}

impl Task<'_> {
    /// Nobody wants this job any more.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.cancel.unwrap_or(self.stop).is_cancelled()
    }
}

impl Handler {
    /// Resolves and prepares whatever can be before the first event. `registered` is what was registered for the hook,
    /// `counters` is told of its processes.
    pub(crate) fn prepare(
        hook: &Hook,
        surroundings: &Surroundings,
        registered: Option<Arc<RustHandler>>,
        counters: &Arc<HookCounters>,
    ) -> Self {
        match &hook.handler {
            HandlerSpec::Command(spec) => {
                Self::Command(Box::new(CommandHandler::prepare(spec, surroundings, counters)))
            }
            HandlerSpec::Lines(spec) => {
                Self::Lines(Box::new(LinesHandler::prepare(spec, surroundings, counters)))
            }
            HandlerSpec::Resident(spec) => {
                Self::Resident(ResidentHandler::prepare(spec, hook, surroundings, counters))
            }
            #[cfg(feature = "http")]
            HandlerSpec::Http(spec) => Self::Http(Box::new(HttpHandler::prepare(spec, surroundings))),
            #[cfg(not(feature = "http"))]
            HandlerSpec::Http(_) => Self::Missing,
            HandlerSpec::Registered => registered.map_or(Self::Missing, Self::Rust),
        }
    }

    /// True when it is the code of the program around the pool.
    pub(crate) fn is_rust(&self) -> bool {
        matches!(self, Self::Rust(_))
    }

    /// True when it can be given more than one task.
    pub(crate) fn takes_many(&self) -> bool {
        match self {
            Self::Lines(_) | Self::Resident(_) => true,
            #[cfg(feature = "http")]
            Self::Http(http) => http.takes_many(),
            Self::Rust(rust) => matches!(**rust, RustHandler::Batch(_)),
            Self::Command(_) | Self::Missing => false,
        }
    }

    /// Runs all jobs of one dispatch. `done` is told how each of them ended, by its position, once and as soon as that is
    /// known. There is more than one only if [`Handler::takes_many`] and the hook has a batch policy.
    pub(crate) fn run(&self, given: Given<'_>, done: &mut dyn FnMut(usize, Ending)) {
        if let Self::Rust(rust) = self {
            return rust.run(given, done);
        }
        let tasks: SmallVec<[_; 1]> = given.calls.iter().map(|call| call.task(&given)).collect();
        self.run_tasks(&tasks, done);
    }

    fn run_tasks(&self, tasks: &[Task<'_>], done: &mut dyn FnMut(usize, Ending)) {
        match self {
            Self::Command(command) => {
                for (index, task) in tasks.iter().enumerate() {
                    done(index, command.run(task));
                }
            }
            Self::Lines(lines) => lines.run(tasks, done),
            Self::Resident(resident) => resident.run(tasks, done),
            #[cfg(feature = "http")]
            Self::Http(http) => http.run(tasks, done),
            Self::Rust(_) | Self::Missing => {
                let reason = "no handler is registered for the hook";
                let ending =
                    |index| Ending { repeats: index > 0, ..Ending::new(OutcomeKind::NotStarted, reason) };
                (0..tasks.len()).for_each(|index| done(index, ending(index)));
            }
        }
    }

    /// Why it will not start, if that is known before the first event.
    pub(crate) fn fault(&self) -> Option<String> {
        match self {
            Self::Command(command) => command.fault(),
            Self::Lines(lines) => lines.fault(),
            Self::Resident(resident) => resident.fault(),
            #[cfg(feature = "http")]
            Self::Http(http) => http.fault(),
            Self::Rust(_) | Self::Missing => None,
        }
    }
}

/// What a panic said.
pub(crate) fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(|text| &**text));
    text.unwrap_or("no message").to_owned()
}
