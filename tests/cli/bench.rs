//! `hookpool bench`: what its report holds, and that everything in it is accounted for. No speeds.

use serde_json::Value;

use crate::env::TestEnv;

const MODES: [&str; 4] = ["synchronous", "pool", "performance_mode", "full_queue"];

fn measured(env: &TestEnv, events: &str) -> Value {
    let done = env.run(&["bench", "--events", events, "--report", "json"]);
    assert_eq!((done.code, done.stdout.lines().count(), done.stderr.as_str()), (Some(0), 1, ""), "{done:?}");
    serde_json::from_str(&done.stdout).unwrap()
}

#[test]
fn every_event_of_every_mode_is_accounted_for() {
    let report = measured(&TestEnv::new(), "11");
    assert_eq!(report["events"], 11);
    assert!(report["event_bytes"].as_u64().unwrap() > 500 && report["times_less_p50"].is_f64());
    let names: Vec<&str> = report["modes"].as_object().unwrap().keys().map(String::as_str).collect();
    assert!(names.len() == MODES.len() && MODES.iter().all(|mode| names.contains(mode)), "{names:?}");
    for mode in MODES {
        let cost = &report["modes"][mode]["caller_ns"];
        let [p50, p99, max, total] = ["p50", "p99", "max", "total"].map(|name| cost[name].as_u64().unwrap());
        assert!(0 < p50 && p50 <= p99 && p99 <= max && max <= total, "{mode}: {cost}");
        assert!(report["modes"][mode]["elapsed_us"].as_u64().unwrap() * 1000 + 1000 >= total, "{mode}");
    }
    let count = |mode: &str, path: &str| {
        path.split('.').fold(&report["modes"][mode], |value, name| &value[name]).as_u64().unwrap()
    };
    assert_eq!(count("synchronous", "outcomes.succeeded"), 11);
    assert_eq!(count("synchronous", "outcomes.failed"), 0);
    assert_eq!(count("pool", "outcomes.succeeded"), 11);
    assert_eq!(count("performance_mode", "skipped.performance_mode"), 11);
    assert_eq!(count("full_queue", "refused.full"), 11);
    assert_eq!(count("full_queue", "outcomes.succeeded"), 1, "the one that has the place");
    for (mode, submitted, admitted) in [("pool", 11, 11), ("performance_mode", 11, 0), ("full_queue", 12, 1)]
    {
        assert_eq!((count(mode, "submitted"), count(mode, "admitted")), (submitted, admitted), "{mode}");
        assert_eq!((count(mode, "queued"), count(mode, "running")), (0, 0), "{mode}");
        assert_eq!(report["modes"][mode]["balanced"], true, "{mode}");
    }
}

#[test]
fn the_table_says_what_its_rows_mean() {
    let done = TestEnv::new().run(&["bench", "--events", "3"]);
    assert_eq!(done.code, Some(0), "{done:?}");
    for mode in MODES.map(|mode| mode.replace('_', " ")) {
        let lines = done.stdout.lines().filter(|line| line.starts_with(&mode)).count();
        assert_eq!(lines, 2, "its figures, and its meaning: {mode} in\n{}", done.stdout);
    }
    assert!(done.stdout.contains("3 skipped: performance_mode") && done.stdout.contains("3 refused: full"));
    assert!(done.stdout.contains("times less") && !done.stdout.contains('\u{1b}'));
    assert!(done.stdout.lines().all(|line| line.chars().count() <= 120), "{}", done.stdout);
}

#[test]
fn hooks_and_variables_of_the_user_are_none_of_its_business() {
    let env = TestEnv::with_hooks("[hook.mine]\non = ['*']\nrun = 'touch ran'\n")
        .variable("HOOKPOOL_POOL__WORKERS", "nonsense");
    assert_eq!(measured(&env, "2")["modes"]["pool"]["outcomes"]["succeeded"], 2);
    assert!(!env.exists("ran"));
}

#[test]
fn a_number_of_events_that_makes_no_sense_is_a_usage_error() {
    for events in ["0", "-1", "many", "30001"] {
        let done = TestEnv::new().run(&["bench", "--events", events]);
        assert_eq!((done.code, done.stdout.as_str()), (Some(2), ""), "{done:?}");
    }
}

#[test]
fn a_missing_handler_is_told() {
    let done = TestEnv::new().variable("PATH", "/nowhere").run(&["bench", "--events", "1"]);
    assert_eq!((done.code, done.stdout.as_str()), (Some(70), ""), "{done:?}");
    assert!(done.stderr.contains("cannot run the handler `cat`"), "{done:?}");
}
