//! Cancelling jobs wherever they are, and killing a whole pool.

use std::sync::mpsc;
use std::sync::{Arc, Mutex, OnceLock};

use super::*;
use crate::outcome::Outcome;

const HOOK: &str =
    "pool = { workers = 1, standby = 0 }\n[hook.a]\non = ['*']\ntimeout = '10m'\ngrace = '10m'\n";

/// A pool with one worker and one hook, and its outcomes as they come.
fn watched(run: &str) -> (HookPool, mpsc::Receiver<(u64, OutcomeKind)>) {
    let (tell, told) = mpsc::channel();
    let config = Config::from_toml(&format!("{HOOK}run = \"{run}\"\n")).unwrap();
    let tell = Mutex::new(tell);
    let observer = move |outcome: &Outcome| {
        let _ = tell.lock().unwrap().send((outcome.job.0, outcome.kind));
    };
    (HookPool::builder().config(config).on_outcome(observer).build().unwrap(), told)
}

fn submit(pool: &HookPool) -> JobHandle {
    pool.submit(event(r#"{"type":"x"}"#)).admitted().next().unwrap().clone()
}

pub(super) fn until(what: impl Fn() -> bool) {
    while !what() {
        std::thread::yield_now();
    }
}

#[test]
fn a_job_that_waits_is_cancelled_and_never_starts_also_in_a_paused_hook() {
    let dir = tempfile::tempdir().unwrap();
    let mark = dir.path().join("ran");
    let (pool, _told) = watched(&format!("touch {}", mark.display()));
    pool.pause("a");
    let handle = submit(&pool);
    assert!(handle.cancel());
    let outcome = handle.wait(LONG).unwrap();
    assert_eq!((outcome.kind, outcome.run), (OutcomeKind::Cancelled, None));
    assert!(!handle.cancel(), "it has its outcome");
    pool.resume("a");
    let ledger = pool.drain(LONG);
    assert!(ledger.is_balanced() && !mark.exists(), "{ledger:?}");
}

#[test]
fn a_job_that_runs_is_asked_to_end_and_then_counts_as_cancelled() {
    let (pool, _told) = watched("sleep 600");
    let handle = submit(&pool);
    until(|| pool.status().total.running() == 1);
    assert!(handle.cancel());
    let outcome = handle.wait(LONG).unwrap();
    assert_eq!(outcome.kind, OutcomeKind::Cancelled, "{outcome}");
    assert!(!handle.cancel());
    assert!(pool.drain(LONG).is_balanced());
}

#[test]
fn a_job_that_has_ended_is_not_cancelled() {
    let (pool, _told) = watched("true");
    let handle = submit(&pool);
    assert_eq!(handle.wait(LONG).unwrap().kind, OutcomeKind::Succeeded);
    assert!(!handle.cancel());
    assert_eq!(handle.outcome().unwrap().kind, OutcomeKind::Succeeded);
}

#[test]
fn a_cancellation_that_races_with_the_start_gives_exactly_one_outcome_and_is_never_lost() {
    let (pool, told) = watched("exec sleep 600");
    for _ in 0..300 {
        let handle = submit(&pool);
        // Whatever the worker has done meanwhile: the handler would go on for minutes, so the job is not over.
        assert!(handle.cancel());
        let outcome = handle.wait(LONG).unwrap();
        assert_eq!(outcome.kind, OutcomeKind::Cancelled, "{outcome}");
        let waited = outcome.reason.contains("while it waited");
        assert!(!(waited && outcome.process.is_some()), "it cannot have waited and run");
    }
    let ledger = pool.drain(LONG);
    assert!(ledger.is_balanced(), "{ledger:?}");
    let mut jobs: Vec<_> = told.try_iter().map(|(job, _)| job).collect();
    jobs.sort_unstable();
    assert_eq!(jobs, (1..=300).collect::<Vec<_>>());
}

#[test]
fn an_observer_may_cancel_its_own_job_in_vain_and_others_with_effect() {
    type Handles = Arc<OnceLock<[JobHandle; 2]>>;
    let (handles, seen): (Handles, _) = (Arc::default(), Arc::new(Mutex::new(Vec::new())));
    let (known, note) = (Arc::clone(&handles), Arc::clone(&seen));
    let config = Config::from_toml(&format!("{HOOK}run = 'true'\n")).unwrap();
    let observer = move |outcome: &Outcome| {
        let [first, second] = known.wait();
        if outcome.job == first.id() {
            let own = (first.cancel(), first.outcome().is_some(), first.wait(LONG).is_some());
            note.lock().unwrap().push((own, second.cancel()));
        }
    };
    let pool = HookPool::builder().config(config).on_outcome(observer).build().unwrap();
    pool.pause("a");
    handles.set([submit(&pool), submit(&pool)]).unwrap();
    pool.resume("a");
    let ledger = pool.drain(LONG);
    assert!(ledger.is_balanced(), "{ledger:?}");
    assert_eq!(*seen.lock().unwrap(), [((false, true, true), true)]);
    let total = ledger.snapshot.total;
    assert_eq!((total.outcome(OutcomeKind::Succeeded), total.outcome(OutcomeKind::Cancelled)), (1, 1));
}

#[test]
fn a_killed_pool_abandons_what_waits_and_gives_no_grace_to_what_runs() {
    let dir = tempfile::tempdir().unwrap();
    let ready = dir.path().join("ready");
    let (pool, _told) =
        watched(&format!("trap '' TERM; touch {}; while :; do sleep 60; done", ready.display()));
    let (running, waiting) = (submit(&pool), submit(&pool));
    until(|| ready.exists());
    assert!(running.cancel(), "it is deaf to that");
    pool.kill();
    assert_eq!(waiting.wait(LONG).unwrap().kind, OutcomeKind::Abandoned);
    assert_eq!(running.wait(LONG).unwrap().kind, OutcomeKind::Cancelled);
    assert!(pool.drain(LONG).is_balanced());
}

/// Cancels a job when the first line of the other hook is written: its first member has been started, the next one not.
fn cancels_next(jobs: Arc<OnceLock<Vec<JobHandle>>>) -> impl tracing::Subscriber + Send + Sync {
    Listener(tracing::Level::DEBUG, move |event: &tracing::Event<'_>| {
        let mut has_started = false;
        event.record(&mut |_: &tracing::field::Field, value: &dyn std::fmt::Debug| {
            has_started |= format!("{value:?}") == "started";
        });
        if let Some(next) = jobs.get().filter(|_| has_started) {
            next[1].cancel();
        }
    })
}

#[test]
fn a_batch_does_not_run_on_for_a_member_that_was_cancelled_before_it_started() {
    let jobs: Arc<OnceLock<Vec<JobHandle>>> = Arc::default();
    let config = format!(
        "{HOOK}run = 'cat > /dev/null; sleep 3600'\nmode = 'lines'\norder = 'none'\n\
         batch = {{ size = 3, linger = 0 }}\n[hook.listens]\non = ['listen']\n"
    );
    let config = config.replace("on = ['*']", "on = ['x']");
    let seen = Arc::clone(&jobs);
    let listens = move |_: &crate::Call| {
        // The worker's own, to its end.
        std::mem::forget(tracing::subscriber::set_default(cancels_next(Arc::clone(&seen))));
    };
    let config = Config::from_toml(&config).unwrap();
    let pool = HookPool::builder().config(config).register("listens", listens).build().unwrap();
    let listen = pool.submit(event(r#"{"type":"listen"}"#)).admitted().next().unwrap().clone();
    assert_eq!(listen.wait(LONG).unwrap().kind, OutcomeKind::Succeeded);
    // A line that another test wrote for the first time at the same moment may have missed who listens.
    tracing::callsite::rebuild_interest_cache();
    pool.pause("a");
    jobs.set((0..3).map(|_| submit(&pool)).collect()).unwrap();
    pool.resume("a");
    let [first, second, third] = [0, 1, 2].map(|at| jobs.get().unwrap()[at].clone());
    assert_eq!(second.wait(LONG).unwrap().reason, "it was stopped before its handler was started");
    assert!(first.cancel() && third.cancel());
    for job in [first, third] {
        assert_eq!(job.wait(LONG).unwrap().kind, OutcomeKind::Cancelled);
    }
    assert!(pool.drain(LONG).is_balanced());
}

/// The first of a batch has its outcome, and who hears of that cancels the second one, whose failure has been read already.
#[test]
fn who_is_cancelled_between_the_end_of_an_attempt_and_its_wait_for_the_next_is_not_tried_again() {
    let answers = r#"cat >/dev/null; printf '{"id":"1","ok":true}\n{"id":"2","ok":false}\n'"#;
    let toml = format!(
        "pool = {{ workers = 1, standby = 0 }}\n[hook.a]\non = ['*']\norder = 'none'\nmode = 'lines'\ntimeout = '10m'\n\
         batch = {{ size = 2, linger = '10m' }}\nretry = {{ attempts = 2, backoff = '0s' }}\nrun = '''{answers}'''\n"
    );
    let second = Arc::new(OnceLock::<JobHandle>::new());
    let (cancelled, to_cancel) = (Arc::new(OnceLock::new()), Arc::clone(&second));
    let was_cancelled = Arc::clone(&cancelled);
    let observer = move |outcome: &Outcome| {
        if outcome.job.0 == 1 {
            until(|| to_cancel.get().is_some());
            was_cancelled.get_or_init(|| to_cancel.get().unwrap().cancel());
        }
    };
    let pool =
        HookPool::builder().config(Config::from_toml(&toml).unwrap()).on_outcome(observer).build().unwrap();
    submit(&pool);
    second.set(submit(&pool)).unwrap();
    let outcome = second.get().unwrap().wait(LONG).unwrap();
    assert_eq!(cancelled.get(), Some(&true));
    assert_eq!((outcome.kind, outcome.attempts.len()), (OutcomeKind::Failed, 0), "{outcome}");
    assert!(pool.drain(LONG).is_balanced());
}
