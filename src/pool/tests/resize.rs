//! Other parameters while jobs pass: nothing is lost, chains stay in order, and there are as many threads as seats.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::dice::Dice;
use super::hosts::{
    Gate, LIMIT, Mark, Script, Shell, Spec, TestHost, TestPool, await_sleep, await_state, params, pool, push,
};
use crate::class::PriorityClass::{Critical, High, Low, Normal};
use crate::class::{PerClass, PriorityClass};
use crate::outcome::{OutcomeKind, Refusal};
use crate::pool::Departed;
use crate::pool::admission::LANE_MAX;
use crate::scheduler::{AdmissionRule, CoreParams, HookParams, HookSlot};

fn workers(pool: &TestPool, n: u32) {
    pool.change(|params| params.seats.workers = n).0.unwrap();
}

fn capacity(pool: &TestPool, capacity: u32) {
    let ceiling = PerClass::from_fn(|_| capacity);
    pool.change(|params| params.rule = AdmissionRule { capacity, ceiling, ..params.rule }).0.unwrap();
}

/// Threads that neither left nor were told to.
fn staying(pool: &TestPool) -> usize {
    pool.threads().iter().filter(|thread| !thread.has_left()).count()
}

#[test]
fn a_pool_that_grows_starts_what_waits() {
    let (pool, host) = pool(params(1, 10));
    let gate = Gate::closed();
    for id in 0..4 {
        pool.submit(Spec::new(id, Normal).at(&gate)).unwrap();
    }
    gate.await_arrivals(1);
    workers(&pool, 4);
    gate.await_arrivals(4);
    gate.open();
    assert_eq!(pool.drain(LIMIT, LIMIT).leaked, 0);
    host.assert_balanced(4);
}

#[test]
fn a_pool_that_shrinks_lets_what_runs_end_and_starts_less() {
    let (pool, host) = pool(params(4, 20));
    let (first, second) = (Gate::closed(), Gate::closed());
    for id in 0..4 {
        pool.submit(Spec::new(id, Normal).at(&first)).unwrap();
    }
    first.await_arrivals(4);
    workers(&pool, 1);
    assert_eq!(staying(&pool), 4, "nobody is taken away from a job");
    for id in 4..8 {
        pool.submit(Spec::new(id, Normal).at(&second)).unwrap();
    }
    first.open();
    host.await_outcomes(4);
    second.await_arrivals(1);
    await_state("one thread is left", || staying(&pool) == 1);
    assert_eq!(pool.waiting()[Normal], 3, "one seat, one job");
    second.open();
    host.await_outcomes(8);
    assert_eq!(pool.drain(LIMIT, LIMIT).leaked, 0);
}

/// Those who sleep leave as well, and one of them may have watched the clock.
#[test]
fn workers_that_sleep_leave_and_nobody_forgets_the_time() {
    // The last round leaves two.
    const ROUNDS: u32 = if cfg!(miri) { 6 } else { 50 };
    let (pool, host) = pool(params(4, 20));
    pool.change(|params| params.seats.per_class[Low] = 0).0.unwrap();
    await_sleep(&pool);
    for round in 0..ROUNDS {
        pool.submit(Spec::new(round, Low).max_wait(Duration::from_millis(3))).unwrap();
        workers(&pool, 1 + round % 4);
        host.await_outcome(round);
    }
    await_state("as many threads as seats", || staying(&pool) == 2);
    assert_eq!(pool.drain(LIMIT, LIMIT).leaked, 0);
}

#[test]
fn a_queue_that_shrinks_refuses_and_drops_nothing() {
    let (pool, host) = pool(params(1, 10));
    let gate = Gate::closed();
    pool.submit(Spec::new(0, Critical).at(&gate)).unwrap();
    gate.await_arrivals(1);
    for id in 1..=6 {
        pool.submit(Spec::new(id, Normal)).unwrap();
    }
    capacity(&pool, 3);
    assert_eq!(pool.submit(Spec::new(7, Critical)), Err(Refusal::Full));
    capacity(&pool, 7);
    assert_eq!(pool.submit(Spec::new(8, Low)), Ok(()));
    assert_eq!(pool.submit(Spec::new(9, Low)), Err(Refusal::Full));
    gate.open();
    pool.drain(LIMIT, LIMIT);
    assert_eq!(host.starts(), [0, 1, 2, 3, 4, 5, 6, 8]);
}

