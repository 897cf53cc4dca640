//! What a job holds is let go when it has ended, though its memory is kept.

use std::time::Instant;

use super::*;
use crate::handler::Call;

/// The workers go on meanwhile, and let go only after they have told.
fn await_one_reference(references: impl Fn() -> usize) {
    let begun = Instant::now();
    while references() > 1 {
        assert!(begun.elapsed() < LONG, "{} references", references());
        std::thread::yield_now();
    }
}

/// Two hooks for one event: the second job refers to the first one, which keeps the account of its bytes.
#[test]
fn a_job_that_has_ended_holds_neither_its_event_nor_its_outcome() {
    let hooks = "[hook.a]\non = ['*']\n[hook.b]\non = ['*']\n";
    let pool = HookPool::builder()
        .config(Config::from_toml(hooks).unwrap())
        .register("a", |_: &Call| ())
        .register("b", |_: &Call| ())
        .build()
        .unwrap();
    let mut outcomes = pool.outcomes(10);
    let event = event(r#"{"event": "x"}"#);
    drop(pool.submit(event.clone()));
    let ended: Vec<_> = (0..2).map(|_| outcomes.next_within(LONG).unwrap()).collect();
    for outcome in &ended {
        await_one_reference(|| Arc::strong_count(outcome));
    }
    drop(ended);
    // The workers have their spares still: the pool has not been drained.
    await_one_reference(|| event.references());
    assert!(pool.drain(LONG).is_balanced());
}
