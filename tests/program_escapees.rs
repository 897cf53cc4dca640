//! What the program does about handlers that leave their group, and about those of a hookpool that was killed.
//!
//! Everything is seen from outside: the program is started, fed and watched, and the states of processes tell. The
//! handlers would live for a minute, so a slow machine changes nothing.

#![cfg(all(target_os = "linux", feature = "cli"))]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod helpers;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Output, Stdio};

use helpers::{dead, state, until};
use rustix::process::{Pid, Signal, kill_process};

/// Starts a process in a session of its own that writes its number to a file, and waits for that.
const ESCAPE: &str =
    "setsid sh -c 'echo $$ >number; exec sleep 60' >/dev/null 2>&1 & while [ ! -s number ]; do :; done";

/// A folder with a configuration, and the runs of the program in it.
struct Place(tempfile::TempDir);

impl Place {
    /// One hook for everything.
    fn new(run: &str, more: &str) -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        let config = format!("[hook.rude]\non = ['*']\n{more}\nrun = \"\"\"{run}\"\"\"\n");
        fs::write(place.file("hooks.toml"), config).unwrap();
        place
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn number_in(&self, file: &str) -> i32 {
        until("a process has written its number", || {
            fs::read_to_string(self.file(file)).ok()?.strip_suffix('\n')?.parse().ok()
        })
    }

    /// The number of the process that left, or was left.
    fn number(&self) -> i32 {
        self.number_in("number")
    }

    fn start(&self) -> Program {
        let mut child = hookpool(self.0.path(), "-").stdin(Stdio::piped()).spawn().unwrap();
        let input = child.stdin.take();
        Program { child: Some(child), input }
    }

    /// Starts it, and feeds it one event.
    fn start_with_event(&self) -> Program {
        let mut program = self.start();
        program.feed();
        program
    }
}

