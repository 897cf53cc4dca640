//! Making a pool from a configuration: everything that can fail or be prepared is done here, before the first event.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, Once};
use std::time::Duration;

use arc_swap::ArcSwap;

use super::accounts::Accounts;
use super::end::End;
use super::engine::{Engine, Observer};
use super::hooks::HookMaker;
use super::registered::{HandlerProblem, Registered};
use super::reload::Changes;
use super::{HookPool, Inner};
use crate::config::Config;
use crate::dead_letters::DeadLetters;
use crate::handler::{BatchHandler, EventHandler, RustHandler, Surroundings};
use crate::metrics::UnmatchedCounters;
use crate::outcome::Outcome;
use crate::params::core_params;
use crate::pool::{MOST_WORKERS, Pool};
use crate::process::{Runner, Sweeper, new_pool_marker};
use crate::recording::Recorder;
use crate::telemetry::Telemetry;
use crate::time::Clock;

/// Makes a [`HookPool`].
#[must_use = "a builder does nothing until `build`"]
pub struct HookPoolBuilder {
    config: Option<Config>,
    replay: bool,
    sweep_escapees: bool,
    timings: bool,
    observers: Vec<Observer>,
    recorder: Option<Recorder>,
    registered: Registered,
}

impl Default for HookPoolBuilder {
    fn default() -> Self {
        Self {
            config: None,
            replay: false,
            sweep_escapees: false,
            timings: true,
            observers: Vec::new(),
            recorder: None,
            registered: Registered::default(),
        }
    }
}

/// Why a pool could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The system refused a thread.
    #[error("cannot start a worker thread: {0}; fewer workers (pool.workers) need fewer threads")]
    Thread(#[source] std::io::Error),
    /// Hooks and registered handlers do not fit together.
    #[error("hooks and registered handlers do not fit together: {}", list(.0))]
    Handlers(Vec<HandlerProblem>),
}

