//! Each promise of the core, on the traces of random scripts.
//!
//! The first test compares the core with the model. The others do not trust the model: they look at what came in and
//! what went out alone, except for what could have been picked.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::RngSeed;

use crate::class::{PerClass, PriorityClass};
use crate::outcome::{OutcomeKind, WaitCause};
use crate::scheduler::tests::model::{Id, Job};
use crate::scheduler::tests::script::{Definition, MS, Step, a_changing_story, a_story};
use crate::scheduler::tests::world::{Happening, World, run};
use crate::scheduler::{Arrival, Core, Retry};
use crate::time::Time;

/// A script takes Miri half a minute.
fn cases(number: u32) -> u32 {
    if cfg!(miri) { 1 } else { number }
}

/// The same scripts every time: a change that breaks a promise is found when it is made. The long run looks further.
fn few() -> ProptestConfig {
    ProptestConfig {
        cases: cases(300),
        rng_seed: RngSeed::Fixed(1),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

fn many() -> ProptestConfig {
    ProptestConfig { cases: cases(3000), ..few() }
}

fn other_ones_each_time() -> ProptestConfig {
    ProptestConfig { cases: 200_000, rng_seed: RngSeed::Random, ..few() }
}

proptest! {
    #![proptest_config(other_ones_each_time())]

    #[test]
    #[ignore = "takes minutes"]
    fn a_long_run_of_the_core_and_the_model((setup, script) in a_changing_story()) {
        run(&setup, &script);
    }
}

proptest! {
    #![proptest_config(many())]

    /// Admission, victims, picks, batches, expiry, deadlines: at every step.
    #[test]
    fn the_core_does_what_the_model_says((setup, script) in a_story()) {
        run(&setup, &script);
    }

    /// The same while capacity, guarantees, seats, the rules of picking and the pressure change under it.
    #[test]
    fn the_core_does_what_the_model_says_whatever_changes((setup, script) in a_changing_story()) {
        run(&setup, &script);
    }
}

proptest! {
    #![proptest_config(few())]

    #[test]
    fn every_job_is_accounted_for_at_every_step((setup, script) in a_changing_story()) {
        let (mut admitted, mut ended, mut finished) = (0, 0, 0);
        let mut sizes = HashMap::new();
        for happening in run(&setup, &script).trace {
            match happening {
                Happening::Offered(_) => admitted += 1,
                Happening::Ended(..) => ended += 1,
                Happening::Picked { run, jobs, .. } => {
                    sizes.insert(run, jobs.len());
                }
                Happening::Completed { run, again } => finished += sizes[&run] - again.len(),
                Happening::Counted { waiting, running } => {
                    let waiting: u32 = waiting.values().sum();
                    prop_assert_eq!(admitted, waiting as usize + running + finished + ended);
                }
                Happening::Refused(_) | Happening::NothingToPick => {}
            }
        }
        prop_assert_eq!(admitted, finished + ended);
    }

    #[test]
    fn every_job_ends_exactly_once((setup, script) in a_changing_story()) {
        let mut waiting = BTreeSet::new();
        let mut running = HashMap::new();
        let mut ends: BTreeMap<Id, u32> = BTreeMap::new();
        for happening in run(&setup, &script).trace {
            match happening {
                Happening::Offered(id) => {
                    waiting.insert(id);
                    ends.insert(id, 0);
                }
                Happening::Picked { run, jobs, .. } => {
                    for id in &jobs {
                        prop_assert!(waiting.remove(id), "job {} is picked and did not wait", id);
                    }
                    running.insert(run, jobs);
                }
                Happening::Completed { run, again } => {
                    for id in running.remove(&run).unwrap() {
                        if again.contains(&id) {
                            waiting.insert(id);
                        } else {
                            *ends.get_mut(&id).unwrap() += 1;
                        }
                    }
                }
                Happening::Ended(id, _) => {
                    prop_assert!(waiting.remove(&id), "job {} ends and did not wait", id);
                    *ends.get_mut(&id).unwrap() += 1;
                }
                _ => {}
            }
        }
        prop_assert!(ends.values().all(|ends| *ends == 1), "{:?}", ends);
    }

    #[test]
    fn the_queue_holds_its_capacity_guarantees_and_ceilings((setup, script) in a_story()) {
        let rule = setup.core.rule;
        // A retry needs no admission, so it may be in the queue beyond its bounds.
        let mut retries = 0;
        for happening in run(&setup, &script).trace {
            match happening {
                Happening::Completed { again, .. } => retries += again.len(),
                Happening::Counted { waiting, .. } if retries == 0 => {
                    prop_assert!(rule.taken(&waiting) <= u64::from(rule.capacity), "{:?}", waiting);
                    for class in PriorityClass::ALL {
                        prop_assert!(waiting[class] <= rule.ceiling[class], "{}: {:?}", class, waiting);
                    }
                }
                _ => {}
            }
        }
    }

    #[test]
    fn jobs_of_a_chain_never_overlap_and_keep_their_order((setup, script) in a_changing_story()) {
        let world = run(&setup, &script);
        let chain = |id: Id| world.model.job(id).session.map(|session| (world.model.job(id).hook, session));
        let mut waiting = BTreeSet::new();
        let mut running: HashMap<usize, Vec<Id>> = HashMap::new();
        for happening in &world.trace {
            match happening {
                Happening::Offered(id) => {
                    waiting.insert(*id);
                }
                Happening::Ended(id, _) => {
                    waiting.remove(id);
                }
                Happening::Picked { run, jobs, .. } => {
                    for id in jobs {
                        waiting.remove(id);
                        let Some(own) = chain(*id) else { continue };
                        let overlaps = running.values().flatten().any(|other| chain(*other) == Some(own));
                        prop_assert!(!overlaps, "{} starts while another of its chain runs", id);
                        let mut before = waiting.range(..id).filter(|other| chain(**other) == Some(own));
                        prop_assert_eq!(before.next(), None, "{} overtakes", id);
                    }
                    running.insert(*run, jobs.clone());
                }
                Happening::Completed { run, again } => {
                    running.remove(run);
                    waiting.extend(again);
                }
                _ => {}
            }
        }
    }

    #[test]
    fn unchained_jobs_of_a_class_start_in_the_order_of_their_arrival((mut setup, script) in a_story()) {
        for hook in &mut setup.hooks {
            (hook.batch, hook.max_concurrency) = (None, None);
        }
        let world = run(&setup, &script);
        let mut started = BTreeSet::new();
        let mut waiting = BTreeSet::new();
        for happening in &world.trace {
            match happening {
                Happening::Offered(id) => {
                    waiting.insert(*id);
                }
                Happening::Ended(id, _) => {
                    waiting.remove(id);
                }
                Happening::Picked { jobs, .. } => {
                    let id = jobs[0];
                    waiting.remove(&id);
                    let job = world.model.job(id);
                    if job.session.is_none() && started.insert(id) {
                        let is_like_it = |other: &&Id| {
                            let other = world.model.job(**other);
                            (other.hook, other.class, other.session) == (job.hook, job.class, None)
                        };
                        prop_assert_eq!(waiting.range(..id).find(is_like_it), None, "{} overtakes", id);
                    }
                }
                _ => {}
            }
        }
    }

    #[test]
    fn a_class_is_passed_over_no_more_than_its_bound_and_three((setup, script) in a_story()) {
        let Some(bypass) = setup.core.pick.bypass else { return Ok(()) };
        let weighted = setup.core.pick.weighted;
        let mut passed: PerClass<u32> = PerClass::default();
        for happening in run(&setup, &script).trace {
            let Happening::Picked { class: served, could, .. } = happening else { continue };
            for class in PriorityClass::ALL {
                let passes = if weighted { served == PriorityClass::Critical } else { true };
                if class == served {
                    passed[class] = 0;
                } else if could[class] && passes && served.is_more_important_than(class) {
                    passed[class] += 1;
                }
                prop_assert!(passed[class] <= bypass[class].max(1) + 3, "{} is passed over", class);
            }
        }
    }

    #[test]
    fn nothing_starts_before_something_more_important_but_for_bypass((mut setup, script) in a_story()) {
        setup.core.pick.bypass = None;
        setup.core.pick.weighted = false;
        for happening in run(&setup, &script).trace {
            let Happening::Picked { class: served, could, .. } = happening else { continue };
            let best = PriorityClass::ALL.into_iter().find(|class| could[*class]);
            prop_assert_eq!(best, Some(served));
        }
    }

    #[test]
    fn no_seat_limit_is_exceeded((setup, script) in a_story()) {
        let world = run(&setup, &script);
        let seats = world.setup.core.seats;
        let mut running: HashMap<usize, (PriorityClass, usize)> = HashMap::new();
        for happening in &world.trace {
            match happening {
                Happening::Picked { run, class, jobs, .. } => {
                    running.insert(*run, (*class, world.model.job(jobs[0]).hook));
                    let count = |f: &dyn Fn(PriorityClass, usize) -> bool| {
                        u32::try_from(running.values().filter(|(class, hook)| f(*class, *hook)).count()).unwrap()
                    };
                    prop_assert!(count(&|_, _| true) <= seats.workers + seats.standby);
                    prop_assert!(count(&|c, _| seats.standby_for.is_more_important_than(c)) <= seats.workers);
                    for class in PriorityClass::ALL {
                        prop_assert!(count(&|c, _| c == class) <= seats.per_class[class]);
                    }
                    for (index, hook) in world.setup.hooks.iter().enumerate() {
                        let most = hook.max_concurrency.unwrap_or(u32::MAX);
                        prop_assert!(count(&|_, h| h == index) <= most, "hook {}", index);
                    }
                }
                Happening::Completed { run, .. } => {
                    running.remove(run);
                }
                _ => {}
            }
        }
    }

    #[test]
    fn a_batch_has_one_definition_class_and_key_and_keeps_its_limits((setup, script) in a_changing_story()) {
        let world = run(&setup, &script);
        for jobs in batches(&world) {
            let jobs: Vec<_> = jobs.iter().map(|id| world.model.job(*id)).collect();
            let kind = |job: &&Job| (job.hook, job.definition.number, job.class.index(), job.key);
            let kinds: BTreeSet<_> = jobs.iter().map(kind).collect();
            prop_assert_eq!(kinds.len(), 1);
            let Some(limits) = jobs[0].definition.batch else {
                prop_assert_eq!(jobs.len(), 1);
                continue;
            };
            prop_assert!(jobs.len() <= limits.size as usize);
            prop_assert!(jobs.len() == 1 || jobs.iter().map(|job| job.bytes).sum::<u64>() <= limits.bytes);
        }
    }

    #[test]
    fn only_a_less_important_job_is_displaced((setup, script) in a_story()) {
        let world = run(&setup, &script);
        let displacing = world.trace.windows(2).filter_map(|pair| match pair {
            [Happening::Offered(by), Happening::Ended(victim, OutcomeKind::Displaced)] => Some((*by, *victim)),
            _ => None,
        });
        let mut number = 0;
        for (by, victim) in displacing {
            number += 1;
            let (by, victim) = (world.model.job(by), world.model.job(victim));
            prop_assert!(by.class.is_more_important_than(victim.class));
            prop_assert!(!victim.started);
        }
        let displaced = |happening: &&Happening| matches!(happening, Happening::Ended(_, OutcomeKind::Displaced));
        prop_assert_eq!(number, world.trace.iter().filter(displaced).count());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(1000), ..few() })]

    /// Without a model: in whole milliseconds many deadlines fall together, and nobody calls `tick`. The threads that
    /// come read the time a little apart, so it goes back now and then.
    #[test]
    fn deadlines_that_fall_together_or_are_seen_late_leave_the_core_consistent((setup, script) in a_changing_story()) {
        let mut core = Core::new(setup.core);
        let hooks: Vec<_> = setup.hooks.iter().map(|hook| core.add_hook(hook.params())).collect();
        let mut definitions = setup.hooks.clone();
        let (mut latest, mut waiting, mut runs) = (Time(0), BTreeMap::new(), Vec::new());
        for (number, step) in script.into_iter().enumerate() {
            let now = Time(latest.0.saturating_sub([0, 1, 700][number % 3]));
            match step {
                Step::Offer { hook, class, session, key, bytes, max_wait_ms } => {
                    let batching = definitions[hook].batching(key);
                    let (hook, max_wait) = (hooks[hook], max_wait_ms.map(|ms| Duration::from_nanos(ms * MS)));
                    let (admitted, body) = (latest, number);
                    let arrival = Arrival { hook, class, session, batching, bytes, admitted, max_wait, body };
                    if let Ok(key) = core.offer(arrival, now) {
                        waiting.insert(number, key);
                    }
                }
                Step::Pick => if let Some(dispatch) = core.pick(now) {
                    let jobs: Vec<_> = std::iter::once(dispatch.first).chain(dispatch.rest).collect();
                    for job in &jobs {
                        prop_assert!(waiting.remove(&job.body).is_some());
                    }
                    runs.push((dispatch.run, jobs));
                },
                Step::Complete { nth, retry } if !runs.is_empty() => {
                    let (run, mut jobs) = runs.remove(nth % runs.len());
                    jobs.retain(|_| retry.is_some());
                    let at = now + Duration::from_nanos(retry.map_or(0, |again| again.after_ms * MS));
                    // The core sorts them: a shell may hand them over in any order.
                    let (ids, retries): (Vec<_>, Vec<_>) =
                        jobs.into_iter().map(|job| (job.body, Retry { job, at })).rev().unzip();
                    let keys = core.complete(run, Duration::from_millis(1), retries, now);
                    waiting.extend(ids.into_iter().rev().zip(keys));
                }
                Step::Complete { .. } | Step::Late(_) => {}
                Step::Advance { ms } => latest = latest + Duration::from_nanos(ms * MS),
                Step::Cancel { nth } => {
                    if let Some(key) = waiting.values().nth(nth % waiting.len().max(1)) {
                        core.cancel(*key, now);
                    }
                }
                Step::Close => core.close(now),
                Step::Abandon => core.abandon_waiting(now),
                Step::Change(params) => core.set_params(params, now),
                Step::Define(hook, to) => {
                    definitions[hook] = Definition { number: definitions[hook].number + 1, ..to };
                    core.set_hook(hooks[hook], to.params(), now);
                }
                Step::PauseHook(hook) => core.pause_hook(hooks[hook], now),
                Step::ResumeHook(hook) => core.resume_hook(hooks[hook], now),
                Step::PauseClass(class) => core.pause_class(class, now),
                Step::ResumeClass(class) => core.resume_class(class, now),
            }
            for end in core.take_resolved() {
                prop_assert!(waiting.remove(&end.body).is_some());
            }
            prop_assert_eq!(core.waiting().values().sum::<u32>() as usize, waiting.len());
            core.assert_consistent();
        }
    }
}

