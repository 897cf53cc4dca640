//! Handlers that fail and fail, and are left alone for a while.

use std::cell::RefCell;

use crate::env::{TestEnv, lone};

/// Fails until the file `good` is there, and counts its starts.
const FAILS: &str = "[hook.a]\non = ['X']\nrun = 'echo start >> log; [ -e good ]'\n";

fn report(env: &TestEnv, events: usize) -> serde_json::Value {
    let done = env.feed(&["run", "--report", "json", "-"], lone("X").repeat(events));
    assert_eq!(done.code, Some(0), "{done:?}");
    let report: serde_json::Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(report["balanced"], true);
    report
}

fn n(value: &serde_json::Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is no number"))
}

#[test]
fn after_so_many_failures_the_handler_is_left_alone_and_every_event_is_accounted_for() {
    let env = TestEnv::with_hooks(&format!(
        "pool = {{ workers = 1, standby = 0 }}\n{FAILS}breaker = {{ failures = 3, cooldown = '1h', max_cooldown = '1h' }}\n"
    ));
    let report = report(&env, 200);
    assert_eq!(env.lines("log").len(), 3);
    assert_eq!(n(&report["outcomes"]["failed"]), 3);
    let rest = n(&report["skipped"]["breaker_open"]) + n(&report["outcomes"]["not_started"]);
    assert_eq!(rest, 197, "{report}");
    let expected = serde_json::json!({"state": "open", "opened": 1, "failures_in_a_row": 3});
    assert_eq!(report["hooks"]["a"]["breaker"], expected);
}

#[test]
fn without_a_breaker_a_failing_handler_is_always_tried() {
    let env = TestEnv::with_hooks(FAILS);
    let report = report(&env, 12);
    assert_eq!((env.lines("log").len(), n(&report["outcomes"]["failed"])), (12, 12));
    assert!(report["hooks"]["a"].get("breaker").is_none());
}

#[test]
fn a_gate_that_refuses_is_no_failing_handler() {
    let env = TestEnv::with_hooks(
        "[hook.gate]\non = ['X']\nrun = 'echo start >> log; exit 2'\nbreaker.failures = 1\n\
         [hook.gates]\non = ['X']\nmode = 'lines'\nbatch = { size = 4, linger = '1m' }\n\
         run = 'cat > /dev/null; exit 2'\nbreaker.failures = 1\n",
    );
    let report = report(&env, 8);
    assert_eq!((env.lines("log").len(), n(&report["outcomes"]["failed"])), (8, 16));
    for hook in ["gate", "gates"] {
        assert_eq!(report["hooks"][hook]["breaker"]["opened"], 0);
    }
}

#[test]
fn a_retry_stops_when_the_breaker_opens_and_the_job_ends_as_its_last_attempt() {
    let env = TestEnv::with_hooks(&format!(
        "{FAILS}retry = {{ attempts = 9, backoff = '1ms' }}\nbreaker = {{ failures = 2, cooldown = '1h', max_cooldown = '1h' }}\n"
    ));
    let report = report(&env, 1);
    assert_eq!(env.lines("log").len(), 2);
    assert_eq!((n(&report["outcomes"]["failed"]), n(&report["retries"])), (1, 1));
}

#[test]
fn a_batch_that_fails_as_a_whole_is_one_failure() {
    let env = TestEnv::with_hooks(
        "pool = { workers = 1, standby = 0 }\n[hook.a]\non = ['X']\nmode = 'lines'\n\
         batch = { size = 5, linger = '1m' }\nrun = 'cat > /dev/null; exit 1'\n\
         breaker = { failures = 3, cooldown = '1h', max_cooldown = '1h' }\n",
    );
    let report = report(&env, 10);
    assert_eq!(n(&report["outcomes"]["failed"]), 10);
    let expected = serde_json::json!({"state": "closed", "opened": 0, "failures_in_a_row": 2});
    assert_eq!(report["hooks"]["a"]["breaker"], expected);
}

#[test]
fn the_text_report_and_the_log_tell_that_it_opened_and_why() {
    let env = TestEnv::with_hooks(&format!(
        "{FAILS}breaker = {{ failures = 2, cooldown = '1h', max_cooldown = '1h' }}\n"
    ));
    let done = env.feed(&["run", "-"], lone("X").repeat(2));
    assert!(
        done.stdout.contains("a  opened 1 time, open at the end, 2 failures in a row"),
        "{}",
        done.stdout
    );
    let text =
        "the hook's breaker opened, so it is skipped for 3600s: 2 failures in a row, the last: exit status 1";
    assert!(done.stderr.contains(text), "{}", done.stderr);
}

#[test]
fn when_the_cool_down_is_over_a_handler_that_works_again_is_used_again() {
    let env = TestEnv::with_hooks(&format!(
        "{FAILS}breaker = {{ failures = 1, cooldown = '20ms', max_cooldown = '50ms' }}\n"
    ));
    let mut live = env.spawn(&["run", "--when-full", "drop", "--report", "json", "-vv", "-"]);
    live.send(lone("X"));
    live.wait_for_stderr("breaker opened");
    env.write("good", "");
    let begun = env.lines("log").len();
    let live = RefCell::new(live);
    // Events are skipped until one of them is the probe.
    crate::env::until("a probe", || {
        live.borrow_mut().send(lone("X"));
        env.lines("log").len() > begun
    });
    let mut live = live.into_inner();
    live.wait_for_stderr("breaker closed");
    live.send(lone("X"));
    let report: serde_json::Value = serde_json::from_str(&live.finish().stdout).unwrap();
    assert_eq!(report["balanced"], true);
    assert_eq!(report["hooks"]["a"]["breaker"]["state"], "closed");
    assert!(n(&report["outcomes"]["succeeded"]) >= 2);
}
