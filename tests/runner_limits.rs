//! The runner without descriptors. In a file of its own, because the limit is the whole process's.

#![cfg(all(target_os = "linux", feature = "cli"))]

mod helpers;

use helpers::{LIMITS, count, own_children, run, waiters};
use hookpool::process::{End, StartError};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

#[test]
fn without_descriptors_a_handler_is_not_started_and_with_few_it_still_ends() {
    for waiter in waiters() {
        // What is opened at the first use stays open.
        assert!(run(waiter, &["exits", "0"], b"x", LIMITS).succeeded());
        let before = count("/proc/self/fd");
        let whole = getrlimit(Resource::Nofile);
        let (mut refused, mut succeeded) = (0, 0);
        // From none to as many as a run can use. In between the child starts, but the rest is hard to come by.
        for few in 0..20 {
            let current = Some(before as u64 - 1 + few);
            setrlimit(Resource::Nofile, Rlimit { current, maximum: whole.maximum }).unwrap();
            let run = run(waiter, &["slow_echo"], b"x\n", LIMITS);
            setrlimit(Resource::Nofile, whole).unwrap();
            match run.end {
                End::NotStarted(StartError::DescriptorLimit) => refused += 1,
                // A shell needs a descriptor more for its script.
                End::Exited(0 | 2) => succeeded += 1,
                other => panic!("{waiter:?} with {few} descriptors: {other:?}"),
            }
        }
        assert!(refused > 0 && succeeded > 0, "{waiter:?}: {refused} refused, {succeeded} succeeded");
        assert_eq!((count("/proc/self/fd"), own_children()), (before, Vec::new()), "{waiter:?}");
    }
}
