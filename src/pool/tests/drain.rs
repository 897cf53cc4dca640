//! The end of a pool: nothing is admitted, everything has an outcome, every thread that can end has ended.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use super::hosts::{Gate, LIMIT, Script, Shell, Spec, await_state, params, pool, push};
use crate::class::{PerClass, PriorityClass};
use crate::outcome::{OutcomeKind, Refusal};
use PriorityClass::{High, Low, Normal};

const NOW: Duration = Duration::ZERO;
const GRACE: Duration = Duration::from_secs(50);

/// Runs of one job for each worker, which say in which thread they are.
#[cfg(target_os = "linux")]
pub(super) fn thread_ids(pool: &super::hosts::TestPool, workers: u32, first: u32) -> Vec<String> {
    use std::sync::{Barrier, Mutex};
    let ids = Arc::new(Mutex::new(Vec::new()));
    let barrier = Arc::new(Barrier::new(workers as usize + 1));
    for n in 0..workers {
        let (ids, barrier) = (Arc::clone(&ids), Arc::clone(&barrier));
        let call = move |_: &super::hosts::TestHost| {
            let id = std::fs::read_link("/proc/thread-self").unwrap();
            ids.lock().unwrap().push(id.file_name().unwrap().to_str().unwrap().to_owned());
            barrier.wait();
        };
        pool.submit(Spec::new(first + n, High).script(Script::Call(Box::new(call)))).unwrap();
    }
    barrier.wait();
    let ids = ids.lock().unwrap().clone();
    assert_eq!(ids.len(), workers as usize);
    ids
}

#[test]
#[cfg(target_os = "linux")]
#[cfg_attr(miri, ignore = "asks the kernel for its threads")]
fn a_drained_pool_has_no_threads() {
    let (pool, host) = pool(params(4, 10));
    let ids = thread_ids(&pool, 4, 0);
    let exists = |id: &String| std::path::Path::new(&format!("/proc/self/task/{id}")).exists();
    assert!(ids.iter().all(exists));
    assert_eq!(pool.drain(GRACE, NOW).leaked, 0);
    // The kernel tells the joiner a moment before it takes the entry away.
    await_state("the threads are gone", || !ids.iter().any(exists));
    host.assert_balanced(4);
}

#[test]
fn work_left_at_the_deadline_is_abandoned_or_cancelled() {
    let (pool, host) = pool(params(2, 100));
    for id in 0..2 {
        pool.submit(Spec::new(id, High).script(Script::UntilStopped)).unwrap();
    }
    await_state("both run", || host.starts().len() == 2);
    for id in 2..50 {
        pool.submit(Spec::new(id, Low).session(u64::from(id % 5))).unwrap();
    }
    assert_eq!(pool.drain(Duration::from_millis(10), GRACE).leaked, 0);
    host.assert_balanced(50);
    assert_eq!(host.count(OutcomeKind::Cancelled), 2);
    assert_eq!(host.count(OutcomeKind::Abandoned), 48);
    assert_eq!(pool.waiting(), PerClass::default());
    assert_eq!(pool.submit(Spec::new(99, High)), Err(Refusal::Closed));
}

#[test]
fn a_run_that_wants_a_retry_after_the_deadline_is_abandoned() {
    let (pool, host) = pool(params(2, 100));
    pool.submit(Spec::new(0, High).session(1).script(Script::RetryWhenStopped)).unwrap();
    await_state("it runs", || host.starts().len() == 1);
    pool.submit(Spec::new(1, High).session(1)).unwrap();
    assert_eq!(pool.drain(NOW, GRACE).leaked, 0);
    host.assert_balanced(2);
    assert_eq!(host.starts(), [0]);
    assert_eq!(host.count(OutcomeKind::Abandoned), 2);
}

#[test]
fn a_drain_waits_for_retries_until_the_deadline() {
    let (pool, host) = pool(params(2, 100));
    pool.submit(Spec::new(0, High).script(Script::Retry(2, Duration::from_millis(5)))).unwrap();
    assert_eq!(pool.drain(GRACE, NOW).leaked, 0);
    host.assert_balanced(1);
    assert_eq!(host.count(OutcomeKind::Succeeded), 1);
}

