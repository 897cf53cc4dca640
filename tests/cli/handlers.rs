//! What handlers get, and how they end.

use crate::env::{TestEnv, event, lone};

#[test]
fn handlers_get_the_event_byte_by_byte() {
    let events = [
        "{ \"type\" :\t\"X\",\"a\" : \"\\u0000 \\ud83d\\ude00 \u{e9}\u{2028} \\/ \\\" }{\" , \"n\": 1.50e+03,\"n\":2 }",
        "{\n  \"type\": \"X\",\r\n\t\"list\": [\n\n    1,\n 2 ]\n}",
        "{\"type\":\"X\"}",
    ];
    let env = TestEnv::with_hooks(
        "[hook.keep]\non = ['X']\nrun = 'cat > \"kept.$HOOKPOOL_JOB\"'\norder = 'none'\n",
    );
    assert_eq!(env.report(&[], &events.join("\n")).happened(), "succeeded 3");
    for (n, event) in events.iter().enumerate() {
        assert_eq!(&env.read(&format!("kept.{}", n + 1)), event);
    }
}

#[test]
fn a_large_event_reaches_who_reads_it_and_does_not_hurt_who_does_not() {
    let event = format!("{{\"type\":\"X\",\"blob\":\"{}\"}}", "y".repeat(1_000_000));
    let env = TestEnv::with_hooks(
        "[hook.reads]\non = ['X']\nrun = 'cat > kept'\n[hook.ignores]\non = ['X']\nrun = 'exec true'\n",
    );
    assert_eq!(env.report(&[], &event).happened(), "succeeded 2");
    assert!(env.read("kept") == event);
}

#[test]
fn no_output_has_what_handlers_find_in_their_environment() {
    let env = TestEnv::with_hooks(
        "[hook.a]\non = ['X']\nrun = 'test ${#OWN} = 11 && test ${#ITS} = 11 && exit 7'\n\
         env.OWN = '${env:GIVEN}'\nretry = { attempts = 2, backoff = '1ms' }\n\
         [hook.b]\non = ['X']\nrun = '/nothing'\nmode = 'resident'\nenv.OWN = '${env:GIVEN}'\n",
    )
    .variable("GIVEN", "hunter2-own")
    .variable("ITS", "hunter3-its");
    env.write("events.jsonl", lone("X"));
    for args in [
        &["run", "-vv", "--show-output", "--report", "json", "events.jsonl"][..],
        &["run", "-vv", "--report", "text", "events.jsonl"],
        &["run", "--dry-run", "events.jsonl"],
        &["config", "--origins"],
        &["check"],
    ] {
        let done = env.run(args);
        let said = format!("{}{}", done.stdout, done.stderr);
        assert!(!said.contains("hunter"), "{args:?}: {said}");
        if args.contains(&"json") {
            assert!(said.contains("exit status 7"), "it had both: {said}");
        }
    }
}

#[test]
fn handlers_know_from_their_environment_what_they_handle() {
    let env = TestEnv::with_hooks(
        "[hook.tell]\non = ['pre_tool']\nrun = 'env > told'\ntimeout = '40s'\nenv = { OWN = 'mine' }\n",
    )
    .variable("INHERITED", "yes");
    let text = r#"{"hook_event_name":"PreToolUse","tool_name":"Bash","session_id":"s\u00001 ü"}"#;
    env.report(&[], text);
    let told = env.lines("told");
    for line in [
        "HOOKPOOL_HOOK=tell",
        "HOOKPOOL_KIND=pre_tool",
        "HOOKPOOL_EVENT=PreToolUse",
        "HOOKPOOL_SESSION=s\u{fffd}1 ü",
        "HOOKPOOL_JOB=1",
        "HOOKPOOL_ATTEMPT=1",
        "OWN=mine",
        "INHERITED=yes",
    ] {
        assert!(told.iter().any(|told| told == line), "{line} is not in {told:?}");
    }
    let left = told.iter().find_map(|line| line.strip_prefix("HOOKPOOL_DEADLINE_MS=")).unwrap();
    assert!((1..=40_000).contains(&left.parse::<u64>().unwrap()), "{left}");
}

