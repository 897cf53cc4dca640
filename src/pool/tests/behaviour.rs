//! What the running pool does: order, importance, seats, displacement, expiry, cancelling, pausing, waiting for room.
//! Its end is in `drain.rs`, its waking in `wakes.rs`.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::dice::Dice;
use super::hosts::{
    Gate, LIMIT, Mark, Script, Shell, Spec, TestHost, await_sleep, await_state, params, pool, push,
};
use crate::class::{PerClass, PriorityClass};
use crate::outcome::{OutcomeKind, Refusal};
use crate::pool::Pool;
use crate::scheduler::HookSlot;
use crate::time::is_faster_clock_sought;
use PriorityClass::{Critical, High, Low, Normal};

const HOUR: Duration = Duration::from_hours(1);

/// Drains to the end and checks the books.
pub(super) fn finish(pool: &Pool<TestHost>, host: &TestHost, admitted: usize) {
    assert_eq!(pool.drain(LIMIT, Duration::ZERO).leaked, 0);
    host.assert_balanced(admitted);
    assert_eq!(host.count(OutcomeKind::Abandoned), 0, "a drain that stands still is a lost wake-up");
    assert_eq!(pool.waiting(), PerClass::default());
}

/// Submits a job that holds a worker until the gate opens, and waits until it does.
pub(super) fn hold_workers(
    pool: &Pool<TestHost>,
    ids: std::ops::Range<u32>,
    class: PriorityClass,
) -> Arc<Gate> {
    let gate = Gate::closed();
    let n = ids.len();
    for id in ids {
        pool.submit(Spec::new(id, class).at(&gate)).unwrap();
    }
    gate.await_arrivals(n);
    gate
}

/// Each chain's jobs start in the given order, and none before the one in front of it has ended.
fn assert_in_order(host: &TestHost, chains: &HashMap<u64, Vec<u32>>) {
    let log = host.log();
    let at: HashMap<Mark, usize> = log.trail.iter().enumerate().map(|(n, mark)| (*mark, n)).collect();
    for (session, ids) in chains {
        for pair in ids.windows(2) {
            assert!(
                at[&Mark::End(pair[0])] < at[&Mark::Start(pair[1])],
                "session {session}: {} did not wait for {}",
                pair[1],
                pair[0]
            );
        }
    }
}

#[test]
fn the_jobs_of_a_session_run_in_order_whoever_submits_them() {
    const THREADS: u32 = 4;
    const EACH: u32 = if cfg!(miri) { 10 } else { 3_000 };
    let (pool, host) = pool(params(8, 32_000));
    // Sessions 0 to 3 have one submitter each; session 9 is shared, and whoever holds its lock is next.
    let shared = Mutex::new(Vec::new());
    let chains = Mutex::new(HashMap::new());
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (pool, shared, chains) = (&pool, &shared, &chains);
            scope.spawn(move || {
                let mut dice = Dice(u64::from(thread));
                let mut own = Vec::new();
                for n in 0..EACH {
                    let id = thread * EACH + n;
                    let spec = Spec::new(id, dice.of(&PriorityClass::ALL));
                    if dice.below(3) == 0 {
                        let mut shared = shared.lock().unwrap();
                        pool.submit(spec.session(9)).unwrap();
                        shared.push(id);
                    } else {
                        pool.submit(spec.session(u64::from(thread))).unwrap();
                        own.push(id);
                    }
                }
                chains.lock().unwrap().insert(u64::from(thread), own);
            });
        }
    });
    finish(&pool, &host, (THREADS * EACH) as usize);
    let mut chains = chains.into_inner().unwrap();
    chains.insert(9, shared.into_inner().unwrap());
    assert_in_order(&host, &chains);
}

/// Two classes are two lanes, and what is found in the second may be younger than what has come to the first.
#[test]
fn a_pair_that_crosses_lanes_stays_in_order() {
    const PAIRS: u32 = if cfg!(miri) { 30 } else { 20_000 };
    let (pool, host) = pool(params(2, 32_000));
    let mut chains = HashMap::new();
    for n in 0..PAIRS / 2 {
        for (id, class) in [(2 * n, Low), (2 * n + 1, Critical)] {
            let spec = || Spec::new(id, class).session(u64::from(n));
            while pool.submit(spec()) == Err(Refusal::Full) {}
        }
        chains.insert(u64::from(n), vec![2 * n, 2 * n + 1]);
    }
    finish(&pool, &host, PAIRS as usize);
    assert_in_order(&host, &chains);
}

