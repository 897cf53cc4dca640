//! The whole: a configuration, a matcher, a pool and an engine behind one handle, [`HookPool`].
//!
//! | file | owns |
//! |---|---|
//! | `builder.rs` | making a pool from a configuration |
//! | `hooks.rs` | the hooks in force, and what one hook's definitions share |
//! | `reload.rs` | another configuration while it runs |
//! | `outcomes.rs` | subscriptions to outcomes |
//! | `recent.rs` | the last failures of a hook |
//! | `registered.rs` | which hook a handler in Rust is for |
//! | `submit.rs` | the way of an event to the lanes: match, class, admission |
//! | `engine.rs` | what the pool runs: everything that jobs meet after their admission |
//! | `run.rs` | the jobs of one dispatch, from the pick to the end |
//! | `boarding.rs` | a job that was picked, before its handler runs |
//! | `crew.rs` | the members of a batch, and when none of them is wanted any more |
//! | `flight.rs` | the jobs of one dispatch while their handler runs |
//! | `leaving.rs` | the outcome of a job, and who is told |
//! | `retry.rs` | what follows from the end of an attempt |
//! | `breaking.rs` | what the hooks' breakers let run, and what they count |
//! | `record.rs` | what a recording is told |
//! | `station.rs` | what a worker's thread keeps from one run to the next |
//! | `watchdog.rs` | until when handlers in Rust may run |
//! | `overdue.rs` | what becomes of those that run longer |
//! | `end.rs` | the end of the pool, and the last sweep |
//! | `job.rs` | the job, and the duty to resolve it |
//! | `handle.rs` | what a job and its handles share |
//! | `spares.rs` | the memory of jobs that have ended, for those that come |
//! | `numbered.rs` | the pools of the process by number, for handles |
//! | `accounts.rs` | whose bytes are counted by which job, and what was lost |
//! | `budget.rs` | how many bytes are in use, and how many may be |
//! | `status.rs` | the snapshot |
//! | `submission.rs` | what a submit answers |

mod accounts;
mod boarding;
mod breaking;
mod budget;
mod builder;
mod crew;
mod end;
mod engine;
mod flight;
mod handle;
mod hooks;
mod job;
mod leaving;
mod numbered;
mod outcomes;
mod overdue;
mod recent;
mod record;
mod registered;
mod reload;
mod retry;
mod run;
mod spares;
mod station;
mod status;
mod submission;
mod submit;
#[cfg(test)]
mod tests;
mod watchdog;

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;

pub use self::builder::{BuildError, HookPoolBuilder};
pub use self::handle::JobHandle;
pub use self::outcomes::Outcomes;
pub use self::registered::HandlerProblem;
pub use self::reload::{ReloadError, Reloaded, ResizeError};
pub(crate) use self::spares::kept as kept_for_jobs;
pub use self::submission::{Decision, Preview, Submission, SubmittedHook};

use self::end::End;
use self::engine::Engine;
use self::hooks::HookSet;
use self::reload::Changes;
use crate::class::PriorityClass;
use crate::config::Config;
use crate::dead_letters::DeadLetterCounts;
use crate::event::{Event, Subject};
use crate::metrics::{Ledger, Snapshot, UnmatchedCounters};
use crate::outcome::Outcome;
use crate::pool::Pool;
use crate::process::sweep_dead_pools;
use crate::redact::Redactor;
use crate::scheduler::HookSlot;

