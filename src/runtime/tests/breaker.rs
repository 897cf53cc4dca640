//! Breakers with real jobs: what they turn away, who probes, and that no dispatch keeps one half-open.

use std::fmt::Write;
use std::sync::mpsc;
use std::time::Instant;

use super::cancel::until;
use super::*;
use crate::breaker::BreakerState;
use crate::handler::{Call, EventHandler};
use crate::outcome::Answer;

const NAME: &str = "a";

/// One worker, and a handler in Rust that says what `answer` says.
fn pool_of(keys: &str, answer: impl EventHandler) -> HookPool {
    let toml =
        format!("pool = {{ workers = 1, standby = 0 }}\n[hook.a]\non = ['*']\norder = 'none'\n{keys}\n");
    let config = Config::from_toml(&toml).unwrap_or_else(|error| panic!("{error}"));
    HookPool::builder().config(config).register(NAME, answer).build().unwrap()
}

fn by_name(call: &Call) -> Answer {
    if call.event().name() == "bad" { Answer::failed("bad") } else { Answer::ok() }
}

const OPENS: &str = "breaker = { failures = 1, cooldown = '1h', max_cooldown = '1h' }";
const OPENS_BRIEFLY: &str = "breaker = { failures = 1, cooldown = '1ms', max_cooldown = '1ms' }";

