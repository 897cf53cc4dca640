//! Measuring: the same events and the same handler, waited for on the calling thread, and in three modes of the pool.
//!
//! Nothing here depends on the speed of the machine but the times themselves: a full queue is one whose only hook is
//! paused.

use std::io::{self, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use hookpool::{Config, HookManager, HookPool, Ledger, Triggered};
use serde_json::{Value, json};

use super::super::error::CliError;

/// The handler reads its event and writes it again, and does nothing else: what is left is the cost of running it.
pub(super) const HANDLER: &str = "cat";

const HOOK: &str = "defaults = { timeout = '1m', order = 'none' }\n[hook.bench]\non = ['*']\nrun = ['cat']\n";
/// The size that a queue has by default.
const CAPACITY: u32 = 1000;

/// Everything that was measured.
pub(super) struct Measured {
    pub(super) events: u32,
    /// Of the first event.
    pub(super) event_bytes: usize,
    /// What reading the clock takes: it is in every figure.
    pub(super) clock: Duration,
    /// Jobs that may run at once in the pool.
    pub(super) workers: u16,
    pub(super) modes: [Mode; 4],
}

/// One way of running hooks.
pub(super) struct Mode {
    /// In reports.
    pub(super) name: &'static str,
    /// What the caller paid for each event, ascending.
    pub(super) costs: Vec<Duration>,
    /// From the first event to the last outcome.
    pub(super) elapsed: Duration,
    /// Handlers that ended well, of those that were waited for.
    pub(super) succeeded: u64,
    /// What became of everything; none where no pool was used.
    pub(super) ledger: Option<Ledger>,
}

/// Measures every mode with so many events.
pub(super) fn all(events: u32) -> Result<Measured, CliError> {
    let input = Input::new();
    let config = config(CAPACITY.max(events))?;
    let workers = config.pool.workers;

    let manager = manager(config.clone())?;
    warm_up(&manager, &input);
    drop(manager);
    let manager = self::manager(config.clone())?;
    let (costs, triggered, begun) = trigger(&manager, &input, events);
    let pool = Mode::of_pool("pool", &manager, costs, begun);
    let handles = triggered.iter().flat_map(Triggered::admitted);
    let outcomes: Vec<_> = handles.filter_map(hookpool::JobHandle::outcome).collect();

    let payloads: Vec<&[u8]> = outcomes.iter().map(|outcome| outcome.event.payload()).collect();
    let event_bytes = payloads.first().map_or(0, |payload| payload.len());
    let synchronous = synchronous(&payloads)?;

    let manager = self::manager(config)?;
    if let Some(pool) = manager.pool() {
        pool.set_performance_mode(true);
    }
    let (costs, _, begun) = trigger(&manager, &input, events);
    let performance = Mode::of_pool("performance_mode", &manager, costs, begun);

    let manager = self::manager(self::config(1)?)?;
    let hook = "bench";
    if let Some(pool) = manager.pool() {
        pool.pause(hook);
    }
    input.trigger(&manager, 0);
    let (costs, _, begun) = trigger(&manager, &input, events);
    if let Some(pool) = manager.pool() {
        pool.resume(hook);
    }
    let full = Mode::of_pool("full_queue", &manager, costs, begun);

    let modes = [synchronous, pool, performance, full];
    Ok(Measured { events, event_bytes, clock: clock(), workers, modes })
}

fn config(capacity: u32) -> Result<Config, CliError> {
    Ok(Config::from_toml(&format!("queue.capacity = {capacity}\n{HOOK}"))?)
}

/// As in a replay, jobs wait for as long as it takes.
fn manager(config: Config) -> Result<HookManager, CliError> {
    Ok(HookManager::new(HookPool::builder().config(config).replay(true).build()?))
}

/// A first event costs what later ones do not: pages, caches, the start of the threads.
fn warm_up(manager: &HookManager, input: &Input) {
    for number in 0..10 {
        input.trigger(manager, number);
    }
    manager.shutdown();
}

/// Triggers the events one after the other, timing each.
fn trigger(manager: &HookManager, input: &Input, events: u32) -> (Vec<Duration>, Vec<Triggered>, Instant) {
    let count = events as usize;
    let (mut costs, mut triggered) = (Vec::with_capacity(count), Vec::with_capacity(count));
    let begun = Instant::now();
    for number in 0..events {
        let before = Instant::now();
        let answer = input.trigger(manager, number);
        costs.push(before.elapsed());
        triggered.push(answer);
    }
    (costs, triggered, begun)
}

/// Runs the handler for each payload on this thread, as it was done before there was a queue.
fn synchronous(payloads: &[&[u8]]) -> Result<Mode, CliError> {
    let begun = Instant::now();
    let (mut costs, mut succeeded) = (Vec::with_capacity(payloads.len()), 0);
    for payload in payloads {
        let before = Instant::now();
        let is_good = run_and_wait(payload).map_err(|error| CliError::Handler(HANDLER, error))?;
        costs.push(before.elapsed());
        succeeded += u64::from(is_good);
    }
    let elapsed = begun.elapsed();
    costs.sort_unstable();
    Ok(Mode { name: "synchronous", costs, elapsed, succeeded, ledger: None })
}

fn run_and_wait(payload: &[u8]) -> io::Result<bool> {
    let mut command = Command::new(HANDLER);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        // Smaller than a pipe's buffer, so nobody waits for anybody.
        stdin.write_all(payload)?;
    }
    Ok(child.wait_with_output()?.status.success())
}

impl Mode {
    /// Waits until everything has its outcome.
    fn of_pool(name: &'static str, manager: &HookManager, mut costs: Vec<Duration>, begun: Instant) -> Self {
        let ledger = manager.pool().map(|pool| pool.drain(Duration::MAX));
        let elapsed = begun.elapsed();
        costs.sort_unstable();
        let succeeded = |ledger: &Ledger| ledger.snapshot.total.outcome(hookpool::OutcomeKind::Succeeded);
        Self { name, costs, elapsed, succeeded: ledger.as_ref().map_or(0, succeeded), ledger }
    }

    /// The cost that so many of a hundred events had at most.
    pub(super) fn cost(&self, percent: usize) -> Duration {
        let place = (self.costs.len() * percent / 100).min(self.costs.len().saturating_sub(1));
        self.costs.get(place).copied().unwrap_or_default()
    }
}

/// What a tool call looks like: about 1 KB as an event.
struct Input {
    args: Value,
    result: String,
}

impl Input {
    fn new() -> Self {
        let words = "cargo test --workspace ";
        let args = json!({"command": words.repeat(14), "description": "run the tests"});
        Self { args, result: words.repeat(15) }
    }

    /// Before a tool call and after it, in turn.
    fn trigger(&self, manager: &HookManager, number: u32) -> Triggered {
        if number.is_multiple_of(2) {
            manager.trigger_pre_tool_hook("Bash", &self.args)
        } else {
            manager.trigger_post_tool_hook("Bash", 0, &self.result)
        }
    }
}

fn clock() -> Duration {
    let mut reads: Vec<Duration> = (0..1000).map(|_| Instant::now().elapsed()).collect();
    reads.sort_unstable();
    reads.get(reads.len() / 2).copied().unwrap_or_default()
}
