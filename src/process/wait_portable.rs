//! The waiter for systems without pidfd: wait-timeout in a helper thread, the pipes on the calling one, and care.
//!
//! wait-timeout installs a `SIGCHLD` handler at its first use, calls the one that it found (and crashes if that one was
//! "ignore"), misses exits if somebody replaces the handler later, reads no pipes, and reaps what it sees. Hence:
//! it is not used while `SIGCHLD` is ignored (seen on Linux; elsewhere the program must see to it), each of its
//! timeouts is followed by another look, it has its own thread beside that of the pipes, and nothing is signalled after it has reported
//! an exit. So a handler that ends by itself keeps what it leaves in its group. From the polite signal on the exit
//! is looked for without reaping, so a stopped handler's group is killed as on Linux.

use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::process::Child;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use wait_timeout::ChildExt;

use super::cancel::{Cancel, CancelLevel};
use super::children::Children;
use super::exit::{end_of, exit_of};
use super::group::Group;
use super::pipes::{Pipes, pause};
use super::report::{End, Run, StopReason, Stopped, UnknownReason};
use super::start_error::StartError;
use super::{AFTER_KILL, Job, later};

/// Longest sleep between two looks at the token, which cannot wake wait-timeout.
const SLICE: Duration = Duration::from_millis(20);
/// How often to look for the exit of a handler that was told to end.
const LOOK: Duration = Duration::from_millis(5);
/// As in the pidfd waiter, but what is left of the group may be alive and about to write.
const SILENCE: Duration = Duration::from_millis(100);
const DRAIN: Duration = Duration::from_millis(250);

/// Whether wait-timeout can be used in this process.
pub(super) fn usable() -> Result<(), StartError> {
    if sigchld_is_ignored() { Err(StartError::ChildSignalIgnored) } else { Ok(()) }
}

#[cfg(target_os = "linux")]
fn sigchld_is_ignored() -> bool {
    const SIGCHLD_BIT: u64 = 1 << (17 - 1);
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .is_some_and(|mask| mask & SIGCHLD_BIT != 0)
}

#[cfg(not(target_os = "linux"))]
fn sigchld_is_ignored() -> bool {
    false
}

/// Sees a started job to its end.
pub(super) fn run(mut job: Job<'_>, see: &mut dyn FnMut(&[u8]), children: &Children) -> Run {
    let deadline = later(job.started, job.limits.timeout);
    let number = job.spawned.child.id();
    let pipes = Pipes::new(&mut job.spawned.child, job.stdin, job.limits.max_output, see);
    let spawn_time = job.spawn_time;
    let (max_written, floods) = (job.max_written, AtomicBool::new(false));
    let run = thread::scope(|scope| {
        let (over, told) = UnixStream::pair()?;
        let waiter = thread::Builder::new().name("hookpool-wait".to_owned());
        let (job, floods) = (&mut job, &floods);
        let waiter = waiter.spawn_scoped(scope, move || {
            let _over = over;
            let ended = until_exit(job, deadline, floods);
            let run_time = job.started.elapsed();
            let group = Group::of(&job.spawned.child);
            let sweeps = !ended.reaped && ended.end != DOES_NOT_DIE;
            let leftovers_killed = sweeps && group.sweep();
            (ended, run_time, group, sweeps, leftovers_killed)
        })?;
        let pipes = pump_pipes(pipes, &told, deadline, max_written, floods);
        let (ended, run_time, group, sweeps, mut leftovers_killed) =
            waiter.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        let pipe_held = pipes.outputs_open();
        if sweeps && pipe_held {
            leftovers_killed |= group.sweep();
        }
        let (stdout, stderr, stdin_left) = pipes.finish();
        Ok::<_, io::Error>(Run {
            end: ended.end,
            stopped: ended.stopped,
            run_time,
            spawn_time: Some(spawn_time),
            cpu_time: None,
            peak_memory: None,
            stdout,
            stderr,
            stdin_left,
            pipe_held,
            leftovers_killed,
        })
    });
    match run {
        Ok(run) if run.end == DOES_NOT_DIE => {
            children.keep_hanging(job.spawned.child);
            run
        }
        Ok(run) => {
            let _ = job.spawned.child.try_wait();
            children.reaped(number);
            run
        }
        Err(error) => {
            // Without the helper the pipes would go unread: the handler is ended before it can do much.
            Group::of(&job.spawned.child).kill();
            let _ = job.spawned.child.wait();
            children.reaped(number);
            let lacks_thread = error.kind() == io::ErrorKind::WouldBlock;
            let error = if lacks_thread { StartError::ProcessLimit } else { StartError::DescriptorLimit };
            Run::not_started(error, job.started.elapsed(), job.stdin.len())
        }
    }
}

