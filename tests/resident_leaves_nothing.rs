//! Hundreds of resident processes leave no process, descriptor or thread behind, nor do those of theirs that left their
//! group. One test in a process of its own: it counts what the whole process has.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "helpers/subject.rs"]
mod subject;

use std::fs;

use hookpool::OutcomeKind;
use subject::{Subject, is_alive, outcome, until};

fn count(folder: &str) -> usize {
    fs::read_dir(folder).unwrap().count()
}

/// Children of this process, dead ones included.
fn children() -> usize {
    let tasks = fs::read_dir("/proc/self/task").unwrap().flatten();
    let children = tasks.map(|task| fs::read_to_string(task.path().join("children")).unwrap_or_default());
    children.map(|children| children.split_whitespace().count()).sum()
}

#[test]
fn hundreds_of_resident_processes_leave_nothing_behind() {
    let before = [count("/proc/self/fd"), count("/proc/self/task"), children()];
    let subject = Subject::sweeping("resident", "timeout = '60s'\nmax_events = 1\nwindow = 2");
    let first = subject.run("escape");
    assert_eq!(first.kind, OutcomeKind::Succeeded);
    until("it is swept with its process", || {
        subject.noted("escaped ").first().is_some_and(|number| !is_alive(number))
    });
    let jobs: Vec<_> = (0..300).map(|n| subject.send(if n % 10 == 0 { "die" } else { "ok" })).collect();
    let failed = jobs.iter().filter(|job| outcome(job).kind == OutcomeKind::Failed).count();
    assert_eq!(failed, 30);
    subject.end(301);
    // One that escapes from a process that rests is swept with that one, at the end.
    let subject = Subject::sweeping("resident", "timeout = '60s'");
    assert_eq!(subject.run("escape").kind, OutcomeKind::Succeeded);
    until("it has escaped", || !subject.noted("escaped ").is_empty());
    subject.end(1);
    let after = || [count("/proc/self/fd"), count("/proc/self/task"), children()];
    until("all is as before", || after() == before);
}
