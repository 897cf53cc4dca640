//! Handles and workers that meet: whatever is done with a handle, and whenever, its job has exactly one outcome.

use std::sync::{Mutex, mpsc};

use super::*;
use crate::config::ConfigLoader;
use crate::handler::Call;
use crate::outcome::Outcome;

/// One thread submits; another one at once drops, cancels or waits, while workers start, fail, try again and resolve.
#[test]
fn a_job_has_one_outcome_whatever_its_handle_goes_through_meanwhile() {
    const JOBS: u64 = if cfg!(miri) { 24 } else { 4_000 };
    let toml = "queue.capacity = 10_000\npool = { workers = 2, standby = 0 }\n[hook.a]\non = ['*']\norder = 'none'\n\
                timeout = '10m'\nmax_wait = 'off'\nretry = { attempts = 2, backoff = '0s' }\n";
    // A folder that is named is not asked for: Miri has none to tell.
    let loader = ConfigLoader::new().text("hooks.toml", toml).working_dir("/").registered_handlers(true);
    let (tell, told) = mpsc::channel();
    let tell = Mutex::new(tell);
    let pool = HookPool::builder()
        .config(loader.load().unwrap().config)
        .register("a", |call: &Call| {
            let fails = call.event().name() == "flaky" && call.attempt() == 1;
            if fails { Err("at first") } else { Ok(()) }
        })
        .on_outcome(move |outcome: &Outcome| {
            tell.lock().unwrap().send((outcome.job.0, outcome.kind)).unwrap();
        })
        .build()
        .unwrap();
    let (hand_over, given) = mpsc::sync_channel::<JobHandle>(2);
    let mut kept = None;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let hand_over = hand_over;
            for n in 0..JOBS {
                let name = if n % 2 == 0 { "steady" } else { "flaky" };
                let submission = pool.submit(event(&format!(r#"{{"event":"{name}"}}"#)));
                hand_over.send(submission.admitted().next().unwrap().clone()).unwrap();
            }
        });
        // Taken along: if this fails, the other thread is not left with nobody to hand over to.
        for (n, handle) in given.into_iter().enumerate() {
            match n / 2 % 4 {
                0 => drop(handle),
                1 => {
                    assert!(handle.cancel() || handle.outcome().is_some(), "else it would run");
                }
                2 => {
                    let waiter = handle.clone();
                    let waiting = scope.spawn(move || waiter.wait(LONG).unwrap());
                    handle.cancel();
                    let outcome = waiting.join().unwrap();
                    assert_eq!(handle.outcome().unwrap().kind, outcome.kind);
                    assert!(!handle.cancel(), "it has its outcome");
                }
                _ => {
                    assert_eq!(
                        handle.wait(LONG).unwrap().kind,
                        OutcomeKind::Succeeded,
                        "nobody cancelled it"
                    );
                    kept = Some(handle);
                }
            }
        }
    });
    let ledger = pool.drain(LONG);
    assert!(ledger.is_balanced(), "{ledger:?}");
    drop(pool);
    let kept = kept.unwrap();
    assert!(!kept.cancel() && kept.outcome().is_some(), "a handle outlives its pool");
    let mut told: Vec<_> = told.iter().collect();
    told.sort_unstable_by_key(|(job, _)| *job);
    assert!(told.iter().map(|(job, _)| *job).eq(1..=JOBS), "each once: {told:?}");
    for (job, kind) in told {
        let (n, was_cancelled) = (job - 1, matches!((job - 1) / 2 % 4, 1 | 2));
        // A first attempt that fails by itself just before the cancellation is the last one.
        let may_fail = was_cancelled && n % 2 == 1;
        assert!(
            match kind {
                OutcomeKind::Succeeded => true,
                OutcomeKind::Cancelled => was_cancelled,
                OutcomeKind::Failed => may_fail,
                _ => false,
            },
            "job {job} ended as {kind}"
        );
    }
}
