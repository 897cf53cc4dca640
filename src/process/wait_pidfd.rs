//! The Linux waiter: a pidfd and everything else in one `poll`.
//!
//! This is steps 2 to 7 of the protocol in the module's head. The exit is seen with a wait that does not reap, and that
//! is what makes each later signal safe. A handler that ends closes its outputs, so for the first few milliseconds the
//! end of the outputs tells of the exit, and most handlers never need a pidfd. When none can be had (an old kernel, a
//! sandbox, no descriptor left), the exit is looked for every few milliseconds instead; all else stays the same.

use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::process::{PidfdFlags, pidfd_open};
use wait4::Wait4;

use super::cancel::CancelLevel;
use super::children::Children;
use super::exit::exit_of;
use super::group::Group;
use super::pipes::Pipes;
use super::report::{End, Run, StopReason, Stopped, UnknownReason};
use super::{AFTER_KILL, Job, later, usage};
use crate::hook::Leftovers;

/// How often to look for what no descriptor tells, and how long the end of the outputs is relied on.
const LOOK: Duration = Duration::from_millis(5);
/// When the handler's memory is looked at first; then at each doubling, so a long run costs few wake-ups.
const FIRST_SAMPLE: Duration = Duration::from_millis(20);
/// Without new output for so long, a pipe that is still open after the exit is given up. All that the handler's group
/// wrote is in the pipe by then, so this only bridges the moment in which killed processes die.
const SILENCE: Duration = Duration::from_millis(25);
/// A pipe that is written to without end is given up after so long.
const DRAIN: Duration = Duration::from_millis(250);

/// Sees a started job to its end.
pub(super) fn run(mut job: Job<'_>, see: &mut dyn FnMut(&[u8]), children: &Children) -> Run {
    let group = Group::of(&job.spawned.child);
    let mut pipes = Pipes::new(&mut job.spawned.child, job.stdin, job.limits.max_output, see);
    let deadline = later(job.started, job.limits.timeout);
    let watched = Watched { group, exit: Exit::Outputs, deadline, stopped: None, peak_memory: None };
    let (end, watched) = watched.until_exit(&job, &mut pipes);
    let run_time = job.started.elapsed();
    let stopped = watched.stopped;

    let reapable = matches!(end, End::Exited(_) | End::Signalled(_));
    let keeps = job.leftovers == Leftovers::Keep && end == End::Exited(0) && stopped.is_none();
    let kills = reapable && !keeps;
    let mut leftovers_killed = kills && group.sweep();
    let now = Instant::now();
    // The deadline bounds the run of a handler that ended by itself. After a stop it has passed.
    let until = if stopped.is_some() { later(now, DRAIN) } else { later(now, DRAIN).min(deadline) };
    pipes.drain(SILENCE, until);
    let pipe_held = pipes.outputs_open();
    if kills && pipe_held {
        leftovers_killed |= group.sweep();
    }

    let number = job.spawned.child.id();
    let mut cpu_time = None;
    if end == End::StatusUnknown(UnknownReason::DoesNotDie) {
        children.keep_hanging(job.spawned.child);
    } else {
        // Reaps: from here on the number may be anybody's.
        let reaped = job.spawned.child.try_wait4().ok().flatten();
        cpu_time = reaped.map(|reaped| reaped.rusage.utime + reaped.rusage.stime);
        children.reaped(number);
    }
    let (stdout, stderr, stdin_left) = pipes.finish();
    let peak_memory = watched.peak_memory;
    Run {
        end,
        stopped,
        run_time,
        spawn_time: Some(job.spawn_time),
        cpu_time,
        peak_memory,
        stdout,
        stderr,
        stdin_left,
        pipe_held,
        leftovers_killed,
    }
}

/// A running handler.
struct Watched {
    group: Group,
    exit: Exit,
    deadline: Instant,
    stopped: Option<Stopped>,
    peak_memory: Option<u64>,
}

