//! The runner in a process that ignores `SIGCHLD`. In a file of its own, because that concerns the whole process.

#![cfg(all(target_os = "linux", feature = "cli"))]

mod helpers;

use std::process::Command;

use helpers::{LIMITS, SHORT, own_children, run};
use hookpool::process::{End, Limits, StartError, StopReason, UnknownReason, WaiterKind};

#[test]
fn a_process_that_inherits_an_ignored_sigchld_is_told_so_and_does_not_hang() {
    // An ignored signal is inherited; `env` sets it so, and becomes this test again.
    let own = std::env::current_exe().unwrap();
    let output = Command::new("env")
        .arg("--ignore-signal=CHLD")
        .arg(own)
        .args(["--ignored", "--exact", "inside", "--test-threads", "1"])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("1 passed"), "{text}{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
#[ignore = "run by the other test, with SIGCHLD ignored"]
fn inside() {
    let unknown = End::StatusUnknown(UnknownReason::ReapedElsewhere);
    for _ in 0..50 {
        let own = run(WaiterKind::Pidfd, &["exits", "0"], b"input", LIMITS);
        assert_eq!((&own.end, own.stopped), (&unknown, None));
        assert!(!own.succeeded());
    }
    let said = run(WaiterKind::Pidfd, &["slow_echo"], b"a\nb\n", LIMITS);
    assert_eq!((&said.end, said.stdout.text().as_ref()), (&unknown, "a\nb\n"));
    assert!(said.end.to_string().contains("SIGCHLD must not be ignored"));
    for grace in [SHORT, LIMITS.grace] {
        let stopped = run(WaiterKind::Pidfd, &["silent"], b"", Limits { timeout: SHORT, grace, ..LIMITS });
        assert_eq!((&stopped.end, stopped.stopped.unwrap().why), (&unknown, StopReason::Deadline));
    }
    let portable = run(WaiterKind::Portable, &["exits", "0"], b"", LIMITS);
    assert_eq!(portable.end, End::NotStarted(StartError::ChildSignalIgnored));
    assert!(own_children().is_empty(), "{:?}", own_children());
}
