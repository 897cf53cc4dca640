//! Subscriptions to outcomes: complete where there is room, bounded where there is none, and with an end.

use super::*;
use crate::handler::Call;

fn quick() -> HookPool {
    let toml = "[hook.a]\non = ['*']\nmax_wait = 'off'\ntimeout = '10m'\n";
    let config = Config::from_toml(toml).unwrap();
    HookPool::builder().config(config).register("a", |_: &Call| ()).build().unwrap()
}

fn submit(pool: &HookPool, n: usize) {
    for _ in 0..n {
        assert_eq!(pool.submit(event(r#"{"event":"x","session_id":"s"}"#)).admitted().count(), 1);
    }
}

fn jobs(outcomes: impl Iterator<Item = Arc<Outcome>>) -> Vec<u64> {
    outcomes.map(|outcome| outcome.job.0).collect()
}

#[test]
fn a_subscription_gets_every_outcome_in_order_and_ends_with_the_pool() {
    let pool = quick();
    let (mut first, mut second) = (pool.outcomes(100), pool.outcomes(100));
    assert!(first.try_next().is_none() && first.next_within(Duration::ZERO).is_none());
    submit(&pool, 50);
    assert_eq!(first.next().unwrap().job.0, 1);
    assert_eq!(second.next_within(Duration::MAX).unwrap().job.0, 1);
    let reader = std::thread::spawn(move || (jobs(first.by_ref()), first.lost()));
    drop(second);
    assert!(pool.drain(LONG).is_balanced());
    assert_eq!(reader.join().unwrap(), ((2..=50).collect(), 0));
    assert!(jobs(pool.outcomes(1)).is_empty(), "it came too late");
}

#[test]
fn a_reader_that_does_not_read_loses_outcomes_and_holds_nobody_up() {
    let pool = quick();
    let (mut slow, all) = (pool.outcomes(0), pool.outcomes(usize::MAX));
    submit(&pool, 50);
    let ledger = pool.drain(LONG);
    assert!(ledger.is_balanced());
    assert_eq!(ledger.snapshot.total.outcome(OutcomeKind::Succeeded), 50);
    assert_eq!((slow.lost(), all.lost()), (49, 0));
    assert_eq!((jobs(slow.by_ref()), jobs(all)), (vec![1], (1..=50).collect()));
}