#[test]
fn a_backlog_starts_in_the_order_of_importance() {
    let (pool, host) = pool(params(1, 100));
    let gate = hold_workers(&pool, 0..1, Low);
    let mut dice = Dice(7);
    let mut expected: PerClass<Vec<u32>> = PerClass::default();
    for id in 1..80 {
        let class = dice.of(&PriorityClass::ALL);
        pool.submit(Spec::new(id, class)).unwrap();
        expected[class].push(id);
    }
    gate.open();
    finish(&pool, &host, 80);
    let expected: Vec<u32> = std::iter::once(0).chain(expected.values().flatten().copied()).collect();
    assert_eq!(host.starts(), expected);
}

#[test]
fn the_bypass_bound_lets_a_low_job_through() {
    let mut params = params(1, 100);
    params.pick.bypass = Some(PerClass::from_fn(|_| 5));
    let (pool, host) = pool(params);
    let gate = hold_workers(&pool, 0..1, Critical);
    pool.submit(Spec::new(1, Low)).unwrap();
    for id in 2..50 {
        pool.submit(Spec::new(id, High)).unwrap();
    }
    gate.open();
    finish(&pool, &host, 50);
    assert_eq!(host.starts().iter().position(|id| *id == 1), Some(6), "after five high jobs");
}

#[test]
fn a_high_job_takes_the_standby_seat_while_low_ones_hold_the_workers() {
    let mut params = params(4, 100);
    params.seats.standby = 1;
    let (pool, host) = pool(params);
    let gate = hold_workers(&pool, 0..4, Low);
    for id in 4..50 {
        pool.submit(Spec::new(id, Low)).unwrap();
    }
    pool.submit(Spec::new(50, High)).unwrap();
    assert_eq!(host.await_outcome(50), OutcomeKind::Succeeded);
    assert_eq!(host.starts().len(), 5, "the backlog has not moved");
    gate.open();
    finish(&pool, &host, 51);
}

#[test]
fn a_full_queue_displaces_the_oldest_of_the_least_important() {
    let mut params = params(1, 3);
    params.displace = true;
    let (pool, host) = pool(params);
    let gate = hold_workers(&pool, 0..1, Critical);
    for (id, class) in [(1, Normal), (2, Low), (3, Low)] {
        pool.submit(Spec::new(id, class)).unwrap();
    }
    assert_eq!(pool.submit(Spec::new(4, Low)), Err(Refusal::Full));
    pool.submit(Spec::new(5, High)).unwrap();
    assert_eq!(host.outcome(2), Some(OutcomeKind::Displaced), "told before the submit returns");
    assert_eq!(pool.waiting().values().sum::<u32>(), 3);
    pool.submit(Spec::new(6, High)).unwrap();
    pool.submit(Spec::new(7, High)).unwrap();
    assert_eq!(pool.submit(Spec::new(8, High)), Err(Refusal::Full), "nobody less important is left");
    gate.open();
    finish(&pool, &host, 7);
    assert_eq!(host.starts(), [0, 5, 6, 7]);
}

#[test]
fn an_expired_job_makes_room_without_a_displacement() {
    let mut params = params(1, 2);
    params.displace = true;
    let (pool, host) = pool(params);
    let gate = hold_workers(&pool, 0..1, Critical);
    pool.submit(Spec::new(1, Low)).unwrap();
    pool.submit(Spec::new(2, Low).max_wait(Duration::ZERO)).unwrap();
    pool.submit(Spec::new(3, High)).unwrap();
    assert_eq!(host.outcome(2), Some(OutcomeKind::Expired));
    assert_eq!(host.outcome(1), None);
    gate.open();
    finish(&pool, &host, 4);
}

#[test]
fn a_job_expires_while_every_worker_sleeps() {
    let (pool, host) = pool(params(3, 10));
    pool.submit(Spec::new(0, Normal).session(1).script(Script::Retry(1, HOUR))).unwrap();
    host.await_placed(0, 2);
    await_sleep(&pool);
    for id in 1..4 {
        let wait = Duration::from_millis(40 - 10 * u64::from(id));
        pool.submit(Spec::new(id, Normal).session(1).max_wait(wait)).unwrap();
    }
    for id in 1..4 {
        assert_eq!(host.await_outcome(id), OutcomeKind::Expired);
    }
    assert_eq!(host.outcome(0), None, "it waits for its retry");
    assert!(pool.cancel_job(0), "under its new key");
    finish(&pool, &host, 4);
}

/// The watcher rises for a retry that then holds it; the other one must watch for the next deadline.
#[test]
fn the_deadline_is_handed_on_when_its_watcher_gets_a_job() {
    let (pool, host) = pool(params(2, 10));
    let gate = Gate::closed();
    pool.submit(Spec::new(0, Normal).session(1).script(Script::Retry(1, HOUR))).unwrap();
    let held = Script::RetryAtGate(Some(Duration::from_millis(30)), Arc::clone(&gate));
    pool.submit(Spec::new(1, Normal).script(held)).unwrap();
    host.await_placed(0, 2);
    pool.submit(Spec::new(2, Normal).session(1).max_wait(Duration::from_millis(80))).unwrap();
    gate.await_arrivals(1);
    assert_eq!(host.await_outcome(2), OutcomeKind::Expired);
    gate.open();
    host.await_outcome(1);
    assert!(pool.cancel_job(0));
    finish(&pool, &host, 3);
}

