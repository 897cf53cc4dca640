//! A door for this package's own benchmarks and tests: the pool without hooks around it, the reference shell, and what is
//! kept for later use.
//!
//! Nothing else uses it, and nothing is promised of it. A job is whatever the benchmark likes; all go to one hook, in
//! class `normal` and in no chain.

use std::sync::Arc;
use std::time::Duration;

use crate::class::{PerClass, PriorityClass};
use crate::pool::one_mutex::OneMutex;
use crate::pool::{Finished, Host, Pool};
use crate::runtime;
use crate::scheduler::{Arrival, CoreParams, Dispatch, HookParams, HookSlot, JobKey, Resolved};
use crate::time::{Clock, Time};

/// Blocks and bytes that the process keeps of jobs that have ended, for others. Exact while no job begins or ends.
#[must_use]
pub fn kept_for_jobs() -> (usize, usize) {
    runtime::kept_for_jobs()
}

struct Runner<J> {
    run: Box<dyn Fn(J) + Send + Sync>,
}

/// A job, its number, and when it was admitted.
struct Pushed<J>(J, u64, Time);

impl<J: Send + 'static> Host for Runner<J> {
    type Job = J;
    type Pushed = Pushed<J>;
    type Station = ();

    fn number(pushed: &Pushed<J>) -> u64 {
        pushed.1
    }

    fn arrival(&self, Pushed(body, _, admitted): Pushed<J>) -> Arrival<J> {
        Arrival {
            hook: HookSlot(0),
            class: PriorityClass::Normal,
            session: None,
            batching: None,
            bytes: 0,
            admitted,
            max_wait: None,
            body,
        }
    }

    fn station(&self, _worker: usize) {}

    fn rests(&self, (): &mut ()) {}

    fn run(&self, (): &mut (), dispatch: Dispatch<J>, _now: Time) -> Option<Finished<J>> {
        (self.run)(dispatch.first.body);
        Some(Finished::after(Duration::ZERO))
    }

    fn resolve(&self, _left: Resolved<J>) {}

    fn placed(&self, _job: &J, _key: JobKey) {}

    fn is_unwanted(&self, _job: &J) -> bool {
        false
    }

    fn stop_running(&self) {}

    fn kill_running(&self) {}
}

enum Shell<J: Send + 'static> {
    Pool(Pool<Runner<J>>),
    OneMutex(OneMutex<Runner<J>>),
}

/// A pool that runs one function for every job. Drains when it is dropped.
pub struct BarePool<J: Send + 'static> {
    shell: Shell<J>,
    clock: Clock,
}

impl<J: Send + 'static> BarePool<J> {
    /// The pool as it is.
    pub fn new(
        workers: u32,
        capacity: u32,
        run: impl Fn(J) + Send + Sync + 'static,
    ) -> std::io::Result<Self> {
        let (params, clock, host) = parts(workers, capacity, run);
        let pool = Pool::start(params, &[HookParams::default()], clock, host)?;
        Ok(Self { shell: Shell::Pool(pool), clock })
    }

    /// The reference shell: the same scheduler behind one mutex.
    pub fn one_mutex(workers: u32, capacity: u32, run: impl Fn(J) + Send + Sync + 'static) -> Self {
        let (params, clock, host) = parts(workers, capacity, run);
        let shell = Shell::OneMutex(OneMutex::start(params, &[HookParams::default()], clock, host));
        Self { shell, clock }
    }

    /// False: it is full.
    pub fn submit(&self, job: impl FnOnce() -> J) -> bool {
        let pushed = |number| Pushed(job(), number, self.clock.now());
        match &self.shell {
            Shell::Pool(pool) => pool.reserve(PriorityClass::Normal).is_ok_and(|place| {
                let pushed = pushed(place.number);
                pool.push(place, pushed, None);
                true
            }),
            Shell::OneMutex(shell) => shell.submit(pushed(0)).is_ok(),
        }
    }

    /// Lets nothing start.
    pub fn pause(&self) {
        match &self.shell {
            Shell::Pool(pool) => pool.pause_class(PriorityClass::Normal),
            Shell::OneMutex(shell) => {
                shell.with_core(|core, now| core.pause_class(PriorityClass::Normal, now));
            }
        }
    }

    /// Lets everything start again.
    pub fn resume(&self) {
        match &self.shell {
            Shell::Pool(pool) => pool.resume_class(PriorityClass::Normal),
            Shell::OneMutex(shell) => {
                shell.with_core(|core, now| core.resume_class(PriorityClass::Normal, now));
            }
        }
    }
}

impl<J: Send + 'static> Drop for BarePool<J> {
    fn drop(&mut self) {
        self.resume();
        match &self.shell {
            Shell::Pool(pool) => _ = pool.drain(Duration::MAX, Duration::ZERO),
            Shell::OneMutex(shell) => shell.drain(),
        }
    }
}

impl<J: Send + 'static> std::fmt::Debug for BarePool<J> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BarePool").finish_non_exhaustive()
    }
}

fn parts<J>(
    workers: u32,
    capacity: u32,
    run: impl Fn(J) + Send + Sync + 'static,
) -> (CoreParams, Clock, Arc<Runner<J>>) {
    let mut params = CoreParams::plain(workers, capacity);
    // As it is by default.
    params.pick.bypass = Some(PerClass::from_fn(|_| 16));
    (params, Clock::start(), Arc::new(Runner { run: Box::new(run) }))
}
