//! The runner at its user's process limit. In a file of its own, because the limit is the whole process's.

#![cfg(all(target_os = "linux", feature = "cli"))]

mod helpers;

use std::process::Command;

use helpers::{LIMITS, run, waiters};
use hookpool::process::{End, StartError};
use rustix::process::{Resource, Rlimit, getrlimit, getuid, setrlimit};

#[test]
fn at_the_process_limit_a_handler_is_not_started() {
    // The superuser has no such limit, so the rest happens as nobody.
    let own = std::env::current_exe().unwrap();
    let mut command = if getuid().is_root() {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(own);
        command
    } else {
        Command::new(own)
    };
    let output = command.args(["--ignored", "--exact", "inside", "--test-threads", "1"]).output();
    let output = match output {
        Ok(output) if output.status.code() != Some(127) => output,
        _ => return println!("skipped: this needs `setpriv`, or a user that is not root"),
    };
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    if errors.contains("Permission denied") {
        return println!("skipped: the test's own file cannot be executed by nobody: {errors}");
    }
    assert!(text.contains("1 passed"), "{text}{errors}");
}

#[test]
#[ignore = "run by the other test, as a user that has limits"]
fn inside() {
    for waiter in waiters() {
        let whole = getrlimit(Resource::Nproc);
        setrlimit(Resource::Nproc, Rlimit { current: Some(1), maximum: whole.maximum }).unwrap();
        let run = run(waiter, &["exits", "0"], b"", LIMITS);
        setrlimit(Resource::Nproc, whole).unwrap();
        assert_eq!(run.end, End::NotStarted(StartError::ProcessLimit), "{waiter:?}");
    }
}
