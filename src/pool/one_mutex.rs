//! The reference shell: the same core and host behind one mutex and one condition, plain and obviously right.
//!
//! Everything happens under the lock except for what the host does, and whoever changes anything wakes everybody. The
//! pool must answer as this does (`tests/differential.rs`), and is measured beside it (`benches/peers`). It runs no
//! jobs of users: it has no deadline for a drain, no replacement of threads and no change of parameters.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use super::{Finished, Host};
use crate::class::PerClass;
use crate::outcome::Refusal;
use crate::scheduler::{Core, CoreParams, HookParams, RunKey};
use crate::time::{Clock, Time};

pub(crate) struct OneMutex<H: Host> {
    shared: Arc<Shared<H>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

struct Shared<H: Host> {
    host: Arc<H>,
    state: Mutex<State<H>>,
    changed: Condvar,
    clock: Clock,
}

struct State<H: Host> {
    core: Core<H::Job>,
    leaving: bool,
}

impl<H: Host> OneMutex<H> {
    pub(crate) fn start(params: CoreParams, hooks: &[HookParams], clock: Clock, host: Arc<H>) -> Self {
        let mut core = Core::new(params);
        for hook in hooks {
            core.add_hook(*hook);
        }
        let state = Mutex::new(State { core, leaving: false });
        let shared = Arc::new(Shared { host, state, changed: Condvar::new(), clock });
        let start = |worker| {
            let shared = Arc::clone(&shared);
            std::thread::spawn(move || shared.work(worker))
        };
        let threads = Mutex::new((0..params.seats.in_all()).map(start).collect());
        Self { shared, threads }
    }

    /// Gives a job back that was not admitted, and says why.
    pub(crate) fn submit(&self, pushed: H::Pushed) -> Result<(), (Refusal, H::Job)> {
        let shared = &*self.shared;
        let arrival = shared.host.arrival(pushed);
        self.with_core(|core, now| match core.offer(arrival, now) {
            Ok(key) => {
                if let Some(job) = core.body(key) {
                    shared.host.placed(job, key);
                }
                Ok(())
            }
            Err(refused) => Err((refused.why, refused.arrival.body)),
        })
    }

    /// Runs `f` under the lock, tells the host afterwards, and wakes everybody.
    pub(crate) fn with_core<R>(&self, f: impl FnOnce(&mut Core<H::Job>, Time) -> R) -> R {
        let now = self.shared.clock.now();
        let mut state = self.shared.lock();
        let answer = f(&mut state.core, now);
        let left = state.core.take_resolved();
        drop(state);
        self.shared.changed.notify_all();
        for resolved in left {
            self.shared.host.resolve(resolved);
        }
        answer
    }

    #[cfg(test)]
    pub(super) fn host(&self) -> &H {
        &self.shared.host
    }

    pub(crate) fn close(&self) {
        self.with_core(Core::close);
    }

    /// Runs everything to its end, however long that takes.
    pub(crate) fn drain(&self) {
        self.close();
        let shared = &*self.shared;
        let mut state = shared.lock();
        while *state.core.waiting() != PerClass::default() || state.core.running() != PerClass::default() {
            state = shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.leaving = true;
        drop(state);
        shared.changed.notify_all();
        for thread in self.threads.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            thread.join().expect("the host does not panic");
        }
    }
}

impl<H: Host> Shared<H> {
    fn lock(&self) -> MutexGuard<'_, State<H>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self, worker: usize) {
        let mut station = self.host.station(worker);
        let mut ran: Option<(RunKey, Finished<H::Job>)> = None;
        loop {
            let mut state = self.lock();
            let now = self.clock.now();
            if let Some((run, finished)) = ran.take() {
                for key in state.core.complete(run, finished.elapsed, finished.retries, now) {
                    if let Some(job) = state.core.body(key) {
                        self.host.placed(job, key);
                        if self.host.is_unwanted(job) {
                            state.core.cancel(key, now);
                        }
                    }
                }
                self.changed.notify_all();
            }
            let found = state.core.pick(now);
            let left = state.core.take_resolved();
            if found.is_none() && left.is_empty() {
                if state.leaving {
                    return;
                }
                let wait = match state.core.next_deadline() {
                    None => self.changed.wait(state).map(drop).map_err(drop),
                    Some(due) => {
                        self.changed.wait_timeout(state, self.clock.until(due)).map(drop).map_err(drop)
                    }
                };
                wait.expect("nobody panics under the lock");
                continue;
            }
            drop(state);
            for resolved in left {
                self.host.resolve(resolved);
            }
            if let Some(dispatch) = found {
                let run = dispatch.run;
                ran = self.host.run(&mut station, dispatch, now).map(|finished| (run, finished));
            }
        }
    }
}

impl<H: Host> std::fmt::Debug for OneMutex<H> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OneMutex").finish_non_exhaustive()
    }
}