#[test]
fn only_a_worker_that_does_not_end_is_reported_as_leaked() {
    let (pool, host) = pool(params(4, 100));
    let gate = Gate::closed();
    pool.submit(Spec::new(0, Normal).at(&gate)).unwrap();
    gate.await_arrivals(1);
    assert_eq!(pool.drain(NOW, NOW).leaked, 1);
    assert_eq!(pool.drain(NOW, NOW).leaked, 1, "it is still there");
    gate.open();
    assert_eq!(pool.drain(GRACE, GRACE).leaked, 0);
    host.assert_balanced(1);
}

#[test]
fn a_drain_without_end_is_cut_short() {
    let (pool, host) = pool(params(1, 100));
    pool.submit(Spec::new(0, Normal).script(Script::UntilStopped)).unwrap();
    await_state("it runs", || host.starts().len() == 1);
    pool.submit(Spec::new(1, Normal)).unwrap();
    std::thread::scope(|scope| {
        let drain = scope.spawn(|| pool.drain(Duration::MAX, GRACE));
        await_state("closed", || pool.shared.admission.is_closed());
        pool.hurry();
        assert_eq!(drain.join().unwrap().leaked, 0);
    });
    host.assert_balanced(2);
    assert_eq!(host.outcome(0), Some(OutcomeKind::Cancelled));
    assert_eq!(host.outcome(1), Some(OutcomeKind::Abandoned));
}

#[test]
fn a_hurried_drain_does_not_wait_for_what_cannot_be_stopped() {
    let (pool, _host) = pool(params(1, 100));
    let gate = Gate::closed();
    pool.submit(Spec::new(0, Normal).at(&gate)).unwrap();
    gate.await_arrivals(1);
    pool.hurry();
    assert_eq!(pool.drain(Duration::MAX, NOW).leaked, 1);
    gate.open();
    assert_eq!(pool.drain(Duration::MAX, GRACE).leaked, 0);
}

#[test]
fn it_is_not_quiet_while_the_host_is_being_told() {
    let (pool, host) = pool(params(1, 100));
    let held = Gate::closed();
    pool.submit(Spec::new(0, Normal).at(&held)).unwrap();
    held.await_arrivals(1);
    pool.submit(Spec::new(1, Normal)).unwrap();
    let telling = Gate::closed();
    *host.resolve_gate.lock().unwrap() = Some(Arc::clone(&telling));
    std::thread::scope(|scope| {
        scope.spawn(|| assert!(pool.cancel_job(1)));
        telling.await_arrivals(1);
        held.open();
        await_state("nothing waits or runs", || {
            pool.shared.lock().running() == PerClass::default() && pool.waiting() == PerClass::default()
        });
        let was_quiet = pool.shared.is_quiet();
        let drain = scope.spawn(|| pool.drain(Duration::MAX, NOW));
        telling.open();
        assert_eq!(drain.join().unwrap().leaked, 0);
        assert!(!was_quiet);
        host.assert_balanced(2);
    });
}

/// Who has looked and is about to wait holds the lock that who tells takes first. Without that, the end of a drain could
/// be overlooked.
#[test]
fn who_is_about_to_wait_for_the_end_is_told_of_it() {
    let (pool, _host) = pool(params(1, 100));
    let (looks, told, has_told) = (Gate::closed(), AtomicBool::new(false), AtomicBool::new(false));
    looks.open();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            looks.await_arrivals(1);
            told.store(true, Ordering::SeqCst);
            pool.shared.tell_quiet();
            has_told.store(true, Ordering::SeqCst);
        });
        let until = pool.shared.clock.now() + LIMIT;
        let began = pool.shared.clock.now();
        assert!(pool.shared.wait_until(Some(until), |shared| {
            let is_over = told.load(Ordering::SeqCst);
            looks.pass();
            // The time that the other one needs to tell too early, if nothing keeps it from that.
            let enough = shared.clock.now() + Duration::from_millis(20);
            while !has_told.load(Ordering::SeqCst) && shared.clock.now() < enough {
                std::thread::yield_now();
            }
            is_over
        }));
        assert!(pool.shared.clock.now().since(began) < LIMIT, "it was not told");
    });
    assert_eq!(pool.drain(NOW, GRACE).leaked, 0);
}

