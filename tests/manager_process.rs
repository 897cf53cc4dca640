//! The one manager of a process: who makes it, from what, and what becomes of a bad configuration.
//!
//! There is one for each process, so each case runs in a process of its own: this test program, asked for one test.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

use std::fs;
use std::process::Command;
use std::sync::{Arc, Barrier};

use hookpool::{OutcomeKind, Skip, get_hook_performance_config, hook_manager, set_performance_mode};

const HOOKS: &str = "shutdown.drain = '10m'\ndefaults.timeout = '10m'\npool = { workers = 3, standby = 1 }\n\
                     [hook.a]\non = ['*']\nrun = 'true'\n";

/// Runs one of the cases below in a new process, in a folder with this `hooks.toml`.
fn in_a_process(case: &str, hooks: &str, variables: &[(&str, &str)]) {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("hooks.toml"), hooks).unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", case, "--ignored", "--nocapture"]).current_dir(dir.path());
    command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").env("HOME", dir.path());
    let output = command.envs(variables.iter().copied()).output().unwrap();
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{case}: {said}");
}

fn pool_threads() -> usize {
    let threads = fs::read_dir("/proc/self/task").unwrap().flatten();
    let names = threads.filter_map(|thread| fs::read_to_string(thread.path().join("comm")).ok());
    names.filter(|name| name.starts_with("hookpool-")).count()
}

#[test]
fn sixteen_threads_that_ask_first_at_once_get_one_manager() {
    for _ in 0..20 {
        in_a_process("case_sixteen_threads", HOOKS, &[]);
    }
}

#[test]
#[ignore = "a case for a process of its own"]
fn case_sixteen_threads() {
    let barrier = Arc::new(Barrier::new(16));
    let threads: Vec<_> = (0..16)
        .map(|_| {
            let barrier = Arc::clone(&barrier);
            std::thread::spawn(move || {
                barrier.wait();
                let manager = hook_manager();
                manager.trigger_user_prompt_hook("x");
                std::ptr::from_ref(manager) as usize
            })
        })
        .collect();
    let found: Vec<usize> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    assert!(found.iter().all(|one| *one == found[0]));
    // A thread has its name a moment after its start.
    while pool_threads() < 4 {
        std::thread::yield_now();
    }
    assert_eq!(pool_threads(), 4, "three workers and a standby");
    let ledger = hook_manager().shutdown();
    assert!(ledger.is_balanced());
    assert_eq!(ledger.snapshot.total.outcome(OutcomeKind::Succeeded), 16);
}

#[test]
fn a_performance_mode_that_is_set_is_obeyed_by_a_manager_that_is_there_and_by_one_that_comes() {
    in_a_process("case_performance_mode_before", HOOKS, &[]);
    in_a_process("case_performance_mode_after", HOOKS, &[]);
    in_a_process("case_performance_mode_off", HOOKS, &[("CLAUDE_MPM_PERFORMANCE_MODE", "true")]);
}

#[test]
#[ignore = "a case for a process of its own"]
fn case_performance_mode_before() {
    assert!(!get_hook_performance_config().performance_mode);
    set_performance_mode(true);
    assert!(get_hook_performance_config().performance_mode);
    assert_eq!(pool_threads(), 0, "to ask for settings starts nothing");
    let triggered = hook_manager().trigger_user_prompt_hook("x");
    assert_eq!(triggered.skipped_hooks().next().map(|(_, why)| why), Some(Skip::PerformanceMode));
}

#[test]
#[ignore = "a case for a process of its own"]
fn case_performance_mode_after() {
    let manager = hook_manager();
    assert!(manager.trigger_user_prompt_hook("x").is_admitted());
    set_performance_mode(true);
    assert!(!manager.trigger_user_prompt_hook("x").is_admitted());
    let config = get_hook_performance_config();
    assert!(config.performance_mode && config.print_config().contains("performance mode    on"));
    assert_eq!(config.is_hook_enabled("pre_tool"), Some(false));
    set_performance_mode(false);
    assert!(manager.trigger_user_prompt_hook("x").is_admitted());
    assert!(!get_hook_performance_config().performance_mode);
    assert!(manager.shutdown().is_balanced());
}

#[test]
#[ignore = "a case for a process of its own"]
fn case_performance_mode_off() {
    assert!(get_hook_performance_config().performance_mode);
    set_performance_mode(false);
    assert!(hook_manager().trigger_user_prompt_hook("x").is_admitted(), "it stands above every variable");
}

#[test]
fn the_session_is_inherited_or_random_and_never_written_into_the_environment() {
    in_a_process("case_session", HOOKS, &[("CLAUDE_MPM_SESSION_ID", "inherited")]);
    in_a_process(
        "case_session",
        HOOKS,
        &[("CLAUDE_MPM_SESSION_ID", ""), ("HOOKPOOL_SESSION", "of a handler")],
    );
    in_a_process("case_session", HOOKS, &[]);
}

#[test]
#[ignore = "a case for a process of its own"]
#[expect(clippy::disallowed_methods, reason = "the environment is what is looked at")]
fn case_session() {
    let given = std::env::var("CLAUDE_MPM_SESSION_ID").ok();
    let session = hook_manager().session_id();
    match given.as_deref() {
        Some("inherited") => assert_eq!(session, "inherited"),
        _ => assert_eq!((session.len(), session.get(14..15)), (36, Some("4")), "{session}"),
    }
    assert_eq!(std::env::var("CLAUDE_MPM_SESSION_ID").ok(), given);
}

#[test]
#[cfg(feature = "cli")]
fn an_invalid_configuration_skips_everything_and_is_logged_once() {
    in_a_process("case_invalid", "[pool]\nworkers = 0\n", &[]);
    in_a_process("case_invalid", HOOKS, &[("CLAUDE_MPM_HOOK_QUEUE_SIZE", "abc")]);
}

#[test]
#[ignore = "a case for a process of its own"]
#[cfg(feature = "cli")]
fn case_invalid() {
    #[derive(Clone, Default)]
    struct Lines(Arc<std::sync::Mutex<Vec<u8>>>);
    impl std::io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    use hookpool::{ManagerError, try_hook_manager};

    let lines = Lines::default();
    let sink = lines.clone();
    tracing_subscriber::fmt().with_ansi(false).with_writer(move || sink.clone()).init();

    let manager = hook_manager();
    for triggered in [manager.trigger_pre_tool_hook("Bash", ()), manager.trigger("Stop", ())] {
        assert_eq!(triggered.skip(), Some(Skip::ConfigError));
        assert!(!triggered.is_admitted() && triggered.hooks().is_empty());
    }
    let error = try_hook_manager().unwrap_err();
    assert!(matches!(error, ManagerError::Config(_)), "{error}");
    assert!(manager.pool().is_none());
    assert_eq!((manager.queue_size(), pool_threads()), (0, 0));
    let config = get_hook_performance_config();
    assert_eq!(config.config_error, Some(error.to_string()));
    assert_eq!(config.is_hook_enabled("pre_tool"), Some(false));
    set_performance_mode(true);
    let ledger = manager.shutdown();
    assert!(ledger.is_balanced());
    let total = &ledger.snapshot.total;
    assert_eq!((total.submitted(), total.skipped(Skip::ConfigError)), (2, 2));
    let text = String::from_utf8_lossy(&lines.0.lock().unwrap()).into_owned();
    assert_eq!(text.matches("every hook is skipped").count(), 1, "{text}");
}
