//! Log lines.

use crate::env::{TestEnv, lone, repeat};

const TOOLS: &str = "[hook.a]\non = ['pre_tool', 'post_tool']\nrun = 'true'\n";
const CALLS: &str = "{\"hook_event_name\":\"PreToolUse\",\"tool_name\":\"Bash\"}\n\
                     {\"hook_event_name\":\"PostToolUse\",\"tool_name\":\"Bash\"}\n";

fn has_both_lines(stderr: &str) -> bool {
    let took = stderr.split("Hook PostToolUse processed in background thread (took ").nth(1);
    let seconds = took.and_then(|rest| rest.split("s)").next()).unwrap_or_default();
    let two_decimals = seconds.split_once('.').is_some_and(|(_, decimals)| decimals.len() == 2);
    stderr.contains("Successfully queued PreToolUse hook for background processing")
        && two_decimals
        && seconds.parse::<f64>().is_ok()
}

#[test]
fn the_course_of_a_job_is_told_in_the_known_words_when_that_is_asked_for() {
    let env = TestEnv::with_hooks(TOOLS);
    env.write("e", CALLS);
    let told = env.run(&["run", "e", "-vv"]).stderr;
    assert!(has_both_lines(&told), "{told}");
    let quiet = env.run(&["run", "e"]).stderr;
    assert_eq!(quiet, "");
    for variable in ["CLAUDE_MPM_HOOK_DEBUG", "HOOKPOOL_DEBUG"] {
        let env = TestEnv::with_hooks(TOOLS).variable(variable, "true");
        env.write("e", CALLS);
        let told = env.run(&["run", "e"]).stderr;
        assert!(has_both_lines(&told), "{variable}: {told}");
    }
}

#[test]
fn log_lines_can_be_json_objects() {
    let env =
        TestEnv::with_hooks("[hook.a]\non = ['*']\nrun = 'exit 1'\n[hook.b]\non = ['*']\nrun = ['./gone']\n");
    env.write(
        "e",
        format!("{{\"type\":\"line\\nbreak \\u001b[2J\",\"session_id\":\"s\\\"\"}}\n{}", lone("X")),
    );
    let done = env.run(&["run", "e", "-vvv", "--log-format", "json"]);
    assert!(done.stderr.lines().count() > 8, "{}", done.stderr);
    for line in done.stderr.lines() {
        let line: serde_json::Value =
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(line["level"].is_string() && line["message"].is_string(), "{line}");
    }
    let plain = env.run(&["run", "e", "-vvv"]);
    assert!(!plain.stderr.contains('\u{1b}'), "{:?}", plain.stderr);
}

#[test]
fn what_would_help_is_told_with_the_failure_where_that_is_certain() {
    let env = TestEnv::with_hooks(
        "queue.max_event_bytes = 40
         [hook.lost]\non = ['X']\nrun = 'no-such-program'
         [hook.slow]\non = ['X']\nrun = 'sleep 60'\ntimeout = '1ms'
         [hook.bad]\non = ['X']\nrun = 'exit 1'
         [hook.large]\non = ['Large']\nrun = 'true'\n",
    );
    let large = format!("{{\"type\":\"Large\",\"pad\":\"{}\"}}\n", "x".repeat(40));
    let done = env.feed(&["run", "-", "-vv", "--log-format", "json"], lone("X") + &large);
    let lines: Vec<serde_json::Value> =
        done.stderr.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for (hook, message, hint) in [
        ("lost", "hook failed: ", Some("no program `no-such-program` in PATH")),
        ("slow", "hook timed_out: ", Some("raise `hook.slow.timeout`")),
        ("bad", "hook failed: ", None),
        ("large", "dropped a Large hook: ", Some("raise `queue.max_event_bytes`")),
    ] {
        let is_it = |line: &&serde_json::Value| {
            line["hook"] == hook && line["message"].as_str().is_some_and(|said| said.starts_with(message))
        };
        let line = lines.iter().find(is_it).unwrap_or_else(|| panic!("{hook}: {}", done.stderr));
        let said = line["hint"].as_str();
        assert_eq!(said.is_some(), hint.is_some(), "{line}");
        assert!(hint.is_none_or(|hint| said.is_some_and(|said| said.starts_with(hint))), "{line}");
    }
}

#[test]
fn a_queue_near_its_capacity_is_told_once_and_again_after_it_has_emptied() {
    let env = TestEnv::with_hooks(
        "[pool]\nworkers = 1\nstandby = 0\n[queue]\ncapacity = 10\n
         [hook.hold]\non = ['Hold1', 'Hold2']\nrun = 'n=${HOOKPOOL_EVENT#Hold}; touch held$n; until [ -e go$n ]; do sleep 0.01; done'
         [hook.a]\non = ['A']\nrun = 'true'\n[hook.end]\non = ['End']\nrun = 'touch ended'\n",
    );
    let mut live = env.spawn(&["run", "-", "--rate", "1000/s"]);
    live.send(lone("Hold1"));
    env.wait_for("held1");
    live.send([repeat(&lone("A"), 8), lone("End"), "nonsense\n".to_owned()].concat());
    live.wait_for_stderr("standard input:11:");
    env.write("go1", "");
    env.wait_for("ended");
    live.send(lone("Hold2"));
    env.wait_for("held2");
    live.send([repeat(&lone("A"), 10), "nonsense\n".to_owned()].concat());
    live.wait_for_stderr("standard input:23:");
    env.write("go2", "");
    let done = live.finish();
    assert_eq!(done.stderr.matches("near its capacity").count(), 2, "{}", done.stderr);
}

#[test]
fn a_flood_of_drops_is_told_at_most_once_a_second() {
    let env = TestEnv::with_hooks(
        "[pool]\nworkers = 1\nstandby = 0\n[queue]\ncapacity = 1\n
         [hook.hold]\non = ['Hold']\nrun = 'touch held; until [ -e go ]; do sleep 0.01; done'
         [hook.a]\non = ['A']\nrun = 'true'\n",
    );
    let mut live = env.spawn(&["run", "-", "--when-full", "drop", "--report", "json"]);
    live.send(lone("Hold"));
    env.wait_for("held");
    live.send([repeat(&lone("A"), 500), "nonsense\n".to_owned()].concat());
    live.wait_for_stderr("standard input:");
    env.write("go", "");
    let done = live.finish();
    let report = done.report();
    assert_eq!(report.happened(), "succeeded 2, full 499");
    let told = done.stderr.matches("dropped a A hook").count() as u64;
    let most = 1 + report.n("elapsed_us") / 1_000_000;
    assert!((1..=most).contains(&told), "{told} lines: {}", done.stderr);
    assert!(done.stderr.contains("queue.capacity"), "{}", done.stderr);
}

#[test]
fn a_verbose_run_says_which_configuration_files_it_uses() {
    let env = TestEnv::with_hooks("[hook.a]\non = ['A']\nrun = 'true'\n");
    env.write("other.toml", "");
    env.write("e", lone("A"));
    for (args, file) in
        [(&["run", "e", "-v"][..], "hooks.toml"), (&["run", "e", "-v", "-c", "other.toml"], "other.toml")]
    {
        let done = env.run(args);
        assert!(done.stderr.contains(&format!("configuration file file={file}")), "{done:?}");
    }
    assert!(!env.run(&["run", "e"]).stderr.contains("configuration file"));
}
