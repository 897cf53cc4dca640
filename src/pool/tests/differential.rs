//! The pool against the reference shell: the same scripts, the same answers.
//!
//! With the only worker held at a gate while the script is played, everything is determined: the answers to submits
//! and cancels, the order of starts, and the outcome of each job must be the same. With many threads and workers only
//! the books are.

use std::sync::Arc;
use std::time::Duration;

use super::dice::Dice;
use super::hosts::{Gate, LIMIT, Script, Shell, Spec, TestHost, params};
use crate::class::{PerClass, PriorityClass};
use crate::outcome::{OutcomeKind, Refusal};
use crate::pool::Pool;
use crate::pool::drain::Remainder;
use crate::pool::one_mutex::OneMutex;
use crate::scheduler::{BatchParams, CoreParams, HookParams, HookSlot};
use crate::time::Clock;

const HOOKS: u32 = 4;
const DAY: Duration = Duration::from_hours(24);

#[derive(Clone, Copy, Debug)]
enum Step {
    Submit { hook: u32, class: PriorityClass, session: Option<u64>, retries: u32 },
    Cancel(u32),
    PauseClass(PriorityClass),
    ResumeClass(PriorityClass),
    PauseHook(u32),
    ResumeHook(u32),
}

/// What a script comes to.
#[derive(Debug, PartialEq, Eq)]
struct Run {
    answers: Vec<Result<(), Refusal>>,
    cancels: Vec<bool>,
    starts: Vec<u32>,
    outcomes: Vec<(u32, OutcomeKind)>,
}

fn script(dice: &mut Dice) -> Vec<Step> {
    let length = 5 + dice.below(if cfg!(miri) { 30 } else { 120 });
    let sessions = 1 + dice.below(6);
    let steps = (0..length).map(|n| match dice.below(20) {
        0 | 1 => Step::Cancel(u32::try_from(dice.below(n + 1)).unwrap()),
        2 => Step::PauseClass(dice.of(&PriorityClass::ALL)),
        3 => Step::ResumeClass(dice.of(&PriorityClass::ALL)),
        4 => Step::PauseHook(u32::try_from(dice.below(u64::from(HOOKS))).unwrap()),
        5 => Step::ResumeHook(u32::try_from(dice.below(u64::from(HOOKS))).unwrap()),
        _ => Step::Submit {
            hook: u32::try_from(dice.below(u64::from(HOOKS))).unwrap(),
            class: dice.of(&PriorityClass::ALL),
            session: (dice.below(4) != 0).then(|| dice.below(sessions)),
            retries: u32::from(dice.below(10) == 0),
        },
    });
    steps.collect()
}

fn settings(dice: &mut Dice, workers: u32) -> (CoreParams, [HookParams; HOOKS as usize]) {
    let capacity = 4 + u32::try_from(dice.below(60)).unwrap();
    let mut params = params(workers, capacity);
    params.displace = dice.below(2) == 0;
    params.rule.guarantee = PerClass::from_fn(|_| u32::try_from(dice.below(2)).unwrap());
    params.rule.ceiling = PerClass::from_fn(|_| if dice.below(3) == 0 { capacity / 2 + 1 } else { capacity });
    params.pick.weighted = false;
    params.pick.bypass =
        (dice.below(2) == 0).then(|| PerClass::from_fn(|_| 1 + u32::try_from(dice.below(6)).unwrap()));
    params.pressure = if dice.below(2) == 0 { capacity / 2 } else { u32::MAX };
    let hooks = [
        HookParams::default(),
        HookParams { max_concurrency: Some(1) },
        HookParams::default(),
        HookParams { max_concurrency: Some(1) },
    ];
    (params, hooks)
}

fn spec(id: u32, step: Step) -> Option<Spec> {
    let Step::Submit { hook, class, session, retries } = step else { return None };
    let batch = match hook {
        2 => Some(BatchParams { size: 3, bytes: 1_000, linger: Duration::ZERO }),
        3 => Some(BatchParams { size: 5, bytes: 1_000, linger: DAY }),
        _ => None,
    };
    let spec = Spec { hook, session, batch, ..Spec::new(id, class) };
    Some(if retries == 0 { spec } else { spec.script(Script::Retry(retries, Duration::ZERO)) })
}

/// Plays the script while the only worker is held, and then lets everything run to the end.
fn play_held<S: Shell>(seed: u64) -> Run {
    let mut dice = Dice(seed);
    let (params, hooks) = settings(&mut dice, 1);
    let steps = script(&mut dice);
    let clock = Clock::start();
    let host = TestHost::new(clock);
    let shell = S::start(params, &hooks, clock, Arc::clone(&host));
    let gate = Gate::closed();
    let held = u32::MAX;
    shell.submit(Spec::new(held, PriorityClass::Critical).at(&gate)).unwrap();
    gate.await_arrivals(1);
    let (mut answers, mut cancels) = (Vec::new(), Vec::new());
    for (id, step) in (0..).zip(steps) {
        match step {
            Step::Submit { .. } => answers.extend(spec(id, step).map(|spec| shell.submit(spec))),
            Step::Cancel(id) => cancels.push(shell.cancel_job(id)),
            Step::PauseClass(class) => shell.pause_class(class),
            Step::ResumeClass(class) => shell.resume_class(class),
            Step::PauseHook(hook) => shell.pause_hook(hook),
            Step::ResumeHook(hook) => shell.resume_hook(hook),
        }
    }
    resume_all(&shell);
    shell.close();
    gate.open();
    assert_eq!(shell.drain(LIMIT, Duration::ZERO).leaked, 0);
    host.assert_balanced(1 + answers.iter().filter(|answer| answer.is_ok()).count());
    let mut outcomes = host.log().outcomes.clone();
    outcomes.sort_unstable_by_key(|(id, _)| *id);
    Run { answers, cancels, starts: host.starts(), outcomes }
}

