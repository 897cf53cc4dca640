//! What arrives in a simulation: which jobs, when, and what their handlers would do.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::draw::RunTime;
use crate::class::PriorityClass;
use crate::config::{Config, ConfigError, Origin};
use crate::recording::Recording;

/// What a simulated pool has to do: described in a file ([`Load::read`]), recorded in a real run ([`Recording`]), or made
/// for a configuration ([`Load::typical`]).
///
/// ```
/// use hookpool::{Config, Load, Simulation};
///
/// let load = Load::from_toml("
///     jobs = 1000
///     [class.low]
///     arrivals = { poisson = '50/s' }
///     run_time = { exponential = '20ms' }
/// ")?;
/// let report = Simulation::new(&Config::default(), &load)?.run();
/// assert_eq!(report.ledger.snapshot.total.submitted(), 1000);
/// # Ok::<(), hookpool::config::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Load {
    pub(super) streams: Vec<StreamLoad>,
    /// Submissions after which nothing more arrives.
    pub(super) jobs: Option<u64>,
    /// Time after which nothing more arrives.
    pub(super) duration: Option<Duration>,
    /// Seat time between the end of a run and the start of the next.
    pub(super) overhead: Duration,
    /// The jobs, if they are those of a recording: then there is a stream for each of its hooks, without arrivals.
    pub(super) recording: Option<Arc<Recording>>,
}

/// One stream of jobs.
#[derive(Clone, Debug)]
pub(super) struct StreamLoad {
    pub(super) target: Target,
    /// Where the stream is described.
    pub(super) origin: Origin,
    /// The class of the events, for a hook that leaves it to them.
    pub(super) class: Option<(PriorityClass, Origin)>,
    pub(super) arrivals: Vec<Arrivals>,
    /// Sessions that the jobs are spread over; 0: jobs without a session.
    pub(super) sessions: u32,
    pub(super) run_time: RunTime,
    /// What each further event adds to the run of a batch.
    pub(super) per_event: Duration,
    /// Share of runs that fail, of 1.
    pub(super) failures: f64,
    /// Size of a payload.
    pub(super) bytes: u32,
}

/// Whose jobs they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Hook(String),
    /// A hook of that class that says nothing else.
    Class(PriorityClass),
}

/// When jobs come.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Arrivals {
    /// Independently of each other, with this mean distance in nanoseconds.
    Poisson { gap: f64 },
    /// One after each interval.
    Every(Duration),
    /// So many at once after each interval.
    Burst { size: u32, every: Duration },
}

impl StreamLoad {
    /// Its hook's name, if it is for one.
    pub(super) fn hook(&self) -> Option<&str> {
        match &self.target {
            Target::Hook(name) => Some(name),
            Target::Class(_) => None,
        }
    }

    pub(super) fn new(target: Target, origin: Origin) -> Self {
        Self {
            target,
            origin,
            class: None,
            arrivals: Vec::new(),
            sessions: 8,
            run_time: RunTime::log_normal(Duration::from_millis(20), Duration::from_millis(200)),
            per_event: Duration::ZERO,
            failures: 0.0,
            bytes: 1000,
        }
    }
}

impl Load {
    /// Jobs of a load that says neither how many nor how long.
    pub(super) const JOBS: u64 = 100_000;

    /// A load for the hooks of a configuration: 100,000 jobs of 8 sessions, as many for each enabled hook, at random
    /// moments (Poisson), with run times of 20 ms (p50) and 200 ms (p99), at the rate that keeps the workers busy for
    /// 80 % of the time.
    ///
    /// ```
    /// use hookpool::{Config, Load, Simulation};
    /// let config = Config::from_toml("[hook.audit]\non = ['*']\nrun = 'cat'\n")?;
    /// let report = Simulation::new(&config, &Load::typical(&config))?.jobs(2000).run();
    /// assert!(report.ledger.is_balanced());
    /// # Ok::<(), hookpool::config::ConfigError>(())
    /// ```
    #[must_use]
    pub fn typical(config: &Config) -> Self {
        const BUSY: f64 = 0.8;
        let names = config.hooks.iter().filter(|hook| hook.enabled).map(|hook| hook.name.as_str().to_owned());
        let mut streams: Vec<_> =
            names.map(|name| StreamLoad::new(Target::Hook(name), Origin::BuiltIn)).collect();
        #[expect(clippy::cast_precision_loss, reason = "there are far fewer hooks than 2^53")]
        let hooks = streams.len() as f64;
        for stream in &mut streams {
            let gap = stream.run_time.mean() * hooks / (BUSY * f64::from(config.pool.workers));
            stream.arrivals.push(Arrivals::Poisson { gap });
        }
        Self { streams, jobs: Some(Self::JOBS), duration: None, overhead: Duration::ZERO, recording: None }
    }

    /// Reads a load from a file: a description in TOML, or a recording, which is recognised by its first character.
    ///
    /// # Errors
    /// Everything that is wrong with a description, at its place; the first thing that is wrong with a recording.
    ///
    /// ```
    /// assert!(hookpool::Load::read("/no/such/file").is_err());
    /// ```
    pub fn read(path: impl Into<PathBuf>) -> Result<Self, ConfigError> {
        super::spec::read(&path.into())
    }

    /// Reads a load from text.
    ///
    /// # Errors
    /// Everything that is wrong with it, at its place.
    ///
    /// ```
    /// let error = hookpool::Load::from_toml("[class.low]\narivals = { every = '1s' }\n").unwrap_err();
    /// assert!(error.to_string().contains("did you mean `arrivals`?"));
    /// ```
    pub fn from_toml(text: &str) -> Result<Self, ConfigError> {
        super::spec::parse("load".into(), text)
    }
    /// The recording that it is, if it is one.
    ///
    /// ```
    /// use hookpool::{Load, Recording};
    /// assert!(Load::from(Recording::default()).recording().is_some());
    /// ```
    #[must_use]
    pub fn recording(&self) -> Option<&Recording> {
        self.recording.as_deref()
    }

    #[cfg(any(test, fuzzing))]
    pub(crate) fn has_overhead(&self) -> bool {
        !self.overhead.is_zero()
    }

    /// `path`: where the recording was found.
    pub(super) fn recorded(recording: Recording, path: &Path) -> Self {
        let origin = Origin::File { path: path.to_owned(), position: None };
        let mut names: Vec<_> = recording.jobs.iter().map(|job| &job.hook).collect();
        names.sort_unstable();
        names.dedup();
        let stream = |name: &crate::hook::HookName| {
            StreamLoad::new(Target::Hook(name.as_str().to_owned()), origin.clone())
        };
        Self {
            streams: names.into_iter().map(stream).collect(),
            jobs: Some(recording.jobs.len() as u64),
            duration: None,
            overhead: Duration::ZERO,
            recording: Some(Arc::new(recording)),
        }
    }
}

impl From<Recording> for Load {
    /// The jobs of the recording, when they came, with the runs that they had.
    fn from(recording: Recording) -> Self {
        Self::recorded(recording, Path::new("recording"))
    }
}
