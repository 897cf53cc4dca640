//! What outcomes say would help, and that they say nothing where nothing is certain.

use super::*;

/// The outcome of one event for a hook with these keys.
fn ended(keys: &str) -> Arc<Outcome> {
    let pool = pool(&format!("[hook.a]\non = ['*']\n{keys}\n"));
    let handle = pool.submit(event(r#"{"type":"x"}"#)).admitted().next().unwrap().clone();
    let outcome = handle.wait(LONG).unwrap();
    assert!(pool.drain(LONG).is_balanced());
    outcome
}

#[test]
fn an_end_that_proves_its_cause_comes_with_a_hint() {
    for (keys, kind, hint) in [
        ("run = 'kill -KILL $$'", OutcomeKind::Failed, Some("memory")),
        ("run = 'sh -c \"kill -KILL \\$\\$\"; exit $?'", OutcomeKind::Failed, Some("memory")),
        ("run = 'kill -XCPU $$'", OutcomeKind::Failed, Some("ulimit -t")),
        ("run = 'kill -PIPE $$'", OutcomeKind::Failed, Some("nobody read")),
        ("run = 'no-such-program'", OutcomeKind::Failed, Some("no program `no-such-program` in PATH")),
        (
            "run = 'no-such-program'\nmode = 'lines'",
            OutcomeKind::Failed,
            Some("no program `no-such-program`"),
        ),
        ("run = 'read line'\nmode = 'resident'", OutcomeKind::Failed, Some("mode = \"single\"")),
        (
            "run = 'sleep 60'\ntimeout = '1ms'",
            OutcomeKind::TimedOut,
            Some("raise `hook.a.timeout`; if its start"),
        ),
        (
            "run = 'sleep 60'\ntimeout = '1ms'\nmode = 'resident'",
            OutcomeKind::TimedOut,
            Some("raise `hook.a.timeout`"),
        ),
        // Words that others would take for a cause.
        ("run = 'echo ModuleNotFoundError: command not found >&2; exit 1'", OutcomeKind::Failed, None),
        ("run = 'read line; exit 4'\nmode = 'resident'", OutcomeKind::Failed, None),
        ("run = 'kill -TERM $$'", OutcomeKind::Failed, None),
        ("run = 'exit 2'", OutcomeKind::Failed, None),
        ("run = 'true'", OutcomeKind::Succeeded, None),
    ] {
        let outcome = ended(keys);
        assert_eq!(outcome.kind, kind, "{keys}: {outcome}");
        let said = outcome.hint.as_deref();
        assert_eq!(said.is_some(), hint.is_some(), "{keys}: {said:?}");
        assert!(hint.is_none_or(|part| said.is_some_and(|said| said.contains(part))), "{keys}: {said:?}");
        let knows_better = keys.contains("resident");
        assert!(
            !(knows_better && said.is_some_and(|said| said.contains("`mode = \"resident\"`"))),
            "{said:?}"
        );
    }
}

#[test]
fn all_of_a_batch_have_the_hint_of_its_end() {
    let pool = pool(
        "[hook.a]\non = ['*']\nrun = 'no-such-program'\nmode = 'lines'\nbatch = { size = 2, linger = '1m' }\n",
    );
    let jobs = [(); 2].map(|()| pool.submit(event(r#"{"type":"x"}"#)).admitted().next().unwrap().clone());
    for job in jobs {
        let outcome = job.wait(LONG).unwrap();
        assert!(outcome.hint.as_deref().is_some_and(|hint| hint.starts_with("no program")), "{outcome:?}");
    }
}

/// More time would help a closure that was too slow, and not one that the end of the pool came too soon for.
#[test]
fn a_closure_beyond_its_time_has_a_hint() {
    for (keys, hint) in
        [("timeout = '1ms'", Some("raise `hook.a.timeout`")), ("timeout = '1h'\ngrace = '1ms'", None)]
    {
        let config = Config::from_toml(&format!("[hook.a]\non = ['*']\n{keys}\n")).unwrap();
        let (begun, begins) = std::sync::mpsc::channel();
        let (open, gate) = std::sync::mpsc::channel::<()>();
        let gate = Mutex::new(gate);
        let deaf = move |_: &crate::Call| {
            let _ = (begun.send(()), gate.lock().unwrap().recv());
        };
        let pool = HookPool::builder().config(config).register("a", deaf).build().unwrap();
        let job = pool.submit(event(r#"{"type":"x"}"#)).admitted().next().unwrap().clone();
        begins.recv().unwrap();
        if hint.is_none() {
            pool.drain(Duration::ZERO);
        }
        let outcome = job.wait(LONG).unwrap();
        assert_eq!((outcome.kind, outcome.hint.as_deref()), (OutcomeKind::TimedOut, hint));
        drop(open);
    }
}

#[test]
fn what_was_not_started_says_so_in_its_reason() {
    let outcome = ended("run = ['./no-such-program']\ncwd = '/'");
    assert_eq!((outcome.kind, outcome.hint.as_deref()), (OutcomeKind::NotStarted, None));
    assert!(outcome.reason.contains("in the working directory `/`; create it"), "{outcome}");
}

#[test]
fn a_refusal_names_the_bound_that_was_reached_and_settings_that_exist() {
    use crate::outcome::Refusal;
    let settings = include_str!("../../../config/reference.md");
    for refusal in Refusal::ALL {
        let bound = match refusal {
            Refusal::Full => Some("queue.capacity"),
            Refusal::ClassFull => Some("ceiling"),
            Refusal::BytesFull => Some("queue.max_bytes"),
            Refusal::TooLarge => Some("queue.max_event_bytes"),
            Refusal::Closed => None,
        };
        let named: Vec<_> =
            refusal.hint().into_iter().flat_map(|hint| hint.split('`').skip(1).step_by(2)).collect();
        assert_eq!(named.first().copied(), bound, "{refusal}");
        for setting in named {
            let key = setting.split([' ', '=']).next().unwrap();
            assert!(settings.contains(key.rsplit('.').next().unwrap()), "{setting}");
        }
    }
}
