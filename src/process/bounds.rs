//! What the system holds a handler to: memory, processor time, open files; and how it ranks it.
//!
//! `Command` sets none of that without leaving `posix_spawn`, so it is set from outside, on a process that has begun to
//! run its program a moment ago. What it started within that moment is looked for, and bound too. What it took within
//! it stays taken: the start is waited for by nobody, and costs a few system calls and no second program.
//!
//! Invariant: whatever the group starts from then on inherits the bounds. A process that was started within the moment
//! and lost its parent within it is not found.

use std::io;

use rustix::io::Errno;
use rustix::process::{Pid, Resource, Rlimit, getpriority_process, getrlimit, prlimit, setpriority_pgrp};

use super::group::Group;
use super::start_error::StartError;
use super::usage::{Stat, children};
use crate::hook::ResourceLimits;

/// The weakest rank there is.
const WEAKEST: i32 = 19;
/// Most processes that are looked for in a group that is a moment old.
const MOST: usize = 256;

/// Binds a group that has just been started.
///
/// # Errors
/// The system refuses it. The group is as it was, or bound in part.
pub(super) fn bind(group: Group, limits: &ResourceLimits) -> Result<(), StartError> {
    let leader = group.leader();
    let bounds = bounds(limits);
    if bounds.is_empty() {
        return Ok(());
    }
    for (key, resource, bound) in &bounds {
        set(leader, *resource, *bound)
            .map_err(|error| StartError::NotBound { key: (*key).to_owned(), why: error.to_string() })?;
    }
    // What it starts from now on inherits them; so this comes after, and finds all that it had started.
    let mut parents = vec![leader.as_raw_pid()];
    for _ in 0..MOST {
        let Some(parent) = parents.pop() else { break };
        for child in children(parent) {
            // Numbers are given out in turn, so this one is nobody else's within the moment.
            let is_own = Stat::read(child).is_some_and(|stat| stat.group == leader.as_raw_pid());
            if let Some(number) = Pid::from_raw(child).filter(|_| is_own) {
                for (_, resource, bound) in &bounds {
                    let _ = set(number, *resource, *bound);
                }
                parents.push(child);
            }
        }
    }
    Ok(())
}

/// Ranks a group that has just been started so much weaker than this process. It is a courtesy: if it cannot be done,
/// nothing is wrong.
pub(super) fn rank(group: Group, nice: u8) {
    if nice > 0 {
        let own = getpriority_process(None).unwrap_or(0);
        let _ = setpriority_pgrp(Some(group.leader()), own.saturating_add(nice.into()).min(WEAKEST));
    }
}

/// The bounds that are asked for, each with its key.
fn bounds(limits: &ResourceLimits) -> Vec<(&'static str, Resource, Rlimit)> {
    let ResourceLimits { memory, cpu, files, output: _ } = *limits;
    // Who ignores the signal at the end of its time is killed a second later.
    let all = [
        ("memory", Resource::Data, memory, memory),
        ("cpu", Resource::Cpu, cpu, cpu.map(|cpu| cpu.saturating_add(1))),
        ("files", Resource::Nofile, files, files),
    ];
    let bound = |(key, resource, soft, hard): (_, Resource, Option<u64>, Option<u64>)| {
        let (soft, hard) = soft.zip(hard)?;
        // What this process is held to itself is never raised.
        let most = getrlimit(resource).maximum.unwrap_or(u64::MAX);
        Some((key, resource, Rlimit { current: Some(soft.min(most)), maximum: Some(hard.min(most)) }))
    };
    all.into_iter().filter_map(bound).collect()
}

fn set(process: Pid, resource: Resource, bound: Rlimit) -> io::Result<()> {
    match prlimit(Some(process), resource, bound) {
        // It has ended already.
        Ok(_) | Err(Errno::SRCH) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt;
    use std::process::{Child, Command};
    use std::time::{Duration, Instant};

    use super::*;

    const FORTY: ResourceLimits = ResourceLimits { memory: None, cpu: None, files: Some(40), output: None };

    fn start(line: &str) -> (Child, Group) {
        let child = Command::new("/bin/sh").args(["-c", line]).process_group(0).spawn().unwrap();
        let group = Group::of(&child);
        (child, group)
    }

    fn until(is_true: impl Fn() -> bool) {
        let begun = Instant::now();
        while !is_true() {
            assert!(begun.elapsed() < Duration::from_mins(1));
            std::thread::yield_now();
        }
    }

    /// It and all its descendants.
    fn family(number: i32) -> Vec<i32> {
        let below = children(number).into_iter().flat_map(family);
        std::iter::once(number).chain(below).collect()
    }

    #[test]
    fn what_a_process_had_started_before_it_was_bound_is_bound_too() {
        let (mut child, group) = start("sleep 60 & (sleep 60 & sleep 60 & wait) & wait");
        let number = group.leader().as_raw_pid();
        until(|| family(number).len() == 5);
        bind(group, &FORTY).unwrap();
        for number in family(number) {
            let limits = std::fs::read_to_string(format!("/proc/{number}/limits")).unwrap();
            let files = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
            let words: Vec<_> = files.split_ascii_whitespace().skip(3).take(2).collect();
            assert_eq!(words, ["40", "40"], "{number}");
        }
        group.kill();
        child.wait().unwrap();
    }

    #[test]
    fn a_process_that_has_ended_is_no_error() {
        let (mut child, group) = start("exit 3");
        until(|| Stat::read(group.leader().as_raw_pid()).unwrap().dead);
        bind(group, &FORTY).unwrap();
        rank(group, 3);
        assert_eq!(child.wait().unwrap().code(), Some(3));
    }
}
