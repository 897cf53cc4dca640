//! Why a job waited, in a real pool: each cause, held for a known time, is found in the outcome.

use std::sync::{Mutex, mpsc};
use std::time::Instant;

use super::cancel::until;
use super::*;
use crate::handler::Call;
use crate::outcome::{Outcome, WaitCause, WaitSplit};

const HOOKS: &str = "
    pool = { workers = 1, standby = 0 }
    defaults.timeout = '10m'
    [hook.hold]
    on = ['hold']
    priority = 'low'
    max_concurrency = 1
    [hook.plain]
    on = ['plain']
    [hook.least]
    on = ['least']
    priority = 'low'
    [hook.paused]
    on = ['paused']
    [hook.batch]
    on = ['batch']
    priority = 'critical'
    batch = { size = 10, linger = '10m' }
    [hook.unused]
    on = ['unused']
";

#[test]
fn each_cause_is_told_and_the_parts_make_up_the_wait() {
    let (release, gate) = mpsc::channel::<()>();
    let gate = Mutex::new(gate);
    let mut builder = HookPool::builder().config(Config::from_toml(HOOKS).unwrap());
    builder = builder.register("hold", move |_: &Call| {
        // The first one waits until it is let go; those after it do not.
        let _ = gate.lock().unwrap().recv();
    });
    for name in ["plain", "least", "paused", "unused"] {
        builder = builder.register(name, |_: &Call| ());
    }
    let pool = builder.register_batch("batch", |calls: &[Call]| calls.iter().map(|_| ()).collect::<Vec<_>>());
    let pool = pool.build().unwrap();
    let submit = |name: &str, session: &str| {
        let json = format!(r#"{{"event":"{name}","session_id":"{session}"}}"#);
        pool.submit(event(&json)).admitted().next().unwrap().clone()
    };
    pool.pause("paused");
    let first = submit("hold", "a");
    until(|| pool.status().total.running() == 1);
    let expected = [
        (submit("hold", "a"), WaitCause::Chain),
        (submit("hold", "b"), WaitCause::Limit),
        (submit("plain", "a"), WaitCause::NoSeat),
        (submit("least", "a"), WaitCause::MoreImportant),
        (submit("paused", "a"), WaitCause::Paused),
        (submit("batch", "a"), WaitCause::Linger),
    ];
    let cancelled = submit("paused", "b");
    // The pool looks at what came.
    pool.pause("unused");
    let begun = Instant::now();
    until(|| begun.elapsed() > Duration::from_millis(20));
    assert!(cancelled.cancel());
    let held = begun.elapsed();
    drop(release);
    pool.resume("paused");
    let ledger = pool.drain(LONG);
    assert!(ledger.is_balanced());
    let mut sum = WaitSplit::default();
    let mut check = |handle: &JobHandle| -> Arc<Outcome> {
        let outcome = handle.wait(LONG).unwrap();
        assert_eq!(outcome.wait, outcome.waited_for.total(), "{outcome}");
        sum += &outcome.waited_for;
        outcome
    };
    check(&first);
    for (handle, cause) in &expected {
        let waited = check(handle).waited_for;
        assert!(waited.of(*cause) >= held, "{cause} for {held:?}: {waited}");
    }
    let cancelled = check(&cancelled);
    assert_eq!(cancelled.kind, OutcomeKind::Cancelled);
    assert!(
        cancelled.waited_for.of(WaitCause::Paused) >= Duration::from_millis(20),
        "{}",
        cancelled.waited_for
    );
    assert_eq!(ledger.snapshot.total.waited_for(), sum, "the counters have the same");
    let low = ledger.snapshot.classes[PriorityClass::Low].waited_for();
    assert!(low.of(WaitCause::MoreImportant) >= held && low.of(WaitCause::Linger).is_zero());
}

/// Nobody looks at what comes while the only worker runs something.
#[test]
fn a_job_that_nobody_has_looked_at_yet_waits_for_a_seat_and_not_for_a_worker_to_wake() {
    let (release, gate) = mpsc::channel::<()>();
    let gate = Mutex::new(gate);
    let pool = HookPool::builder().config(Config::from_toml(HOOKS).unwrap());
    let pool = pool.register("hold", move |_: &Call| {
        let _ = gate.lock().unwrap().recv();
    });
    let pool = ["plain", "least", "paused", "unused"]
        .iter()
        .fold(pool, |pool, name| pool.register(*name, |_: &Call| ()));
    let pool = pool.register_batch("batch", |calls: &[Call]| calls.iter().map(|_| ()).collect::<Vec<_>>());
    let pool = pool.build().unwrap();
    let submit = |json: &str| pool.submit(event(json)).admitted().next().unwrap().clone();
    submit(r#"{"event":"hold"}"#);
    until(|| pool.status().total.running() == 1);
    let (plain, begun) = (submit(r#"{"event":"plain"}"#), Instant::now());
    until(|| begun.elapsed() > Duration::from_millis(20));
    let held = begun.elapsed();
    drop(release);
    let waited = plain.wait(LONG).unwrap().waited_for;
    assert!(waited.of(WaitCause::NoSeat) >= held, "{held:?}: {waited}");
    assert!(pool.drain(LONG).is_balanced());
}

/// From its admission, and not from when the pool began.
#[test]
fn a_job_that_leaves_the_queue_has_waited_since_it_came() {
    let config = Config::from_toml("[hook.a]\non = ['*']").unwrap();
    let pool = HookPool::builder().config(config).register("a", |_: &Call| ()).build().unwrap();
    pool.pause("a");
    let before = Instant::now();
    let job = pool.submit(event(r#"{"event":"x"}"#)).admitted().next().unwrap().clone();
    assert!(job.cancel());
    let outcome = job.wait(LONG).unwrap();
    assert!(outcome.wait <= before.elapsed(), "{:?}", outcome.wait);
    assert!(pool.drain(LONG).is_balanced());
}
