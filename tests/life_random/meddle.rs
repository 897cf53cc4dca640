//! Who meddles with the pool while events pass: one who changes it, and one who holds it up.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use hookpool::{Config, HookPool, PriorityClass, ReloadError, ResizeError};

use crate::GLANCE;
use crate::dice::Dice;
use crate::plan::{BOUNDED, CHANGER, HOLDER, HOOKS, Plan};
use crate::witness::Witness;

/// The last steps of a life, for who has to find out what went wrong.
#[derive(Default)]
pub(crate) struct Script {
    last: Mutex<VecDeque<String>>,
    /// Changes that were tried on an open pool, and those that were made.
    pub(crate) tried: AtomicU64,
    pub(crate) made: AtomicU64,
    /// Everything else that was done to it.
    pub(crate) holds: AtomicU64,
}

impl Script {
    const KEPT: usize = 40;

    pub(crate) fn step(&self, text: impl Into<String>) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.len() == Self::KEPT {
            last.pop_front();
        }
        last.push_back(text.into());
    }
}

impl fmt::Display for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.iter().try_for_each(|step| writeln!(f, "  {step}"))
    }
}

/// Lets the others go on: some events pass, if they do so soon.
fn linger(witness: &Witness, dice: &mut Dice) {
    let until = witness.events.load(Ordering::SeqCst) + dice.below(4);
    let begun = Instant::now();
    while witness.events.load(Ordering::SeqCst) < until && begun.elapsed() < GLANCE * 2 {
        thread::yield_now();
    }
}

/// Some steps go on while the end comes.
fn goes_on(is_ending: &AtomicBool, left: &mut u64) -> bool {
    if is_ending.load(Ordering::SeqCst) {
        let is_last = *left == 0;
        *left = left.saturating_sub(1);
        return !is_last;
    }
    true
}

/// Sets, unsets, resizes and reloads.
pub(crate) fn change(pool: &HookPool, witness: &Witness, script: &Script, is_ending: &AtomicBool) {
    let plan: &Plan = &witness.plan;
    let mut dice = plan.dice(CHANGER);
    let mut left = dice.below(8);
    while goes_on(is_ending, &mut left) {
        let answer = match dice.below(10) {
            0 | 1 => {
                script.step("reload with another configuration");
                let text = plan.config(&mut dice, false);
                let config = Config::from_toml(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
                pool.reload_with(config).map(drop)
            }
            2 => {
                script.step("reload");
                pool.reload().map(drop)
            }
            3 | 4 => {
                let (workers, standby) = (1 + dice.below(plan.workers), dice.below(plan.standby + 1));
                script.step(format!("resize {workers} {standby}"));
                match pool.resize(u16::try_from(workers).unwrap(), u16::try_from(standby).unwrap()) {
                    Err(ResizeError::Refused(why)) => Err(why),
                    answer => {
                        answer.unwrap();
                        Ok(())
                    }
                }
            }
            5 => {
                let key = plan.setting(&mut dice).0;
                script.step(format!("unset {key}"));
                pool.unset(&key).map(drop)
            }
            _ => {
                let (key, value) = plan.setting(&mut dice);
                script.step(format!("set {key} = {value}"));
                pool.set(&key, &value).map(drop)
            }
        };
        // Some values do not fit each other; then nothing changes.
        let is_closed = matches!(answer, Err(ReloadError::Closed));
        script.tried.fetch_add(u64::from(!is_closed), Ordering::Relaxed);
        script.made.fetch_add(u64::from(answer.is_ok()), Ordering::Relaxed);
        linger(witness, &mut dice);
    }
}

/// Pauses, resumes, shuts and opens the gate, looks at bounds. In the end all goes on.
pub(crate) fn hold(pool: &HookPool, witness: &Witness, script: &Script, is_ending: &AtomicBool) {
    let mut dice = witness.plan.dice(HOLDER);
    let mut left = dice.below(8);
    while goes_on(is_ending, &mut left) {
        let (hook, class) = (dice.of(&HOOKS), dice.of(&PriorityClass::ALL));
        match dice.below(12) {
            0 => {
                script.step(format!("pause {hook}"));
                pool.pause(hook);
            }
            1 => {
                script.step(format!("pause class {class}"));
                pool.pause_class(class);
            }
            2..5 => {
                script.step("resume all");
                resume_all(pool);
            }
            5 => {
                script.step("shut the gate");
                witness.gate.set(false);
            }
            6..9 => {
                script.step("open the gate");
                witness.gate.set(true);
            }
            9 => {
                pool.reset_breaker(hook);
                drop(pool.recent_failures(hook));
                drop(pool.outcomes(1));
            }
            _ => look(pool, witness),
        }
        script.holds.fetch_add(1, Ordering::Relaxed);
        linger(witness, &mut dice);
    }
    witness.gate.set(true);
    if dice.below(2) == 0 {
        script.step("open the gate, pause all until all is at rest, resume all");
        for hook in HOOKS {
            pool.pause(hook);
        }
        (0..10).for_each(|_| linger(witness, &mut dice));
    }
    resume_all(pool);
    script.step("all resumed, the gate is open");
}

fn resume_all(pool: &HookPool) {
    for hook in HOOKS {
        pool.resume(hook);
    }
    for class in PriorityClass::ALL {
        pool.resume_class(class);
    }
}

/// What may be seen at any moment.
fn look(pool: &HookPool, witness: &Witness) {
    let (status, plan) = (pool.status(), &witness.plan);
    let (total, gauges) = (&status.total, &status.pool);
    let waiting: u64 = gauges.lanes.values().map(|lane| u64::from(lane.waiting)).sum();
    let mut all = vec![
        ("more ended than was admitted", total.resolved() <= total.admitted()),
        ("too many bytes", gauges.bytes <= plan.bytes),
    ];
    if !plan.loose {
        let bounded = u64::from(gauges.lanes[BOUNDED].waiting);
        all.push(("too many wait", waiting <= plan.capacity && pool.queue_size() as u64 <= plan.capacity));
        all.push(("too many of a class wait", bounded <= plan.ceiling));
    }
    for (fault, _) in all.into_iter().filter(|(_, holds)| !holds) {
        witness.fault(format!("{fault}: {gauges:?}"));
    }
}