#[test]
fn waiting_jobs_are_cancelled_and_running_ones_are_not() {
    let (pool, host) = pool(params(1, 100));
    let gate = hold_workers(&pool, 0..1, Normal);
    for id in 1..10 {
        pool.submit(Spec::new(id, Normal).session(u64::from(id % 2))).unwrap();
    }
    assert!(!pool.cancel_job(0));
    for id in [3, 1, 9] {
        assert!(pool.cancel_job(id));
        assert!(!pool.cancel_job(id), "once");
        assert_eq!(host.outcome(id), Some(OutcomeKind::Cancelled));
    }
    gate.open();
    finish(&pool, &host, 10);
    assert_eq!(host.count(OutcomeKind::Succeeded), 7);
}

#[test]
fn a_cancelled_head_lets_its_chain_go_on_although_everybody_sleeps() {
    const ROUNDS: u32 = if cfg!(miri) { 3 } else { 100 };
    let (pool, host) = pool(params(2, 10));
    for round in 0..ROUNDS {
        let (head, next) = (2 * round, 2 * round + 1);
        pool.submit(Spec::new(head, Normal).session(1).script(Script::Retry(1, HOUR))).unwrap();
        host.await_placed(head, 2);
        pool.submit(Spec::new(next, Normal).session(1)).unwrap();
        await_sleep(&pool);
        assert!(pool.cancel_job(head));
        assert_eq!(host.await_outcome(next), OutcomeKind::Succeeded);
    }
    finish(&pool, &host, 2 * ROUNDS as usize);
}

#[test]
fn nothing_of_a_paused_class_or_hook_starts_until_it_is_resumed() {
    let (pool, host) = pool(params(2, 10));
    pool.pause_class(High);
    pool.pause_hook(HookSlot(1));
    pool.submit(Spec::new(0, High)).unwrap();
    pool.submit(Spec { hook: 1, ..Spec::new(1, Normal) }).unwrap();
    pool.submit(Spec::new(2, Low)).unwrap();
    assert_eq!(host.await_outcome(2), OutcomeKind::Succeeded);
    await_sleep(&pool);
    assert_eq!(host.starts(), [2]);
    pool.resume_class(High);
    assert_eq!(host.await_outcome(0), OutcomeKind::Succeeded);
    await_sleep(&pool);
    assert_eq!(host.starts(), [2, 0]);
    pool.resume_hook(HookSlot(1));
    finish(&pool, &host, 3);
}

#[test]
fn many_submitters_fill_the_queue_to_the_last_place() {
    const CAPACITY: u32 = if cfg!(miri) { 40 } else { 5_000 };
    let (pool, host) = pool(params(1, CAPACITY));
    let gate = hold_workers(&pool, 0..1, Low);
    let admitted = AtomicU32::new(0);
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let (pool, admitted) = (&pool, &admitted);
            scope.spawn(move || {
                for n in 0..CAPACITY / 4 {
                    match pool
                        .submit(Spec::new(1 + thread * CAPACITY + n, PriorityClass::ALL[thread as usize % 4]))
                    {
                        Ok(()) => _ = admitted.fetch_add(1, Ordering::Relaxed),
                        Err(why) => assert_eq!(why, Refusal::Full),
                    }
                }
            });
        }
    });
    assert_eq!(admitted.into_inner(), CAPACITY);
    assert_eq!(pool.waiting().values().sum::<u32>(), CAPACITY);
    gate.open();
    finish(&pool, &host, CAPACITY as usize + 1);
}

#[test]
fn a_handler_may_submit() {
    let (pool, host) = pool(params(1, 10));
    let inner = Arc::clone(&pool);
    let submit = Script::Call(Box::new(move |_| inner.submit(Spec::new(1, High)).unwrap()));
    pool.submit(Spec::new(0, Low).script(submit)).unwrap();
    assert_eq!(host.await_outcome(1), OutcomeKind::Succeeded);
    finish(&pool, &host, 2);
}

#[test]
fn a_panicking_run_costs_neither_the_worker_nor_the_chain() {
    let (pool, host) = pool(params(1, 10));
    pool.submit(Spec::new(0, Low).session(1).script(Script::Panic)).unwrap();
    pool.submit(Spec::new(1, Low).session(1)).unwrap();
    assert_eq!(host.await_outcome(0), OutcomeKind::Panicked);
    assert_eq!(host.await_outcome(1), OutcomeKind::Succeeded);
    finish(&pool, &host, 2);
}

