//! Who runs a handler may see its standard output as it comes, and bound what comes, under both waiters.

#![cfg(all(target_os = "linux", feature = "cli"))]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod helpers;

use helpers::{LIMITS, NO_ENV, exec, prepared, run_spec, waiters};
use hookpool::process::{Cancel, CancelLevel, Limits, Runner, StopReason};

#[test]
fn standard_output_is_seen_as_it_comes_and_whatever_is_kept() {
    let script = "echo one; echo not that >&2; read line; echo two";
    for waiter in waiters() {
        let mut seen = Vec::new();
        let run = Runner::new(waiter).run_seen(
            &prepared(&exec("/bin/sh", &["-c", script])),
            b"go\n",
            NO_ENV,
            &Limits { max_output: 2, ..LIMITS },
            &Cancel::new(),
            &mut |piece| seen.extend_from_slice(piece),
        );
        assert!(run.succeeded() && run.stdout.truncated(), "{waiter:?}: {run:?}");
        assert_eq!(seen, b"one\ntwo\n", "{waiter:?}");
    }
}

/// The handler never ends by itself: only who sees its word can stop it.
#[test]
fn it_is_seen_before_the_end() {
    for waiter in waiters() {
        let cancel = Cancel::new();
        let run = Runner::new(waiter).run_seen(
            &prepared(&exec("/bin/sh", &["-c", "echo word; exec sleep 1000"])),
            b"",
            NO_ENV,
            &LIMITS,
            &cancel,
            &mut |_| cancel.cancel(),
        );
        assert_eq!(cancel.level(), CancelLevel::Stop);
        assert!(run.stopped.is_some() && run.stopped.unwrap().kill_after.is_none(), "{waiter:?}: {run:?}");
    }
}

#[test]
fn who_writes_more_than_it_may_is_stopped() {
    for waiter in waiters() {
        let mut spec = exec("yes", &[]);
        spec.limits.output = Some(1_000_000);
        let run = run_spec(waiter, &spec, b"", LIMITS);
        assert_eq!(
            run.stopped.map(|stopped| stopped.why),
            Some(StopReason::Output),
            "{waiter:?}: {}",
            run.end
        );
        assert!(run.stdout.total() > 1_000_000, "{waiter:?}: {}", run.stdout.total());
    }
}
