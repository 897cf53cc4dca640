//! A run without a file.

use crate::env::TestEnv;

#[test]
fn the_demo_runs_delegations_and_all_and_balances() {
    let env = TestEnv::new();
    let done = env.run(&["run", "--report", "json"]);
    assert_eq!(done.code, Some(0), "{done:?}");
    let report = done.report();
    assert!(report.n("events.read") >= 60);
    assert_eq!(report.n("events.invalid"), 0);
    assert!(report.n("hooks.delegations.outcomes.succeeded") > 0);
    assert!(report.n("classes.high.submitted") > 0);
    let text = env.run(&["run"]);
    assert_eq!(text.code, Some(0));
    assert!(text.stdout.contains("balanced") && text.stdout.contains("delegations"), "{}", text.stdout);
}

#[test]
fn the_demo_uses_nothing_of_the_user_s_configuration() {
    let poison = "[hook.poison]\non = ['*']\nrun = 'touch poisoned'\n";
    let env = TestEnv::new()
        .variable("HOOKPOOL_NO_SUCH_SETTING", "1")
        .variable("HOOKPOOL_PERFORMANCE_MODE", "true")
        .variable("CLAUDE_MPM_PERFORMANCE_MODE", "true");
    env.write("hooks.toml", poison);
    env.write("config/hooks.toml", poison);
    env.write("home/.config/hookpool/hooks.toml", "this is no TOML");
    let done = env.run(&["run", "--report", "json"]);
    assert_eq!(done.code, Some(0), "{done:?}");
    let report = done.report();
    assert!(report.at("hooks.poison").is_null() && !env.exists("poisoned"));
    assert_eq!(report.n("skipped.performance_mode"), 0);
}

#[test]
fn the_demo_s_hooks_without_their_interpreter_are_skipped_with_a_word() {
    let env = TestEnv::new();
    // A PATH with everything that the shell hooks need, and no Python.
    std::fs::create_dir(env.path("bin")).unwrap();
    for tool in ["sh", "cat", "sed", "grep", "wc", "sleep", "echo"] {
        for folder in ["/bin", "/usr/bin"] {
            let from = std::path::Path::new(folder).join(tool);
            if from.exists() {
                let _ = std::os::unix::fs::symlink(from, env.path("bin").join(tool));
            }
        }
    }
    let bin = env.path("bin").display().to_string();
    let env = env.variable("PATH", &bin);
    let done = env.run(&["run", "--report", "json"]);
    assert_eq!(done.code, Some(0), "{done:?}");
    let report = done.report();
    assert!(report.n("skipped.hook_disabled") > 0);
    assert_eq!(report.n("outcomes.not_started"), 0);
    assert!(report.n("hooks.delegations.outcomes.succeeded") > 0);
    assert!(done.stderr.contains("python3") && done.stderr.contains("skipped"), "{}", done.stderr);
}

#[test]
fn the_demo_takes_no_configuration() {
    assert_eq!(TestEnv::with_hooks("").run(&["run", "--config", "hooks.toml"]).code, Some(2));
}
