//! A run on a stream whose configuration changes: on HUP, and when a file of it does.

use std::fs;

use rustix::process::Signal;

use crate::env::{TestEnv, lone, until};

fn echo(word: &str) -> String {
    format!("[hook.a]\non = ['A']\nrun = 'echo {word} >> out'\n")
}

#[test]
fn hup_reads_the_configuration_again_and_says_what_has_changed() {
    let env = TestEnv::with_hooks(&echo("one")).variable("HOOKPOOL_POOL__WORKERS", "3");
    let mut live = env.spawn(&["run", "-", "--report", "json", "--drain-timeout", "1m"]);
    live.send(lone("A"));
    env.wait_for("out");
    live.signal(Signal::HUP);
    live.wait_for_stderr("was read again, and is the same");
    env.write("hooks.toml", "[pool]\nworkers = 5\nstandby = 4\n".to_owned() + &echo("two"));
    live.signal(Signal::HUP);
    live.wait_for_stderr(
        "hook.a.run: \"echo one >> out\" -> \"echo two >> out\" (hooks.toml:6:7), for new jobs",
    );
    live.wait_for_stderr("pool.standby: 1 -> 4 (hooks.toml:3:11)");
    live.send(lone("A"));
    let done = live.finish();
    assert_eq!(done.code, Some(0), "{done:?}");
    assert_eq!(env.lines("out"), ["one", "two"]);
    assert!(!done.stderr.contains("pool.workers"), "a variable stands above the file: {done:?}");
    assert_eq!(done.report().happened(), "succeeded 2");
}

/// As editors do it: in place, and as a new file that gets the old one's name.
#[test]
fn a_file_that_changes_is_read_by_itself_and_an_invalid_one_is_told_of() {
    let env = TestEnv::with_hooks(&echo("one"));
    let mut live = env.spawn(&["run", "-", "--report", "json"]);
    live.send(lone("A"));
    env.wait_for("out");
    env.write("hooks.toml", echo("two"));
    live.wait_for_stderr("-> \"echo two >> out\"");
    live.send(lone("A"));
    until("the second has run", || env.lines("out").len() == 2);
    env.write("hooks.toml.swp", echo("three") + "timout = '1s'\n");
    fs::rename(env.path("hooks.toml.swp"), env.path("hooks.toml")).unwrap();
    live.wait_for_stderr("hooks.toml:4:1: error: unknown key `hook.a.timout`");
    live.wait_for_stderr("the last good configuration stays");
    live.send(lone("A"));
    until("the third has run", || env.lines("out").len() == 3);
    env.write("hooks.toml.swp", echo("four"));
    fs::rename(env.path("hooks.toml.swp"), env.path("hooks.toml")).unwrap();
    live.wait_for_stderr("-> \"echo four >> out\"");
    live.send(lone("A"));
    let done = live.finish();
    assert_eq!(env.lines("out"), ["one", "two", "two", "four"], "{done:?}");
    assert_eq!(done.report().happened(), "succeeded 4");
}

#[test]
fn a_file_and_a_folder_that_were_missing_count_when_they_come() {
    let env = TestEnv::with_hooks("");
    fs::remove_file(env.path("hooks.toml")).unwrap();
    let mut live = env.spawn(&["run", "-", "--report", "json"]);
    live.wait_for_stderr("no hooks are configured");
    fs::create_dir(env.path("new")).unwrap();
    fs::write(env.path("new/hooks.toml"), echo("one")).unwrap();
    fs::rename(env.path("new"), env.path("config")).unwrap();
    live.wait_for_stderr("hook.a: new (config/hooks.toml:2:6)");
    fs::remove_file(env.path("config/hooks.toml")).unwrap();
    live.wait_for_stderr("hook.a: gone");
    env.write("hooks.toml", echo("two"));
    live.wait_for_stderr("hook.a: new (hooks.toml:2:6)");
    live.send(lone("A"));
    let done = live.finish();
    assert_eq!(env.lines("out"), ["two"], "{done:?}");
}

/// As a mounted configuration changes: a link to a link to a folder, of which the middle one is replaced.
#[test]
fn links_are_followed() {
    let env = TestEnv::with_hooks("");
    fs::remove_file(env.path("hooks.toml")).unwrap();
    for word in ["one", "two"] {
        fs::create_dir(env.path(word)).unwrap();
        fs::write(env.path(word).join("hooks.toml"), echo(word)).unwrap();
    }
    std::os::unix::fs::symlink("one", env.path("data")).unwrap();
    std::os::unix::fs::symlink("data/hooks.toml", env.path("hooks.toml")).unwrap();
    let mut live = env.spawn(&["run", "-", "--report", "json"]);
    live.send(lone("A"));
    env.wait_for("out");
    std::os::unix::fs::symlink("two", env.path("data.new")).unwrap();
    fs::rename(env.path("data.new"), env.path("data")).unwrap();
    live.wait_for_stderr("-> \"echo two >> out\"");
    live.send(lone("A"));
    let done = live.finish();
    assert_eq!(env.lines("out"), ["one", "two"], "{done:?}");
}

#[test]
fn the_level_of_the_log_follows_debug() {
    let env = TestEnv::with_hooks(&echo("one"));
    let mut live = env.spawn(&["run", "-", "--report", "json"]);
    live.send(lone("A"));
    env.wait_for("out");
    env.write("hooks.toml", "debug = true\n".to_owned() + &echo("one"));
    live.wait_for_stderr("debug: false -> true");
    live.send(lone("A"));
    live.wait_for_stderr("Successfully queued");
    assert_eq!(live.finish().code, Some(0));
}
