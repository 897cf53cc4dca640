//! Another configuration while the pool runs.
//!
//! A change is prepared as a whole first: read, checked, its handlers resolved. Until then nothing has changed, and an
//! error changes nothing. Then it is applied: the queue, the seats and their threads, which the system may refuse; the
//! set of hooks, which the next submit sees as a whole; last what the scheduler knows of hooks that are defined anew.
//! A job that was submitted with the old set and comes to the scheduler after all that is welcome: it brings along what
//! it goes by.
//!
//! What was set ([`HookPool::set`], [`HookPool::resize`], [`HookPool::set_performance_mode`]) is one layer above all
//! others. It survives a reload and ends with the pool.
//!
//! Changes take turns. No code of anybody else runs while one holds the lock, so a handler or an observer may change the
//! pool that it is called by.

use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard, PoisonError};

use super::engine::Engine;
use super::hooks::{HookMaker, HookSet, Made};
use super::registered::HandlerProblem;
use super::{HookPool, Inner};
use crate::config::{Amendment, Change, Config, ConfigError, Loaded, PoolSettings, Problem};
use crate::params::core_params;
use crate::pool::{Departed, MOST_WORKERS};

// The pool knows nothing of the configuration, and must have a bed for every worker that this allows.
const _: () =
    assert!(MOST_WORKERS == PoolSettings::MAX_WORKERS as usize + PoolSettings::MAX_STANDBY as usize);

/// What a change starts from.
#[derive(Debug)]
pub(super) struct Changes {
    /// The configuration without what was set.
    base: Arc<Config>,
    /// What was set, the latest last.
    amendments: Vec<Amendment>,
    maker: HookMaker,
}

/// What a change of the configuration has changed: as text one line for each, and for each warning.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Reloaded {
    /// The differences, in the order of keys. Every one is in force; none needs a restart.
    pub changes: Vec<Change>,
    /// What has no effect in the new configuration. All of them are warnings.
    pub warnings: Vec<Problem>,
}

/// Why the configuration was not changed. Everything is as it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReloadError {
    /// It cannot be used: every problem, each with its place.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Hooks and registered handlers do not fit together.
    #[error("hooks and registered handlers do not fit together: {}", super::builder::list(.0))]
    Handlers(Vec<HandlerProblem>),
    /// The system refused a thread.
    #[error("cannot start a thread: {0}; fewer workers (pool.workers) need fewer threads")]
    Thread(#[source] std::io::Error),
    /// The pool takes nothing more, so there is nothing that a change could be for.
    #[error("the pool is closed")]
    Closed,
}

/// Why a pool was not resized. It is as it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResizeError {
    /// A number that `pool.workers` would not take either.
    #[error("{0} workers: between 1 and {max} are possible", max = PoolSettings::MAX_WORKERS)]
    Workers(u16),
    /// A number that `pool.standby` would not take either.
    #[error("{0} standby seats: at most {max} are possible", max = PoolSettings::MAX_STANDBY)]
    Standby(u16),
    /// The system refused a thread.
    #[error("cannot start a worker thread: {0}; fewer workers need fewer threads")]
    Thread(#[source] std::io::Error),
    /// The configuration does not allow it.
    #[error(transparent)]
    Refused(ReloadError),
}

impl fmt::Display for Reloaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let changes = self.changes.iter().map(ToString::to_string);
        let lines: Vec<_> = changes.chain(self.warnings.iter().map(ToString::to_string)).collect();
        f.write_str(&lines.join("\n"))
    }
}

