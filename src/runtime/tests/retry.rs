//! Jobs that are tried again: what they leave visible, and how they end otherwise.

use super::cancel::until;
use super::*;
use crate::outcome::Answer;

const FAILS: &str = "[hook.a]\non = ['*']\nrun = 'exit 1'\n";

fn submit(pool: &HookPool) -> JobHandle {
    pool.submit(event(r#"{"type":"x"}"#)).admitted().next().unwrap().clone()
}

/// A pool whose only job has failed once and waits an hour for its retry.
fn waiting() -> (HookPool, JobHandle) {
    let pool = pool(&format!("{FAILS}retry = {{ backoff = '1h' }}\n"));
    let handle = submit(&pool);
    until(|| pool.status().total.retries() == 1 && pool.queue_size() == 1);
    (pool, handle)
}

#[test]
fn a_job_that_waits_for_its_retry_counts_as_queued_and_can_be_cancelled() {
    let (pool, handle) = waiting();
    let total = pool.status().total;
    assert_eq!((total.queued(), total.running(), total.resolved()), (1, 0, 0));
    assert!(handle.cancel());
    let outcome = handle.wait(LONG).unwrap();
    assert_eq!((outcome.kind, outcome.attempts.len()), (OutcomeKind::Cancelled, 1));
    assert!(pool.drain(LONG).is_balanced());
}

#[test]
fn a_retry_beyond_the_deadline_of_a_drain_is_abandoned_and_names_its_last_attempt() {
    let (pool, handle) = waiting();
    let ledger = pool.drain(Duration::ZERO);
    assert!(ledger.is_balanced(), "{ledger:?}");
    let outcome = handle.outcome().unwrap();
    assert_eq!(outcome.kind, OutcomeKind::Abandoned);
    assert!(outcome.reason.ends_with("attempt 1 failed: exit status 1"), "{}", outcome.reason);
}

#[test]
fn a_drain_waits_for_retries_and_the_outcome_has_every_attempt() {
    let pool = pool(&format!("{FAILS}retry = {{ attempts = 3, backoff = '5ms' }}\n"));
    let handle = submit(&pool);
    let ledger = pool.drain(LONG);
    assert!(ledger.is_balanced());
    let total = &ledger.snapshot.total;
    assert_eq!((total.outcome(OutcomeKind::Failed), total.retries()), (1, 2));
    assert_eq!((total.wait().unwrap().samples, total.run().unwrap().samples), (1, 3));
    let outcome = handle.outcome().unwrap();
    assert_eq!((outcome.kind, outcome.attempts.len()), (OutcomeKind::Failed, 2));
    for attempt in &outcome.attempts {
        assert_eq!((attempt.kind, attempt.reason.as_str()), (OutcomeKind::Failed, "exit status 1"));
        assert!(attempt.run.is_some());
    }
}

#[test]
fn the_members_of_a_batch_are_tried_again_one_by_one_and_may_meet_again() {
    let config = "pool = { workers = 1, standby = 0 }\n[hook.a]\non = ['*']\n\
                  batch = { size = 4, linger = '0s' }\nretry = { attempts = 2, backoff = '0s' }\n";
    let config = Config::from_toml(config).unwrap();
    let pool = HookPool::builder().config(config).register_batch("a", |calls: &[crate::Call]| {
        // Half of them fail, at their first attempt.
        let fails = |call: &crate::Call| call.attempt() == 1 && call.event().name() == "odd";
        let answer = |call| if fails(call) { Answer::failed("odd") } else { Answer::ok() };
        calls.iter().map(answer).collect::<Vec<_>>()
    });
    let pool = pool.build().unwrap();
    pool.pause("a");
    for n in 0..8 {
        let kind = if n % 2 == 0 { "even" } else { "odd" };
        pool.submit(event(&format!(r#"{{"type":"{kind}"}}"#)));
    }
    pool.resume("a");
    let ledger = pool.drain(LONG);
    assert!(ledger.is_balanced(), "{ledger:?}");
    let total = &ledger.snapshot.total;
    assert_eq!((total.outcome(OutcomeKind::Succeeded), total.retries()), (8, 4));
}

#[test]
fn waits_double_up_to_a_minute_unless_a_longer_one_was_asked_for() {
    let config = |retry: &str| Config::from_toml(&format!("{FAILS}{retry}")).unwrap();
    let waits = |retry: &str| {
        let policy = config(retry).hooks[0].retry.unwrap();
        (1..)
            .map_while(move |attempt| policy.wait_after(attempt))
            .map(|wait| wait.as_secs())
            .collect::<Vec<_>>()
    };
    assert_eq!(config("").hooks[0].retry, None);
    assert_eq!(config("retry = {}").hooks[0].retry, None, "an empty table says nothing, as everywhere");
    assert_eq!(waits("retry = { on = ['failed'] }"), [1, 2]);
    assert_eq!(waits("retry = { attempts = 9 }"), [1, 2, 4, 8, 16, 32, 60, 60]);
    assert_eq!(waits("retry = { backoff = '2m' }"), [120, 120]);
    assert_eq!(waits("retry = { attempts = 1 }"), Vec::<u64>::new());
    assert_eq!(
        config("retry = { attempts = 100 }").hooks[0].retry.unwrap().wait_after(99).unwrap().as_secs(),
        60
    );
}
