//! Order, importance, standby and pace, seen from outside.

use std::time::{Duration, Instant};

use crate::env::{Live, TestEnv, event, lone, until};

/// Holds a worker until the file `go` is there, and says when it does.
const HOLD: &str = "[hook.hold]\non = ['Hold']\nrun = 'touch held; until [ -e go ]; do sleep 0.01; done; echo hold >> log'\n";

/// Sends an event and waits until it is in the queue.
fn enqueue(live: &mut Live, name: &str) {
    live.send(lone(name));
    live.wait_for_stderr(&format!("queued {name} hook"));
}

#[test]
fn events_of_one_session_are_handled_in_order_and_one_at_a_time() {
    let env = TestEnv::with_hooks(
        "pool.workers = 8\n[hook.a]\non = ['*']\nrun = '''
         mkdir lock.$HOOKPOOL_SESSION || echo overlap >> overlaps
         echo $HOOKPOOL_EVENT >> order.$HOOKPOOL_SESSION
         rmdir lock.$HOOKPOOL_SESSION'''\n",
    );
    let events: String =
        (0..40).flat_map(|n| ["s1", "s2", "s3"].map(|s| event(&format!("e{n}"), s))).collect();
    assert_eq!(env.report(&[], &events).happened(), "succeeded 120");
    let expected: Vec<_> = (0..40).map(|n| format!("e{n}")).collect();
    for session in ["s1", "s2", "s3"] {
        assert_eq!(env.lines(&format!("order.{session}")), expected);
    }
    assert!(!env.exists("overlaps"));
}

#[test]
fn without_order_the_events_of_one_session_run_side_by_side() {
    // Each waits for the other.
    let env = TestEnv::with_hooks(
        "pool.workers = 2\n[hook.a]\non = ['*']\norder = 'none'\nrun = '''
         touch here.$HOOKPOOL_EVENT; until [ -e here.A -a -e here.B ]; do sleep 0.01; done'''\n",
    );
    assert_eq!(env.report(&[], &[event("A", "s"), event("B", "s")].concat()).happened(), "succeeded 2");
}

#[test]
fn the_more_important_runs_first_whatever_came_first() {
    let mut hooks = format!("pool.workers = 1\npool.standby = 0\n{HOLD}");
    for class in ["low", "normal", "high", "critical"] {
        let hook = format!("[hook.of_{class}]\non = ['Of.{class}']\npriority = '{class}'\n");
        let run = format!("run = 'echo {class} >> log'\n");
        hooks.extend([hook, run]);
    }
    let env = TestEnv::with_hooks(&hooks);
    let mut live = env.spawn(&["run", "-", "-vv"]);
    live.send(lone("Hold"));
    env.wait_for("held");
    for class in ["low", "normal", "high", "critical"] {
        enqueue(&mut live, &format!("Of.{class}"));
    }
    env.write("go", "");
    live.finish();
    assert_eq!(env.lines("log"), ["hold", "critical", "high", "normal", "low"]);
}

/// A worker is held, and a backlog waits, until a delegation has run.
const DELEGATION: &str = r#"{"hook_event_name":"SubagentStart","agent_type":"explorer"}"#;
const TRACK: &str = "[hook.track]\non = ['delegation']\nrun = 'echo delegation >> log; touch go'\n";
const BACKLOG: &str = "[hook.backlog]\non = ['Backlog']\nrun = 'echo backlog >> log'\n";

#[test]
fn a_delegation_does_not_wait_for_a_busy_worker() {
    let env = TestEnv::with_hooks(&format!("pool.workers = 1\n{HOLD}{BACKLOG}{TRACK}"));
    let events = [lone("Hold"), lone("Backlog"), lone("Backlog"), DELEGATION.to_owned()].concat();
    let report = env.report(&[], &events);
    assert_eq!(report.happened(), "succeeded 4");
    assert_eq!(report.n("classes.high.outcomes.succeeded"), 1);
    assert_eq!(env.lines("log")[..2], ["delegation", "hold"], "hold ended only since the delegation ran");
}

#[test]
fn without_a_standby_seat_a_delegation_is_only_the_next() {
    let env = TestEnv::with_hooks(&format!("pool.workers = 1\npool.standby = 0\n{HOLD}{BACKLOG}{TRACK}"));
    let mut live = env.spawn(&["run", "-", "-vv"]);
    live.send(lone("Hold"));
    env.wait_for("held");
    enqueue(&mut live, "Backlog");
    live.send(DELEGATION);
    live.wait_for_stderr("queued SubagentStart hook");
    env.write("go", "");
    live.finish();
    assert_eq!(env.lines("log"), ["hold", "delegation", "backlog"]);
}

#[test]
fn a_hook_runs_once_for_an_event_however_many_ways_it_matches() {
    let env = TestEnv::with_hooks(
        "[hook.a]\non = ['*', 'pre_tool', 'delegation', 'PreToolUse']\nrun = 'echo ran >> log'\n",
    );
    let spawn = r#"{"hook_event_name":"PreToolUse","tool_name":"Task","tool_input":{"subagent_type":"x"}}"#;
    assert_eq!(env.report(&[], spawn).happened(), "succeeded 1");
    assert_eq!(env.lines("log").len(), 1);
}

#[test]
fn a_rate_is_kept() {
    let env = TestEnv::with_hooks("[hook.a]\non = ['*']\nrun = 'true'\n");
    let report = env.report(&["--rate", "20/s"], &lone("A").repeat(6));
    assert!(report.n("elapsed_us") >= 5 * 50_000);
    assert_eq!(report.happened(), "succeeded 6");
}

#[test]
fn real_time_is_that_of_the_timestamps() {
    let env =
        TestEnv::with_hooks("pool.workers = 1\n[hook.a]\non = ['*']\nrun = 'echo $HOOKPOOL_EVENT >> log'\n");
    let stamped = |name: &str, ms: u32| {
        format!("{{\"type\":\"{name}\",\"timestamp\":\"2026-01-02T03:04:05.{ms:03}Z\"}}\n")
    };
    let events = [stamped("A", 100), stamped("B", 300), lone("C"), stamped("D", 450)].concat();
    let report = env.report(&["--realtime"], &events);
    assert!(report.n("elapsed_us") >= 350_000);
    assert_eq!(report.happened(), "succeeded 4");
    assert_eq!(env.lines("log"), ["A", "B", "C", "D"]);
}

#[test]
fn the_reports_say_why_a_job_waited() {
    let hooks =
        format!("pool.workers = 1\npool.standby = 0\n{HOLD}[hook.late]\non = ['Late']\nrun = 'true'\n");
    let env = TestEnv::with_hooks(&hooks);
    for format in ["json", "text"] {
        let mut live = env.spawn(&["run", "-", "-vv", "--report", format]);
        live.send(lone("Hold"));
        env.wait_for("held");
        enqueue(&mut live, "Late");
        let begun = Instant::now();
        until("it has waited for a while", || begun.elapsed() >= Duration::from_millis(50));
        env.write("go", "");
        let done = live.finish();
        if format == "json" {
            let report = done.report();
            assert!(report.n("hooks.late.wait_split_us.no_seat") >= 50_000, "{done:?}");
            assert_eq!(report.n("hooks.late.wait_split_us.chain"), 0);
            assert!(
                report.n("classes.normal.wait_split_us.no_seat")
                    >= report.n("hooks.late.wait_split_us.no_seat")
            );
            assert!(done.stderr.contains("no free seat"), "the log of its start says it: {}", done.stderr);
        } else {
            assert!(done.stdout.contains("why jobs waited"), "{}", done.stdout);
            assert!(done.stdout.contains("every seat was taken: see pool.workers"), "{}", done.stdout);
        }
        std::fs::remove_file(env.path("go")).unwrap();
        std::fs::remove_file(env.path("held")).unwrap();
    }
}