/// Random scripts are worth what they reach.
#[test]
#[cfg_attr(miri, ignore = "hundreds of scripts")]
fn the_scripts_reach_what_they_are_about() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut seen: BTreeMap<&str, u32> = BTreeMap::new();
    for _ in 0..500 {
        let (setup, script) = a_story().new_tree(&mut runner).unwrap().current();
        let world = run(&setup, &script);
        for happening in &world.trace {
            let what = match happening {
                Happening::Ended(_, outcome) => outcome.name(),
                Happening::Picked { jobs, .. } if jobs.len() > 1 => "batch",
                Happening::Picked { class, jobs, .. } if *class != world.model.job(jobs[0]).class => {
                    "inherited"
                }
                Happening::Picked { class, could, .. } => {
                    let best = PriorityClass::ALL.into_iter().find(|class| could[*class]);
                    if best == Some(*class) { "picked" } else { "bypass" }
                }
                Happening::Completed { again, .. } if !again.is_empty() => "retry",
                Happening::Refused(why) => why.name(),
                _ => continue,
            };
            *seen.entry(what).or_default() += 1;
        }
        for id in 0..world.model.arrived() {
            let parts = world.model.waited(id);
            for (cause, _) in parts.iter().filter(|(_, part)| !part.is_zero()) {
                *seen.entry(cause.name()).or_default() += 1;
            }
        }
    }
    for what in
        ["picked", "batch", "inherited", "bypass", "retry", "displaced", "expired", "cancelled", "abandoned"]
            .into_iter()
            .chain(["full", "class_full", "closed"])
            .chain(WaitCause::ALL.iter().map(|cause| cause.name()))
    {
        assert!(seen.get(what).is_some_and(|times| *times >= 100), "{what} is too rare: {seen:?}");
    }
}

fn batches(world: &World) -> impl Iterator<Item = &Vec<Id>> {
    world.trace.iter().filter_map(|happening| match happening {
        Happening::Picked { jobs, .. } => Some(jobs),
        _ => None,
    })
}
