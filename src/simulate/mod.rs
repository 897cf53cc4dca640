//! The real scheduler core in virtual time: what a configuration would do under a load, without running a handler.
//!
//! | file | owns |
//! |---|---|
//! | `load.rs` | what arrives and how long it runs |
//! | `spec.rs` | a load as its users write it |
//! | `draw.rs` | chance that is the same everywhere |
//! | `feed.rs` | what comes next: drawn, or recorded |
//! | `world.rs` | the simulated pool: arrivals, seats, ends |
//! | `runs.rs` | what a run takes, and how its jobs end |
//! | `tape.rs` | the recording of a simulated run |
//! | `report.rs` | what was found |
//!
//! The core, its numbers and the rule of admission are those of the pool, not copies of them. What is not modelled is
//! said at [`Simulation`]. One configuration, load and seed are one run, to the byte, on every machine.

mod draw;
mod feed;
mod load;
mod report;
mod runs;
mod spec;
mod tape;
#[cfg(test)]
mod tests;
mod world;

use std::time::Duration;

pub use self::load::Load;
pub use self::report::{Depth, SimulationReport};

use self::feed::Stream;
use self::load::{StreamLoad, Target};
use self::tape::Tape;
use self::world::{Setting, World};
use crate::class::PriorityClass;
use crate::config::{Config, ConfigError, Origin, Problems, Severity, nearest};
use crate::hook::HandlerSpec;
use crate::kind::KindSet;
use crate::recording::Recording;

/// A run of the scheduler in virtual time.
///
/// The same as in a pool: classes, guarantees, ceilings, displacement, `max_wait`, `max_bytes`, order, seats, bypass,
/// weights, `max_concurrency`, batches, timeouts, retries, circuit breakers, disabled hooks. Not modelled: what handlers do to each other on the machine's
/// processors, the grace of a handler that is stopped (it ends at its timeout), processes of resident handlers (they are
/// always there), selectors (the load says what a hook gets), reload and pause. Nobody waits for room. All events of a
/// hook have one value of the field that its batches go by.
///
/// A [`Recording`] as the load knows more: the classes and fields of its events, what a handler took that was stopped, who
/// waited for room, and each attempt by itself. A job that is tried more often than it was does again what it did last;
/// one that never ran does what another one of its hook did, chosen by chance.
///
/// ```
/// use hookpool::{Config, Load, Simulation};
///
/// let load = Load::from_toml("jobs = 10_000\n[class.normal]\narrivals = { poisson = '90/s' }\nrun_time = '40ms'\n")?;
/// let config = Config::default();
/// let report = Simulation::new(&config, &load)?.seed(7).run();
/// assert!(report.ledger.is_balanced() && report.utilisation > 0.5);
/// # Ok::<(), hookpool::config::ConfigError>(())
/// ```
#[derive(Debug)]
#[must_use = "a simulation does nothing until `run`"]
pub struct Simulation<'a> {
    config: &'a Config,
    load: &'a Load,
    streams: Vec<Stream>,
    seed: u64,
    jobs: Option<u64>,
    target: Option<Duration>,
}

impl<'a> Simulation<'a> {
    /// Puts a configuration and a load together.
    ///
    /// # Errors
    /// The load names a hook that the configuration does not have, or gives a class to one that has its own.
    ///
    /// ```
    /// use hookpool::{Config, Load, Simulation};
    /// let load = Load::from_toml("[hook.audit]\narrivals = { every = '1s' }\n")?;
    /// assert!(Simulation::new(&Config::default(), &load).is_err());
    /// # Ok::<(), hookpool::config::ConfigError>(())
    /// ```
    pub fn new(config: &'a Config, load: &'a Load) -> Result<Self, ConfigError> {
        let mut problems = Problems::default();
        let bind = |stream| bind(config, load, stream, &mut problems);
        let streams = load.streams.iter().filter_map(bind).collect();
        problems.finish()?;
        Ok(Self { config, load, streams, seed: 1, jobs: None, target: None })
    }

    /// The seed; 1 without.
    ///
    /// ```
    /// # use hookpool::{Config, Load, Simulation};
    /// # let (config, load) = (Config::default(), Load::from_toml("[class.low]\narrivals = { every = '1s' }\n")?);
    /// assert_eq!(Simulation::new(&config, &load)?.seed(42).jobs(1).run().seed, 42);
    /// # Ok::<(), hookpool::config::ConfigError>(())
    /// ```
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// How many jobs are submitted, in place of what the load says.
    ///
    /// ```
    /// # use hookpool::{Config, Load, Simulation};
    /// # let (config, load) = (Config::default(), Load::from_toml("[class.low]\narrivals = { every = '1s' }\n")?);
    /// let report = Simulation::new(&config, &load)?.jobs(25).run();
    /// assert_eq!(report.ledger.snapshot.total.submitted(), 25);
    /// # Ok::<(), hookpool::config::ConfigError>(())
    /// ```
    pub fn jobs(mut self, jobs: u64) -> Self {
        self.jobs = Some(jobs);
        self
    }

