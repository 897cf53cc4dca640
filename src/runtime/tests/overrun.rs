//! Handlers in Rust beyond their time: their jobs, their seats, the end of the pool, and what comes too late.

use std::sync::mpsc::{self, Receiver, SyncSender};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use super::*;
use crate::handler::Call;
use crate::outcome::OutcomeKind::{Cancelled, Failed, Succeeded, TimedOut};

const ONE: &str = "workers = 1, standby = 0";

fn builder(pool: &str, hook: &str) -> HookPoolBuilder {
    let toml = format!("pool = {{ {pool} }}\n[hook.a]\non = ['*']\norder = 'none'\n{hook}\n");
    HookPool::builder().config(Config::from_toml(&toml).unwrap_or_else(|error| panic!("{error}")))
}

fn submit(pool: &HookPool, name: &str) -> JobHandle {
    let submission = pool.submit(event(&format!(r#"{{"event":"{name}"}}"#)));
    submission.admitted().next().unwrap().clone()
}

fn ends_as(handle: &JobHandle, kind: OutcomeKind) {
    let outcome = handle.wait(LONG).expect("it ends");
    assert_eq!(outcome.kind, kind, "{outcome}");
}

/// A pool whose hook `a` is deaf to everything but the gate, for events called `deaf`. The hook `b` takes `quick` ones
/// and has time. Both tell when they return.
fn deaf_pool(pool: &str, hook: &str) -> (SyncSender<()>, Receiver<String>, HookPool) {
    let toml = format!(
        "pool = {{ {pool} }}\n[hook.a]\non = ['deaf']\norder = 'none'\n{hook}\n\
         [hook.b]\non = ['quick']\ntimeout = '10m'\n"
    );
    let (open, gate) = mpsc::sync_channel(0);
    let (tell, told) = mpsc::channel();
    let (gate, tell_quick) = (Mutex::new(gate), tell.clone());
    let say = |call: &Call| format!("{} {}", call.event().name(), call.is_cancelled());
    let deaf = move |call: &Call| {
        // An error: the test is over.
        let _ = gate.lock().unwrap().recv();
        let _ = tell.send(say(call));
    };
    let quick = move |call: &Call| drop(tell_quick.send(say(call)));
    let config = Config::from_toml(&toml).unwrap();
    let pool = HookPool::builder().config(config).register("a", deaf).register("b", quick).build().unwrap();
    (open, told, pool)
}

/// The threads that came back may take a moment to end.
fn drain_until_nothing_is_left(pool: &HookPool) {
    while pool.drain(LONG).leaked > 0 {
        std::thread::yield_now();
    }
    assert!(pool.drain(LONG).is_balanced());
}

#[test]
fn a_closure_beyond_its_time_costs_its_job_the_outcome_and_nobody_else_the_seat() {
    let (open, told, pool) = deaf_pool(ONE, "timeout = '20ms'");
    let (late, next) = (submit(&pool, "deaf"), submit(&pool, "quick"));
    ends_as(&late, TimedOut);
    assert_eq!(late.outcome().unwrap().reason, "it ran longer than its timeout of 20ms");
    assert!(late.outcome().unwrap().run.unwrap() >= Duration::from_millis(20));
    ends_as(&next, Succeeded);
    assert_eq!(told.recv_timeout(LONG).unwrap(), "quick false");
    open.send(()).unwrap();
    assert_eq!(told.recv_timeout(LONG).unwrap(), "deaf true", "it is told that nobody waits for it");
    ends_as(&late, TimedOut);
    drain_until_nothing_is_left(&pool);
    let total = pool.status().total;
    assert_eq!((total.outcome(TimedOut), total.outcome(Succeeded)), (1, 1));
}

#[test]
fn beyond_max_overrun_the_seat_is_lost_until_the_closure_returns() {
    let (open, told, pool) = deaf_pool(&format!("{ONE}, max_overrun = 1"), "timeout = '20ms'");
    let deaf = [submit(&pool, "deaf"), submit(&pool, "deaf")];
    for job in &deaf {
        ends_as(job, TimedOut);
    }
    let next = submit(&pool, "quick");
    assert_eq!((next.outcome().is_none(), pool.queue_size()), (true, 1));
    // Whoever of both gets it: with the first the limit has room again only for a later one.
    open.send(()).unwrap();
    open.send(()).unwrap();
    ends_as(&next, Succeeded);
    let told: Vec<_> = (0..3).map(|_| told.recv_timeout(LONG).unwrap()).collect();
    // The thread that lost its seat to the spare one reports when it likes.
    let place = told.iter().position(|word| word == "quick false");
    assert!(place > Some(0), "it came after a seat was free: {told:?}");
    drain_until_nothing_is_left(&pool);
}

#[test]
fn at_the_end_a_closure_has_its_grace_and_then_is_left_behind_and_counted() {
    for max_overrun in [0, 4] {
        let pool = format!("{ONE}, max_overrun = {max_overrun}");
        let (open, gate) = mpsc::channel::<()>();
        let (begun, begins) = mpsc::channel();
        let gate = Mutex::new(gate);
        let deaf = move |_: &Call| {
            let _ = (begun.send(()), gate.lock().unwrap().recv());
        };
        let pool = builder(&pool, "timeout = '10m'\ngrace = '30ms'").register("a", deaf).build().unwrap();
        let (running, waiting) = (submit(&pool, "x"), submit(&pool, "x"));
        begins.recv().unwrap();
        let ledger = pool.drain(Duration::ZERO);
        assert!(ledger.is_balanced(), "{ledger:?}");
        assert_eq!(ledger.leaked, 1);
        ends_as(&running, TimedOut);
        ends_as(&waiting, OutcomeKind::Abandoned);
        assert_eq!(pool.drain(LONG).leaked, 1, "it still runs");
        drop(open);
        drain_until_nothing_is_left(&pool);
    }
}

#[test]
fn a_closure_that_lost_its_seat_does_not_hold_up_the_end() {
    let pool = format!("{ONE}, max_overrun = 0");
    let (open, _told, pool) = deaf_pool(&pool, "timeout = '20ms'\ngrace = '20ms'");
    ends_as(&submit(&pool, "deaf"), TimedOut);
    let ledger = pool.drain(Duration::ZERO);
    assert!(ledger.is_balanced() && ledger.leaked == 1, "{ledger:?}");
    drop(open);
    drain_until_nothing_is_left(&pool);
}

#[test]
fn a_killed_pool_gives_a_closure_no_grace() {
    let (open, _told, pool) = deaf_pool(ONE, "timeout = '10m'\ngrace = '10m'");
    let running = submit(&pool, "deaf");
    cancel::until(|| pool.status().total.running() == 1);
    pool.kill();
    ends_as(&running, TimedOut);
    assert_eq!(pool.drain(LONG).leaked, 1);
    drop(open);
    drain_until_nothing_is_left(&pool);
}

#[test]
fn a_closure_that_looks_ends_when_it_is_cancelled() {
    let toml = "timeout = '10m'\ngrace = '10m'";
    let (begun, begins) = mpsc::channel();
    let handler = move |call: &Call| {
        begun.send(()).unwrap();
        cancel::until(|| call.is_cancelled());
        if call.event().name() == "gives_up" { Err("half done") } else { Ok(()) }
    };
    let pool = builder(ONE, toml).register("a", handler).build().unwrap();
    for (name, kind) in [("gives_up", Cancelled), ("finishes", Succeeded)] {
        let job = submit(&pool, name);
        begins.recv().unwrap();
        assert!(job.cancel());
        ends_as(&job, kind);
    }
    let job = submit(&pool, "gives_up");
    begins.recv().unwrap();
    let ledger = pool.drain(Duration::ZERO);
    ends_as(&job, Cancelled);
    assert!(ledger.is_balanced() && ledger.leaked == 0, "{ledger:?}");
}

#[test]
fn a_batch_beyond_its_time_takes_what_it_has_not_answered_along() {
    let (open, gate) = mpsc::sync_channel::<()>(0);
    let gate = Mutex::new(gate);
    let hook = "timeout = '1s'\nbatch = { linger = 0, timeout_per_item = '1s' }\non_batch_failure = 'split'";
    let handler = move |calls: &[Call]| {
        // Split, the second of them hangs.
        if calls.len() > 1 {
            return Err("one by one");
        }
        if calls.iter().any(|call| call.event().name() == "deaf") {
            let _ = gate.lock().unwrap().recv();
        }
        Ok(())
    };
    let pool = builder(ONE, hook).register_batch("a", handler).build().unwrap();
    pool.pause("a");
    let jobs = ["x", "deaf", "x"].map(|name| submit(&pool, name));
    pool.resume("a");
    ends_as(&jobs[0], Succeeded);
    ends_as(&jobs[1], TimedOut);
    // It was never tried by itself, and has not run too long.
    ends_as(&jobs[2], Failed);
    assert!(jobs[2].outcome().unwrap().reason.starts_with("its batch failed"));
    ends_as(&submit(&pool, "x"), Succeeded);
    drop(open);
    drain_until_nothing_is_left(&pool);
}

#[test]
fn an_observer_that_takes_its_time_delays_no_other_deadline() {
    let (open, gate) = mpsc::channel::<()>();
    let (go_on, wait) = mpsc::channel::<()>();
    let (gate, wait) = (Mutex::new(gate), Mutex::new(wait));
    let observer = move |outcome: &Outcome| {
        if outcome.job.0 == 1 {
            let _ = wait.lock().unwrap().recv();
        }
    };
    let pool = builder("workers = 2, standby = 0, max_overrun = 2", "timeout = '20ms'")
        .register("a", move |_: &Call| {
            let _ = gate.lock().unwrap().recv();
        })
        .on_outcome(observer)
        .build()
        .unwrap();
    let (held, other) = (submit(&pool, "x"), submit(&pool, "x"));
    ends_as(&other, TimedOut);
    assert!(held.wait(Duration::ZERO).is_none(), "its observer has not seen it yet");
    go_on.send(()).unwrap();
    ends_as(&held, TimedOut);
    drop((open, go_on));
    drain_until_nothing_is_left(&pool);
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "nothing is waited for: a drain that does not wait is to be over first"
)]
fn a_drain_waits_for_the_observers_of_a_closure_beyond_its_time() {
    let (told, is_told) = mpsc::channel();
    let (go_on, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let observer = move |_: &Outcome| {
        told.send(()).unwrap();
        let _ = wait.lock().unwrap().recv();
        std::thread::sleep(Duration::from_millis(100));
    };
    let pool = builder(ONE, "timeout = '10ms'")
        .register("a", |call: &Call| cancel::until(|| call.is_cancelled()))
        .on_outcome(observer)
        .build()
        .unwrap();
    let job = submit(&pool, "x");
    is_told.recv().unwrap();
    let drains = [(), ()].map(|()| {
        let (pool, job) = (pool.clone(), job.clone());
        std::thread::spawn(move || (pool.drain(LONG).is_balanced(), job.wait(Duration::ZERO)))
    });
    cancel::until(|| pool.submit(event(r#"{"event":"x"}"#)).admitted().count() == 0);
    drop(go_on);
    for drain in drains {
        let (is_balanced, outcome) = drain.join().unwrap();
        assert!(is_balanced);
        assert_eq!(outcome.expect("it has ended").kind, TimedOut);
    }
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "nothing is waited for: a drain that does not wait is to be over first"
)]
fn a_drain_waits_for_the_observers_of_what_a_batch_has_answered_when_its_time_is_over() {
    let (told, is_told) = mpsc::channel();
    let (go_on, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let observer = move |outcome: &Outcome| {
        told.send(outcome.kind).unwrap();
        if outcome.kind == Succeeded {
            let _ = wait.lock().unwrap().recv();
            std::thread::sleep(Duration::from_millis(100));
        }
    };
    let hook = "timeout = '10m'\nmax_wait = 'off'\nbatch = { size = 2, linger = '10m' }";
    let handler = |_: &[Call]| ();
    let pool = builder(ONE, hook).register_batch("a", handler).on_outcome(observer).build().unwrap();
    let outcomes = pool.outcomes(2);
    let jobs = [submit(&pool, "x"), submit(&pool, "x")];
    // The handler has answered both; while one is being told of, there is no time left for the other.
    assert_eq!(is_told.recv_timeout(LONG), Ok(Succeeded));
    pool.kill();
    assert_eq!(is_told.recv_timeout(LONG), Ok(TimedOut));
    drop(go_on);
    assert!(pool.drain(LONG).is_balanced());
    assert!(jobs.iter().all(|job| job.wait(Duration::ZERO).is_some()), "the drain has returned");
    assert_eq!(outcomes.count(), 2);
    drain_until_nothing_is_left(&pool);
}

#[test]
fn a_member_of_a_batch_that_is_to_run_again_does_not_wait_for_one_beyond_its_time() {
    let hook = "timeout = '1s'\nbatch = { linger = 0, timeout_per_item = '1s' }\non_batch_failure = 'split'\n\
                retry = { attempts = 2, backoff = '10m' }";
    for (is_cancelled, kind) in [(false, Failed), (true, Cancelled)] {
        let (open, gate) = mpsc::sync_channel::<()>(0);
        let (tell, told) = mpsc::channel();
        let gate = Mutex::new(gate);
        let handler = move |calls: &[Call]| {
            if calls.len() == 1 && calls.iter().any(|call| call.event().name() == "deaf") {
                tell.send(()).unwrap();
                let _ = gate.lock().unwrap().recv();
            }
            Err::<(), _>("as asked")
        };
        let pool = builder(ONE, hook).register_batch("a", handler).build().unwrap();
        pool.pause("a");
        let jobs = ["x", "deaf"].map(|name| submit(&pool, name));
        pool.resume("a");
        told.recv_timeout(LONG).unwrap();
        assert!(!is_cancelled || jobs[0].cancel());
        ends_as(&jobs[1], TimedOut);
        // Its place is gone with the run.
        ends_as(&jobs[0], kind);
        assert!(pool.drain(Duration::ZERO).is_balanced());
        drop(open);
        drain_until_nothing_is_left(&pool);
    }
}

/// The time of the batch is longer than anybody waits here.
#[test]
fn an_event_of_a_batch_that_was_split_has_the_time_of_one() {
    const EVENTS: usize = 200;
    let hook = "timeout = '10ms'\nbatch = { size = 200, linger = '10m', timeout_per_item = '1s' }\n\
                on_batch_failure = 'split'";
    let (open, gate) = mpsc::sync_channel::<()>(0);
    let gate = Mutex::new(gate);
    let handler = move |calls: &[Call]| {
        if calls.len() == 1 {
            let _ = gate.lock().unwrap().recv();
        }
        Err::<(), _>("as asked")
    };
    let pool = builder(ONE, hook).register_batch("a", handler).build().unwrap();
    let jobs: Vec<_> = (0..EVENTS).map(|_| submit(&pool, "x")).collect();
    ends_as(&jobs[0], TimedOut);
    ends_as(&jobs[EVENTS - 1], Failed);
    drop(open);
    drain_until_nothing_is_left(&pool);
}

/// The last of the batch had the handler for itself.
#[test]
fn a_run_after_a_batch_that_was_split_times_out_as_a_whole() {
    let hook = "timeout = '50ms'\nbatch = { size = 2, linger = '10m' }\non_batch_failure = 'split'";
    let (open, gate) = mpsc::sync_channel::<()>(0);
    let gate = Mutex::new(gate);
    let handler = move |calls: &[Call]| {
        if calls.iter().any(|call| call.event().name() == "deaf") {
            let _ = gate.lock().unwrap().recv();
        }
        if calls.len() > 1 { Err("as asked") } else { Ok(()) }
    };
    let pool = builder(ONE, hook).register_batch("a", handler).build().unwrap();
    for (name, kind) in [("x", Succeeded), ("deaf", TimedOut)] {
        let jobs = [submit(&pool, name), submit(&pool, name)];
        for job in &jobs {
            ends_as(job, kind);
        }
    }
    drop(open);
    drain_until_nothing_is_left(&pool);
}

#[test]
fn closures_that_return_at_their_deadline_have_one_outcome_each() {
    const JOBS: u64 = if cfg!(miri) { 20 } else { 500 };
    let told = Arc::new(Mutex::new(Vec::new()));
    let note = Arc::clone(&told);
    let pool = builder("workers = 4, standby = 0, max_overrun = 2", "timeout = '2ms'\nmax_wait = 'off'")
        .register("a", |call: &Call| std::thread::park_timeout(call.remaining()))
        .on_outcome(move |outcome| note.lock().unwrap().push(outcome.job.0))
        .build()
        .unwrap();
    let jobs: Vec<_> = (0..JOBS).map(|_| submit(&pool, "x")).collect();
    for job in &jobs {
        let outcome = job.wait(LONG).unwrap();
        assert!(matches!(outcome.kind, Succeeded | TimedOut));
        // What follows one whose time is over has all of its own.
        let had_its_time = outcome.run.is_some_and(|run| run >= Duration::from_millis(2));
        assert!(outcome.kind == Succeeded || had_its_time, "{outcome} after {:?}", outcome.run);
    }
    drain_until_nothing_is_left(&pool);
    let mut told = told.lock().unwrap().clone();
    told.sort_unstable();
    assert_eq!(told, (1..=JOBS).collect::<Vec<_>>());
}

/// The worker goes on with the same token, unless that has been used.
#[test]
fn what_comes_after_a_closure_that_returns_at_its_deadline_is_not_stopped_in_its_place() {
    const ROUNDS: usize = if cfg!(miri) { 1 } else { 4 };
    const JOBS: usize = if cfg!(miri) { 10 } else { 500 };
    let late = |call: &Call| {
        // The watchdog takes some microseconds to wake up: now before it has taken the job, now after it.
        let until = call.deadline() + Duration::from_micros(call.job().0 % 40 * 4);
        while Instant::now() < until {
            std::hint::spin_loop();
        }
    };
    let pool = builder(ONE, "timeout = '1ms'\nmax_wait = 'off'").register("a", late).build().unwrap();
    for _ in 0..ROUNDS {
        let jobs: Vec<_> = (0..JOBS).map(|_| submit(&pool, "x")).collect();
        for job in &jobs {
            let outcome = job.wait(LONG).expect("it ends");
            assert!(matches!(outcome.kind, Succeeded | TimedOut), "{outcome}");
        }
    }
    drain_until_nothing_is_left(&pool);
}

#[test]
fn a_pool_may_be_drained_in_a_closure_and_another_one_is_drained_for_good() {
    let held: Arc<Mutex<Option<HookPool>>> = Arc::default();
    let own = Arc::clone(&held);
    let handler = move |_: &Call| {
        let pool = own.lock().unwrap().take().unwrap();
        assert_eq!(pool.drain(Duration::MAX).snapshot.total.running(), 1);
        let inner = builder(ONE, "timeout = '1m'").register("a", |_: &Call| ()).build().unwrap();
        submit(&inner, "x");
        assert_eq!(inner.drain(LONG).snapshot.total.outcome(Succeeded), 1);
    };
    let pool = builder(ONE, "timeout = '1m'").register("a", handler).build().unwrap();
    *held.lock().unwrap() = Some(pool.clone());
    ends_as(&submit(&pool, "x"), Succeeded);
    assert_eq!(pool.submit(event(r#"{"event":"x"}"#)).refused().count(), 1, "it is closed");
    drain_until_nothing_is_left(&pool);
}

#[test]
fn only_a_pool_with_handlers_in_rust_has_a_watchdog() {
    let has_one = |pool: &HookPool| pool.inner.end.watchdog.lock().unwrap().is_some();
    assert!(!has_one(&pool("[hook.a]\non = ['*']\nrun = 'true'\n")));
    assert!(has_one(&builder(ONE, "").register("a", |_: &Call| ()).build().unwrap()));
}

#[test]
fn an_overdue_flight_that_has_landed_takes_nobody_elses_deadline_away() {
    let toml = format!(
        "pool = {{ {ONE}, max_overrun = 0 }}\n[hook.a]\non = ['*']\norder = 'none'\ntimeout = '20ms'\n"
    );
    let (open, gate) = mpsc::sync_channel(0);
    let (tell, told) = mpsc::channel();
    let (gate, told) = (Mutex::new(gate), Mutex::new(told));
    let deaf = move |call: &Call| {
        let _ = tell.send(call.event().name().to_owned());
        // An error: the test is over.
        let _ = gate.lock().unwrap().recv();
    };
    let opener = open.clone();
    // While this is told of the first timeout, its closure returns and the next one begins.
    let observer = move |outcome: &Outcome| {
        if outcome.event.name() == "first" {
            let told = told.lock().unwrap();
            assert_eq!(told.recv_timeout(LONG).unwrap(), "first");
            opener.send(()).unwrap();
            assert_eq!(told.recv_timeout(LONG).unwrap(), "second");
        }
    };
    let config = Config::from_toml(&toml).unwrap();
    let pool = HookPool::builder().config(config).register("a", deaf).on_outcome(observer).build().unwrap();
    let jobs = ["first", "second"].map(|name| submit(&pool, name));
    for job in &jobs {
        ends_as(job, TimedOut);
    }
    open.send(()).unwrap();
    drain_until_nothing_is_left(&pool);
}