#[test]
fn who_waits_for_room_is_told_of_a_larger_queue_and_of_one_that_will_never_do() {
    let (pool, host) = pool(params(1, 1));
    let gate = Gate::closed();
    pool.submit(Spec::new(0, Normal).at(&gate)).unwrap();
    gate.await_arrivals(1);
    pool.submit(Spec::new(1, Normal)).unwrap();
    std::thread::scope(|scope| {
        let wait = |class| {
            let waiting = scope.spawn({
                let pool = &pool;
                move || pool.reserve_when_room(class)
            });
            await_state("somebody waits", || pool.shared.room.waiters() == 1);
            waiting
        };
        let waiting = wait(Normal);
        capacity(&pool, 2);
        push(&pool, waiting.join().unwrap().unwrap(), Spec::new(2, Normal));
        let waiting = wait(Low);
        pool.change(|params| params.rule.ceiling[Low] = 0).0.unwrap();
        assert_eq!(waiting.join().unwrap().unwrap_err(), Refusal::ClassFull);
    });
    gate.open();
    pool.drain(LIMIT, LIMIT);
    host.assert_balanced(3);
}

/// All workers are busy, so nobody else looks.
#[test]
fn a_change_tells_of_the_jobs_whose_time_was_up() {
    type Change = fn(&TestPool) -> Departed<TestHost>;
    let changes: [Change; 3] = [
        |pool| pool.change(|_| {}).1,
        |pool| pool.add_hook(HookParams::default()).1,
        |pool| pool.set_hooks(&[(HookSlot(1), HookParams::default())]),
    ];
    let (pool, host) = pool(params(1, 10));
    let gate = Gate::closed();
    pool.submit(Spec::new(9, Normal).at(&gate)).unwrap();
    gate.await_arrivals(1);
    for (id, change) in (0..).zip(changes) {
        pool.submit(Spec::new(id, Normal).max_wait(Duration::from_millis(1))).unwrap();
        let due = pool.shared.clock.now() + Duration::from_millis(1);
        await_state("its time is up", || pool.shared.clock.now() > due);
        let departed = change(&pool);
        assert_eq!(
            (host.outcome(id), pool.waiting()[Normal]),
            (None, 0),
            "it is told of when that is dropped"
        );
        drop(departed);
        assert_eq!(host.outcome(id), Some(OutcomeKind::Expired));
    }
    gate.open();
    assert_eq!(pool.drain(LIMIT, LIMIT).leaked, 0);
    host.assert_balanced(4);
}

/// Each that starts sees to it that the next one looks.
#[test]
fn a_hook_that_may_run_more_at_once_does_so() {
    let (pool, host) = pool(params(4, 10));
    let of_one = |most| [(HookSlot(0), HookParams { max_concurrency: most })];
    drop(pool.set_hooks(&of_one(Some(1))));
    let gate = Gate::closed();
    for id in 0..4 {
        pool.submit(Spec::new(id, Normal).at(&gate)).unwrap();
    }
    gate.await_arrivals(1);
    await_state("the others sleep", || pool.shared.parking.asleep() == 3);
    assert_eq!(host.starts(), [0]);
    drop(pool.set_hooks(&of_one(None)));
    gate.await_arrivals(4);
    gate.open();
    assert_eq!(pool.drain(LIMIT, LIMIT).leaked, 0);
    host.assert_balanced(4);
}

#[test]
fn a_pool_that_has_ended_starts_no_thread() {
    let (pool, _host) = pool(params(1, 1));
    pool.drain(LIMIT, LIMIT);
    workers(&pool, 9);
    assert!(pool.threads().is_empty());
}

/// More jobs of one class than the admission word counts, and back, with changes on both sides of the border.
#[test]
#[cfg_attr(miri, ignore = "tens of thousands of jobs")]
fn a_queue_grows_beyond_a_lane_and_shrinks_again() {
    const MANY: u32 = LANE_MAX + 1_000;
    let (pool, host) = pool(params(2, 10));
    host.keeps_trail.store(false, Ordering::Relaxed);
    pool.pause_class(Low);
    let fill = |from: u32, upto: u32| {
        for id in from..upto {
            assert_eq!(pool.submit(Spec::new(id, Low)), Ok(()), "{id}");
        }
        assert_eq!(pool.submit(Spec::new(u32::MAX, Low)), Err(Refusal::Full));
        assert_eq!(pool.waiting()[Low], upto);
    };
    fill(0, 10);
    capacity(&pool, 1_000_000);
    capacity(&pool, MANY);
    fill(10, MANY);
    capacity(&pool, 5);
    assert_eq!(pool.submit(Spec::new(u32::MAX, High)), Err(Refusal::Full));
    pool.resume_class(Low);
    host.await_outcomes(MANY as usize);
    assert_eq!(pool.waiting(), PerClass::default());
    pool.pause_class(Low);
    let again = |id| pool.submit(Spec::new(MANY + id, Low));
    assert_eq!((0..6).map(again).collect::<Vec<_>>(), [&[Ok(()); 5][..], &[Err(Refusal::Full)]].concat());
    pool.resume_class(Low);
    assert_eq!(pool.drain(LIMIT, LIMIT).leaked, 0);
    host.assert_balanced(MANY as usize + 5);
}

