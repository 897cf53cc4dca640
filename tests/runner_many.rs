//! Many short runs leave nothing behind. In a file of its own, because it counts what the whole process has.

#![cfg(all(target_os = "linux", feature = "cli"))]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod helpers;

use std::fs;

use helpers::{LIMITS, NO_ENV, count, exec, own_children, prepared, waiters};
use hookpool::process::{Cancel, Runner};

#[test]
fn ten_thousand_short_handlers_leak_no_descriptor_thread_zombie_or_memory() {
    let spec = prepared(&exec("/bin/true", &[]));
    for waiter in waiters() {
        let runner = Runner::new(waiter);
        let go = |runs| {
            for _ in 0..runs {
                let run = runner.run(&spec, b"input", NO_ENV, &LIMITS, &Cancel::new());
                assert!(run.succeeded(), "{waiter:?}: {run:?}");
            }
        };
        go(100);
        let (descriptors, threads, memory) = (count("/proc/self/fd"), count("/proc/self/task"), resident());
        go(10_000);
        assert_eq!(count("/proc/self/fd"), descriptors, "{waiter:?}");
        assert_eq!(count("/proc/self/task"), threads, "{waiter:?}");
        assert!(own_children().is_empty(), "{waiter:?}: {:?}", own_children());
        // A hundred bytes kept of each run would be 1 MB.
        assert!(resident() < memory + 512 * 1024, "{waiter:?}: from {memory} to {} bytes", resident());
    }
}

fn resident() -> u64 {
    let text = fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() * 1024
}