/// It runs nothing, so nothing tells it to stop, and its seat is free; an observer that does not return holds it.
#[test]
fn a_worker_that_is_held_up_by_the_host_is_left_behind() {
    let (pool, host) = pool(params(1, 100));
    let (gate, telling) = (Gate::closed(), Gate::closed());
    pool.submit(Spec::new(0, Normal).at(&gate)).unwrap();
    gate.await_arrivals(1);
    pool.submit(Spec::new(1, Normal).max_wait(Duration::from_millis(1))).unwrap();
    let due = pool.shared.clock.now() + Duration::from_millis(1);
    await_state("its time is up", || pool.shared.clock.now() > due);
    *host.resolve_gate.lock().unwrap() = Some(Arc::clone(&telling));
    gate.open();
    telling.await_arrivals(1);
    assert_eq!(pool.drain(NOW, NOW).leaked, 1);
    telling.open();
    assert_eq!(pool.drain(GRACE, GRACE).leaked, 0);
    host.assert_balanced(2);
}

#[test]
fn two_may_drain_at_once() {
    let (pool, host) = pool(params(3, 100));
    for id in 0..50 {
        pool.submit(Spec::new(id, Normal)).unwrap();
    }
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                assert_eq!(pool.drain(Duration::MAX, NOW).leaked, 0);
                host.assert_balanced(50);
            });
        }
    });
}

#[test]
fn a_handler_that_drains_is_left_behind_and_nothing_hangs() {
    let (pool, host) = pool(params(2, 100));
    let inner = Arc::clone(&pool);
    let leaked = Arc::new(AtomicUsize::new(usize::MAX));
    let told = Arc::clone(&leaked);
    let drain = move |_: &super::hosts::TestHost| told.store(inner.drain(NOW, NOW).leaked, Ordering::SeqCst);
    pool.submit(Spec::new(0, Normal).script(Script::Call(Box::new(drain)))).unwrap();
    host.await_outcomes(1);
    assert_eq!(leaked.load(Ordering::SeqCst), 1, "itself");
    assert_eq!(pool.drain(GRACE, GRACE).leaked, 0);
}

#[test]
fn a_place_that_is_pushed_after_the_deadline_is_abandoned() {
    let (pool, host) = pool(params(1, 100));
    let place = pool.reserve(Normal).unwrap();
    std::thread::scope(|scope| {
        let drain = scope.spawn(|| pool.drain(NOW, GRACE));
        await_state("cut", || pool.shared.cut.load(Ordering::Relaxed));
        push(&pool, place, Spec::new(0, Normal));
        assert_eq!(drain.join().unwrap().leaked, 0);
    });
    host.assert_balanced(1);
    assert_eq!(host.outcome(0), Some(OutcomeKind::Abandoned));
}

/// Submitters race with the close: what was admitted has an outcome, and nothing is admitted once it has returned.
#[test]
fn the_cut_is_exact_under_racing_submitters() {
    const ROUNDS: usize = if cfg!(miri) { 5 } else { 200 };
    for round in 0..ROUNDS {
        let (pool, host) = pool(params(2, 1_000));
        let closed = AtomicBool::new(false);
        let admitted = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for thread in 0..3 {
                let (pool, closed, admitted) = (&pool, &closed, &admitted);
                scope.spawn(move || {
                    for n in 0.. {
                        let was_closed = closed.load(Ordering::SeqCst);
                        match pool.submit(Spec::new(thread * 1_000_000 + n, Normal)) {
                            Ok(()) => {
                                assert!(!was_closed, "admitted after the close had returned");
                                admitted.fetch_add(1, Ordering::SeqCst);
                            }
                            Err(Refusal::Closed) => break,
                            Err(_) => {}
                        }
                    }
                });
            }
            if round % 2 == 0 {
                host.await_outcomes(round);
            }
            pool.close();
            closed.store(true, Ordering::SeqCst);
            let deadline = if round % 4 == 0 { NOW } else { GRACE };
            assert_eq!(pool.drain(deadline, GRACE).leaked, 0);
        });
        host.assert_balanced(admitted.into_inner());
    }
}
