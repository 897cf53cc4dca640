//! Idle costs nothing, as the kernel counts it: threads that have nothing to do are not scheduled once.
//!
//! The window is short and its length proves nothing by itself: a thread that polls or spins keeps on being scheduled,
//! so the counts never come to rest and the test fails before the window begins. Linux only.

use std::time::Duration;

use super::drain::thread_ids;
use super::hosts::{Gate, Script, Shell, Spec, TestPool, await_sleep, await_state, params, pool};
use crate::class::PriorityClass::{High, Low, Normal};

const WINDOW: Duration = Duration::from_millis(150);

/// What the kernel has counted for each thread: nanoseconds on a processor, and how often it got one.
fn counts(ids: &[String]) -> Vec<(String, String)> {
    let count = |id: &String| {
        let status = std::fs::read_to_string(format!("/proc/self/task/{id}/status")).unwrap();
        let switches = status.lines().find(|line| line.starts_with("voluntary_ctxt_switches")).unwrap();
        let times = std::fs::read_to_string(format!("/proc/self/task/{id}/schedstat")).unwrap_or_default();
        (switches.to_owned(), times)
    };
    ids.iter().map(count).collect()
}

/// Waits without running.
fn pass_time() {
    std::thread::park_timeout(WINDOW);
}

/// After the workers have come to rest, they are not scheduled for a whole window.
fn assert_no_thread_moves(ids: &[String]) {
    await_state("the threads are at rest", || {
        let before = counts(ids);
        pass_time();
        before == counts(ids)
    });
    let before = counts(ids);
    pass_time();
    assert_eq!(before, counts(ids));
}

fn end(pool: &TestPool) {
    assert_eq!(pool.drain(Duration::from_secs(50), Duration::ZERO).leaked, 0);
}

#[test]
#[cfg_attr(miri, ignore = "asks the kernel for its threads")]
fn an_idle_pool_makes_no_context_switch() {
    let (pool, host) = pool(params(4, 10));
    let ids = thread_ids(&pool, 4, 0);
    host.await_outcomes(4);
    await_sleep(&pool);
    assert_no_thread_moves(&ids);
    end(&pool);
}

/// Who looked and fell asleep again is not woken again and again until all happen to be awake at once.
#[test]
#[cfg_attr(miri, ignore = "asks the kernel for its threads")]
fn a_change_wakes_every_worker_a_few_times_at_most() {
    let (pool, host) = pool(params(4, 10));
    let ids = thread_ids(&pool, 4, 0);
    host.await_outcomes(4);
    await_sleep(&pool);
    assert_no_thread_moves(&ids);
    let switches = || -> u64 {
        let numbers = counts(&ids).into_iter().map(|(switches, _)| switches);
        numbers.map(|line| line.split_whitespace().last().unwrap().parse::<u64>().unwrap()).sum()
    };
    let before = switches();
    for _ in 0..100 {
        pool.change(|_| ()).0.unwrap();
        await_sleep(&pool);
    }
    assert_no_thread_moves(&ids);
    // A worker may wait for the core's lock as well.
    let woken = switches() - before;
    assert!((400..=800).contains(&woken), "{woken} times");
    end(&pool);
}

#[test]
#[cfg_attr(miri, ignore = "asks the kernel for its threads")]
fn a_paused_backlog_costs_no_processor_time() {
    let (pool, host) = pool(params(4, 100));
    let ids = thread_ids(&pool, 4, 0);
    host.await_outcomes(4);
    pool.pause_class(Low);
    for id in 10..50 {
        pool.submit(Spec::new(id, Low).max_wait(Duration::from_millis(1))).unwrap();
    }
    await_sleep(&pool);
    assert_no_thread_moves(&ids);
    assert_eq!(host.starts().len(), 4);
    pool.resume_class(Low);
    end(&pool);
    host.assert_balanced(44);
}

#[test]
#[cfg_attr(miri, ignore = "asks the kernel for its threads")]
fn a_backlog_behind_full_seats_costs_no_processor_time() {
    let mut params = params(2, 100);
    params.seats.standby = 2;
    let (pool, host) = pool(params);
    let ids = thread_ids(&pool, 4, 0);
    host.await_outcomes(4);
    let gate = Gate::closed();
    for id in 10..12 {
        pool.submit(Spec::new(id, Normal).at(&gate)).unwrap();
    }
    gate.await_arrivals(2);
    for id in 12..50 {
        pool.submit(Spec::new(id, Normal).max_wait(Duration::from_hours(1))).unwrap();
    }
    await_state("the others sleep", || pool.shared.parking.asleep() == 2);
    assert_no_thread_moves(&ids);
    assert_eq!(pool.submit(Spec::new(60, High)), Ok(()), "the standby seat is free");
    host.await_outcome(60);
    gate.open();
    end(&pool);
}

#[test]
#[cfg_attr(miri, ignore = "asks the kernel for its threads")]
fn a_far_deadline_is_waited_for_in_one_sleep() {
    let (pool, host) = pool(params(3, 100));
    let ids = thread_ids(&pool, 3, 0);
    host.await_outcomes(3);
    pool.submit(Spec::new(10, Normal).script(Script::Retry(1, Duration::from_hours(1)))).unwrap();
    host.await_placed(10, 2);
    await_sleep(&pool);
    assert_no_thread_moves(&ids);
    assert!(pool.cancel_job(10));
    end(&pool);
}
