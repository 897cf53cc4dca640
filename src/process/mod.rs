//! Runs one handler to its end, on the calling thread, and on time.
//!
//! The protocol of a run (Linux; [`WaiterKind::Portable`] differs where its file says so):
//!
//! 1. The program's absolute path is known before the first run, so `Command` stays on `posix_spawn`. The child leads a
//!    process group of its own; its three streams are pipes.
//!    The system's limits, if it has any, are set on it from outside (`bounds`).
//! 2. A pidfd is opened at once. One `poll` watches it, the three pipes and the cancellation until the deadline. There
//!    is no further thread, no signal handler, and no blocking read or write.
//! 3. At the deadline, or when cancelled: TERM and CONT to the group (a stopped handler can then obey), the grace, then
//!    KILL to the group. The token's second level ends the grace, or leaves none.
//! 4. The exit is seen without reaping. The leader stays a zombie, so its number, which is the group's number too,
//!    cannot be given to a stranger while we still signal it.
//! 5. What is left of the group is killed, unless the handler succeeded and the hook keeps its leftovers.
//! 6. The pipes are read until they end, or for a short bounded time; a pipe that somebody still holds is closed and
//!    reported.
//! 7. The leader is reaped. Nothing is signalled after that.
//!
//! Invariant: every run returns by its deadline, or by the deadline plus the grace plus a fixed moment when it had to
//! be killed. Not done here: which job runs when, what an exit status means, processes that leave the group (the
//! `escapees` module sweeps those for the program).

#[cfg(target_os = "linux")]
mod bounds;
#[cfg(not(target_os = "linux"))]
#[path = "no_bounds.rs"]
mod bounds;
mod cancel;
mod capture;
mod children;
#[cfg(target_os = "linux")]
mod escapees;
#[cfg(not(target_os = "linux"))]
#[path = "no_escapees.rs"]
mod escapees;
mod exit;
mod explain;
mod group;
mod live;
mod live_stop;
mod marker;
mod pipes;
mod report;
mod resolve;
mod spawn;
mod start_error;
#[cfg(target_os = "linux")]
mod usage;
#[cfg(target_os = "linux")]
mod wait_pidfd;
mod wait_portable;

use std::ffi::OsStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

#[cfg(feature = "http")]
pub(crate) use cancel::Waited;
pub use cancel::{Cancel, CancelLevel};
pub use capture::{Captured, Keeper};
#[cfg(target_os = "linux")]
pub use escapees::sweep_strays;
pub use escapees::{Sweeper, Swept, sweep_dead_pools};
pub use live::{Live, Turn, Written};
pub use live_stop::{Ended, Stage, stop_all};
pub use marker::{INSTANCE_VARIABLE, JOB_VARIABLE, POOL_VARIABLE, kept, new_pool_marker};
pub use report::{End, Run, StopReason, Stopped, UnknownReason};
pub use resolve::resolve;
pub use spawn::Prepared;
pub(crate) use spawn::search_path;
pub use start_error::StartError;

use children::Children;
use spawn::Spawned;

/// How the end of a child is noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaiterKind {
    /// A pidfd in one `poll`. Linux.
    #[cfg(target_os = "linux")]
    Pidfd,
    /// The wait-timeout crate and one helper thread per run, for systems without pidfd.
    ///
    /// Something must have registered a `SIGCHLD` handler before the first run, because wait-timeout calls the
    /// disposition that it finds. It is the weaker waiter: a handler that ends by itself is reaped as it is seen, so
    /// what it leaves in its group is not killed.
    Portable,
}

impl Default for WaiterKind {
    fn default() -> Self {
        #[cfg(target_os = "linux")]
        let kind = Self::Pidfd;
        #[cfg(not(target_os = "linux"))]
        let kind = Self::Portable;
        kind
    }
}

/// What one run may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Longest time from the start to the polite signal.
    pub timeout: Duration,
    /// Time between the polite and the hard signal.
    pub grace: Duration,
    /// Bytes kept of each output stream: the first half and the last half. The rest is counted and discarded.
    pub max_output: usize,
    /// How much weaker than this process it is ranked, 0 to 19. Linux.
    pub nice: u8,
}

/// Starts handlers and sees them to their end. Cheap to clone; one serves any number of threads.
#[derive(Clone, Debug)]
pub struct Runner {
    waiter: WaiterKind,
    children: Arc<Children>,
}

impl Runner {
    /// A runner that waits in the given way.
    #[must_use]
    pub fn new(waiter: WaiterKind) -> Self {
        Self { waiter, children: Children::of_process() }
    }