/// A running pool: takes events, runs the handlers of the hooks that want them, and accounts for every one.
///
/// A clone is another handle on the same pool. When the last one is dropped the pool drains, for as long as
/// `shutdown.drain` says; [`HookPool::drain`] does the same and answers with the ledger.
///
/// Handlers are children of this process, and each is waited for by its worker. A process that ignores `SIGCHLD`, or
/// waits for any child that ends, takes their exit statuses away: such a job counts as failed, and its reason says so.
/// Nothing else is asked of the hosting program: no signal handler, no runtime, no initialisation.
///
/// After a `fork` only the calling thread exists in the child, so a pool made before the fork has no workers there:
/// make a new one. Under `panic = "abort"` a panicking observer ends the process, like any other panic.
///
/// ```
/// use hookpool::{Config, Event, HookPool};
/// use std::time::Duration;
///
/// let config = Config::from_toml(r#"
///     [hook.greet]
///     on = ["user_prompt"]
///     run = "cat > /dev/null"
/// "#)?;
/// let pool = HookPool::builder().config(config).build()?;
/// let event = Event::from_json(r#"{"hook_event_name": "UserPromptSubmit", "prompt": "hello"}"#)?;
/// let submission = pool.submit(event);
/// assert_eq!(submission.admitted().count(), 1);
///
/// let ledger = pool.drain(Duration::from_secs(10));
/// assert!(ledger.is_balanced());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct HookPool {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    hooks: ArcSwap<HookSet>,
    /// Events that no hook wanted.
    unmatched: UnmatchedCounters,
    pool: Arc<Pool<Engine>>,
    engine: Arc<Engine>,
    /// Whoever holds it changes the pool. Nobody's code is called meanwhile.
    changes: Mutex<Changes>,
    /// How often it was changed.
    reloads: AtomicU64,
    end: Arc<End>,
}

impl HookPool {
    /// Makes a pool.
    pub fn builder() -> HookPoolBuilder {
        HookPoolBuilder::default()
    }

    /// Hands an event over and returns at once, whatever the state of the queue and of the handlers.
    #[inline]
    pub fn submit(&self, event: Event) -> Submission {
        let mut submission = Submission::default();
        self.submit_into(&mut submission, event);
        submission
    }

    /// Hands an event over, and waits for room where the queue is full, as a replay wants it. What cannot ever be
    /// admitted, and everything once the pool is closed, is still refused.
    ///
    /// From inside a handler of the same pool this can wait for itself.
    pub fn submit_when_room(&self, event: Event) -> Submission {
        let mut submission = Submission::default();
        self.inner.submit(&mut submission, None, event, true);
        submission
    }

    /// Hands an event over to one hook alone, if that wants it, as a dead letter is replayed; `when_room` waits for room
    /// as [`HookPool::submit_when_room`] does. An event that the hook does not want counts as `no_match`.
    pub fn submit_to(&self, hook: &str, event: Event, when_room: bool) -> Submission {
        let mut submission = Submission::default();
        self.inner.submit(&mut submission, Some(hook), event, when_room);
        submission
    }

    /// [`HookPool::submit`] for an event that may not be written yet.
    pub(crate) fn submit_subject(&self, event: impl Subject) -> Submission {
        let mut submission = Submission::default();
        self.inner.submit(&mut submission, None, event, false);
        submission
    }

    fn submit_into(&self, submission: &mut Submission, event: Event) {
        self.inner.submit(submission, None, event, false);
    }

    /// True when every hook is skipped as `performance_mode`.
    ///
    /// ```
    /// use hookpool::HookPool;
    /// let pool = HookPool::builder().build()?;
    /// assert!(!pool.performance_mode());
    /// pool.set_performance_mode(true);
    /// assert!(pool.performance_mode());
    /// # Ok::<(), hookpool::BuildError>(())
    /// ```
    #[must_use]
    pub fn performance_mode(&self) -> bool {
        self.inner.hooks.load().config.performance_mode
    }

    /// Skips every hook from the next submit on, or none any more for this reason. What is in the queue goes on.
    ///
    /// The same as [`HookPool::set`] of `performance_mode`, and never fails: it stands above every reload, until
    /// [`HookPool::unset`] or the end of the pool.
    pub fn set_performance_mode(&self, on: bool) {
        self.inner.set_performance_mode(on);
    }

    /// What a submit would decide, hook by hook, in the order of the configuration. Nothing runs and nothing is counted.
    #[must_use]
    pub fn preview(&self, event: &Event) -> Vec<Preview> {
        self.inner.preview(event)
    }

    /// The configuration in force, with what was set above it. A later change makes another one.
    #[must_use]
    pub fn config(&self) -> Arc<Config> {
        Arc::clone(&self.inner.hooks.load().config)
    }