    /// The longest wait of a job that counts as [in time](SimulationReport::is_in_time).
    ///
    /// ```
    /// # use hookpool::{Config, Load, Simulation};
    /// # let (config, load) = (Config::default(), Load::from_toml("[class.low]\narrivals = { every = '1s' }\n")?);
    /// let simulation = Simulation::new(&config, &load)?.jobs(25).target(std::time::Duration::from_millis(1));
    /// assert!(simulation.run().is_in_time(&[hookpool::PriorityClass::Low]));
    /// # Ok::<(), hookpool::config::ConfigError>(())
    /// ```
    pub fn target(mut self, wait: Duration) -> Self {
        self.target = Some(wait);
        self
    }

    /// Runs it to the end of the last job. It takes about a microsecond for each job, and memory for those that wait.
    ///
    /// ```
    /// # use hookpool::{Config, Load, Simulation};
    /// # let (config, load) = (Config::default(), Load::from_toml("[class.low]\narrivals = { every = '1s' }\n")?);
    /// assert!(Simulation::new(&config, &load)?.jobs(10).run().ledger.is_balanced());
    /// # Ok::<(), hookpool::config::ConfigError>(())
    /// ```
    #[must_use]
    pub fn run(self) -> SimulationReport {
        self.run_with(Tape::default()).0
    }

    /// [`Simulation::run`], with a recording of it: what came when, and how long it ran, without the overhead of the load.
    /// It has all jobs in memory.
    ///
    /// ```
    /// # use hookpool::{Config, Load, Simulation};
    /// let config = Config::from_toml("[hook.audit]\non = ['*']\nrun = 'cat'\n")?;
    /// let (report, recording) = Simulation::new(&config, &Load::typical(&config))?.jobs(500).run_recorded();
    /// // Under the same configuration it all happens again.
    /// let again = Simulation::new(&config, &recording.into())?.run();
    /// assert_eq!(report.mean_wait, again.mean_wait);
    /// # Ok::<(), hookpool::config::ConfigError>(())
    /// ```
    #[must_use]
    pub fn run_recorded(self) -> (SimulationReport, Recording) {
        self.run_with(Tape::running())
    }

    fn run_with(self, tape: Tape) -> (SimulationReport, Recording) {
        let Load { jobs, duration, overhead, ref recording, .. } = *self.load;
        let (jobs, duration) = match self.jobs {
            Some(limit) if recording.is_some() => (limit.min(jobs.unwrap_or(limit)), None),
            Some(jobs) => (jobs, None),
            None => (jobs.unwrap_or(u64::MAX), duration),
        };
        let (seed, target) = (self.seed, self.target);
        let setting = Setting { recording: recording.clone(), seed, overhead, target, tape };
        World::new(self.config, self.streams, setting).run(jobs, duration)
    }
}

/// The stream with the numbers of its hook.
fn bind(config: &Config, load: &Load, stream: &StreamLoad, problems: &mut Problems) -> Option<Stream> {
    let replay = load.recording.as_ref().is_some_and(|recording| recording.replay);
    let made = |hook, class| Some(Stream::new(stream.clone(), hook, class, config, replay));
    let name = match &stream.target {
        Target::Class(class) => return made(None, Some(*class)),
        Target::Hook(name) => name,
    };
    let key = format!("hook.{}", crate::config::shown(name));
    let Some(at) = config.hooks.iter().position(|hook| hook.name.as_str() == name) else {
        let message = format!("`{key}`: the configuration has no hook of that name");
        let near = nearest(name, config.hooks.iter().map(|hook| hook.name.as_str()));
        let hint = match (near, &load.recording) {
            (Some(near), None) => Some(format!("did you mean `{near}`?")),
            (None, None) => None,
            // A simulated load of classes, recorded.
            (_, Some(_)) if feed::class_of(name).is_some() => return made(None, feed::class_of(name)),
            (_, Some(_)) => {
                Some("to leave its jobs out, configure it with `on`, `run` and `enabled = false`".to_owned())
            }
        };
        problems.push(stream.origin.clone(), key, Severity::Error, message, hint);
        return None;
    };
    let hook = config.hooks.get(at)?;
    if load.recording.is_some() {
        return made(Some(at), hook.priority);
    }
    let class = match (hook.priority, &stream.class) {
        (Some(own), Some((_, origin))) => {
            let message =
                format!("`{key}.class` has no use: the hook has the priority {own}, whatever the event");
            problems.push(Origin::clone(origin), key, Severity::Error, message, None);
            return None;
        }
        (Some(own), None) => own,
        (None, Some((class, _))) => *class,
        (None, None) => class_of_kinds(config, &hook.selector),
    };
    made(Some(at), Some(class))
}

/// The class that all events of the hook have, if it is one; else the default.
fn class_of_kinds(config: &Config, selector: &crate::matcher::Selector) -> PriorityClass {
    let default = config.priority.class_of(KindSet::EMPTY);
    let mut classes = selector.kinds.members().map(|kind| config.priority.class_of(kind));
    match classes.next() {
        Some(first) if !selector.any && selector.names.is_empty() && classes.all(|class| class == first) => {
            first
        }
        _ => default,
    }
}

/// True when the events of one dispatch are handled one after the other, each with its own run.
fn is_serial(handler: &HandlerSpec) -> bool {
    matches!(handler, HandlerSpec::Resident(_))
}
