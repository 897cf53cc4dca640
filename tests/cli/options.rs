//! Options, exit codes, standard streams.

use crate::env::{TestEnv, lone, repeat};

const FAILING: &str = "[hook.fails]\non = ['A']\nrun = 'touch ran; exit 1'\n";

#[test]
fn a_dry_run_shows_the_choice_and_runs_nothing() {
    let env = TestEnv::with_hooks(FAILING);
    env.write("e", [lone("A"), lone("B")].concat());
    let text = env.run(&["run", "e", "--dry-run"]);
    assert_eq!(text.code, Some(0), "{text:?}");
    let lines: Vec<_> = text.stdout.lines().collect();
    assert_eq!(lines.len(), 2, "{text:?}");
    assert!(lines[0].contains("fails (normal)") && lines[1].contains("no hook"), "{text:?}");
    let json = env.run(&["run", "e", "--dry-run", "--report", "json"]);
    let first: serde_json::Value = serde_json::from_str(json.stdout.lines().next().unwrap()).unwrap();
    assert_eq!(first["hooks"][0]["hook"], "fails");
    assert!(!env.exists("ran"));
}

#[test]
fn failed_hooks_are_an_error_only_when_that_is_asked_for() {
    for (hook, failed) in [
        ("run = 'exit 1'", true),
        ("run = ['./missing']", true),
        ("run = 'sleep 600'\ntimeout = '50ms'", true),
        ("run = 'true'", false),
        ("run = 'exit 1'\nenabled = false", false),
    ] {
        let env = TestEnv::with_hooks(&format!("[hook.a]\non = ['A']\n{hook}\n"));
        env.write("e", lone("A"));
        assert_eq!(env.run(&["run", "e"]).code, Some(0), "{hook}");
        assert_eq!(env.run(&["run", "e", "--strict"]).code, Some(i32::from(failed)), "{hook}");
    }
}

#[test]
fn a_wrong_command_line_ends_with_2_and_prints_nothing_as_a_result() {
    let env = TestEnv::with_hooks(FAILING);
    env.write("e", lone("A"));
    for args in [
        &["run", "e", "--no-such-option"][..],
        &["run", "e", "--report", "xml"],
        &["run", "e", "--rate", "fast"],
        &["run", "e", "--rate", "0/s"],
        &["run", "e", "--rate", "1/s", "--realtime"],
        &["run", "e", "--when-full", "explode"],
        &["run", "e", "--drain-timeout", "soon"],
        &["no-such-command"],
        &[],
    ] {
        let done = env.run(args);
        assert_eq!(done.code, Some(2), "{args:?}: {done:?}");
        assert!(done.stdout.is_empty() && !done.stderr.is_empty(), "{args:?}: {done:?}");
    }
    assert!(!env.exists("ran"));
    for args in [&["--help"][..], &["--version"], &["run", "--help"]] {
        let done = env.run(args);
        assert!(
            done.code == Some(0) && !done.stdout.is_empty() && done.stderr.is_empty(),
            "{args:?}: {done:?}"
        );
    }
}

#[test]
fn every_problem_of_a_configuration_is_told_at_its_place_and_nothing_runs() {
    let env = TestEnv::new();
    env.write("bad.toml", format!("[pool]\nworkers = 0\nwrokers = 2\n{FAILING}timeout = 'soon'\n"));
    env.write("e", lone("A"));
    let done = env.run(&["run", "e", "--config", "bad.toml"]);
    assert_eq!(done.code, Some(3), "{done:?}");
    for place in ["bad.toml:2:", "bad.toml:3:", "bad.toml:7:"] {
        assert!(done.stderr.contains(place), "{place} is missing in\n{}", done.stderr);
    }
    assert!(done.stdout.is_empty() && !env.exists("ran"));
    assert_eq!(env.run(&["run", "e", "--config", "missing.toml"]).code, Some(3));
}

#[test]
fn an_unknown_variable_of_hookpool_is_an_error_and_those_of_handlers_are_none() {
    let env = TestEnv::with_hooks(FAILING).variable("HOOKPOOL_POOL__WROKERS", "2");
    env.write("e", lone("A"));
    let done = env.run(&["run", "e"]);
    assert_eq!(done.code, Some(3));
    assert!(done.stderr.contains("HOOKPOOL_POOL__WROKERS"), "{done:?}");
    let env = TestEnv::with_hooks(FAILING).variable("HOOKPOOL_HOOK", "a").variable("HOOKPOOL_JOB", "7");
    assert_eq!(env.report(&[], &lone("A")).happened(), "failed 1");
}