pub(super) fn any_params(dice: &mut Dice) -> CoreParams {
    let n = |dice: &mut Dice, most| u32::try_from(dice.below(most)).unwrap();
    let capacity = 1 + n(dice, 60);
    let mut params = params(1 + n(dice, 12), capacity);
    params.seats.standby = n(dice, 3);
    params.seats.standby_for = dice.of(&PriorityClass::ALL);
    params.seats.per_class = PerClass::from_fn(|_| 1 + n(dice, 8));
    params.rule.guarantee[dice.of(&PriorityClass::ALL)] = capacity / 4;
    params.pick.weighted = dice.below(3) == 0;
    params.pick.bypass = (dice.below(2) == 0).then(|| PerClass::from_fn(|_| 4));
    params.pressure = capacity;
    params
}

/// A thousand changes while a hundred thousand jobs pass.
#[test]
fn the_books_balance_and_chains_stay_in_order_whatever_changes() {
    const JOBS: u32 = if cfg!(miri) { 60 } else { 100_000 };
    const SUBMITTERS: u32 = 4;
    const CHANGES: u32 = if cfg!(miri) { 6 } else { 1000 };
    let (pool, host) = pool(params(4, 40));
    let submitted = AtomicU32::new(0);
    let session = |id: u32| u64::from(id % SUBMITTERS * 4 + id / SUBMITTERS % 4);
    std::thread::scope(|scope| {
        for submitter in 0..SUBMITTERS {
            let (pool, submitted) = (&pool, &submitted);
            let mut dice = Dice(submitter.into());
            scope.spawn(move || {
                for id in (submitter..JOBS).step_by(SUBMITTERS as usize) {
                    let spec = Spec::new(id, dice.of(&PriorityClass::ALL)).session(session(id));
                    let place = pool.reserve_when_room(spec.class).unwrap();
                    push(pool, place, spec);
                    submitted.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let mut dice = Dice(99);
        for change in 0..CHANGES {
            // Spread over the jobs.
            await_state("the jobs go on", || {
                submitted.load(Ordering::Relaxed) >= change * (JOBS / CHANGES - 1)
            });
            let params = any_params(&mut dice);
            pool.change(|current| *current = params).0.unwrap();
        }
    });
    host.await_outcomes(JOBS as usize);
    pool.change(|params| (params.seats.workers, params.seats.standby) = (3, 1)).0.unwrap();
    await_state("as many threads as seats", || staying(&pool) == 4);
    await_state("all workers asleep", || pool.shared.parking.asleep() == 4);
    assert_eq!(pool.drain(LIMIT, LIMIT).leaked, 0);
    assert!(pool.threads().is_empty(), "every thread is joined");
    host.assert_balanced(JOBS as usize);
    let mut running = HashMap::new();
    let mut last: HashMap<u64, u32> = HashMap::new();
    for mark in &host.log().trail {
        match *mark {
            Mark::Start(id) => {
                assert_eq!(running.insert(session(id), id), None, "one of a chain at a time");
                assert!(last.insert(session(id), id).is_none_or(|before| before < id), "{id} is overtaken");
            }
            Mark::End(id) => assert_eq!(running.remove(&session(id)), Some(id)),
        }
    }
}

/// A worker that retires tells of a job that expired, and meanwhile the pool grows again: its number has a new thread.
#[test]
fn who_decided_to_leave_leaves_though_the_pool_has_grown_again() {
    let (pool, host) = pool(params(2, 10));
    let gates = [Gate::closed(), Gate::closed()];
    for id in 0..2 {
        let gates = gates.clone();
        let script = Script::Call(Box::new(move |_| {
            let is_second = std::thread::current().name() == Some("hookpool-1");
            gates[usize::from(is_second)].pass();
        }));
        pool.submit(Spec::new(id, Normal).script(script)).unwrap();
    }
    for gate in &gates {
        gate.await_arrivals(1);
    }
    workers(&pool, 1);
    let told = Gate::closed();
    *host.resolve_gate.lock().unwrap() = Some(Arc::clone(&told));
    pool.submit(Spec::new(2, Normal).max_wait(Duration::ZERO)).unwrap();
    gates[1].open();
    told.await_arrivals(1);
    workers(&pool, 2);
    assert_eq!(staying(&pool), 3);
    told.open();
    gates[0].open();
    await_state("as many threads as seats", || staying(&pool) == 2);
    assert_eq!(pool.drain(LIMIT, LIMIT).leaked, 0);
    host.assert_balanced(3);
}