impl HookPool {
    /// Reads the sources of the configuration again (files, and the variables as they were at the start) and goes by
    /// what they say from now on, with everything that was [set](HookPool::set) above it. Answers with what is
    /// different.
    ///
    /// Everything is live. What concerns the queue and the seats holds at once; what concerns hooks, kinds, priorities
    /// and batches for jobs that are submitted from now on: **a job keeps the definition of its hook that it was
    /// admitted with**, also if the hook is gone. Of one session the jobs of a hook stay in order, whatever it is
    /// defined as. A queue that has become too small refuses until it fits; nothing that waits is dropped. Resident
    /// processes of a hook whose handler is another one now are ended when the last job that is for them has.
    ///
    /// Two changes at once take turns. An observer or a handler may call this.
    ///
    /// # Errors
    /// [`ReloadError`], and then nothing has changed.
    ///
    /// ```
    /// use hookpool::{HookPool, config::ConfigLoader};
    ///
    /// let folder = tempfile::tempdir()?;
    /// let file = folder.path().join("hooks.toml");
    /// std::fs::write(&file, "[pool]\nworkers = 2\n")?;
    /// let loaded = ConfigLoader::new().file(&file).load()?;
    /// let pool = HookPool::builder().config(loaded.config).build()?;
    ///
    /// std::fs::write(&file, "[pool]\nworkers = 3\n")?;
    /// let reloaded = pool.reload()?;
    /// assert_eq!(reloaded.changes[0].key, "pool.workers");
    /// assert_eq!(pool.config().pool.workers, 3);
    ///
    /// std::fs::write(&file, "[pool]\nworkers = 0\n")?;
    /// assert!(pool.reload().is_err());
    /// assert_eq!(pool.config().pool.workers, 3, "the last good one");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn reload(&self) -> Result<Reloaded, ReloadError> {
        self.inner.change(|changes| {
            let loaded = changes.base.load_again(changes.amendments.clone())?;
            Ok(Next { base: Arc::new(loaded.config.clone()), loaded, amendments: changes.amendments.clone() })
        })
    }

    /// [`HookPool::reload`] with another configuration, whose sources are those of later reloads.
    ///
    /// # Errors
    /// [`ReloadError`], and then nothing has changed.
    ///
    /// ```
    /// use hookpool::{Config, HookPool};
    /// let pool = HookPool::builder().build()?;
    /// let reloaded = pool.reload_with(Config::from_toml("[hook.a]\non = ['stop']\nrun = 'true'\n")?)?;
    /// assert_eq!(reloaded.to_string(), "hook.a: new (hooks.toml:2:6), for new jobs");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn reload_with(&self, config: Config) -> Result<Reloaded, ReloadError> {
        self.inner.change(|changes| {
            let base = Arc::new(config);
            let loaded = if changes.amendments.is_empty() {
                Loaded::without_warnings(Config::clone(&base))
            } else {
                base.amend(changes.amendments.clone())?
            };
            Ok(Next { base, loaded, amendments: changes.amendments.clone() })
        })
    }

    /// Sets one key above everything else, from now on and until [`HookPool::unset`] or the end of the pool. The value is
    /// written as in a variable, or as in TOML. The sources are not read again.
    ///
    /// A key of a hook does nothing while the hook is not configured.
    ///
    /// # Errors
    /// [`ReloadError`], and then nothing has changed.
    ///
    /// ```
    /// use hookpool::{Config, HookPool};
    /// let config = Config::from_toml("[hook.a]\non = ['stop']\nrun = 'true'\n")?;
    /// let pool = HookPool::builder().config(config).build()?;
    /// pool.set("hook.a.timeout", "5s")?;
    /// pool.set("kinds.stop", "false")?;
    /// assert_eq!(pool.config().hooks[0].timeout.as_secs(), 5);
    /// let error = pool.set("hook.a.timeout", "soon").unwrap_err();
    /// assert!(error.to_string().contains("`hook.a.timeout` must be"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn set(&self, key: &str, value: &str) -> Result<Reloaded, ReloadError> {
        self.inner.set(&[(key, value)])
    }

    /// Takes back what was [set](HookPool::set): the key has the value that the sources gave it. Without effect if it was
    /// not set.
    ///
    /// # Errors
    /// [`ReloadError`], and then nothing has changed.
    ///
    /// ```
    /// use hookpool::HookPool;
    /// let pool = HookPool::builder().build()?;
    /// pool.set("queue.capacity", "5")?;
    /// pool.unset("queue.capacity")?;
    /// assert_eq!(pool.config().queue.capacity, 1000);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn unset(&self, key: &str) -> Result<Reloaded, ReloadError> {
        self.inner.change(|changes| {
            let mut amendments = changes.amendments.clone();
            amendments.retain(|amendment| amendment.key != key);
            let loaded = changes.base.amend(amendments.clone())?;
            Ok(Next { base: Arc::clone(&changes.base), loaded, amendments })
        })
    }

    /// Changes the number of workers and of standby seats: the same as [`HookPool::set`] of `pool.workers` and
    /// `pool.standby` at once. It returns at once: a pool that grows starts waiting jobs, and one that shrinks lets what
    /// runs end and starts less. No job is lost or started again for it. Without effect once the pool is closed.
    ///
    /// # Errors
    /// [`ResizeError`]: a number is out of range, or a thread could not be started.
    ///
    /// ```
    /// use hookpool::HookPool;
    /// let pool = HookPool::builder().build()?;
    /// pool.resize(8, 2)?;
    /// assert!(pool.resize(0, 1).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn resize(&self, workers: u16, standby: u16) -> Result<(), ResizeError> {
        if !(1..=PoolSettings::MAX_WORKERS).contains(&workers) {
            return Err(ResizeError::Workers(workers));
        }
        if standby > PoolSettings::MAX_STANDBY {
            return Err(ResizeError::Standby(standby));
        }
        let (workers, standby) = (workers.to_string(), standby.to_string());
        match self.inner.set(&[("pool.workers", &workers), ("pool.standby", &standby)]) {
            Ok(_) | Err(ReloadError::Closed) => Ok(()),
            Err(ReloadError::Thread(error)) => Err(ResizeError::Thread(error)),
            Err(other) => Err(ResizeError::Refused(other)),
        }
    }
}

