//! The runtime with real handlers: what a submit answers, and what becomes of it.

mod breaker;
mod cancel;
mod hints;
mod kept;
mod outcomes;
mod overrun;
mod race;
mod reload;
mod reload_keys;
mod retry;
mod rust;
mod spares;
mod status;
mod surroundings;
mod why;

use std::time::Duration;

use super::*;
use crate::outcome::{OutcomeKind, Skip};

fn pool(toml: &str) -> HookPool {
    let config = Config::from_toml(toml).unwrap_or_else(|error| panic!("{error}"));
    HookPool::builder().config(config).build().unwrap()
}

fn event(json: &str) -> Event {
    Event::from_json(json).unwrap()
}

const LONG: Duration = Duration::from_mins(if cfg!(miri) { 60 } else { 1 });

#[test]
fn a_hook_runs_and_its_outcome_tells_of_it() {
    let pool = pool("[hook.echo]\non = ['pre_tool']\nrun = 'cat; echo err >&2'\n");
    let submission = pool.submit(event(r#"{"hook_event_name":"PreToolUse","tool_name":"Bash"}"#));
    let handle = submission.admitted().next().unwrap();
    let outcome = handle.wait(LONG).unwrap();
    assert_eq!(outcome.kind, OutcomeKind::Succeeded, "{outcome}");
    let process = outcome.process.as_ref().unwrap();
    assert_eq!(process.stdout.text(), r#"{"hook_event_name":"PreToolUse","tool_name":"Bash"}"#);
    assert_eq!(process.stderr.text(), "err\n");
    assert!(pool.submit(event(r#"{"hook_event_name":"Stop"}"#)).is_unmatched());
    let ledger = pool.drain(LONG);
    assert!(ledger.is_balanced());
    assert_eq!(ledger.snapshot.total.submitted(), 2);
    assert_eq!(ledger.snapshot.total.skipped(Skip::NoMatch), 1);
}

/// Hears the lines of the log that are of that level, or matter more.
struct Listener<F>(tracing::Level, F);

impl<F: Fn(&tracing::Event<'_>) + Send + Sync + 'static> tracing::Subscriber for Listener<F> {
    fn enabled(&self, about: &tracing::Metadata<'_>) -> bool {
        *about.level() <= self.0
    }
    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }
    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn event(&self, event: &tracing::Event<'_>) {
        (self.1)(event);
    }
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

#[test]
fn a_subscriber_that_panics_fails_no_submit_and_costs_no_job_its_outcome() {
    // Like one that writes to a closed pipe and complains about it there.
    let panics = Listener(tracing::Level::TRACE, |_: &tracing::Event<'_>| panic!("no line can be written"));
    tracing::subscriber::with_default(panics, || {
        let config = "queue.capacity = 1\n[hook.a]\non = ['*']\nrun = 'true'\n";
        let pool = pool(config);
        pool.pause("a");
        assert_eq!(pool.submit(event(r#"{"type":"x"}"#)).admitted().count(), 1);
        assert_eq!(pool.submit(event(r#"{"type":"x"}"#)).refused().count(), 1);
        // It is resolved on this thread, which has the subscriber.
        let ledger = pool.drain(Duration::ZERO);
        assert!(ledger.is_balanced(), "{ledger:?}");
        assert_eq!(ledger.snapshot.total.outcome(OutcomeKind::Abandoned), 1);
    });
}

/// The observer holds the last handle: nobody may wait for the worker that it is called on.
#[test]
fn a_pool_may_end_in_an_observer() {
    use std::sync::{Mutex, mpsc};
    let (done, is_done) = mpsc::channel();
    let held: Arc<Mutex<Option<HookPool>>> = Arc::default();
    let given = Arc::clone(&held);
    let config = Config::from_toml("[hook.a]\non = ['stop']\nrun = 'true'\n").unwrap();
    let pool = HookPool::builder().config(config).on_outcome(move |_| {
        let pool = given.lock().unwrap().take();
        if let Some(pool) = &pool {
            assert_eq!(pool.drain(Duration::MAX).snapshot.total.admitted(), 1);
        }
        drop(pool);
        done.send(()).unwrap();
    });
    let pool = pool.build().unwrap();
    *held.lock().unwrap() = Some(pool.clone());
    let outcomes = pool.outcomes(1);
    let handle = pool.submit(event(r#"{"event":"stop"}"#)).admitted().next().unwrap().clone();
    drop(pool);
    is_done.recv_timeout(LONG).unwrap();
    assert_eq!(handle.wait(LONG).unwrap().kind, OutcomeKind::Succeeded);
    let (ended, has_ended) = mpsc::channel();
    std::thread::spawn(move || ended.send(outcomes.count()));
    assert_eq!(has_ended.recv_timeout(LONG), Ok(1), "somebody else drains it");
}

#[test]
fn many_threads_may_drain_at_once() {
    let pool = pool("[hook.a]\non = ['stop']\nrun = 'true'\n");
    for _ in 0..50 {
        pool.submit(event(r#"{"event":"stop"}"#));
    }
    std::thread::scope(|scope| {
        let drains: Vec<_> = (0..4).map(|_| scope.spawn(|| pool.drain(LONG))).collect();
        for drain in drains {
            let ledger = drain.join().unwrap();
            assert!(ledger.is_balanced());
            assert_eq!(ledger.snapshot.total.outcome(OutcomeKind::Succeeded), 50);
        }
    });
}
