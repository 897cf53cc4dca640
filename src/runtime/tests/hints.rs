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
    }
}

#[test]
fn what_was_not_started_says_so_in_its_reason() {
    let outcome = ended("run = ['./no-such-program']\ncwd = '/'");
    assert_eq!((outcome.kind, outcome.hint.as_deref()), (OutcomeKind::NotStarted, None));
    assert!(outcome.reason.contains("in the working directory `/`; create it"), "{outcome}");
}

#[test]
fn every_refusal_that_can_be_helped_names_a_setting_that_exists() {
    use crate::outcome::Refusal;
    for refusal in Refusal::ALL {
        assert_eq!(refusal.hint().is_none(), *refusal == Refusal::Closed);
    }
    let settings = include_str!("../../../config/reference.md");
    let hints = Refusal::ALL.iter().filter_map(|refusal| refusal.hint());
    for setting in hints.flat_map(|hint| hint.split('`').skip(1).step_by(2)) {
        let key = setting.split([' ', '=']).next().unwrap();
        assert!(settings.contains(key.rsplit('.').next().unwrap()), "{setting}");
    }
}