fn submit(pool: &HookPool, name: &str) -> Option<JobHandle> {
    let submission = pool.submit(event(&format!(r#"{{"event":"{name}"}}"#)));
    submission.admitted().next().cloned()
}

fn ended(handle: Option<JobHandle>) -> Arc<Outcome> {
    handle.expect("it is admitted").wait(LONG).expect("it ends")
}

fn breaker(pool: &HookPool) -> crate::BreakerStatus {
    pool.status().hooks[0].breaker.unwrap()
}

#[test]
fn what_waits_when_it_opens_is_not_started_and_what_comes_is_skipped_until_it_is_reset() {
    let pool = pool_of(OPENS, by_name);
    pool.pause(NAME);
    let (bad, good) = (submit(&pool, "bad"), submit(&pool, "good"));
    pool.resume(NAME);
    assert_eq!(ended(bad).kind, OutcomeKind::Failed);
    let outcome = ended(good);
    assert_eq!(outcome.kind, OutcomeKind::NotStarted);
    assert_eq!(outcome.reason, "the hook's breaker opened while it waited: a failure, the last: bad");
    assert_eq!(outcome.run, None);
    assert!(submit(&pool, "good").is_none());
    let event = event(r#"{"event":"good"}"#);
    assert_eq!(pool.preview(&event)[0].skip, Some(Skip::BreakerOpen));
    let status = breaker(&pool);
    assert_eq!((status.state, status.opened, status.failures_in_a_row), (BreakerState::Open, 1, 1));
    assert!(status.cooldown_left.unwrap() > Duration::from_mins(50));
    assert!(!pool.reset_breaker("b"));
    assert!(pool.reset_breaker(NAME));
    assert_eq!(pool.preview(&event)[0].skip, None);
    assert_eq!(ended(submit(&pool, "good")).kind, OutcomeKind::Succeeded);
    let ledger = pool.drain(LONG);
    assert!(ledger.is_balanced(), "{ledger:?}");
    assert_eq!(ledger.snapshot.total.skipped(Skip::BreakerOpen), 1);
}

#[test]
fn a_probe_that_is_cancelled_makes_way_for_the_next() {
    let (open, gate) = mpsc::sync_channel::<()>(0);
    let gate = Mutex::new(gate);
    let (begun, begins) = mpsc::channel();
    let pool = pool_of(OPENS_BRIEFLY, move |call: &Call| {
        if call.event().name() == "gate" {
            // An error: the test is over.
            let _ = (begun.send(()), gate.lock().unwrap().recv());
            return if call.is_cancelled() { Answer::failed("cancelled") } else { Answer::ok() };
        }
        by_name(call)
    });
    assert_eq!(ended(submit(&pool, "bad")).kind, OutcomeKind::Failed);
    until(|| breaker(&pool).state == BreakerState::HalfOpen);
    let probe = submit(&pool, "gate").expect("the cool-down is over");
    begins.recv().unwrap();
    assert!(submit(&pool, "good").is_none(), "there is a probe");
    assert!(probe.cancel());
    open.send(()).unwrap();
    assert_eq!(probe.wait(LONG).unwrap().kind, OutcomeKind::Cancelled);
    until(|| pool.status().total.running() == 0);
    assert_eq!((breaker(&pool).state, breaker(&pool).opened), (BreakerState::HalfOpen, 1), "it says nothing");
    // The dispatch is over a moment after its job has its outcome.
    let next = std::cell::RefCell::new(None);
    until(|| {
        next.replace(submit(&pool, "good"));
        next.borrow().is_some()
    });
    assert_eq!(ended(next.take()).kind, OutcomeKind::Succeeded);
    assert_eq!(breaker(&pool).state, BreakerState::Closed);
    assert!(pool.drain(LONG).is_balanced());
}

#[test]
fn a_closure_beyond_its_time_is_a_failure_and_a_panic_is_one() {
    let (open, gate) = mpsc::sync_channel::<()>(0);
    let gate = Mutex::new(gate);
    let keys = "timeout = '2s'\nbreaker = { failures = 2, cooldown = '1h', max_cooldown = '1h' }";
    let pool = pool_of(keys, move |call: &Call| {
        if call.event().name() == "deaf" {
            let _ = gate.lock().unwrap().recv();
            return Answer::ok();
        }
        panic!("as told")
    });
    assert_eq!(ended(submit(&pool, "deaf")).kind, OutcomeKind::TimedOut);
    assert_eq!(breaker(&pool).failures_in_a_row, 1);
    assert_eq!(ended(submit(&pool, "panics")).kind, OutcomeKind::Panicked);
    open.send(()).unwrap();
    until(|| pool.drain(LONG).leaked == 0);
    let status = breaker(&pool);
    assert_eq!((status.state, status.failures_in_a_row), (BreakerState::Open, 2), "late words are not heard");
}

#[test]
fn each_way_to_fail_counts_and_a_handler_that_says_no_works() {
    for (keys, kind) in [
        ("run = 'exit 1'", OutcomeKind::Failed),
        ("run = 'sleep 60'\ntimeout = '1ms'", OutcomeKind::TimedOut),
        ("run = ['./no-such-program']", OutcomeKind::NotStarted),
    ] {
        let pool = pool(&format!("[hook.a]\non = ['*']\n{keys}\n{OPENS}\n"));
        assert_eq!(ended(submit(&pool, "x")).kind, kind);
        assert_eq!(breaker(&pool).state, BreakerState::Open, "{keys}");
    }
    let exits = "[hook.a]\non = ['*']\nrun = 'exit ${HOOKPOOL_EVENT#status}'\nbreaker.failures = 2\n";
    let pool = pool(exits);
    for (event, failures) in [("status1", 1), ("status2", 0), ("status1", 1)] {
        assert_eq!(ended(submit(&pool, event)).kind, OutcomeKind::Failed);
        assert_eq!((breaker(&pool).failures_in_a_row, breaker(&pool).opened), (failures, 0), "{event}");
    }
}

#[test]
fn a_cool_down_begins_with_the_failure() {
    let timeout = Duration::from_millis(200);
    let pool = pool_of(&format!("timeout = '200ms'\n{OPENS}"), |call: &Call| {
        while call.event().name() == "deaf" && !call.is_cancelled() {
            std::thread::yield_now();
        }
        by_name(call)
    });
    for (event, after) in [("bad", Duration::ZERO), ("deaf", timeout)] {
        let begun = Instant::now();
        ended(submit(&pool, event));
        let left = breaker(&pool).cooldown_left.unwrap();
        assert!(left + begun.elapsed() >= Duration::from_hours(1) + after, "{event}: {left:?}");
        pool.reset_breaker(NAME);
    }
    until(|| pool.drain(LONG).leaked == 0);
}

#[test]
fn a_batch_is_turned_away_as_a_whole_but_for_who_is_cancelled_meanwhile() {
    let (begun, begins) = mpsc::channel();
    let (open, gate) = mpsc::sync_channel::<()>(0);
    let (gate, jobs) = (Mutex::new(gate), Arc::new(Mutex::new(Vec::<JobHandle>::new())));
    let config = format!(
        "pool = {{ workers = 1, standby = 0 }}\n[hook.a]\non = ['*']\norder = 'none'\n\
         batch = {{ size = 3, linger = 0 }}\ntimeout = '1m'\n{OPENS}\n"
    );
    let handler = move |calls: &[Call]| {
        if calls.iter().any(|call| call.event().name() == "gate") {
            let _ = (begun.send(()), gate.lock().unwrap().recv());
            return Ok(());
        }
        Err("bad")
    };
    let seen = Arc::clone(&jobs);
    let observer = move |outcome: &Outcome| {
        if outcome.kind == OutcomeKind::NotStarted {
            // The last one has been picked with this one.
            seen.lock().unwrap().last().map(JobHandle::cancel);
        }
    };
    let config = Config::from_toml(&config).unwrap();
    let pool = HookPool::builder().config(config).register_batch(NAME, handler).on_outcome(observer);
    let pool = pool.build().unwrap();
    pool.pause(NAME);
    jobs.lock().unwrap().extend((0..6).map(|_| submit(&pool, "x").unwrap()));
    pool.resume(NAME);
    let all = jobs.lock().unwrap().clone();
    let kinds: Vec<_> = all.into_iter().map(|job| ended(Some(job)).kind).collect();
    let (bad, away) = (OutcomeKind::Failed, OutcomeKind::NotStarted);
    assert_eq!(kinds, [bad, bad, bad, away, away, OutcomeKind::Cancelled]);
    // Those that never ran are not among those that run.
    pool.reset_breaker(NAME);
    let last = submit(&pool, "gate");
    begins.recv().unwrap();
    assert_eq!(pool.status().total.running(), 1);
    open.send(()).unwrap();
    assert_eq!(ended(last).kind, OutcomeKind::Succeeded);
    assert!(pool.drain(LONG).is_balanced());
}

/// Two run when the hook is paused. The first one fails and waits for its retry; the second one opens the breaker.
#[test]
fn a_job_that_waits_for_its_retry_when_it_opens_ends_as_its_last_attempt() {
    let (gates, gate): (Vec<_>, Vec<_>) = (0..2).map(|_| mpsc::sync_channel::<()>(0)).unzip();
    let gate = gate.into_iter().map(Mutex::new).collect::<Vec<_>>();
    let (begun, begins) = mpsc::channel();
    let config = "pool = { workers = 2, standby = 0 }\n[hook.a]\non = ['*']\norder = 'none'\n\
                  retry = { attempts = 3, backoff = '1ms' }\nbreaker = { failures = 2, cooldown = '1h', max_cooldown = '1h' }\n";
    let handler = move |call: &Call| {
        let which: usize = call.event().name().parse().unwrap();
        let _ = (begun.send(()), gate[which].lock().unwrap().recv());
        Answer::failed(format!("bad {which}"))
    };
    let config = Config::from_toml(config).unwrap();
    let pool = HookPool::builder().config(config).register(NAME, handler).build().unwrap();
    let (first, second) = (submit(&pool, "0"), submit(&pool, "1"));
    for _ in 0..2 {
        begins.recv().unwrap();
    }
    pool.pause(NAME);
    gates[0].send(()).unwrap();
    until(|| pool.status().total.retries() == 1);
    gates[1].send(()).unwrap();
    assert_eq!(ended(second).reason, "bad 1");
    pool.resume(NAME);
    let outcome = ended(first);
    assert_eq!((outcome.kind, outcome.reason.as_str()), (OutcomeKind::Failed, "bad 0"));
    let ledger = pool.drain(LONG);
    assert!(ledger.is_balanced(), "{ledger:?}");
    assert_eq!(ledger.snapshot.total.retries(), 1);
}

#[test]
fn a_breaker_that_has_closed_lets_jobs_be_tried_again_and_is_the_last_reason_to_skip() {
    let pool = pool_of(
        "retry = { attempts = 2, backoff = '1ms' }\nbreaker = { failures = 2, cooldown = '1h', max_cooldown = '1h' }",
        by_name,
    );
    for _ in 0..2 {
        assert_eq!(ended(submit(&pool, "bad")).attempts.len(), 1);
        assert_eq!(breaker(&pool).state, BreakerState::Open);
        pool.reset_breaker(NAME);
    }
    assert_eq!(ended(submit(&pool, "bad")).attempts.len(), 1);
    let skip = || pool.preview(&event(r#"{"event":"x"}"#))[0].skip;
    assert_eq!(skip(), Some(Skip::BreakerOpen));
    pool.set("hook.a.enabled", "false").unwrap();
    assert_eq!(skip(), Some(Skip::HookDisabled));
}

#[test]
fn a_closure_that_the_end_of_the_pool_was_too_soon_for_has_not_failed() {
    let (open, gate) = mpsc::sync_channel::<()>(0);
    let gate = Mutex::new(gate);
    let (begun, begins) = mpsc::channel();
    let pool = pool_of(&format!("timeout = '10m'\ngrace = '1ms'\n{OPENS}"), move |_: &Call| {
        let _ = (begun.send(()), gate.lock().unwrap().recv());
    });
    let job = submit(&pool, "x");
    begins.recv().unwrap();
    pool.drain(Duration::ZERO);
    assert_eq!(ended(job).kind, OutcomeKind::TimedOut);
    assert_eq!((breaker(&pool).state, breaker(&pool).failures_in_a_row), (BreakerState::Closed, 0));
    drop(open);
    until(|| pool.drain(LONG).leaked == 0);
}

#[test]
fn a_closure_beyond_its_time_that_opens_it_is_told_in_the_log() {
    let (told, lines) = mpsc::channel();
    // The lines of all threads, also of those that the test cannot reach.
    let hears = Listener(tracing::Level::WARN, move |event: &tracing::Event<'_>| {
        let mut line = String::new();
        event.record(&mut |field: &tracing::field::Field, value: &dyn std::fmt::Debug| {
            let _ = write!(line, "{field}={value:?} ");
        });
        // An error: the test is over.
        let _ = told.send(line);
    });
    tracing::subscriber::set_global_default(hears).unwrap();
    let keys = format!("[hook.deaf_and_told]\non = ['*']\ntimeout = '10ms'\n{OPENS}\n");
    let deaf = |call: &Call| until(|| call.is_cancelled());
    let config = Config::from_toml(&keys).unwrap();
    let pool = HookPool::builder().config(config).register("deaf_and_told", deaf).build().unwrap();
    // A line that another test wrote for the first time at the same moment may have missed who listens.
    tracing::callsite::rebuild_interest_cache();
    assert_eq!(ended(submit(&pool, "x")).kind, OutcomeKind::TimedOut);
    let is_it = |line: &String| line.contains("hook=deaf_and_told ") && line.contains("breaker opened");
    let line =
        std::iter::from_fn(|| lines.try_recv().ok()).find(is_it).expect("it is told before the outcome");
    assert!(line.contains("a failure, the last: it ran longer than its timeout of 10ms"), "{line}");
    until(|| pool.drain(LONG).leaked == 0);
}

#[test]
fn what_the_table_leaves_out() {
    let policy = |keys: &str| {
        let toml = format!("[hook.a]\non = ['*']\nrun = 'true'\n{keys}\n");
        let policy = Config::from_toml(&toml).unwrap().hooks[0].breaker?;
        let seconds = (policy.cooldown.as_secs(), policy.max_cooldown.as_secs());
        Some((policy.failures, policy.rate, seconds))
    };
    assert_eq!(policy(""), None);
    assert_eq!(policy("breaker.failures = 2"), Some((Some(2), None, (30, 600))));
    assert_eq!(policy("breaker.rate = 0.5"), Some((None, Some(0.5), (30, 600))));
    assert_eq!(policy("breaker = { rate = 0.5, failures = 9 }"), Some((Some(9), Some(0.5), (30, 600))));
    assert_eq!(policy("breaker.cooldown = '1h'"), Some((Some(5), None, (3600, 3600))));
    assert_eq!(policy("breaker.max_cooldown = '5s'"), Some((Some(5), None, (5, 5))));
}
