//! Handlers in Rust, one event at a time and many: what they get, what their answers mean, what a panic costs.

use std::sync::{Arc, Barrier, Mutex, mpsc};

use super::*;
use crate::handler::Call;
use crate::outcome::OutcomeKind::{Cancelled, Failed, Panicked, Succeeded};
use crate::outcome::{Answer, Outcome};
use crate::{BatchAnswer, HandlerProblem};

fn builder(toml: &str) -> HookPoolBuilder {
    HookPool::builder().config(Config::from_toml(toml).unwrap_or_else(|error| panic!("{error}")))
}

fn submit(pool: &HookPool, json: &str) -> JobHandle {
    pool.submit(event(json)).admitted().next().unwrap().clone()
}

fn outcome(handle: &JobHandle) -> Arc<Outcome> {
    handle.wait(LONG).expect("it ends")
}

#[test]
#[cfg_attr(miri, ignore = "starts a process")]
fn a_closure_runs_beside_commands_and_its_answer_is_in_the_outcome() {
    let toml = "[hook.rust]\non = ['stop']\ntimeout = '50s'\n[hook.shell]\non = ['stop']\nrun = 'true'\n";
    let pool = builder(toml)
        .register("rust", |call: &Call| {
            assert_eq!((call.hook().as_str(), call.attempt()), ("rust", 1));
            assert_eq!((call.kind().name(), call.session()), ("stop", Some("s")));
            assert!(call.remaining() > Duration::from_secs(30) && !call.is_cancelled());
            let verdict = format!(r#"{{"bytes": {}}}"#, call.event().payload().len());
            Answer::ok().with_message(call.job().to_string()).with_verdict(verdict.parse().unwrap())
        })
        .build()
        .unwrap();
    let submission = pool.submit(event(r#"{"event":"stop","session_id":"s"}"#));
    let outcomes: Vec<_> = submission.admitted().map(outcome).collect();
    assert!(outcomes.iter().all(|outcome| outcome.kind == Succeeded), "{outcomes:?}");
    let rust = &outcomes[0];
    assert_eq!(rust.message, Some(rust.job.to_string()));
    assert_eq!(rust.verdict.as_ref().unwrap().as_str(), r#"{"bytes": 33}"#);
    assert!(rust.run.is_some() && rust.process.is_none() && rust.reason.is_empty());
    assert!(outcomes[1].process.is_some() && outcomes[1].message.is_none());
    assert!(pool.drain(LONG).is_balanced());
}

#[test]
fn what_a_closure_gives_back_decides_the_outcome() {
    let pool = builder("[hook.a]\non = ['*']\n")
        .register("a", |call: &Call| match call.event().name() {
            "fine" => Ok(Answer::ok()),
            "failed" => Ok(Answer::failed("").with_verdict("1".parse().unwrap())),
            "panic" => panic!("no {}", 7),
            name => Err(format!("unknown: {name}")),
        })
        .build()
        .unwrap();
    let of = |name: &str| outcome(&submit(&pool, &format!(r#"{{"event":"{name}"}}"#)));
    assert_eq!(of("fine").kind, Succeeded);
    let failed = of("failed");
    assert_eq!((failed.kind, &failed.message), (Failed, &None));
    assert_eq!(failed.reason, "its handler says that it failed, and not why");
    assert_eq!(failed.verdict.as_ref().map(crate::Json::as_str), Some("1"));
    let error = of("x");
    assert_eq!((error.kind, &*error.reason), (Failed, "unknown: x"));
    let panicked = of("panic");
    assert_eq!((panicked.kind, &*panicked.reason), (Panicked, "the handler panicked: no 7"));
    assert!(panicked.run.is_some());
    assert!(pool.drain(LONG).is_balanced());
}

#[test]
fn everything_that_is_wrong_with_the_names_is_told_at_once() {
    let toml = "
        [hook.counter]
        on = ['*']
        [hook.both]
        on = ['*']
        run = 'true'
        [hook.off]
        on = ['*']
        enabled = false
        [hook.twice]
        on = ['*']
    ";
    let error = builder(toml)
        .register("countre", |_: &Call| ())
        .register("both", |_: &Call| ())
        .register("twice", |_: &Call| ())
        .register_batch("twice", |_: &[Call]| ())
        .build()
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "hooks and registered handlers do not fit together: \
         hook `counter` has no `run`, and no handler is registered for it; \
         hook `both` has a `run`, and a handler is registered for it as well; \
         a handler is registered for `countre`, and there is no such hook; did you mean `counter`?; \
         two handlers are registered for `twice`"
    );
    let BuildError::Handlers(problems) = error else { panic!("{error}") };
    assert!(matches!(&problems[0], HandlerProblem::Missing(hook) if hook.as_str() == "counter"));
    let pool = builder("[hook.off]\non = ['*']\nenabled = false\n").build().unwrap();
    assert_eq!(pool.submit(event(r#"{"event":"x"}"#)).admitted().count(), 0);
}

#[test]
fn a_hundred_panics_cost_no_worker() {
    const SEATS: usize = 4;
    let together = Arc::new(Barrier::new(SEATS));
    let meeting = Arc::clone(&together);
    let toml = "pool = { workers = 4, standby = 0 }\n[hook.a]\non = ['*']\norder = 'none'\ntimeout = '1m'\n";
    let pool = builder(toml)
        .register("a", move |call: &Call| {
            assert_ne!(call.event().name(), "panic");
            meeting.wait();
        })
        .build()
        .unwrap();
    let panics: Vec<_> = (0..100).map(|_| submit(&pool, r#"{"event":"panic"}"#)).collect();
    assert!(panics.iter().all(|job| outcome(job).kind == Panicked));
    // They come past the barrier only if all workers are there.
    let meetings: Vec<_> = (0..SEATS).map(|_| submit(&pool, r#"{"event":"meet"}"#)).collect();
    assert!(meetings.iter().all(|job| outcome(job).kind == Succeeded));
    let ledger = pool.drain(LONG);
    assert!(ledger.is_balanced() && ledger.leaked == 0, "{ledger:?}");
}

/// The names of the events of each batch, as the handler got them.
type Batches = Arc<Mutex<Vec<String>>>;

/// A pool whose hook `a` gets the events in batches and notes them; what is submitted is one load.
fn batches(
    toml: &str,
    events: &[&str],
    answer: fn(&[Call]) -> BatchAnswer,
) -> (Vec<Arc<Outcome>>, Vec<String>) {
    let seen = Batches::default();
    let note = Arc::clone(&seen);
    let hook = "pool = { workers = 1, standby = 0 }\n[hook.a]\non = ['*']\norder = 'none'\ntimeout = '1m'\n";
    let pool = builder(&format!("{hook}{toml}"))
        .register_batch("a", move |calls: &[Call]| {
            let names: Vec<_> = calls.iter().map(|call| call.event().name()).collect();
            note.lock().unwrap().push(names.join(" "));
            answer(calls)
        })
        .build()
        .unwrap();
    pool.pause("a");
    let jobs: Vec<_> = events.iter().map(|json| submit(&pool, json)).collect();
    pool.resume("a");
    let outcomes = jobs.iter().map(outcome).collect();
    let ledger = pool.drain(LONG);
    assert!(ledger.is_balanced(), "{ledger:?}");
    let seen = seen.lock().unwrap().clone();
    (outcomes, seen)
}

fn kinds(outcomes: &[Arc<Outcome>]) -> Vec<OutcomeKind> {
    outcomes.iter().map(|outcome| outcome.kind).collect()
}

const FIVE: [&str; 5] =
    [r#"{"event":"1"}"#, r#"{"event":"2"}"#, r#"{"event":"3"}"#, r#"{"event":"4"}"#, r#"{"event":"5"}"#];

#[test]
fn a_batch_handler_gets_as_many_as_its_policy_allows_in_order() {
    let fine = |_: &[Call]| ().into();
    let (outcomes, seen) = batches("batch = { size = 2, linger = 0 }", &FIVE, fine);
    assert_eq!(seen, ["1 2", "3 4", "5"]);
    assert_eq!(kinds(&outcomes), [Succeeded; 5]);
    assert_eq!(batches("batch = { bytes = 30, linger = 0 }", &FIVE, fine).1, ["1 2", "3 4", "5"]);
    assert_eq!(batches("batch = { size = 9 }\n[batching]\nlinger = 0", &FIVE, fine).1, ["1 2 3 4 5"]);
    assert_eq!(batches("[batching]\nenabled = true\nsize = 3\nlinger = 0", &FIVE, fine).1, ["1 2 3", "4 5"]);
    assert_eq!(batches("", &FIVE, fine).1, ["1", "2", "3", "4", "5"], "no policy");
}

#[test]
fn events_of_a_batch_have_its_key_in_common() {
    let events = [
        r#"{"event":"1","session_id":"x","v":{"n":1}}"#,
        r#"{"event":"2","session_id":"y","v":{"n":"1"}}"#,
        r#"{"event":"3","session_id":"x","v":{"n":1.0}}"#,
        r#"{"event":"4"}"#,
        r#"{"event":"5"}"#,
    ];
    let of = |key| {
        batches(&format!("batch = {{ size = 9, linger = 0, key = '{key}' }}"), &events, |_| ().into()).1
    };
    assert_eq!(of("hook"), ["1 2 3 4 5"]);
    assert_eq!(of("session"), ["1 3", "2", "4 5"]);
    assert_eq!(of("field:v.n"), ["1 3", "2", "4 5"]);
}

#[test]
fn each_event_of_a_batch_has_its_own_answer_and_one_that_is_forgotten_has_failed() {
    let each = |calls: &[Call]| {
        let answer = |call: &Call| if call.event().name() == "2" { Err("two") } else { Ok(()) };
        calls.iter().take(4).map(answer).collect::<Vec<_>>().into()
    };
    let (outcomes, _) = batches("batch = { linger = 0 }", &FIVE, each);
    assert_eq!(kinds(&outcomes), [Succeeded, Failed, Succeeded, Succeeded, Failed]);
    assert_eq!((&*outcomes[1].reason, &*outcomes[4].reason), ("two", "its handler gave no answer for it"));
    let too_many = |calls: &[Call]| vec![(); calls.len() + 3].into();
    assert_eq!(kinds(&batches("batch = { linger = 0 }", &FIVE, too_many).0), [Succeeded; 5]);
}

#[test]
fn a_batch_that_fails_as_a_whole_fails_or_is_split_once() {
    let bad = |calls: &[Call]| match calls {
        [one] if one.event().name() == "3" => panic!("three"),
        [_] => Answer::ok().into(),
        _ => Answer::failed("too many").into(),
    };
    let (outcomes, seen) = batches("batch = { linger = 0 }", &FIVE, bad);
    assert_eq!((kinds(&outcomes), seen), (vec![Failed; 5], vec!["1 2 3 4 5".to_owned()]));
    let split = "batch = { linger = 0 }\non_batch_failure = 'split'";
    let (outcomes, seen) = batches(split, &FIVE, bad);
    assert_eq!(seen, ["1 2 3 4 5", "1", "2", "3", "4", "5"]);
    assert_eq!(kinds(&outcomes), [Succeeded, Succeeded, Panicked, Succeeded, Succeeded]);
    let panics = |calls: &[Call]| if calls.len() > 1 { panic!("all") } else { ().into() };
    assert_eq!(kinds(&batches("batch = { linger = 0 }", &FIVE, panics).0), [Panicked; 5]);
    assert_eq!(kinds(&batches(split, &FIVE, panics).0), [Succeeded; 5]);
}

#[test]
fn who_cancels_one_event_of_a_running_batch_does_not_stop_the_others() {
    let (tell, told) = mpsc::sync_channel(0);
    let toml = "[hook.a]\non = ['*']\norder = 'none'\ntimeout = '1m'\nbatch = { linger = 0 }\n";
    let pool = builder(toml)
        .register_batch("a", move |calls: &[Call]| {
            tell.send(()).unwrap();
            tell.send(()).unwrap();
            calls
                .iter()
                .map(|call| if call.is_cancelled() { Err("unwanted") } else { Ok(()) })
                .collect::<Vec<_>>()
        })
        .build()
        .unwrap();
    pool.pause("a");
    let jobs: Vec<_> = FIVE.iter().map(|json| submit(&pool, json)).collect();
    pool.resume("a");
    told.recv_timeout(LONG).unwrap();
    assert!(jobs[3].cancel());
    told.recv_timeout(LONG).unwrap();
    let outcomes: Vec<_> = jobs.iter().map(outcome).collect();
    assert_eq!(kinds(&outcomes), [Succeeded, Succeeded, Succeeded, Cancelled, Succeeded]);
    assert_eq!(outcomes[3].reason, "it was cancelled while it ran, and its handler gave up: unwanted");
    assert!(!jobs[3].cancel());
    assert!(pool.drain(LONG).is_balanced());
}

/// Each event waits for the other: one thread would wait for ever.
#[test]
fn a_batch_can_be_spread_over_threads_and_a_panic_costs_only_its_event() {
    let together = Barrier::new(2);
    let each = move |call: &Call| {
        assert!(std::thread::current().name().is_some_and(|name| name.starts_with("hookpool-fan-")));
        together.wait();
        assert_ne!(call.event().name(), "2", "as the test says");
    };
    let handler = crate::Parallel::new(2.try_into().unwrap(), each).unwrap();
    let toml = "[hook.a]\non = ['*']\norder = 'none'\ntimeout = '1m'\nbatch = { linger = 0 }\n";
    let pool = builder(toml).register_batch("a", handler).build().unwrap();
    pool.pause("a");
    let jobs: Vec<_> = FIVE.iter().take(4).map(|json| submit(&pool, json)).collect();
    pool.resume("a");
    let outcomes: Vec<_> = jobs.iter().map(outcome).collect();
    assert_eq!(kinds(&outcomes), [Succeeded, Panicked, Succeeded, Succeeded]);
    assert!(outcomes[1].reason.contains("as the test says"), "{}", outcomes[1].reason);
    assert!(pool.drain(LONG).is_balanced());
}