impl Shell for OneMutex<TestHost> {
    fn start(params: CoreParams, hooks: &[HookParams], clock: Clock, host: Arc<TestHost>) -> Self {
        Self::start(params, hooks, clock, host)
    }

    fn submit(&self, spec: Spec) -> Result<(), Refusal> {
        self.submit(self.host().job(spec)).map_err(|(why, job)| {
            job.forgo();
            why
        })
    }

    fn cancel_job(&self, id: u32) -> bool {
        self.with_core(|core, now| self.host().key(id).is_some_and(|key| core.cancel(key, now)))
    }

    fn pause_class(&self, class: PriorityClass) {
        self.with_core(|core, now| core.pause_class(class, now));
    }

    fn resume_class(&self, class: PriorityClass) {
        self.with_core(|core, now| core.resume_class(class, now));
    }

    fn pause_hook(&self, hook: u32) {
        self.with_core(|core, now| core.pause_hook(HookSlot(hook), now));
    }

    fn resume_hook(&self, hook: u32) {
        self.with_core(|core, now| core.resume_hook(HookSlot(hook), now));
    }

    fn close(&self) {
        self.close();
    }

    /// Without an end: the scripts that come here drain to the last job.
    fn drain(&self, _deadline: Duration, _grace: Duration) -> Remainder {
        self.drain();
        Remainder::default()
    }
}

fn resume_all(shell: &impl Shell) {
    for class in PriorityClass::ALL {
        shell.resume_class(class);
    }
    for hook in 0..HOOKS {
        shell.resume_hook(hook);
    }
}

#[test]
fn a_held_script_has_the_same_answers_order_and_outcomes_on_both_shells() {
    const SEEDS: u64 = if cfg!(miri) { 3 } else { 600 };
    for seed in 0..SEEDS {
        let (pool, reference) = (play_held::<Pool<TestHost>>(seed), play_held::<OneMutex<TestHost>>(seed));
        assert_eq!(pool, reference, "seed {seed}");
    }
}

/// Four threads play a script each, against three workers and a standby seat. Answers with the number of admitted jobs.
fn play_free<S: Shell>(seed: u64) -> usize {
    const THREADS: u64 = 4;
    let mut dice = Dice(seed);
    let (mut params, hooks) = settings(&mut dice, 3);
    params.seats.standby = 1;
    let wide = dice.below(2) == 0;
    if wide {
        (params.rule.capacity, params.rule.ceiling) = (30_000, PerClass::from_fn(|_| 30_000));
    }
    let clock = Clock::start();
    let host = TestHost::new(clock);
    let shell = S::start(params, &hooks, clock, Arc::clone(&host));
    let mut admitted = 0;
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                let shell = &shell;
                scope.spawn(move || {
                    let steps = script(&mut Dice(seed * THREADS + thread));
                    let first = u32::try_from(thread).unwrap() * 1_000;
                    let mut admitted = 0;
                    for (id, step) in (first..).zip(steps) {
                        match step {
                            Step::Submit { .. } => {
                                let answer = spec(id, step).map(|spec| shell.submit(spec));
                                assert!(!wide || answer == Some(Ok(())), "there is room for all");
                                admitted += usize::from(answer == Some(Ok(())));
                            }
                            Step::Cancel(id) => _ = shell.cancel_job(first + id),
                            Step::PauseClass(class) => shell.pause_class(class),
                            Step::ResumeClass(class) => shell.resume_class(class),
                            Step::PauseHook(hook) => shell.pause_hook(hook),
                            Step::ResumeHook(hook) => shell.resume_hook(hook),
                        }
                    }
                    admitted
                })
            })
            .collect();
        admitted = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
    });
    resume_all(&shell);
    assert_eq!(shell.drain(LIMIT, Duration::ZERO).leaked, 0);
    host.assert_balanced(admitted);
    let by_name: usize = [OutcomeKind::Succeeded, OutcomeKind::Cancelled, OutcomeKind::Displaced]
        .map(|o| host.count(o))
        .iter()
        .sum();
    assert_eq!(by_name, admitted, "seed {seed}: no other outcome can be");
    if wide { admitted } else { 0 }
}

#[test]
fn free_running_scripts_balance_on_both_shells() {
    const SEEDS: u64 = if cfg!(miri) { 1 } else { 200 };
    for seed in 0..SEEDS {
        assert_eq!(play_free::<Pool<TestHost>>(seed), play_free::<OneMutex<TestHost>>(seed), "seed {seed}");
    }
}
