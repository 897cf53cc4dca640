//! Capacity, ceilings, bytes, expiry and skips.

use crate::env::{Done, TestEnv, lone, repeat};

const ONE_WORKER: &str = "[pool]\nworkers = 1\nstandby = 0\n";
const HOLD: &str = "[hook.hold]\non = ['Hold']\nrun = 'touch held; until [ -e go ]; do sleep 0.01; done'\n";
const LIVE: [&str; 6] = ["run", "-", "--rate", "1000/s", "--report", "json"];

/// While a worker is held, sends the events, the last one of which is called `last`; then lets it go.
fn behind_a_held_worker(env: &TestEnv, args: &[&str], events: &str) -> Done {
    let args: Vec<&str> = args.iter().copied().chain(["-vv"]).collect();
    let mut live = env.spawn(&args);
    live.send(lone("Hold"));
    env.wait_for("held");
    live.send(events);
    live.send("the end\n");
    live.wait_for_stderr("standard input:");
    env.write("go", "");
    live.finish()
}

#[test]
fn a_full_queue_refuses_what_a_live_source_sends() {
    let env = TestEnv::with_hooks(&format!(
        "{ONE_WORKER}[queue]\ncapacity = 2\n{HOLD}[hook.a]\non = ['A']\nrun = 'true'\n"
    ));
    let report = behind_a_held_worker(&env, &LIVE, &repeat(&lone("A"), 5)).report();
    assert_eq!(report.happened(), "succeeded 3, full 3");
    assert_eq!(report.n("hooks.a.refused.full"), 3);
}

#[test]
fn a_replay_that_is_told_to_drop_refuses_too() {
    let env = TestEnv::with_hooks(&format!(
        "{ONE_WORKER}[queue]\ncapacity = 2\n{HOLD}[hook.a]\non = ['A']\nrun = 'true'\n"
    ));
    let args = ["run", "-", "--when-full", "drop", "--report", "json"];
    let report = behind_a_held_worker(&env, &args, &repeat(&lone("A"), 5)).report();
    assert_eq!(report.happened(), "succeeded 3, full 3");
}

#[test]
fn the_least_important_gives_up_its_place_and_never_an_equal() {
    let env = TestEnv::with_hooks(&format!(
        "{ONE_WORKER}[queue]\ncapacity = 2\non_full = 'displace'\n{HOLD}
         [hook.low]\non = ['Low1', 'Low2', 'Low3']\npriority = 'low'\nrun = 'echo $HOOKPOOL_EVENT >> log'
         [hook.high]\non = ['High1', 'High2', 'High3']\npriority = 'high'\nrun = 'echo $HOOKPOOL_EVENT >> log'\n"
    ));
    let names = ["Low1", "Low2", "Low3", "High1", "High2", "High3"];
    let report = behind_a_held_worker(&env, &LIVE, &names.map(lone).concat()).report();
    // low3 finds equals only; high1 and high2 take the places of low1 and low2; high3 finds equals only.
    assert_eq!(report.happened(), "succeeded 3, displaced 2, full 2");
    assert_eq!(report.n("hooks.low.outcomes.displaced"), 2);
    assert_eq!(env.lines("log"), ["High1", "High2"]);
}

#[test]
fn a_class_at_its_ceiling_is_refused_and_others_are_not() {
    let env = TestEnv::with_hooks(&format!(
        "{ONE_WORKER}[class.low]\nceiling = 1\n{HOLD}
         [hook.low]\non = ['Low']\npriority = 'low'\nrun = 'true'
         [hook.other]\non = ['Other']\nrun = 'true'\n"
    ));
    let events = [repeat(&lone("Low"), 3), repeat(&lone("Other"), 2)].concat();
    let report = behind_a_held_worker(&env, &LIVE, &events).report();
    assert_eq!(report.happened(), "succeeded 4, class_full 2");
    assert_eq!(report.n("classes.low.refused.class_full"), 2);
}

#[test]
fn payloads_that_wait_are_bounded_in_bytes_and_counted_once_for_all_hooks() {
    let env = TestEnv::with_hooks(&format!(
        "{ONE_WORKER}[queue]\nmax_bytes = 2000\n{HOLD}
         [hook.a]\non = ['A']\nrun = 'true'\n[hook.b]\non = ['A']\nrun = 'true'\n"
    ));
    let large = format!("{{\"type\":\"A\",\"x\":\"{}\"}}\n", "x".repeat(800));
    let report = behind_a_held_worker(&env, &LIVE, &repeat(&large, 3)).report();
    assert_eq!(report.happened(), "succeeded 5, bytes_full 2", "two events fit, each with two jobs");
}