const DOES_NOT_DIE: End = End::StatusUnknown(UnknownReason::DoesNotDie);
const REAPED_ELSEWHERE: End = End::StatusUnknown(UnknownReason::ReapedElsewhere);

struct Ended {
    end: End,
    stopped: Option<Stopped>,
    /// The number may belong to a stranger by now.
    reaped: bool,
}

/// Serves the pipes until the other end of `told` is closed, and then for a short time.
fn pump_pipes<'a>(
    mut pipes: Pipes<'a>,
    told: &UnixStream,
    deadline: Instant,
    max_written: u64,
    floods: &AtomicBool,
) -> Pipes<'a> {
    const LONG: Duration = Duration::from_hours(1);
    while pipes.open() && !pipes.serve(Some(told.as_fd()), None, LONG).first {
        if pipes.written() > max_written {
            floods.store(true, Ordering::Relaxed);
        }
    }
    if pipes.open() {
        let now = Instant::now();
        let until = later(now, DRAIN);
        pipes.drain(SILENCE, if now < deadline { until.min(deadline) } else { until });
    }
    pipes
}

fn until_exit(job: &mut Job<'_>, deadline: Instant, floods: &AtomicBool) -> Ended {
    let why = loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if let Some(end) = look(&mut job.spawned.child, left.min(SLICE)) {
            return Ended { end, stopped: None, reaped: true };
        }
        if job.cancel.is_cancelled() {
            break StopReason::Cancelled;
        }
        if floods.load(Ordering::Relaxed) {
            break StopReason::Output;
        }
        if left.is_zero() {
            break StopReason::Deadline;
        }
    };
    let group = Group::of(&job.spawned.child);
    let mut stopped = Stopped { why, term_after: job.started.elapsed(), kill_after: None };
    group.ask();
    let mut end = look_until(group, later(Instant::now(), job.limits.grace), Some(job.cancel));
    if end.is_none() {
        stopped.kill_after = Some(job.started.elapsed());
        group.kill();
        end = look_until(group, later(Instant::now(), AFTER_KILL), None);
    }
    let end = end.unwrap_or(DOES_NOT_DIE);
    let reaped = end == REAPED_ELSEWHERE;
    Ended { end, stopped: Some(stopped), reaped }
}

/// Waits for the exit, and reaps.
fn look(child: &mut Child, at_most: Duration) -> Option<End> {
    let seen = child.wait_timeout(at_most).and_then(|status| match status {
        Some(status) => Ok(Some(status)),
        None => child.try_wait(),
    });
    match seen {
        Ok(status) => status.map(end_of),
        Err(_) => Some(REAPED_ELSEWHERE),
    }
}

/// Waits for the exit, and does not reap. The token's second level ends the wait.
fn look_until(group: Group, until: Instant, cancel: Option<&Cancel>) -> Option<End> {
    loop {
        if let Some(end) = exit_of(group.leader()) {
            return Some(end);
        }
        let left = until.saturating_duration_since(Instant::now());
        let is_killed = cancel.is_some_and(|cancel| cancel.level() == CancelLevel::Kill);
        if left.is_zero() || is_killed {
            return None;
        }
        pause(left.min(LOOK));
    }
}