pub(super) fn list(problems: &[HandlerProblem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

impl HookPoolBuilder {
    /// The configuration. Without one: the built-in defaults, and no hooks.
    pub fn config(mut self, config: Config) -> Self {
        self.config = Some(config);
        self
    }

    /// The events are a recording: a job waits for as long as it takes, unless the configuration sets a `max_wait`.
    pub fn replay(mut self, replay: bool) -> Self {
        self.replay = replay;
        self
    }

    /// Also kills processes that left their handler's process group (`setsid`), which no group signal reaches: after
    /// a run that was stopped or left something behind, and at the end of the drain. Off by default.
    ///
    /// For programs that start processes through one or more pools only, because it concerns the whole calling
    /// process, and lasts as long as that: it becomes a child sub-reaper (`PR_SET_CHILD_SUBREAPER`), so that orphaned
    /// descendants become its children, and each of its dead children that no pool waits for may be reaped. Other code
    /// in it that waits for children of its own would miss how they ended. What a handler of a hook with
    /// `leftovers = "keep"` leaves behind is not touched if the handler succeeded. Linux; elsewhere without effect.
    pub fn sweep_escapees(mut self, sweep: bool) -> Self {
        self.sweep_escapees = sweep;
        self
    }

    /// Whether waits, run times, start times and batch sizes are recorded; they are, unless this says no. Without them
    /// [`HookPool::status`] has no histograms, and its counts all the same. They cost a few kilobytes for each hook and
    /// kind of event, and well below a microsecond for each job, none of it when it is submitted.
    ///
    /// ```
    /// use hookpool::HookPool;
    /// let pool = HookPool::builder().timings(false).build()?;
    /// assert!(pool.status().total.wait().is_none());
    /// # Ok::<(), hookpool::BuildError>(())
    /// ```
    pub fn timings(mut self, timings: bool) -> Self {
        self.timings = timings;
        self
    }

    /// Calls `observer` with the outcome of every job, on the thread that resolves it: keep it short. A panic in it is
    /// caught and logged.
    pub fn on_outcome(mut self, observer: impl Fn(&Outcome) + Send + Sync + 'static) -> Self {
        self.observers.push(Box::new(observer));
        self
    }

    /// Records what the pool does into a file, as a load for simulations.
    pub fn record(mut self, recorder: &Recorder) -> Self {
        self.recorder = Some(recorder.clone());
        self
    }

    /// Registers a handler in Rust for the hook of that name, which has no `run`, and which a later reload may bring. A
    /// closure, or anything that is an [`EventHandler`].
    ///
    /// It is called on the workers' threads. It cannot be stopped: when its hook's timeout passes, the job ends as
    /// `timed_out`, and the handler's result is ignored when it comes. A panic ends the job as `panicked`.
    ///
    /// ```
    /// use hookpool::{Call, Config, Event, HookPool, OutcomeKind};
    /// use std::time::Duration;
    ///
    /// let config = Config::from_toml("[hook.guard]\non = ['pre_tool']\n")?;
    /// let pool = HookPool::builder()
    ///     .config(config)
    ///     .register("guard", |call: &Call| match call.event().tool() {
    ///         Some("Bash") => Err("no shell today"),
    ///         _ => Ok(()),
    ///     })
    ///     .build()?;
    /// let event = Event::from_json(r#"{"hook_event_name": "PreToolUse", "tool_name": "Bash"}"#)?;
    /// let submission = pool.submit(event);
    /// let outcome = submission.admitted().next().unwrap().wait(Duration::from_secs(10)).unwrap();
    /// assert_eq!(outcome.kind, OutcomeKind::Failed);
    /// assert_eq!(outcome.message.as_deref(), Some("no shell today"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn register(mut self, hook: impl Into<String>, handler: impl EventHandler) -> Self {
        self.registered.add(hook.into(), RustHandler::Single(Box::new(handler)));
        self
    }

    /// Registers a handler in Rust that takes many events at once, for the hook of that name, which has no `run`. How
    /// many, and how long the first waits for others, says the hook's `batch`, or `[batching]` if that is enabled; if
    /// neither does, it gets one at a time.
    ///
    /// ```
    /// use hookpool::{Call, Config, HookPool};
    ///
    /// let config = Config::from_toml("[hook.store]\non = ['*']\nbatch = { size = 100, linger = '50ms' }\n")?;
    /// let pool = HookPool::builder()
    ///     .config(config)
    ///     .register_batch("store", |calls: &[Call]| println!("{} events in one go", calls.len()))
    ///     .build()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn register_batch(mut self, hook: impl Into<String>, handler: impl BatchHandler) -> Self {
        self.registered.add(hook.into(), RustHandler::Batch(Box::new(handler)));
        self
    }

    /// Prepares the handlers and starts the workers.
    ///
    /// # Errors
    /// [`BuildError`]: a thread could not be started, an enabled hook has no handler, or a handler no hook. A program that is missing is no error: its jobs end as
    /// `not_started`, with the reason.
    pub fn build(self) -> Result<HookPool, BuildError> {
        let config = self.config.unwrap_or_default();
        let clock = Clock::start();
        let (environment, depth) = crate::config::inherited_environment();
        let (runner, marker) = (Runner::default(), new_pool_marker());
        let sweeper = self.sweep_escapees.then(|| Sweeper::adopt(&runner, &marker));
        let sweeper = sweeper.and_then(|adopted| {
            adopted
                .inspect_err(|error| {
                    tracing::warn!("processes that leave their group are not swept: {error}");
                })
                .ok()
        });
        let surroundings = Surroundings {
            runner,
            environment: environment.into(),
            pool: marker.into(),
            sweeper: sweeper.clone(),
            depth: depth.saturating_add(1),
            residents: Arc::default(),
            clock,
        };
        let residents = Arc::clone(&surroundings.residents);
        let has_handlers = !self.registered.is_empty();
        let mut hook_maker = HookMaker::new(surroundings, self.registered, self.timings, self.replay);
        let config = Arc::new(config);
        let made = hook_maker.make(Arc::clone(&config), None).map_err(BuildError::Handlers)?;
        made.warn();
        made.set.limit_failures();
        let telemetry = Telemetry::new(config.queue.capacity, config.queue.warn_at, clock);
        let params = core_params(&config);
        let hooks: Vec<_> = made.added.iter().map(|(_, params)| *params).collect();
        let threads = (params.seats.in_all().max(MOST_WORKERS), config.pool.max_overrun);
        if let Some(recorder) = &self.recorder {
            recorder.begin(self.replay);
        }
        let letters = DeadLetters::default();
        letters.prepare(config.dead_letters.as_ref()).map_err(BuildError::Thread)?;
        letters.set(config.dead_letters.as_ref());
        let files = (letters, self.recorder);
        let accounts = Accounts::new(config.queue.max_bytes);
        let engine = Engine::new(threads, clock, (telemetry, accounts), self.observers, files);
        let pool = Pool::start(params, &hooks, clock, Arc::clone(&engine)).map_err(BuildError::Thread)?;
        let pool = Arc::new(pool);
        engine.attach(&pool);
        let watchdog = if has_handlers {
            let thread = engine.watchdog.start(&engine).inspect_err(|_| {
                pool.drain(Duration::ZERO, Duration::ZERO);
            });
            Some(thread.map_err(BuildError::Thread)?)
        } else {
            None
        };
        let unmatched = UnmatchedCounters::default();
        let end = End {
            pool: Arc::clone(&pool),
            engine: Arc::clone(&engine),
            watchdog: Mutex::new(watchdog),
            residents,
            sweeper,
            last_sweep: Once::new(),
            longest_grace: AtomicU64::new(0),
        };
        end.allow_for(&config.hooks);
        let hooks = ArcSwap::from_pointee(made.set);
        let changes = Mutex::new(Changes::new(config, hook_maker));
        Ok(HookPool {
            inner: Arc::new(Inner {
                hooks,
                unmatched,
                pool,
                engine,
                changes,
                reloads: AtomicU64::new(0),
                end: Arc::new(end),
            }),
        })
    }
}

impl std::fmt::Debug for HookPoolBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HookPoolBuilder")
            .field("config", &self.config)
            .field("replay", &self.replay)
            .finish_non_exhaustive()
    }
}