    /// Takes the secrets out of text and events, as the configuration says (`[redact]`): for whoever writes down what
    /// an [`Outcome`](crate::Outcome) holds exactly, its event and its verdict.
    ///
    /// ```
    /// use hookpool::{Event, HookPool};
    /// let pool = HookPool::builder().build()?;
    /// let event = Event::from_json(r#"{"event": "login", "password": "hunter2"}"#)?;
    /// assert_eq!(&*pool.redactor().json(event.payload()), br#"{"event": "login", "password": "[redacted]"}"#);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn redactor(&self) -> Redactor {
        self.inner.hooks.load().config.redactor.clone()
    }

    /// A copy of all counts, and how the pool stands. It looks at the queue, and does what is due there.
    #[must_use]
    pub fn status(&self) -> Snapshot {
        self.inner.status()
    }

    /// Number of jobs that wait.
    #[must_use]
    pub fn queue_size(&self) -> usize {
        self.inner.pool.waiting().values().sum::<u32>() as usize
    }

    /// Subscribes to the outcomes from now on, of which at most `capacity` wait to be read: at least 1 and at most
    /// 65,536, whatever is asked for. No worker ever waits for a reader: a slow one loses outcomes, which
    /// [`Outcomes::lost`] counts. Once the pool is drained, the subscription ends.
    ///
    /// ```
    /// use hookpool::{Config, Event, HookPool};
    /// use std::time::Duration;
    ///
    /// let config = Config::from_toml("[hook.greet]\non = ['*']\nrun = 'true'\n")?;
    /// let pool = HookPool::builder().config(config).build()?;
    /// let outcomes = pool.outcomes(100);
    /// pool.submit(Event::from_json(r#"{"event": "hello"}"#)?);
    /// pool.drain(Duration::from_secs(10));
    /// for outcome in outcomes {
    ///     println!("{outcome}");
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn outcomes(&self, capacity: usize) -> Outcomes {
        self.inner.engine.subscribers.add(capacity)
    }

    /// The last failures of the hook, the newest first, each with its event and output: as many as `[failures]` says, 20
    /// of each hook by default, and 1 MB of events and output. Empty: there were none, or there is no such hook, and was none.
    ///
    /// ```
    /// use hookpool::{Config, Event, HookPool};
    /// use std::time::Duration;
    ///
    /// let config = Config::from_toml("[hook.a]\non = ['*']\nrun = 'echo oh >&2; exit 3'\n")?;
    /// let pool = HookPool::builder().config(config).build()?;
    /// pool.submit(Event::from_json(r#"{"event": "x"}"#)?);
    /// pool.drain(Duration::from_secs(10));
    /// let failures = pool.recent_failures("a");
    /// assert_eq!(failures[0].reason, "exit status 3");
    /// assert_eq!(failures[0].process.as_ref().unwrap().stderr.text(), "oh\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn recent_failures(&self, hook: &str) -> Vec<Arc<Outcome>> {
        let hooks = self.inner.hooks.load();
        let record = hooks.records().find(|record| record.name.as_str() == hook);
        record.map(|record| record.recent.all()).unwrap_or_default()
    }

    /// What became of the outcomes that were to be written to the files of `[dead_letters]` that there have been. After a
    /// drain this is the last word.
    #[must_use]
    pub fn dead_letters(&self) -> DeadLetterCounts {
        self.inner.engine.letters.counts()
    }

    /// Lets no job of the hook start, until [`HookPool::resume`], however it is defined meanwhile. Its jobs are admitted,
    /// wait, and do not expire. False: there is no such hook, and was none.
    pub fn pause(&self, hook: &str) -> bool {
        self.with_hook(hook, |slot| self.inner.pool.pause_hook(slot))
    }

    /// Lets the jobs of the hook start again. False: there is no such hook, and was none.
    pub fn resume(&self, hook: &str) -> bool {
        self.with_hook(hook, |slot| self.inner.pool.resume_hook(slot))
    }

    /// Lets no job of the class start, until [`HookPool::resume_class`]; a job in front of a more important one of its
    /// session counts as that.
    pub fn pause_class(&self, class: PriorityClass) {
        self.inner.pool.pause_class(class);
    }

    /// Lets the jobs of the class start again.
    pub fn resume_class(&self, class: PriorityClass) {
        self.inner.pool.resume_class(class);
    }

    /// Takes nothing more: every later submit is refused as `closed`. What was admitted goes on.
    pub fn close(&self) {
        self.inner.pool.close();
    }

    /// Ends the pool: takes nothing more, lets what was admitted run on for at most that long, then abandons what
    /// still waits and stops what still runs (TERM, the hook's grace, KILL). Every admitted job has its outcome when
    /// this returns. `Duration::MAX` waits for as long as it takes. Once drained, it answers with the same ledger.
    ///
    /// A handler in Rust cannot be stopped: when its grace is over too, its job ends as `timed_out`, its thread is left
    /// to itself, and the ledger counts it as leaked for as long as it runs.
    ///
    /// An observer of outcomes or a handler in Rust is called before its job has its outcome, so it cannot wait for
    /// that: there this only closes the pool, and answers with the ledger as it stands.
    pub fn drain(&self, deadline: Duration) -> Ledger {
        self.inner.drain(deadline)
    }

    /// Cuts a drain short that another thread is in: its deadline is now, and handlers that run get their grace.
    pub fn stop(&self) {
        self.inner.pool.hurry();
    }

    /// Ends everything now: takes nothing more, abandons what waits, and sends KILL to the process groups of the
    /// handlers that run, also of those that are in their grace. Every job still gets its outcome, and
    /// [`HookPool::drain`] waits for that.
    pub fn kill(&self) {
        self.inner.end.residents.kill();
        self.inner.pool.kill();
    }

    /// Kills handlers that were left behind by a hookpool which was itself killed (KILL leaves nobody time to do it),
    /// and gives back how many.
    ///
    /// Handlers carry a marker that names the process of their pool. Only processes of this user are touched, only with
    /// such a marker, and only if that process is known to be dead; handlers of hooks with `leftovers = "keep"` carry
    /// another one. Looks at every process of the user: some milliseconds. Linux; elsewhere without effect.
    pub fn sweep_strays() -> usize {
        sweep_dead_pools().killed
    }

    /// Closes the hook's circuit breaker (`hook.NAME.breaker`), as if it had never failed: its jobs run again at once.
    /// False: there is no such hook, or it has no breaker.
    ///
    /// ```
    /// use hookpool::{Config, HookPool};
    ///
    /// let config = Config::from_toml("[hook.a]\non = ['*']\nrun = 'true'\nbreaker.failures = 3\n")?;
    /// let pool = HookPool::builder().config(config).build()?;
    /// assert!(pool.reset_breaker("a"));
    /// assert!(!pool.reset_breaker("b"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn reset_breaker(&self, hook: &str) -> bool {
        let hooks = self.inner.hooks.load();
        let breaker = hooks.entry(hook).and_then(|entry| entry.breaker.as_ref());
        breaker.map(|breaker| breaker.reset()).is_some()
    }

    fn with_hook(&self, name: &str, f: impl FnOnce(HookSlot)) -> bool {
        let hooks = self.inner.hooks.load();
        let slot = hooks.records().find(|record| record.name.as_str() == name).map(|record| record.slot);
        slot.map(f).is_some()
    }
}

impl Inner {
    fn drain(&self, deadline: Duration) -> Ledger {
        if self.engine.is_inside() {
            self.pool.close();
            return self.ledger(0);
        }
        let leaked = self.end.drain(deadline);
        self.ledger(leaked)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let deadline = self.hooks.load().config.shutdown.drain;
        if self.engine.is_inside() {
            // The last handle went in an observer or a handler, whose worker the drain waits for: somebody else has to.
            let end = Arc::clone(&self.end);
            let _ = std::thread::Builder::new()
                .name("hookpool-end".to_owned())
                .spawn(move || end.drain(deadline));
            return;
        }
        let ledger = self.drain(deadline);
        if !ledger.is_balanced() {
            tracing::error!(?ledger, "the ledger does not balance");
        }
    }
}