fn hookpool(folder: &Path, input: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hookpool"));
    command.args(["run", input, "--config", "hooks.toml", "--report", "json"]).current_dir(folder);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// A running program that waits for input.
struct Program {
    child: Option<Child>,
    input: Option<ChildStdin>,
}

impl Program {
    fn feed(&mut self) {
        writeln!(self.input.as_ref().unwrap(), r#"{{"hook_event_name":"Stop"}}"#).unwrap();
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(self.child.as_ref().unwrap()), signal).unwrap();
    }

    /// Ends the input, and waits for the end of the program.
    fn finish(mut self) -> Output {
        self.input = None;
        self.child.take().unwrap().wait_with_output().unwrap()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
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

fn text(output: &Output) -> (String, String) {
    (
        String::from_utf8_lossy(&output.stdout).into_owned(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

fn assert_outcome(output: &Output, outcome: &str) {
    let (report, log) = text(output);
    assert!(report.contains(&format!("\"{outcome}\":1")), "{report}\n{log}");
    assert!(report.contains("\"balanced\":true"), "{report}");
}

/// The escapee is dead, and reaped, while the program goes on.
fn assert_swept_at_once(handler: &str, more: &str, outcome: &str) {
    let place = Place::new(handler, more);
    let program = place.start_with_event();
    let escapee = Left(place.number());
    until("the escapee is dead and reaped", || state(escapee.0).is_none().then_some(()));
    assert_outcome(&program.finish(), outcome);
}

#[test]
fn what_left_the_group_of_a_handler_that_succeeded_is_killed() {
    assert_swept_at_once(ESCAPE, "timeout = '1m'", "succeeded");
}

#[test]
fn what_left_the_group_of_a_handler_that_timed_out_is_killed() {
    assert_swept_at_once(&format!("{ESCAPE}; sleep 60"), "timeout = '2s'", "timed_out");
}

#[test]
fn what_left_the_group_of_a_handler_that_failed_is_killed_also_if_leftovers_are_kept() {
    assert_swept_at_once(&format!("{ESCAPE}; exit 1"), "leftovers = 'keep'\ntimeout = '1m'", "failed");
}

#[test]
fn what_left_the_group_and_holds_a_pipe_is_killed() {
    let holder = ESCAPE.replace(">/dev/null 2>&1", "");
    assert_swept_at_once(&holder, "timeout = '1m'", "succeeded");
}

#[test]
fn what_left_the_group_of_a_handler_that_still_runs_is_killed_at_the_end() {
    let place = Place::new(&format!("{ESCAPE}; sleep 60"), "grace = '1m'\ntimeout = '1m'");
    let program = place.start_with_event();
    let escapee = Left(place.number());
    program.signal(Signal::TERM);
    program.signal(Signal::TERM);
    let output = program.finish();
    assert!(dead(escapee.0));
    assert_outcome(&output, "cancelled");
}

#[test]
fn a_second_signal_kills_a_handler_that_is_deaf_to_term_whatever_its_grace() {
    // The second may come while the first one's drain goes on, or while the handler is in its grace.
    for drain in ["1m", "0s"] {
        let deaf = "trap '' TERM; (trap '' TERM; echo $$ >number; while :; do sleep 60; done) & \
                    while :; do sleep 60; done";
        let place = Place::new(deaf, "grace = '10m'\ntimeout = '10m'");
        let mut command = hookpool(place.0.path(), "-");
        let mut child = command.args(["--drain-timeout", drain]).stdin(Stdio::piped()).spawn().unwrap();
        let input = child.stdin.take();
        let mut program = Program { child: Some(child), input };
        program.feed();
        let handler = Left(place.number());
        program.signal(Signal::INT);
        program.signal(Signal::TERM);
        let output = program.finish();
        assert!([Some(130), Some(143)].contains(&output.status.code()), "{output:?}");
        assert_outcome(&output, "cancelled");
        assert!(dead(handler.0));
    }
}

#[test]
fn a_daemon_that_is_kept_survives_success_the_end_of_the_program_and_the_next_start() {
    for daemon in [ESCAPE, &ESCAPE.replace("setsid ", "")] {
        let place = Place::new(daemon, "leftovers = 'keep'\ntimeout = '1m'");
        let mut program = place.start_with_event();
        let daemon = Left(place.number());
        // A second event: the look after its run sees the daemon, too.
        program.feed();
        assert!(text(&program.finish()).0.contains("\"succeeded\":2"));
        assert!(!dead(daemon.0), "it survived the end");

        // The next start, and one after a kill.
        let killed = place.start_with_event();
        killed.signal(Signal::KILL);
        drop(killed.finish());
        assert!(place.start().finish().status.success());
        assert!(!dead(daemon.0), "it survived the next start");
    }
}

#[test]
fn handlers_of_a_killed_hookpool_are_killed_at_the_next_start_and_those_of_a_living_one_are_not() {
    let handler = format!("echo $$ >handler; {ESCAPE}; sleep 60");
    let (killed, living, next) = (
        Place::new(&handler, "timeout = '1m'"),
        Place::new(&handler, "timeout = '1m'"),
        Place::new("true", ""),
    );
    let (program, other) = (killed.start_with_event(), living.start_with_event());
    let strays = [Left(killed.number()), Left(killed.number_in("handler"))];
    let others = [Left(living.number()), Left(living.number_in("handler"))];
    program.signal(Signal::KILL);
    // Dead, and not reaped yet.
    let number = i32::try_from(program.child.as_ref().unwrap().id()).unwrap();
    until("the program is dead", || dead(number).then_some(()));

    // A program that another test starts may be the one that kills them; when one has looked, they are dead.
    assert!(next.start().finish().status.success());
    assert!(strays.iter().all(|stray| dead(stray.0)));
    assert!(others.iter().all(|other| !dead(other.0)));
    drop((program, other));
}

#[test]
fn a_process_that_carries_something_like_a_marker_is_left_alone() {
    let similar = ["1.2.3.4.5", "999999999.5.1.1.0000000000000001", "", "keep:1.1.1.1.0000000000000001"];
    let start = |value| Command::new("/bin/sleep").arg("60").env("HOOKPOOL_POOL_ID", value).spawn().unwrap();
    let mut sleepers = similar.map(start);
    assert!(Place::new("true", "").start().finish().status.success());
    for sleeper in &mut sleepers {
        assert!(!dead(sleeper.id().try_into().unwrap()));
        sleeper.kill().unwrap();
        sleeper.wait().unwrap();
    }
}