    /// Runs a handler on this thread: starts it, feeds it `stdin`, keeps its output, and sees it to its end.
    ///
    /// `env` is added to the prepared environment. The clock starts here, so starting is part of the time limit. A token
    /// that is cancelled already starts nothing. Every failure is in the report.
    #[must_use = "the report is the only trace of the run"]
    pub fn run<K, V>(
        &self,
        prepared: &Prepared,
        stdin: &[u8],
        env: impl IntoIterator<Item = (K, V)>,
        limits: &Limits,
        cancel: &Cancel,
    ) -> Run
    where
        K: AsRef<OsStr>,
        V: AsRef<OsStr>,
    {
        self.run_seen(prepared, stdin, env, limits, cancel, &mut |_| {})
    }

    /// Like [`Runner::run`]; `see` gets the handler's standard output as it comes, on this thread, whatever is kept of it.
    #[must_use = "the report is the only trace of the run"]
    pub fn run_seen<K, V>(
        &self,
        prepared: &Prepared,
        stdin: &[u8],
        env: impl IntoIterator<Item = (K, V)>,
        limits: &Limits,
        cancel: &Cancel,
        see: &mut dyn FnMut(&[u8]),
    ) -> Run
    where
        K: AsRef<OsStr>,
        V: AsRef<OsStr>,
    {
        if cancel.is_cancelled() {
            return Run::not_started(StartError::Cancelled, Duration::ZERO, stdin.len());
        }
        if self.waiter == WaiterKind::Portable
            && let Err(error) = wait_portable::usable()
        {
            return Run::not_started(error, Duration::ZERO, stdin.len());
        }
        self.children.reap_hanging();
        let started = Instant::now();
        let spawned = match self.spawn(prepared, !stdin.is_empty(), env, limits.nice) {
            Ok(spawned) => spawned,
            Err(error) => return Run::not_started(error, started.elapsed(), stdin.len()),
        };
        let spawn_time = started.elapsed();
        let max_written = prepared.limits().output.unwrap_or(u64::MAX);
        let leftovers = prepared.leftovers();
        let job = Job { spawned, stdin, started, spawn_time, limits, cancel, max_written, leftovers };
        match self.waiter {
            #[cfg(target_os = "linux")]
            WaiterKind::Pidfd => wait_pidfd::run(job, see, &self.children),
            WaiterKind::Portable => wait_portable::run(job, see, &self.children),
        }
    }

    /// Starts a process, bound and ranked.
    fn spawn<K, V>(
        &self,
        prepared: &Prepared,
        wants_stdin: bool,
        env: impl IntoIterator<Item = (K, V)>,
        nice: u8,
    ) -> Result<Spawned, StartError>
    where
        K: AsRef<OsStr>,
        V: AsRef<OsStr>,
    {
        let spawned = self.children.spawn(|| prepared.spawn(wants_stdin, env))?;
        let group = group::Group::of(&spawned.child);
        if let Err(error) = bounds::bind(group, prepared.limits()) {
            group.kill();
            // It may be beyond our signals, so nobody waits for it.
            self.children.keep_hanging(spawned.child);
            return Err(error);
        }
        bounds::rank(group, nice);
        Ok(spawned)
    }

    /// The way this runner waits.
    pub fn waiter(&self) -> WaiterKind {
        self.waiter
    }

    /// The children that runs are waiting for.
    #[cfg(target_os = "linux")]
    fn children(&self) -> &Arc<Children> {
        &self.children
    }
}

impl Default for Runner {
    fn default() -> Self {
        Self::new(WaiterKind::default())
    }
}

/// A started child with all that its waiter has to know.
#[derive(Debug)]
struct Job<'a> {
    spawned: Spawned,
    stdin: &'a [u8],
    started: Instant,
    spawn_time: Duration,
    limits: &'a Limits,
    cancel: &'a Cancel,
    /// Bytes of both outputs together after which it is told to end.
    max_written: u64,
    #[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "the portable waiter cannot choose"))]
    leftovers: crate::Leftovers,
}

/// How long a process that got KILL is waited for. Only one that hangs in the kernel takes longer.
const AFTER_KILL: Duration = Duration::from_secs(1);

/// The moment so much later; so far off that it never comes, if the clock cannot hold it.
pub(crate) fn later(from: Instant, by: Duration) -> Instant {
    const CENTURY: Duration = Duration::from_hours(100 * 365 * 24);
    from.checked_add(by).or_else(|| from.checked_add(CENTURY)).unwrap_or(from)
}
