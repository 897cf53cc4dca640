//! What the system before this one could not: nothing is lost at a shutdown, what matters does not wait behind what
//! does not, and nothing that a handler leaves behind lives on or holds others up.
//!
//! Handlers wait for files and would run for minutes, so a slow machine changes nothing.

#![cfg(all(target_os = "linux", feature = "cli"))]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod helpers;

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use helpers::{AMPLE, dead, until};
use hookpool::{Config, Event, HookPool, JobHandle, OutcomeKind};
use rustix::process::{Pid, Signal, kill_process};

/// A pool whose handlers work in a folder of their own.
struct Place {
    dir: tempfile::TempDir,
    pool: HookPool,
}

impl Place {
    /// In the configuration, `DIR` stands for the folder.
    fn new(config: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let patient = "defaults = { timeout = '10m', grace = '10s', order = 'none' }\n";
        let config = format!("{patient}{config}").replace("DIR", &dir.path().display().to_string());
        let config = Config::from_toml(&config).unwrap_or_else(|error| panic!("{error}"));
        let pool = HookPool::builder().config(config).build().unwrap();
        Self { dir, pool }
    }

    fn submit(&self, name: &str) -> JobHandle {
        let event = Event::from_json(format!("{{\"hook_event_name\":\"{name}\"}}")).unwrap();
        let submission = self.pool.submit(event);
        let handle = submission.admitted().next().unwrap_or_else(|| panic!("{submission:?}"));
        handle.clone()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The process that has written its number to a file, if the number is complete.
    fn number(&self, name: &str) -> Option<Left> {
        fs::read_to_string(self.file(name)).ok()?.strip_suffix('\n')?.parse().ok().map(Left)
    }
}

/// A process that somebody left, put away at the end.
struct Left(i32);

impl Drop for Left {
    fn drop(&mut self) {
        if !dead(self.0) {
            let _ = kill_process(Pid::from_raw(self.0).unwrap(), Signal::KILL);
        }
    }
}

fn kind(handle: &JobHandle) -> OutcomeKind {
    handle.wait(AMPLE).expect("it ends").kind
}

#[test]
fn two_hundred_hooks_that_are_shut_down_at_once_all_have_an_outcome() {
    let place = Place::new("[hook.tool]\non = ['pre_tool']\nrun = 'exec sleep 600'\n");
    let handles: Vec<_> = (0..200).map(|_| place.submit("PreToolUse")).collect();
    let ledger = place.pool.drain(Duration::ZERO);
    for handle in &handles {
        let outcome = handle.outcome().expect("a drain leaves no job without its outcome");
        assert!(
            matches!(outcome.kind, OutcomeKind::Abandoned | OutcomeKind::Cancelled),
            "nothing could end by itself: {outcome}"
        );
    }
    assert!(ledger.is_balanced(), "{ledger:?}");
    let total = &ledger.snapshot.total;
    assert_eq!((total.admitted(), total.resolved(), total.queued(), total.running()), (200, 200, 0, 0));
}

#[test]
fn a_prompt_is_handled_while_twenty_tool_hooks_block() {
    let place = Place::new(
        "pool = { workers = 2, standby = 1, standby_for = 'high' }\n\
         [hook.tool]\non = ['pre_tool']\nrun = 'read -r line <DIR/gate'\n\
         [hook.prompt]\non = ['user_prompt']\npriority = 'high'\nrun = 'true'\n",
    );
    // Whoever opens it to read waits until it is opened to write.
    let gate = place.file("gate");
    assert!(std::process::Command::new("mkfifo").arg(&gate).status().unwrap().success());
    let tools: Vec<_> = (0..20).map(|_| place.submit("PreToolUse")).collect();
    until("tool hooks have all seats that they may have", || {
        (place.pool.status().total.running() >= 2).then_some(())
    });
    assert_eq!(kind(&place.submit("UserPromptSubmit")), OutcomeKind::Succeeded);
    assert!(tools.iter().all(|tool| tool.outcome().is_none()), "they all still wait");

    // A reader needs a line of its own; one that comes later finds the pipe still open.
    let mut lines = fs::OpenOptions::new().read(true).write(true).open(&gate).unwrap();
    std::io::Write::write_all(&mut lines, &b"\n".repeat(20)).unwrap();
    for tool in &tools {
        assert_eq!(kind(tool), OutcomeKind::Succeeded);
    }
    assert!(place.pool.drain(AMPLE).is_balanced());
}

#[test]
fn the_children_of_a_handler_that_timed_out_are_gone_with_it() {
    let place = Place::new(
        "[hook.tool]\non = ['*']\ntimeout = '1s'\ngrace = '100ms'\nrun = '''\n\
         cd DIR; trap '' TERM; sh -c 'echo $$ >child; while :; do sleep 60; done' &\n\
         while :; do sleep 60; done'''\n",
    );
    // On a machine too slow for one second, another try.
    let child = until("a child has started before its handler's timeout", || {
        assert_eq!(kind(&place.submit("PreToolUse")), OutcomeKind::TimedOut);
        place.number("child")
    });
    assert!(dead(child.0), "{}", child.0);
}

/// One worker; a handler that succeeds and leaves a child that holds its pipes; then another job.
fn child_on_the_pipe(leftovers: &str) -> (Place, Left) {
    let place = Place::new(&format!(
        "pool = {{ workers = 1, standby = 0 }}\n\
         [hook.leaves]\non = ['pre_tool']\nleftovers = '{leftovers}'\nrun = '''\n\
         cd DIR; sh -c \"echo \\$\\$ >child; exec sleep 600\" &\nwhile [ ! -s child ]; do :; done'''\n\
         [hook.next]\non = ['post_tool']\nrun = 'true'\n",
    ));
    let leaves = place.submit("PreToolUse");
    let next = place.submit("PostToolUse");
    assert_eq!(kind(&leaves), OutcomeKind::Succeeded);
    let child = place.number("child").expect("it was waited for");
    assert_eq!(kind(&next), OutcomeKind::Succeeded);
    (place, child)
}

#[test]
fn a_child_left_on_the_pipe_is_killed_and_the_only_worker_goes_on() {
    let (place, child) = child_on_the_pipe("kill");
    assert!(dead(child.0));
    assert!(place.pool.drain(AMPLE).is_balanced());
}

#[test]
fn a_child_kept_on_the_pipe_lives_on_and_so_does_the_only_worker() {
    let (place, child) = child_on_the_pipe("keep");
    assert!(!dead(child.0), "it is kept");
    assert!(place.pool.drain(AMPLE).is_balanced());
    assert!(!dead(child.0), "also at the end of the pool");
}
