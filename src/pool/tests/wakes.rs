//! No job is overlooked and no wake-up is lost: the protocol of parking, under races.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Barrier};
use std::time::Duration;

use super::behaviour::{finish, hold_workers};
use super::hosts::{Gate, LIMIT, Script, Shell, Spec, await_sleep, params, pool};
use crate::class::PriorityClass;
use crate::outcome::OutcomeKind;
use crate::scheduler::HookSlot;
use PriorityClass::{Low, Normal};

/// A push that still sees the class closed relies on whoever opens it.
#[test]
fn a_push_that_meets_a_resume_is_not_overlooked() {
    const ROUNDS: u32 = if cfg!(miri) { 10 } else { 20_000 };
    let (pool, host) = pool(params(2, 4));
    host.keeps_trail.store(false, Ordering::Relaxed);
    let barrier = Barrier::new(2);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..ROUNDS {
                barrier.wait();
                pool.resume_class(Low);
                barrier.wait();
            }
        });
        for id in 0..ROUNDS {
            pool.pause_class(Low);
            barrier.wait();
            pool.submit(Spec::new(id, Low)).unwrap();
            host.await_outcomes(id as usize + 1);
            barrier.wait();
        }
    });
    finish(&pool, &host, ROUNDS as usize);
}

/// One job at a time, each from sleep: a single lost wake-up hangs, and the wait says so.
#[test]
fn no_wake_up_is_lost_between_one_submitter_and_few_workers() {
    const ROUNDS: u32 = if cfg!(miri) { 8 } else { 25_000 };
    for workers in 1..=4 {
        let (pool, host) = pool(params(workers, 4));
        host.keeps_trail.store(false, Ordering::Relaxed);
        for id in 0..ROUNDS {
            pool.submit(Spec::new(id, PriorityClass::ALL[id as usize % 4])).unwrap();
            host.await_outcomes(id as usize + 1);
        }
        finish(&pool, &host, ROUNDS as usize);
    }
}

/// Two at a time, from two threads, so that a wake-up and a fall into sleep meet in every way.
#[test]
fn no_wake_up_is_lost_between_two_submitters() {
    const ROUNDS: u32 = if cfg!(miri) { 8 } else { 10_000 };
    for workers in 1..=3 {
        let (pool, host) = pool(params(workers, 4));
        host.keeps_trail.store(false, Ordering::Relaxed);
        let barrier = Barrier::new(2);
        std::thread::scope(|scope| {
            for thread in 0..2 {
                let (pool, host, barrier) = (&pool, &host, &barrier);
                scope.spawn(move || {
                    for round in 0..ROUNDS {
                        pool.submit(Spec::new(2 * round + thread, Low)).unwrap();
                        host.await_outcomes(2 * round as usize + 1);
                        if round % 16 == 0 {
                            barrier.wait();
                            host.await_outcomes(2 * round as usize + 2);
                        }
                    }
                });
            }
        });
        finish(&pool, &host, 2 * ROUNDS as usize);
    }
}

/// While a job is held, another that a sleeping worker could run must be run: all seats at once, from all asleep.
#[test]
fn a_burst_wakes_as_many_workers_as_it_has_jobs() {
    const ROUNDS: u32 = if cfg!(miri) { 4 } else { 2_000 };
    let (pool, host) = pool(params(4, 10));
    for round in 0..ROUNDS {
        let gate = Gate::closed();
        for n in 0..4 {
            pool.submit(Spec::new(4 * round + n, Normal).at(&gate)).unwrap();
        }
        gate.await_arrivals(4);
        gate.open();
        host.await_outcomes(4 * round as usize + 4);
    }
    finish(&pool, &host, 4 * ROUNDS as usize);
}

/// Completions that free several jobs at once: each seat that could be used is used.
#[test]
fn what_a_completion_sets_free_is_run_by_all() {
    const ROUNDS: u32 = if cfg!(miri) { 4 } else { 2_000 };
    let (pool, host) = pool(params(3, 10));
    for round in 0..ROUNDS {
        let first = 4 * round;
        let held = hold_workers(&pool, first..first + 1, Normal);
        pool.pause_class(Normal);
        let gate = Gate::closed();
        for n in 1..4 {
            pool.submit(Spec::new(first + n, Normal).at(&gate)).unwrap();
        }
        held.open();
        pool.resume_class(Normal);
        gate.await_arrivals(3);
        gate.open();
        host.await_outcomes(first as usize + 4);
    }
    finish(&pool, &host, 4 * ROUNDS as usize);
}

/// The epoch counts what may have given somebody something to do.
#[test]
fn a_look_at_an_idle_pool_gives_nobody_anything_to_do() {
    let (pool, _host) = pool(params(2, 10));
    await_sleep(&pool);
    let epoch = || format!("{:?}", pool.shared.parking.epoch());
    let before = epoch();
    assert!(!pool.cancel(|| None));
    pool.pause_hook(HookSlot(1));
    assert_eq!(pool.status().paused_hooks, [HookSlot(1)]);
    pool.resume_hook(HookSlot(1));
    let status = pool.status();
    assert_eq!((status.paused_hooks, status.asleep), (Vec::new(), 2));
    assert_eq!(epoch(), before);
    assert_eq!(pool.drain(LIMIT, LIMIT).leaked, 0);
}

/// Whoever watched the clock tells the host of a job that expired, which takes its time; the next deadline does not.
#[test]
fn a_deadline_is_watched_while_the_host_is_told_of_the_one_before() {
    let (pool, host) = pool(params(2, 10));
    let telling = Gate::closed();
    *host.resolve_gate.lock().unwrap() = Some(Arc::clone(&telling));
    let retried = Spec::new(0, Normal).session(1).script(Script::Retry(1, Duration::from_millis(200)));
    pool.submit(retried).unwrap();
    pool.submit(Spec::new(1, Normal).session(1).max_wait(Duration::from_millis(50))).unwrap();
    telling.await_arrivals(1);
    assert_eq!(host.await_outcome(0), OutcomeKind::Succeeded);
    telling.open();
    assert_eq!(host.await_outcome(1), OutcomeKind::Expired);
    assert_eq!(pool.drain(LIMIT, LIMIT).leaked, 0);
    host.assert_balanced(2);
}
