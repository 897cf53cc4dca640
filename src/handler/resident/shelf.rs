//! The processes of one hook between their dispatches.
//!
//! A process that has nothing to do rests here, the last used one on top, so that those that are not needed grow old at
//! the bottom. A thread ends them: it is started when one comes to rest, sleeps until the first has rested for
//! `idle_timeout`, and leaves when none is there. Nothing wakes it in between, and without `idle_timeout` it is not there.
//!
//! A process that has answered `max_events`, or is older than `max_age`, is replaced when it is given back: the next one
//! is started first, and the old one is ended beside the work (its input ends, grace, TERM, grace, KILL). Age alone makes
//! nobody act: one that is too old takes its next event, and goes then.
//!
//! Processes that end before they have answered anything are started again at once at first, then with growing pauses.
//! Events that come in a pause are not started, with that reason: they would only wait for the same.
//!
//! Invariant: at most `instances` are at work or at rest, and as many again on their way out.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::super::{CommandHandler, Task};
use super::instance::{Instance, settle};
use crate::hook::{Hook, HookName, ResidentSpec};
use crate::process::{Cancel, Stage, stop_all};
use crate::telemetry::{self, Limiter};

/// So many processes in a row may end early before there are pauses.
const FREE_STARTS: u32 = 3;
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// All shelves of a pool, and the clients whose connections rest like processes do.
#[derive(Debug, Default)]
pub(crate) struct Residents {
    shelves: Mutex<Vec<Weak<Shelf>>>,
    #[cfg(feature = "http")]
    clients: Mutex<Vec<Weak<crate::http::Client>>>,
    /// Numbers the processes, from 1.
    numbers: AtomicU64,
    /// Ends the graces of processes that nobody uses.
    hurry: Cancel,
}

impl Residents {
    /// Ends all processes that nobody uses, and those that are still in use when they are given back. Returns when they
    /// are gone.
    pub(crate) fn close(&self) {
        #[cfg(feature = "http")]
        lock(&self.clients).iter().filter_map(Weak::upgrade).for_each(|client| client.close());
        let shelves: Vec<_> = lock(&self.shelves).iter().filter_map(Weak::upgrade).collect();
        close_all(&shelves.iter().map(Arc::as_ref).collect::<Vec<_>>(), &self.hurry);
    }

    /// The connections of this client are closed with the rest.
    #[cfg(feature = "http")]
    pub(in super::super) fn add_client(&self, client: &Arc<crate::http::Client>) {
        let mut clients = lock(&self.clients);
        clients.retain(|client| client.strong_count() > 0);
        clients.push(Arc::downgrade(client));
    }

    /// Leaves no grace to processes that are being ended, or will be.
    pub(crate) fn kill(&self) {
        self.hurry.kill();
    }
}

/// See the module's description.
#[derive(Debug)]
pub(super) struct Shelf {
    pub(super) command: CommandHandler,
    hook: HookName,
    grace: Duration,
    max_output: usize,
    /// The rank of its processes, which serve jobs of any class.
    nice: u8,
    instances: usize,
    idle_timeout: Option<Duration>,
    max_events: Option<u32>,
    max_age: Option<Duration>,
    complaints: Limiter,
    state: Mutex<State>,
    /// Something is to be ended at once.
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// With the moment when each came to rest; the last used one is the last.
    resting: Vec<(Instance, Instant)>,
    /// To be ended.
    leaving: Vec<Instance>,
    /// How many are being ended.
    ending: usize,
    /// How many in a row ended before their first answer.
    early: u32,
    paused_until: Option<Instant>,
    reaper: Option<JoinHandle<()>>,
    is_reaping: bool,
    is_closed: bool,
}