#[test]
fn variables_override_files_and_the_older_names_are_understood() {
    let env = TestEnv::with_hooks(FAILING).variable("HOOKPOOL_HOOK__FAILS__ENABLED", "false");
    assert_eq!(env.report(&[], &lone("A")).happened(), "hook_disabled 1");
    let env = TestEnv::with_hooks(FAILING).variable("CLAUDE_MPM_PERFORMANCE_MODE", "true");
    assert_eq!(env.report(&[], &lone("A")).happened(), "performance_mode 1");
}

#[test]
fn the_user_s_file_the_project_s_file_and_a_named_file_are_layers() {
    let env = TestEnv::with_hooks(FAILING);
    env.write("home/.config/hookpool/hooks.toml", "[hook.mine]\non = ['A']\nrun = 'true'\n");
    assert_eq!(env.report(&[], &lone("A")).happened(), "succeeded 1, failed 1");
    env.write("other.toml", "[hook.other]\non = ['A']\nrun = 'true'\n");
    assert_eq!(env.report(&["--config", "other.toml"], &lone("A")).happened(), "succeeded 2");
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let env = TestEnv::with_hooks("[hook.a]\non = ['*']\nrun = 'true'\n");
    env.write("e", repeat(&lone("A"), 20_000));
    let script = "run() { \"$PROGRAM\" run e \"$@\" | head -1 > first; }; set -o pipefail; ";
    for args in ["--dry-run", "--dry-run --report json"] {
        let done = shell(&env, &format!("{script} run {args}"));
        assert_eq!((done.0, done.1.as_str()), (Some(0), ""), "{args}");
        assert_eq!(env.lines("first").len(), 1);
    }
    let mut live = env.spawn_unheard(&["run", "-"], &["stdout"]);
    live.send(lone("A"));
    let done = live.finish();
    assert_eq!((done.code, done.stderr.as_str()), (Some(0), ""));
}

#[test]
fn a_standard_error_that_goes_away_costs_log_lines_and_nothing_else() {
    let env = TestEnv::with_hooks("[hook.a]\non = ['*']\nrun = 'echo out; exit 1'\n");
    for options in [&["-vvv"][..], &["-vv", "--log-format", "json"], &["--show-output"]] {
        let args = [&["run", "-", "--report", "json"], options].concat();
        let mut live = env.spawn_unheard(&args, &["stderr"]);
        live.send([repeat(&lone("A"), 20), "nonsense\n".to_owned()].concat());
        let done = live.finish();
        assert_eq!(done.code, Some(0), "{done:?}");
        assert_eq!(done.report().happened(), "failed 20");
    }
}

#[test]
fn standard_output_that_takes_nothing_is_an_error() {
    let env = TestEnv::with_hooks(FAILING);
    env.write("e", lone("A"));
    let done = shell(&env, "\"$PROGRAM\" run e > /dev/full");
    assert_eq!(done.0, Some(70), "{done:?}");
    assert!(done.1.contains("standard output"), "{done:?}");
}

#[test]
fn colours_are_for_those_who_want_them() {
    let env = TestEnv::with_hooks(FAILING).variable("CLICOLOR_FORCE", "1");
    env.write("e", lone("A"));
    assert!(env.run(&["run", "e"]).stdout.contains('\u{1b}'));
    let env = TestEnv::with_hooks(FAILING).variable("NO_COLOR", "1").variable("CLICOLOR_FORCE", "0");
    env.write("e", lone("A"));
    let done = env.run(&["run", "e", "-vv"]);
    assert!(!done.stdout.contains('\u{1b}') && !done.stderr.contains('\u{1b}'));
}

/// Runs a script; `$PROGRAM` is the program. Answers with its status and standard error.
fn shell(env: &TestEnv, script: &str) -> (Option<i32>, String) {
    let mut command = std::process::Command::new("bash");
    command.args(["-c", script]).current_dir(env.path(".")).env("PROGRAM", env!("CARGO_BIN_EXE_hookpool"));
    command.env("XDG_CONFIG_HOME", env.path("home/.config"));
    let output = command.output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn a_standard_error_that_is_full_changes_neither_the_report_nor_the_exit_code() {
    let env = TestEnv::with_hooks("[hook.a]\non = ['A']\nrun = 'true'\n");
    env.write("e", [lone("A"), "bad\n".to_owned(), lone("A")].concat());
    let done = shell(&env, "\"$PROGRAM\" run e --report json > report 2> /dev/full");
    assert_eq!(done.0, Some(0), "{done:?}");
    assert!(env.read("report").contains("\"read\":3,\"invalid\":1,\"matched\":2"));
    let done = shell(&env, "\"$PROGRAM\" run e --config missing.toml 2> /dev/full");
    assert_eq!(done.0, Some(3), "{done:?}");
}
