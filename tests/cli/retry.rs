//! Handlers that fail and are tried again.

use crate::env::{TestEnv, event};

/// Fails with `status` until it has been started three times.
fn third_time(status: u32) -> String {
    format!(
        "run = 'echo \"$HOOKPOOL_SESSION $HOOKPOOL_ATTEMPT\" >> log; \
         [ \"$(grep -c \"^$HOOKPOOL_SESSION \" log)\" -ge 3 ] || exit {status}'\n\
         retry = {{ attempts = 3, backoff = '10ms' }}\ntimeout = '1m'\n"
    )
}

#[test]
fn a_handler_that_fails_twice_and_then_succeeds_has_succeeded_in_three_attempts() {
    let env = TestEnv::with_hooks(&format!("[hook.flaky]\non = ['X']\n{}", third_time(1)));
    let done = env.feed(&["run", "--report", "json", "-"], event("X", "s"));
    let report: serde_json::Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(env.lines("log"), ["s 1", "s 2", "s 3"]);
    assert_eq!(report["balanced"], true);
    assert_eq!((&report["outcomes"]["succeeded"], &report["outcomes"]["failed"]), (&1.into(), &0.into()));
    for part in [&report, &report["hooks"]["flaky"], &report["classes"]["normal"]] {
        assert_eq!((&part["admitted"], &part["retries"]), (&1.into(), &2.into()));
    }
    assert!(report["hooks"]["flaky"]["run_us"]["max"].is_u64());
}

#[test]
fn the_events_behind_a_retry_in_its_session_wait_and_those_of_others_do_not_care() {
    let env = TestEnv::with_hooks(&format!("[hook.flaky]\non = ['X']\n{}", third_time(1)));
    let events = [event("X", "a"), event("X", "a"), event("X", "b")].join("\n");
    assert_eq!(env.report(&[], &events).happened(), "succeeded 3");
    let of = |session: &str| {
        let lines = env.lines("log");
        lines.into_iter().filter(|line| line.starts_with(session)).collect::<Vec<_>>()
    };
    // The second one of `a` finds the count of the first, and so succeeds at once.
    assert_eq!(of("a"), ["a 1", "a 2", "a 3", "a 1"]);
    assert_eq!(of("b"), ["b 1", "b 2", "b 3"]);
}

#[test]
fn exit_status_2_is_an_answer_and_not_tried_again() {
    let env = TestEnv::with_hooks(&format!("[hook.gate]\non = ['X']\n{}", third_time(2)));
    assert_eq!(env.report(&[], &event("X", "s")).happened(), "failed 1");
    assert_eq!(env.lines("log"), ["s 1"]);
}

#[test]
fn exit_status_2_is_an_answer_to_every_event_of_a_batch() {
    let env = TestEnv::with_hooks(
        "[hook.gate]\non = ['X']\nmode = 'lines'\nbatch = { size = 3, linger = '1m' }\norder = 'none'\n\
         run = 'wc -l >> log; exit 2'\nretry = { backoff = '0s' }\n",
    );
    assert_eq!(env.report(&[], &event("X", "s").repeat(3)).happened(), "failed 3");
    assert_eq!(env.lines("log"), ["3"]);
}

#[test]
fn only_what_the_hook_names_is_tried_again() {
    let env = TestEnv::with_hooks(
        "[hook.missing]\non = ['X']\nrun = ['./no-such-program']\nretry = { on = ['failed'], backoff = '0s' }\n\
         [hook.again]\non = ['X']\nrun = ['./no-such-program']\nretry = { attempts = 4, backoff = '0s' }\n",
    );
    let done = env.feed(&["run", "--report", "json", "-"], event("X", "s"));
    let report: serde_json::Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(report["outcomes"]["not_started"], 2);
    assert_eq!(report["hooks"]["missing"]["retries"], 0);
    assert_eq!(report["hooks"]["again"]["retries"], 3);
    assert_eq!(report["balanced"], true);
}
