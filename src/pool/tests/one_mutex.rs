//! The reference shell: the same core and host behind one mutex and one condition, plain and obviously right.
//!
//! Everything happens under the lock except for what the host does. Whoever changes anything wakes everybody.

use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::Duration;

use super::hosts::{Job, Shell, Spec, TestHost};
use crate::class::{PerClass, PriorityClass};
use crate::outcome::Refusal;
use crate::pool::drain::Remainder;
use crate::pool::{Finished, Host};
use crate::scheduler::{Core, CoreParams, HookParams, HookSlot, RunKey};
use crate::time::Clock;

pub(super) struct OneMutex {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

struct Shared {
    host: Arc<TestHost>,
    state: Mutex<State>,
    changed: Condvar,
    clock: Clock,
}

struct State {
    core: Core<Job>,
    leaving: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Runs `f` under the lock, tells the host afterwards, and wakes everybody.
    fn with_core<R>(&self, f: impl FnOnce(&mut Core<Job>) -> R) -> R {
        let mut state = self.lock();
        let answer = f(&mut state.core);
        let left = state.core.take_resolved();
        drop(state);
        self.changed.notify_all();
        for resolved in left {
            self.host.resolve(resolved.body, resolved.outcome, resolved.waited);
        }
        answer
    }

    fn work(&self, worker: usize) {
        let mut ran: Option<(RunKey, Finished<Job>)> = None;
        loop {
            let mut state = self.lock();
            let now = self.clock.now();
            if let Some((run, finished)) = ran.take() {
                for key in state.core.complete(run, finished.elapsed, finished.retries, now) {
                    if let Some(job) = state.core.body(key) {
                        self.host.placed(job, key);
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
                match state.core.next_deadline() {
                    None => drop(self.changed.wait(state).unwrap()),
                    Some(due) => drop(self.changed.wait_timeout(state, self.clock.until(due)).unwrap()),
                }
                continue;
            }
            drop(state);
            for resolved in left {
                self.host.resolve(resolved.body, resolved.outcome, resolved.waited);
            }
            if let Some(dispatch) = found {
                let run = dispatch.run;
                ran = self.host.run(worker, dispatch).map(|finished| (run, finished));
            }
        }
    }
}

impl Shell for OneMutex {
    fn start(params: CoreParams, hooks: &[HookParams], clock: Clock, host: Arc<TestHost>) -> Self {
        let mut core = Core::new(params);
        for hook in hooks {
            core.add_hook(*hook);
        }
        let state = Mutex::new(State { core, leaving: false });
        let shared = Arc::new(Shared { host, state, changed: Condvar::new(), clock });
        let workers = (params.seats.workers + params.seats.standby) as usize;
        let start = |worker| {
            let shared = Arc::clone(&shared);
            std::thread::spawn(move || shared.work(worker))
        };
        let threads = Mutex::new((0..workers).map(start).collect());
        Self { shared, threads }
    }

    fn submit(&self, spec: Spec) -> Result<(), Refusal> {
        let shared = &self.shared;
        let arrival = shared.host.arrival(spec);
        let now = shared.clock.now();
        shared.with_core(|core| match core.offer(arrival, now) {
            Ok(key) => {
                if let Some(job) = core.body(key) {
                    shared.host.placed(job, key);
                }
                Ok(())
            }
            Err(refused) => {
                refused.arrival.body.forgo();
                Err(refused.why)
            }
        })
    }

    fn cancel_job(&self, id: u32) -> bool {
        let now = self.shared.clock.now();
        self.shared.with_core(|core| self.shared.host.key(id).is_some_and(|key| core.cancel(key, now)))
    }

    fn pause_class(&self, class: PriorityClass) {
        let now = self.shared.clock.now();
        self.shared.with_core(|core| core.pause_class(class, now));
    }

    fn resume_class(&self, class: PriorityClass) {
        let now = self.shared.clock.now();
        self.shared.with_core(|core| core.resume_class(class, now));
    }

    fn pause_hook(&self, hook: u32) {
        let now = self.shared.clock.now();
        self.shared.with_core(|core| core.pause_hook(HookSlot(hook), now));
    }

    fn resume_hook(&self, hook: u32) {
        let now = self.shared.clock.now();
        self.shared.with_core(|core| core.resume_hook(HookSlot(hook), now));
    }

    fn close(&self) {
        let now = self.shared.clock.now();
        self.shared.with_core(|core| core.close(now));
    }

    /// Without an end: the scripts that come here drain to the last job.
    fn drain(&self, _deadline: Duration, _grace: Duration) -> Remainder {
        self.close();
        let mut state = self.shared.lock();
        while *state.core.waiting() != PerClass::default() || state.core.running() != PerClass::default() {
            state = self.shared.changed.wait(state).unwrap();
        }
        state.leaving = true;
        drop(state);
        self.shared.changed.notify_all();
        for thread in self.threads.lock().unwrap().drain(..) {
            thread.join().unwrap();
        }
        Remainder::default()
    }
}