impl Shelf {
    pub(super) fn new(command: CommandHandler, spec: &ResidentSpec, hook: &Hook) -> Arc<Self> {
        let residents = Arc::clone(&command.surroundings.residents);
        let shelf = Arc::new(Self {
            command,
            hook: hook.name.clone(),
            grace: hook.grace,
            max_output: hook.max_output,
            nice: hook.priority.map_or(0, |class| spec.command.nice[class]),
            instances: spec.instances as usize,
            idle_timeout: spec.idle_timeout,
            max_events: spec.max_events,
            max_age: spec.max_age,
            complaints: Limiter::default(),
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        let mut shelves = lock(&residents.shelves);
        shelves.retain(|shelf| shelf.strong_count() > 0);
        shelves.push(Arc::downgrade(&shelf));
        drop(shelves);
        shelf
    }

    /// A process to work with.
    ///
    /// # Errors
    /// In words, why there is none now.
    pub(super) fn take_or_start(&self) -> Result<Instance, String> {
        let mut state = self.lock();
        if let Some((mut instance, _)) = state.resting.pop() {
            instance.rested = true;
            return Ok(instance);
        }
        let pause = state.paused_until.map(|until| until.saturating_duration_since(Instant::now()));
        if let Some(pause) = pause.filter(|pause| !pause.is_zero()) {
            return Err(format!("{}; the next one is started in {pause:.1?}", early_ends(state.early)));
        }
        drop(state);
        self.start()
    }

    fn start(&self) -> Result<Instance, String> {
        let number = self.residents().numbers.fetch_add(1, Ordering::Relaxed) + 1;
        Instance::start(&self.command, &self.hook, number, self.max_output, self.nice)
            .map_err(|error| error.to_string())
    }

    /// Takes back a process that has answered all that it was given.
    pub(super) fn give_back(self: &Arc<Self>, instance: Instance) {
        let is_due = self.max_events.is_some_and(|most| instance.answered >= most)
            || self.max_age.is_some_and(|most| instance.live.age() >= most);
        // Before the old one goes. If it cannot be started, the next event is told why.
        let next = if is_due && !self.lock().is_closed { self.start().ok() } else { None };
        let mut too_many = Vec::new();
        let mut state = self.lock();
        (state.early, state.paused_until) = (0, None);
        let now = Instant::now();
        state.resting.extend(next.map(|next| (next, now)));
        if !is_due {
            state.resting.push((instance, now));
        } else if state.leaving.len() + state.ending < self.instances {
            state.leaving.push(instance);
            self.changed.notify_one();
        } else {
            too_many.push(instance);
        }
        if state.is_closed {
            let State { resting, leaving, .. } = &mut *state;
            too_many.extend(resting.drain(..).map(|(instance, _)| instance));
            too_many.append(leaving);
        }
        self.see_to_reaper(&mut state, &mut too_many);
        drop(state);
        if !too_many.is_empty() {
            self.end_many(too_many);
        }
    }

    /// Sees to it that a thread is there if one is needed. If there cannot be one, processes rest for longer, and the
    /// calling thread has to end those that leave.
    fn see_to_reaper(self: &Arc<Self>, state: &mut State, too_many: &mut Vec<Instance>) {
        let is_needed =
            !state.leaving.is_empty() || (self.idle_timeout.is_some() && !state.resting.is_empty());
        if is_needed && !state.is_reaping {
            let owner = Arc::clone(self);
            let reaper = std::thread::Builder::new().name("hookpool-residents".to_owned());
            match reaper.spawn(move || owner.reap()) {
                Ok(reaper) => {
                    state.is_reaping = true;
                    state.reaper = Some(reaper);
                }
                Err(_) => too_many.append(&mut state.leaving),
            }
        }
    }

    /// Nobody comes here any more: ends what rests, beside whoever says so.
    pub(super) fn retire(self: &Arc<Self>) {
        let mut here = Vec::new();
        let mut state = self.lock();
        state.is_closed = true;
        let State { resting, leaving, .. } = &mut *state;
        leaving.extend(resting.drain(..).map(|(instance, _)| instance));
        self.see_to_reaper(&mut state, &mut here);
        drop(state);
        self.changed.notify_one();
        if !here.is_empty() {
            self.end_many(here);
        }
    }

    /// Ends a process from that stage on.
    pub(super) fn end(&self, instance: Instance, from: Stage) {
        instance.end(&self.command, self.grace, from, &self.residents().hurry, |_, _| {});
    }

    /// A process has ended before its first answer.
    pub(super) fn ended_early(&self) {
        let mut state = self.lock();
        state.early = state.early.saturating_add(1);
        let Some(pauses) = state.early.checked_sub(FREE_STARTS) else { return };
        let pause = FIRST_PAUSE.saturating_mul(1 << pauses.min(16)).min(LONGEST_PAUSE);
        state.paused_until = Instant::now().checked_add(pause);
        if pauses == 0 {
            telemetry::keeps_ending(&self.hook, &early_ends(state.early));
        }
    }

    /// Tells the log of something that the handler said and that nothing comes of.
    pub(super) fn complain(&self, tasks: &[Task<'_>], what: &str) {
        if let Some(task) = tasks.first() {
            telemetry::misspoke(task.hook, what, &self.complaints, self.command.surroundings.clock.now());
        }
    }

    /// The thread that ends what has rested for long, or is to leave.
    fn reap(&self) {
        let mut state = self.lock();
        loop {
            let now = Instant::now();
            let ends = |since: Instant| self.idle_timeout.and_then(|timeout| since.checked_add(timeout));
            let mut due = std::mem::take(&mut state.leaving);
            due.extend(
                state
                    .resting
                    .extract_if(.., |(_, since)| ends(*since).is_some_and(|end| end <= now))
                    .map(|(instance, _)| instance),
            );
            if !due.is_empty() {
                state.ending = due.len();
                drop(state);
                self.end_many(due);
                state = self.lock();
                state.ending = 0;
                continue;
            }
            let next = state.resting.iter().filter_map(|(_, since)| ends(*since)).min();
            let Some(next) = next.filter(|_| !state.is_closed) else { break };
            let wait = self.changed.wait_timeout(state, next.saturating_duration_since(now));
            state = wait.unwrap_or_else(PoisonError::into_inner).0;
        }
        state.is_reaping = false;
    }

    fn end_many(&self, instances: Vec<Instance>) {
        end_all(instances.into_iter().map(|instance| (self, instance)).collect(), &self.residents().hurry);
    }

    fn residents(&self) -> &Residents {
        &self.command.surroundings.residents
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

/// Closes the shelves and ends what rests on them, all at once.
fn close_all(shelves: &[&Shelf], hurry: &Cancel) {
    let mut instances = Vec::new();
    let mut reapers = Vec::new();
    for shelf in shelves {
        let mut state = shelf.lock();
        state.is_closed = true;
        let State { resting, leaving, .. } = &mut *state;
        let all = resting.drain(..).map(|(instance, _)| instance).chain(leaving.drain(..));
        instances.extend(all.map(|instance| (*shelf, instance)));
        reapers.extend(state.reaper.take());
        shelf.changed.notify_all();
    }
    end_all(instances, hurry);
    for reaper in reapers {
        if reaper.join().is_err() {
            tracing::error!("the thread that ends resident processes panicked");
        }
    }
}

fn end_all(instances: Vec<(&Shelf, Instance)>, hurry: &Cancel) {
    let mut owners = Vec::new();
    let mut lives = Vec::new();
    for (shelf, instance) in instances {
        let (live, number) = instance.into_parts();
        owners.push((shelf, number));
        lives.push((live, shelf.grace));
    }
    let ended = stop_all(lives, Stage::Close, hurry, &mut |_, _| {});
    for ((shelf, number), ended) in owners.into_iter().zip(ended) {
        settle(&shelf.command, number, &ended);
    }
}

fn early_ends(times: u32) -> String {
    format!("its processes ended {times} times in a row before they answered anything")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
