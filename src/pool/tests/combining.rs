//! What workers that wait for the core's lock get from whoever has it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use super::hosts::{Gate, LIMIT, Mark, Script, Shell, Spec, TestHost, TestPool, await_state, params, pool};
use crate::class::PriorityClass::{Critical, Normal};
use crate::pool::Host;
use crate::pool::combining::{Combining, Paper};
use crate::pool::threads::Course;
use crate::pool::worker::Shift;
use crate::scheduler::BatchParams;

/// A look of whoever has the lock, as a worker of a number that there is no seat for.
fn serve(pool: &TestPool, worker: usize, while_it_is_held: impl FnOnce()) {
    let shared = &*pool.shared;
    let core = shared.lock();
    while_it_is_held();
    let mut shift = Shift::default();
    shared.look(core, worker, &Course::default(), &mut shift);
    assert!(shift.found.is_none());
}

#[test]
fn who_waits_for_the_lock_is_served_by_its_holder() {
    let (pool, host) = pool(params(1, 10));
    let (first, second) = (Gate::closed(), Gate::closed());
    pool.submit(Spec::new(0, Normal).at(&first)).unwrap();
    first.await_arrivals(1);
    pool.submit(Spec::new(1, Normal).at(&second)).unwrap();
    let requests = &pool.shared.requests;
    serve(&pool, 1, || {
        first.open();
        await_state("the worker asks", || requests.is_asked());
    });
    assert!(requests.is_answered(0));
    second.await_arrivals(1);
    second.open();
    assert_eq!(pool.drain(LIMIT, LIMIT).leaked, 0);
    host.assert_balanced(2);
}

/// The holder has looked at the lanes before the run ends, and what the run submits is more important than what it saw.
#[test]
fn what_came_until_a_worker_asked_is_picked_from() {
    let (pool, host) = pool(params(1, 10));
    let gate = Gate::closed();
    let (own, at) = (Arc::downgrade(&pool), Arc::clone(&gate));
    let submits = move |_: &TestHost| {
        at.pass();
        own.upgrade().unwrap().submit(Spec::new(2, Critical)).unwrap();
    };
    pool.submit(Spec::new(0, Normal).script(Script::Call(Box::new(submits)))).unwrap();
    gate.await_arrivals(1);
    pool.submit(Spec::new(1, Normal)).unwrap();
    let shared = &*pool.shared;
    let mut core = shared.lock();
    shared.take_in(&mut core);
    gate.open();
    await_state("the worker asks", || shared.requests.is_asked());
    shared.serve(&mut core);
    drop(core);
    assert_eq!(pool.drain(LIMIT, LIMIT).leaked, 0);
    let starts = [0, 2, 1].map(Mark::Start);
    assert!(host.log().trail.iter().filter(|mark| matches!(mark, Mark::Start(_))).eq(&starts));
    host.assert_balanced(3);
}

/// The end of a batch lets two sessions go on. Whoever served its worker found nothing before, and is about to sleep.
#[test]
fn what_a_served_run_sets_free_is_for_who_serves_too() {
    let (pool, host) = pool(params(2, 10));
    let gate = Gate::closed();
    let bounds = BatchParams { size: 2, bytes: 1000, linger: LIMIT };
    let member = |id, session| Spec { batch: Some(bounds), ..Spec::new(id, Normal).session(session) };
    pool.submit(member(0, 1).at(&gate)).unwrap();
    pool.submit(member(1, 2)).unwrap();
    gate.await_arrivals(1);
    for (id, session) in [(2, 1), (3, 2)] {
        pool.submit(Spec::new(id, Normal).session(session)).unwrap();
    }
    let shared = &*pool.shared;
    await_state("the other worker sleeps", || shared.parking.asleep() == 1);
    let core = shared.lock();
    gate.open();
    await_state("the worker asks", || shared.requests.is_asked());
    let mut shift = Shift::default();
    shared.look(core, 0, &Course::default(), &mut shift);
    let found = shift.found.expect("one of the two is for who serves");
    let run = found.run;
    let finished = host.run(&mut (), found, shared.clock.now()).unwrap();
    pool.complete(run, finished.elapsed);
    host.await_outcomes(4);
    assert_eq!(pool.drain(LIMIT, LIMIT).leaked, 0);
    host.assert_balanced(4);
}

/// A worker of a number that there is no seat for gets nothing to run, and finds out why by itself.
#[test]
fn a_worker_too_many_is_given_no_run() {
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
    gates[0].open();
    await_state("the first sleeps", || pool.shared.parking.asleep() == 1);
    pool.change(|params| params.seats.workers = 1).0.unwrap();
    let ran_by = Arc::new(OnceLock::new());
    let noted = Arc::clone(&ran_by);
    let note = move |_: &TestHost| noted.set(std::thread::current().name().map(str::to_owned)).unwrap();
    serve(&pool, 1, || {
        pool.submit(Spec::new(2, Normal).script(Script::Call(Box::new(note)))).unwrap();
        gates[1].open();
        await_state("the second asks", || pool.shared.requests.is_asked());
    });
    assert_eq!(pool.drain(LIMIT, LIMIT).leaked, 0);
    assert_eq!(ran_by.get().unwrap().as_deref(), Some("hookpool-0"));
    host.assert_balanced(3);
}

#[test]
fn what_nobody_served_is_taken_back() {
    let requests = Combining::<u32, u32>::new(2);
    assert!(requests.has_place(1) && !requests.has_place(2));
    requests.ask(1, 7);
    assert!(!requests.is_answered(1));
    assert!(matches!(requests.take_back(1), Some(Paper::Request(7))));
    requests.serve(|_, _| unreachable!("it was taken back"));
    // An answer of before is not one to the next request.
    requests.ask(1, 8);
    requests.serve(|worker, request| u32::try_from(worker).unwrap() + request);
    assert!(requests.is_answered(1) && !requests.is_answered(0));
    assert!(matches!(requests.take_back(1), Some(Paper::Answer(9))));
    requests.ask(1, 9);
    assert!(!requests.is_answered(1));
    assert_eq!(requests.take_answer(1), None);
}

/// Threads that count under one lock, each by itself or served by another.
#[test]
fn each_request_is_served_once_with_an_answer_to_itself() {
    const TURNS: usize = if cfg!(miri) { 20 } else { 20_000 };
    let requests = Combining::<usize, (usize, usize)>::new(3);
    let count = std::sync::Mutex::new(0_usize);
    let served = AtomicUsize::new(0);
    let work = |worker: usize| {
        for turn in 0..TURNS {
            let look = |mut count: std::sync::MutexGuard<'_, usize>| {
                *count += 1;
                requests.serve(|worker, turn| {
                    *count += 1;
                    served.fetch_add(1, Ordering::Relaxed);
                    (worker, turn)
                });
            };
            if let Ok(count) = count.try_lock() {
                look(count);
                continue;
            }
            requests.ask(worker, turn);
            let answer = loop {
                if requests.is_answered(worker) {
                    break requests.take_answer(worker);
                }
                let Ok(count) = count.try_lock() else { continue };
                match requests.take_back(worker) {
                    Some(Paper::Answer(answer)) => break Some(answer),
                    Some(Paper::Request(mine)) => {
                        look(count);
                        break Some((worker, mine));
                    }
                    None => break None,
                }
            };
            assert_eq!(answer, Some((worker, turn)));
        }
    };
    std::thread::scope(|scope| {
        for worker in 0..3 {
            scope.spawn(move || work(worker));
        }
    });
    assert_eq!(*count.lock().unwrap(), 3 * TURNS);
}