/// What tells of the exit.
enum Exit {
    /// The end of the outputs, for a start.
    Outputs,
    Pidfd(OwnedFd),
    /// Nothing: it has to be looked for.
    Nothing,
}

impl Watched {
    /// Serves the pipes until the handler has ended, and makes it end when it is time.
    fn until_exit(mut self, job: &Job<'_>, pipes: &mut Pipes<'_>) -> (End, Self) {
        // The level that would change something, and what tells of it.
        let mut next_level = CancelLevel::Stop;
        let mut wake = job.cancel.wake(next_level);
        let mut phase_end = self.deadline;
        let mut sample_after = FIRST_SAMPLE;
        loop {
            let now = Instant::now();
            if now >= phase_end {
                // A handler that ended in time counts as such, even if we come late.
                if let Some(end) = exit_of(self.group.leader()) {
                    return (end, self);
                }
                match &mut self.stopped {
                    None => {
                        phase_end = self.stop(StopReason::Deadline, job);
                        next_level = CancelLevel::Kill;
                        wake = job.cancel.wake(next_level);
                    }
                    Some(stopped) if stopped.kill_after.is_none() => {
                        stopped.kill_after = Some(job.started.elapsed());
                        self.group.kill();
                        phase_end = later(now, AFTER_KILL);
                    }
                    Some(_) => return (End::StatusUnknown(UnknownReason::DoesNotDie), self),
                }
                continue;
            }
            let mut until = phase_end;
            if matches!(self.exit, Exit::Outputs) {
                let outputs_tell_until = later(job.started, LOOK);
                if now >= outputs_tell_until || !pipes.outputs_open() {
                    let pidfd = pidfd_open(self.group.leader(), PidfdFlags::empty());
                    self.exit = pidfd.map_or(Exit::Nothing, Exit::Pidfd);
                } else {
                    until = until.min(outputs_tell_until);
                }
            }
            if self.stopped.is_none() {
                let sample_at = later(job.started, sample_after);
                if now >= sample_at {
                    self.look_at_memory();
                    sample_after = job.started.elapsed().max(sample_after).saturating_mul(2);
                    continue;
                }
                until = until.min(sample_at);
            }
            let is_killed = self.stopped.is_some_and(|stopped| stopped.kill_after.is_some());
            if matches!(self.exit, Exit::Nothing) || (wake.is_none() && !is_killed) {
                until = until.min(later(now, LOOK));
            }

            let exit = if let Exit::Pidfd(pidfd) = &self.exit { Some(pidfd.as_fd()) } else { None };
            // A cancelled token stays readable, so each level is watched only until it has had its effect.
            let cancel = wake.as_ref().filter(|_| !is_killed).map(|wake| wake.as_fd());
            let ready = pipes.serve(exit, cancel, until.saturating_duration_since(now));
            if (ready.first || exit.is_none())
                && let Some(end) = exit_of(self.group.leader())
            {
                return (end, self);
            }
            let is_cancelled =
                !is_killed && (ready.second || wake.is_none()) && job.cancel.level() >= next_level;
            if self.stopped.is_none() && (is_cancelled || pipes.written() > job.max_written) {
                let why = if is_cancelled { StopReason::Cancelled } else { StopReason::Output };
                phase_end = self.stop(why, job);
                next_level = CancelLevel::Kill;
                wake = job.cancel.wake(next_level);
            }
            if is_cancelled && job.cancel.level() == CancelLevel::Kill {
                // The grace is over.
                phase_end = Instant::now();
            }
        }
    }

    /// Asks the group to end. Gives back when to ask no longer.
    fn stop(&mut self, why: StopReason, job: &Job<'_>) -> Instant {
        self.look_at_memory();
        self.stopped = Some(Stopped { why, term_after: job.started.elapsed(), kill_after: None });
        self.group.ask();
        later(Instant::now(), job.limits.grace)
    }

    fn look_at_memory(&mut self) {
        self.peak_memory = usage::peak_memory(self.group.leader()).or(self.peak_memory);
    }
}