#[test]
fn an_event_over_the_limit_is_refused_once_for_each_hook_that_wants_it_and_the_rest_goes_on() {
    let env = TestEnv::with_hooks("queue.max_event_bytes = 200\n[hook.a]\non = ['A', 'B']\nrun = 'true'\n");
    let large = |name: &str| format!("{{\"type\":\"{name}\",\"x\":\"{}\"}}\n", "x".repeat(5000));
    let events = [lone("A"), large("B"), large("Nobody_wants_it"), lone("A")].concat();
    for args in [&[][..], &["--rate", "1000/s"]] {
        let report = env.report(args, &events);
        assert_eq!(report.happened(), "succeeded 2, too_large 1, no_match 1");
        assert_eq!((report.n("events.read"), report.n("events.invalid")), (4, 0));
    }
}

#[test]
fn an_event_of_exactly_the_limit_is_admitted() {
    let event = lone("A");
    let limit = event.trim().len();
    let hooks = |limit| format!("queue.max_event_bytes = {limit}\n[hook.a]\non = ['A']\nrun = 'true'\n");
    assert_eq!(TestEnv::with_hooks(&hooks(limit)).report(&[], &event).happened(), "succeeded 1");
    assert_eq!(TestEnv::with_hooks(&hooks(limit - 1)).report(&[], &event).happened(), "too_large 1");
}

#[test]
fn a_job_that_waits_longer_than_an_explicit_limit_expires_even_in_a_replay() {
    // The worker is busy for longer than the limit, whatever the machine does.
    let env = TestEnv::with_hooks(&format!(
        "{ONE_WORKER}[hook.busy]\non = ['Busy']\nrun = 'sleep 0.3'
         [hook.hasty]\non = ['A']\nmax_wait = '50ms'\nrun = 'touch ran'\n"
    ));
    let report = env.report(&[], &[lone("Busy"), lone("A")].concat());
    assert_eq!(report.happened(), "succeeded 1, expired 1");
    assert!(!env.exists("ran"));
}

#[test]
fn a_replay_waits_for_room_and_loses_nothing() {
    let env = TestEnv::with_hooks(
        "[queue]\ncapacity = 1\n[hook.a]\non = ['A']\nrun = ['true']\n[hook.b]\non = ['A']\nrun = ['true']\n",
    );
    let report = env.report(&[], &repeat(&lone("A"), 150));
    assert_eq!(report.happened(), "succeeded 300");
}

#[test]
fn a_replay_waits_for_room_in_bytes_too() {
    let env = TestEnv::with_hooks("[queue]\nmax_bytes = 40\n[hook.a]\non = ['A']\nrun = ['true']\n");
    assert_eq!(env.report(&[], &repeat(&lone("A"), 100)).happened(), "succeeded 100");
}

#[test]
fn a_replay_does_not_wait_for_what_can_never_be() {
    let hook = "[hook.low]\non = ['A']\npriority = 'low'\nrun = 'true'\n";
    let env = TestEnv::with_hooks(&format!("queue.capacity = 2\nclass.high.guarantee = 2\n{hook}"));
    assert_eq!(env.report(&[], &repeat(&lone("A"), 3)).happened(), "full 3");
    let env = TestEnv::with_hooks(&format!("class.low.ceiling = 1\nclass.low.seats = 1\n{hook}"));
    assert_eq!(env.report(&[], &repeat(&lone("A"), 50)).happened(), "succeeded 50");
    let env = TestEnv::with_hooks(&format!("queue.max_bytes = 5\n{hook}"));
    assert_eq!(env.report(&[], &repeat(&lone("A"), 3)).happened(), "too_large 3");
}

#[test]
fn what_is_switched_off_is_skipped_under_its_own_name() {
    let bash = r#"{"hook_event_name":"PreToolUse","tool_name":"Bash"}"#;
    for (hooks, skipped) in [
        ("kinds.pre_tool = false\n[hook.a]\non = ['pre_tool']\nrun = 'true'\n", "kind_disabled 1"),
        ("[hook.a]\non = ['pre_tool']\nrun = 'true'\nenabled = false\n", "hook_disabled 1"),
        ("performance_mode = true\n[hook.a]\non = ['pre_tool']\nrun = 'true'\n", "performance_mode 1"),
        ("[hook.a]\non = ['post_tool']\nrun = 'true'\n", "no_match 1"),
        ("[hook.a]\non = ['pre_tool']\nmatch = { tool = 'bash|Bas' }\nrun = 'true'\n", "no_match 1"),
    ] {
        let env = TestEnv::with_hooks(hooks);
        assert_eq!(env.report(&[], bash).happened(), skipped, "{hooks}");
    }
}

#[test]
fn a_disabled_kind_closes_only_that_way_of_matching() {
    let spawn = r#"{"hook_event_name":"PreToolUse","tool_name":"Task","tool_input":{"subagent_type":"x"}}"#;
    let hook = "[hook.a]\non = ['pre_tool', 'delegation']\nrun = 'true'\n";
    let env = TestEnv::with_hooks(&format!("kinds.pre_tool = false\n{hook}"));
    assert_eq!(env.report(&[], spawn).happened(), "succeeded 1");
    let env = TestEnv::with_hooks(&format!("kinds.pre_tool = false\nkinds.delegation = false\n{hook}"));
    assert_eq!(env.report(&[], spawn).happened(), "kind_disabled 1");
}