impl Changes {
    pub(super) fn new(base: Arc<Config>, maker: HookMaker) -> Self {
        Self { base, amendments: Vec::new(), maker }
    }
}

/// A change that has been read and checked.
struct Next {
    base: Arc<Config>,
    /// With what was set.
    loaded: Loaded,
    amendments: Vec<Amendment>,
}

/// What is left to do when others may change the pool again: the host is told of jobs that left beside the change, and
/// what was replaced may end.
#[derive(Default)]
struct Rest {
    departed: Vec<Departed<Engine>>,
    replaced: Option<Arc<HookSet>>,
}

impl Inner {
    fn set(&self, values: &[(&str, &str)]) -> Result<Reloaded, ReloadError> {
        self.change(|changes| {
            let mut amendments = changes.amendments.clone();
            for (key, text) in values {
                put(&mut amendments, key, text);
            }
            let loaded = changes.base.amend(amendments.clone())?;
            Ok(Next { base: Arc::clone(&changes.base), loaded, amendments })
        })
    }

    pub(super) fn set_performance_mode(&self, on: bool) {
        let mut changes = self.changes();
        put(&mut changes.amendments, "performance_mode", if on { "true" } else { "false" });
        let set = self.hooks.load_full();
        let config = Arc::new(set.config.with_performance_mode(on));
        self.hooks.store(Arc::new(HookSet { config, ..HookSet::clone(&set) }));
        self.reloads.fetch_add(1, Ordering::Relaxed);
    }

    fn change(
        &self,
        prepare: impl FnOnce(&Changes) -> Result<Next, ReloadError>,
    ) -> Result<Reloaded, ReloadError> {
        // Before the lock, so that it goes after it.
        let mut rest = Rest::default();
        let mut changes = self.changes();
        if self.pool.is_closed() {
            return Err(ReloadError::Closed);
        }
        let next = prepare(&changes)?;
        let (reloaded, made) = self.apply(&mut changes, next, &mut rest)?;
        drop(changes);
        made.warn();
        Ok(reloaded)
    }

    fn apply(
        &self,
        changes: &mut Changes,
        next: Next,
        rest: &mut Rest,
    ) -> Result<(Reloaded, Made), ReloadError> {
        let Next { base, loaded, mut amendments } = next;
        let before = &*rest.replaced.insert(self.hooks.load_full());
        let config = Arc::new(loaded.config);
        let made = changes.maker.make(Arc::clone(&config), Some(before)).map_err(ReloadError::Handlers)?;
        self.engine.letters.prepare(config.dead_letters.as_ref()).map_err(ReloadError::Thread)?;
        let departed = &mut rest.departed;
        for (slot, params) in &made.added {
            let (given, left) = self.pool.add_hook(*params);
            debug_assert_eq!(given, *slot, "hooks are numbered alike");
            departed.push(left);
        }
        let params = core_params(&config);
        let (answer, left) = self.pool.change(|current| *current = params);
        departed.push(left);
        if let Err(error) = answer {
            return Err(ReloadError::Thread(error));
        }
        self.engine.accounts.bytes.set_limit(config.queue.max_bytes);
        self.engine.telemetry.set_bounds(config.queue.capacity, config.queue.warn_at);
        self.engine.max_overrun.store(config.pool.max_overrun.into(), Ordering::Relaxed);
        self.engine.letters.set(config.dead_letters.as_ref());
        self.end.allow_for(&config.hooks);
        made.set.limit_failures();
        self.hooks.store(Arc::new(made.set.clone()));
        departed.push(self.pool.set_hooks(&made.redefined));
        // More bytes than before, perhaps.
        self.pool.tell_of_room();
        for amendment in &mut amendments {
            amendment.is_new = false;
        }
        (changes.base, changes.amendments) = (base, amendments);
        self.reloads.fetch_add(1, Ordering::Relaxed);
        let reloaded = Reloaded { changes: config.changes_since(&before.config), warnings: loaded.warnings };
        Ok((reloaded, made))
    }

    fn changes(&self) -> MutexGuard<'_, Changes> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn put(amendments: &mut Vec<Amendment>, key: &str, text: &str) {
    amendments.retain(|amendment| amendment.key != key);
    amendments.push(Amendment { key: key.to_owned(), text: text.to_owned(), is_new: true });
}