#[test]
fn handlers_run_in_the_folder_of_their_configuration_whoever_starts_the_program_where() {
    let env = TestEnv::new().variable("WORD", "a  b;c");
    env.write("elsewhere/e", lone("X"));
    env.write(
        "conf/hooks.toml",
        "[defaults]\ntimeout = '1m'\n[hook.where]\non = ['X']\nrun = 'pwd > where'\n\
         [hook.below]\non = ['X']\ncwd = 'sub'\nrun = 'pwd > where'\n\
         [hook.named]\non = ['X']\nrun = ['${config_dir}/tool', '${env:WORD}', '$HOME']\n",
    );
    env.write("conf/sub/x", "");
    env.write("conf/tool", "#!/bin/sh\nprintf '%s|' \"$@\" > args\n");
    std::fs::set_permissions(env.path("conf/tool"), std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .unwrap();
    let done = env
        .spawn_in("elsewhere", &["run", "e", "--config", "../conf/hooks.toml", "--report", "json"])
        .finish();
    assert_eq!(done.report().happened(), "succeeded 3", "{done:?}");
    let real = |name: &str| format!("{}\n", env.path(name).canonicalize().unwrap().display());
    assert_eq!(env.read("conf/where"), real("conf"));
    assert_eq!(env.read("conf/sub/where"), real("conf/sub"));
    assert_eq!(env.read("conf/args"), "a  b;c|$HOME|", "a list is not given to a shell");
}

#[test]
fn output_is_shown_when_that_is_asked_for_and_cannot_play_with_the_terminal() {
    let env = TestEnv::with_hooks(
        "[hook.talks]\non = ['X']\nrun = 'echo to-out; echo to-err >&2; printf \"\\033[2J\\007evil\\n\"'\n",
    );
    env.write("e", lone("X"));
    let quiet = env.run(&["run", "e"]);
    assert_eq!(quiet.stderr, "");
    let shown = env.run(&["run", "e", "--show-output", "--report", "json"]);
    shown.report();
    for text in ["stdout: to-out", "stderr: to-err", "evil", "talks X"] {
        assert!(shown.stderr.contains(text), "{text}: {}", shown.stderr);
    }
    assert!(!shown.stderr.contains(['\u{1b}', '\u{7}']), "{:?}", shown.stderr);
}

#[test]
fn a_program_that_is_missing_is_a_warning_and_its_jobs_are_not_started() {
    let env = TestEnv::with_hooks(
        "[hook.gone]\non = ['X']\nrun = ['./no-such-program']\n[hook.here]\non = ['X']\nrun = 'true'\n",
    );
    env.write("e", lone("X"));
    let done = env.run(&["run", "e", "--report", "json"]);
    assert_eq!(done.code, Some(0));
    assert_eq!(done.report().happened(), "succeeded 1, not_started 1");
    assert!(done.stderr.contains("no-such-program") && done.stderr.contains("WARN"), "{}", done.stderr);
}

#[test]
fn the_end_of_a_handler_decides_its_outcome() {
    for (script, outcome) in [
        ("exit 0", "succeeded 1"),
        ("exit 1", "failed 1"),
        ("exit 2", "failed 1"),
        ("kill -9 $$", "failed 1"),
        ("kill -TERM $$", "failed 1"),
        ("no_such_command_here", "failed 1"),
    ] {
        let env = TestEnv::with_hooks(&format!("[hook.a]\non = ['X']\nrun = '{script}'\n"));
        assert_eq!(env.report(&[], &lone("X")).happened(), outcome, "{script}");
    }
}

#[test]
fn a_timeout_kills_the_handler_with_everything_it_started() {
    let stubborn = "trap \"\" TERM; (trap \"\" TERM; sleep 600) & sleep 600 | sleep 600; sleep 600";
    let hook = "timeout = '300ms'\ngrace = '100ms'\n";
    let env = TestEnv::with_hooks(&format!("[hook.slow]\non = ['X']\nrun = '{stubborn}'\n{hook}"));
    let report = env.report(&[], &[event("X", "1"), event("X", "2")].concat());
    assert_eq!(report.happened(), "timed_out 2");
    assert!(report.n("hooks.slow.run_us.max") >= 300_000);
    assert_eq!(env.left_behind(), [0; 0]);
}

#[test]
fn what_a_successful_handler_leaves_is_killed_unless_it_is_to_be_kept() {
    let env = TestEnv::with_hooks("[hook.a]\non = ['X']\nrun = 'sleep 600 > /dev/null 2>&1 &'\n");
    assert_eq!(env.report(&[], &lone("X")).happened(), "succeeded 1");
    assert_eq!(env.left_behind(), [0; 0]);
    let env = TestEnv::with_hooks(
        "[hook.a]\non = ['X']\nrun = 'sleep 600 > /dev/null 2>&1 & echo $! > pid'\nleftovers = 'keep'\n",
    );
    assert_eq!(env.report(&[], &lone("X")).happened(), "succeeded 1");
    let left = env.left_behind();
    for number in &left {
        let _ = rustix::process::kill_process(
            rustix::process::Pid::from_raw(*number).unwrap(),
            rustix::process::Signal::KILL,
        );
    }
    assert_eq!(left.len(), 1);
}

#[test]
fn hooks_that_start_hooks_without_end_are_stopped() {
    let env = TestEnv::with_hooks("[hook.a]\non = ['X']\nrun = 'true'\n").variable("HOOKPOOL_DEPTH", "8");
    assert_eq!(env.report(&[], &lone("X")).happened(), "not_started 1");
}