/// Between its attempt and its return to the core nobody finds it there.
#[test]
fn a_retry_that_was_cancelled_on_its_way_back_does_not_wait_for_it() {
    let (pool, host) = pool(params(1, 10));
    host.log().unwanted.push(0);
    pool.submit(Spec::new(0, Normal).session(1).script(Script::Retry(1, Duration::from_hours(1)))).unwrap();
    pool.submit(Spec::new(1, Normal).session(1)).unwrap();
    assert_eq!(host.await_outcome(0), OutcomeKind::Cancelled);
    assert_eq!(host.await_outcome(1), OutcomeKind::Succeeded);
    assert_eq!(pool.drain(LIMIT, LIMIT).leaked, 0);
    host.assert_balanced(2);
}

#[test]
fn a_retry_keeps_its_place_in_front_of_its_chain() {
    let (pool, host) = pool(params(4, 10));
    pool.submit(Spec::new(0, Low).session(1).script(Script::Retry(3, Duration::from_millis(1)))).unwrap();
    pool.submit(Spec::new(1, High).session(1)).unwrap();
    finish(&pool, &host, 2);
    assert_eq!(host.starts(), [0, 0, 0, 0, 1]);
}

#[test]
fn who_waits_for_room_gets_the_next_place() {
    let (pool, host) = pool(params(1, 1));
    let gate = hold_workers(&pool, 0..1, Normal);
    pool.submit(Spec::new(1, Normal)).unwrap();
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| {
            let place = pool.reserve_when_room(Normal).unwrap();
            push(&pool, place, Spec::new(2, Normal));
        });
        await_state("a waiter", || pool.shared.room.waiters() == 1);
        gate.open();
        waiter.join().unwrap();
    });
    finish(&pool, &host, 3);
}

#[test]
fn who_waits_for_room_hears_of_the_close() {
    let (pool, host) = pool(params(1, 1));
    let gate = hold_workers(&pool, 0..1, Normal);
    pool.submit(Spec::new(1, Normal)).unwrap();
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| pool.reserve_when_room(Normal).map(|_| ()));
        await_state("a waiter", || pool.shared.room.waiters() == 1);
        pool.close();
        assert_eq!(waiter.join().unwrap(), Err(Refusal::Closed));
    });
    gate.open();
    finish(&pool, &host, 2);
}

/// Every one of many waiters gets through a queue of one place.
#[test]
fn many_who_wait_for_room_all_get_it() {
    const EACH: u32 = if cfg!(miri) { 8 } else { 2_000 };
    let (pool, host) = pool(params(2, 1));
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let pool = &pool;
            scope.spawn(move || {
                for n in 0..EACH {
                    let place = pool.reserve_when_room(Low).unwrap();
                    push(pool, place, Spec::new(thread * EACH + n, Low));
                }
            });
        }
    });
    finish(&pool, &host, 4 * EACH as usize);
}

/// Once when it begins to wait, and once for each time that it is told.
#[test]
fn an_attempt_is_made_again_when_it_is_told_and_not_before() {
    const TELLS: usize = 50;
    let (pool, host) = pool(params(1, 1));
    let attempts = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| {
            pool.wait_for_room(|| (attempts.fetch_add(1, Ordering::SeqCst) >= TELLS).then_some(()));
        });
        await_state("a waiter", || pool.shared.room.waiters() == 1);
        for n in 1..=TELLS {
            await_state("an attempt", || attempts.load(Ordering::SeqCst) >= n);
            assert!(attempts.load(Ordering::SeqCst) <= n, "nobody told it anything");
            pool.shared.room.tell();
        }
        waiter.join().unwrap();
    });
    finish(&pool, &host, 0);
}

/// Waiting is the opposite of displacing: a replay loses nothing.
#[test]
fn who_waits_for_room_displaces_nobody() {
    let mut params = params(1, 1);
    params.displace = true;
    let (pool, host) = pool(params);
    let gate = hold_workers(&pool, 0..1, Low);
    pool.submit(Spec::new(1, Low)).unwrap();
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| pool.reserve_when_room(High).unwrap());
        await_state("a waiter", || pool.shared.room.waiters() == 1);
        gate.open();
        push(&pool, waiter.join().unwrap(), Spec::new(2, High));
    });
    finish(&pool, &host, 3);
    assert_eq!(host.count(OutcomeKind::Displaced), 0);
}

#[test]
#[cfg_attr(miri, ignore = "thousands of jobs in less than a second")]
fn a_worker_that_is_quick_has_a_faster_clock_looked_for() {
    let (pool, host) = pool(params(1, 1000));
    let admitted = Cell::new(0);
    await_state("a worker has been quick", || {
        let is_admitted = pool.submit(Spec::new(admitted.get(), Normal)).is_ok();
        admitted.set(admitted.get() + u32::from(is_admitted));
        is_faster_clock_sought()
    });
    finish(&pool, &host, admitted.get() as usize);
}
