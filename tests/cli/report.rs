//! The two reports.

use crate::env::{TestEnv, lone};

const HOOKS: &str = "
    [hook.good]
    on = ['A']
    run = 'true'
    [hook.bad]
    on = ['A', 'B']
    run = 'echo complaint >&2; exit 3'
    priority = 'low'
    [hook.never_asked]
    on = ['stop']
    run = 'true'
";

#[test]
fn the_json_report_has_every_name_of_the_ledger_and_all_its_sums_hold() {
    // Names and sums are checked by reading it.
    let report = TestEnv::with_hooks(HOOKS).report(&[], &[lone("A"), lone("B"), lone("C")].concat());
    assert_eq!(report.happened(), "succeeded 1, failed 2, no_match 1");
    assert_eq!(report.n("submitted"), 4);
    assert_eq!((report.n("events.read"), report.n("events.matched"), report.n("events.invalid")), (3, 2, 0));
    assert_eq!(report.n("hooks.bad.outcomes.failed"), 2);
    assert_eq!(report.n("classes.low.outcomes.failed"), 2);
    assert_eq!(report.n("classes.normal.outcomes.succeeded"), 1);
}

#[test]
fn times_without_samples_are_null_and_with_samples_are_numbers() {
    let report = TestEnv::with_hooks(HOOKS).report(&[], &lone("A"));
    for part in ["hooks.never_asked", "classes.critical"] {
        for time in ["wait_us.p50", "wait_us.max", "run_us.p99"] {
            assert!(report.at(&format!("{part}.{time}")).is_null(), "{part}.{time}");
        }
    }
    assert!(report.n("hooks.good.run_us.max") > 0);
    assert!(report.at("hooks.good.wait_us.p50").is_u64());
}

#[test]
fn the_json_report_is_one_line() {
    let env = TestEnv::with_hooks(HOOKS);
    env.write("e", lone("A"));
    let done = env.run(&["run", "e", "--report", "json"]);
    assert_eq!(done.stdout.lines().count(), 1);
    assert!(done.stdout.ends_with('\n'));
}

#[test]
fn the_text_report_names_every_hook_and_shows_the_ledger_and_what_failed() {
    let env = TestEnv::with_hooks(HOOKS);
    env.write("e", lone("A"));
    let done = env.run(&["run", "e"]);
    for text in ["good", "bad", "never_asked", "complaint", "submitted", "balanced"] {
        assert!(done.stdout.contains(text), "{text} is missing in\n{}", done.stdout);
    }
    let ledger = done.stdout.lines().find(|line| line.starts_with("ledger")).unwrap();
    assert!(ledger.contains("2 submitted = 2 admitted + 0 refused + 0 skipped"), "{ledger}");
    assert!(!done.stdout.contains('\u{1b}'), "no colours in a pipe");
}

#[test]
fn a_run_without_events_and_without_hooks_has_a_report_too() {
    let report = TestEnv::with_hooks("").report(&[], "");
    assert_eq!((report.n("events.read"), report.n("submitted"), report.happened()), (0, 0, String::new()));
    let report = TestEnv::new().report(&[], &lone("A"));
    assert_eq!(report.happened(), "no_match 1");
}
