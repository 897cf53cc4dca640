//! The runtime with real handlers: what a submit answers, and what becomes of it.

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

const LONG: Duration = Duration::from_secs(60);

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
