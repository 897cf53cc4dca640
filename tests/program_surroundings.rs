//! What the program passes on of its own environment to handlers, and when it was started by a handler itself.

#![cfg(all(target_os = "linux", feature = "cli"))]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::process::Command;

/// Runs one hook that writes its environment to a file, in a program with these variables. Gives back the report, the
/// log and what the hook wrote; `None`: it never ran.
fn run(variables: &[(&str, &str)], event: &str) -> (String, String, Option<String>) {
    let dir = tempfile::tempdir().unwrap();
    let hook = "[hook.tell]\non = ['*']\ntimeout = '10m'\nrun = ['/bin/sh', '-c', 'env -0 >told']\n";
    fs::write(dir.path().join("hooks.toml"), hook).unwrap();
    fs::write(dir.path().join("events"), event).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_hookpool"));
    command.args(["run", "events", "--report", "json"]).current_dir(dir.path());
    command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").env("HOME", dir.path());
    let output = command.envs(variables.iter().copied()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr), fs::read_to_string(dir.path().join("told")).ok())
}

#[test]
fn what_an_outer_hookpool_told_its_handler_does_not_reach_inner_handlers() {
    let outer = [
        ("HOOKPOOL_HOOK", "outer"),
        ("HOOKPOOL_KIND", "outer"),
        ("HOOKPOOL_EVENT", "outer"),
        ("HOOKPOOL_SESSION", "outer"),
        ("HOOKPOOL_JOB", "outer"),
        ("HOOKPOOL_ATTEMPT", "outer"),
        ("HOOKPOOL_DEADLINE_MS", "outer"),
        ("HOOKPOOL_DEPTH", "3"),
        ("HOOKPOOL_POOL_ID", "outer"),
    ];
    // Without a session, so that nothing replaces the outer one by chance.
    let (_, log, told) = run(&outer, r#"{"type":"x"}"#);
    let told = told.unwrap();
    let variables: Vec<_> = told.split_terminator('\0').collect();
    assert!(!told.contains("outer"), "{variables:?}");
    assert!(variables.contains(&"HOOKPOOL_DEPTH=4"), "{variables:?}");
    for (name, _) in outer {
        let of_name = |variable: &&&str| variable.split_once('=').is_some_and(|(own, _)| own == name);
        assert_eq!(variables.iter().filter(of_name).count(), 1, "{name} in {variables:?}");
    }
    assert_eq!(log, "", "they are no settings");
}

#[test]
fn handlers_nested_too_deep_are_not_started_and_the_reason_names_the_nesting() {
    for depth in ["8", "9", "4294967295", "99999999999999999999"] {
        let (report, log, told) = run(&[("HOOKPOOL_DEPTH", depth)], r#"{"type":"x"}"#);
        assert_eq!(told, None, "{depth}");
        assert!(report.contains("\"not_started\":1"), "{depth}: {report}");
        assert!(log.contains("hooks are nested"), "{depth}: {log}");
    }
}

#[test]
fn handlers_not_nested_too_deep_are_started_and_no_number_counts_as_none() {
    for (depth, own) in [("7", "8"), ("abc", "1"), ("-1", "1"), ("", "1")] {
        let (report, _, told) = run(&[("HOOKPOOL_DEPTH", depth)], r#"{"type":"x"}"#);
        assert!(report.contains("\"succeeded\":1"), "{depth}: {report}");
        let told = told.unwrap();
        let line = format!("HOOKPOOL_DEPTH={own}");
        assert!(told.split('\0').any(|variable| variable == line), "{depth}: {told:?}");
    }
}
