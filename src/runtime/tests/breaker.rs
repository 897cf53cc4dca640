//! Breakers with real jobs: what they turn away, who probes, and that no dispatch keeps one half-open.

use std::sync::mpsc;

use super::cancel::until;
use super::*;
use crate::breaker::BreakerState;
use crate::handler::Call;
use crate::outcome::Answer;

const NAME: &str = "a";

/// One worker, and a handler in Rust that says what `answer` says.
fn pool_of(keys: &str, answer: impl Fn(&Call) -> Answer + Send + Sync + 'static) -> HookPool {
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
    let pool = pool_of(OPENS_BRIEFLY, move |call: &Call| {
        if call.event().name() == "gate" {
            // An error: the test is over.
            let _ = gate.lock().unwrap().recv();
            return if call.is_cancelled() { Answer::failed("cancelled") } else { Answer::ok() };
        }
        by_name(call)
    });
    assert_eq!(ended(submit(&pool, "bad")).kind, OutcomeKind::Failed);
    until(|| breaker(&pool).state == BreakerState::HalfOpen);
    let probe = submit(&pool, "gate").expect("the cool-down is over");
    until(|| pool.status().total.running() == 1);
    assert!(submit(&pool, "good").is_none(), "there is a probe");
    assert!(probe.cancel());
    open.send(()).unwrap();
    assert_eq!(probe.wait(LONG).unwrap().kind, OutcomeKind::Cancelled);
    until(|| pool.status().total.running() == 0);
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
