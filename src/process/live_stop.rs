//! Ends processes that stay, any number of them at once.
//!
//! 1. **Close.** Their input ends, and they have their grace to end by themselves. Left out when one has to be stopped.
//! 2. **Ask.** TERM and CONT to the group, and the grace once more.
//! 3. **Kill.** KILL to the group.
//!
//! What is left of the group of one that has ended is killed, unless the hook keeps its leftovers and it ended by itself
//! with status 0; its outputs are read for a short bounded time, and it is reaped. A token's second level goes to the last
//! step at once.
//!
//! Invariant: it returns by twice the longest grace plus a fixed moment. One that does not die is left to `Children`.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use wait4::Wait4;

use super::cancel::{Cancel, CancelLevel};
use super::exit::exit_of;
use super::live::{LOOK, Live, Written};
use super::pipes::{pause, timespec};
use super::report::{End, UnknownReason};
use super::{AFTER_KILL, later};
use crate::hook::Leftovers;

/// As for a run: bridges the moment in which killed members of the group die.
const SILENCE: Duration = Duration::from_millis(25);
/// A pipe that is written to without end is given up after so long.
const DRAIN: Duration = Duration::from_millis(250);

/// How far the end of a process has to go from the beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Its input is closed.
    Close,
    /// It got TERM.
    Ask,
    /// It got KILL.
    Kill,
}

/// How a process that stayed has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    pub end: End,
    /// How far it went.
    pub stage: Stage,
    /// Living processes were left in the group, and have been killed.
    pub leftovers_killed: bool,
    /// A process that outlived it held an output pipe open.
    pub pipe_held: bool,
    /// Processor time of the process and of the children that it waited for, over its whole life. `None`: unknown.
    pub cpu_time: Option<Duration>,
    /// Peak resident memory in bytes of its own process, looked at before it was told to end. `None`: unknown.
    pub peak_memory: Option<u64>,
}

/// One on its way.
struct Stopping {
    /// `None` once it has ended.
    live: Option<Live>,
    grace: Duration,
    stage: Stage,
    until: Instant,
    peak_memory: Option<u64>,
    ended: Option<Ended>,
}

/// Ends them all, each with its grace, beginning with that stage. `see` is told what they still write, by position.
pub fn stop_all(
    lives: Vec<(Live, Duration)>,
    from: Stage,
    cancel: &Cancel,
    see: &mut dyn FnMut(usize, Written<'_>),
) -> Vec<Ended> {
    let mut all: Vec<_> = lives.into_iter().map(|(live, grace)| Stopping::new(live, grace, from)).collect();
    loop {
        let is_killed = cancel.level() == CancelLevel::Kill;
        for (at, one) in all.iter_mut().enumerate() {
            one.advance(is_killed, &mut |written| see(at, written));
        }
        let Some(until) = all.iter().filter(|one| one.live.is_some()).map(|one| one.until).min() else {
            break;
        };
        wait(&all, until, if is_killed { None } else { Some(cancel) });
        for (at, one) in all.iter_mut().enumerate() {
            if let Some(live) = &mut one.live {
                live.read_some(&mut |written| see(at, written));
            }
        }
    }
    all.into_iter().filter_map(|one| one.ended).collect()
}

/// Waits until one of them ends or writes, the token reaches its second level, or it is `until`.
fn wait(all: &[Stopping], until: Instant, cancel: Option<&Cancel>) {
    #[cfg(target_os = "linux")]
    let wake = cancel.and_then(|cancel| cancel.wake(CancelLevel::Kill));
    #[cfg(not(target_os = "linux"))]
    let wake: Option<std::os::fd::OwnedFd> = None;
    let now = Instant::now();
    let lives = || all.iter().filter_map(|one| one.live.as_ref());
    let looks = (cancel.is_some() && wake.is_none()) || lives().any(|live| live.pidfd.is_none());
    let until = if looks { until.min(later(now, LOOK)) } else { until };
    let at_most = until.saturating_duration_since(now);
    let watched = lives().flat_map(|live| live.watched().into_iter().flatten());
    let mut set: Vec<_> = watched.map(|(fd, flags)| PollFd::from_borrowed_fd(fd, flags)).collect();
    set.extend(wake.as_ref().map(|wake| PollFd::from_borrowed_fd(wake.as_fd(), PollFlags::IN)));
    if let Err(error) = poll(&mut set, Some(&timespec(at_most)))
        && error != rustix::io::Errno::INTR
    {
        pause(at_most.min(LOOK));
    }
}

impl Stopping {
    fn new(mut live: Live, grace: Duration, from: Stage) -> Self {
        // Before its input ends, which may be all that it lives for.
        #[cfg(target_os = "linux")]
        let peak_memory = super::usage::peak_memory(live.group.leader());
        #[cfg(not(target_os = "linux"))]
        let peak_memory = None;
        // What is still held for it is not worth the wait.
        live.close_input();
        let mut one = Self {
            peak_memory,
            until: later(Instant::now(), grace),
            live: Some(live),
            grace,
            stage: Stage::Close,
            ended: None,
        };
        while one.stage < from {
            one.next_stage();
        }
        one
    }

    fn next_stage(&mut self) {
        let Some(live) = &self.live else { return };
        let now = Instant::now();
        (self.stage, self.until) = match self.stage {
            Stage::Close => {
                live.group.ask();
                (Stage::Ask, later(now, self.grace))
            }
            Stage::Ask | Stage::Kill => {
                live.group.kill();
                (Stage::Kill, later(now, AFTER_KILL))
            }
        };
    }

    /// Sees whether it has ended, and goes on when its time is over.
    fn advance(&mut self, is_killed: bool, see: &mut dyn FnMut(Written<'_>)) {
        let Some(live) = &self.live else { return };
        if let Some(end) = exit_of(live.group.leader()) {
            self.finish(end, see);
        } else if Instant::now() >= self.until || (is_killed && self.stage < Stage::Kill) {
            if self.stage == Stage::Kill {
                self.finish(End::StatusUnknown(UnknownReason::DoesNotDie), see);
            } else {
                self.stage = if is_killed { Stage::Ask } else { self.stage };
                self.next_stage();
            }
        }
    }

    fn finish(&mut self, end: End, see: &mut dyn FnMut(Written<'_>)) {
        let Some(mut live) = self.live.take() else { return };
        let reapable = matches!(end, End::Exited(_) | End::Signalled(_));
        let keeps = live.leftovers == Leftovers::Keep && end == End::Exited(0) && self.stage == Stage::Close;
        let kills = reapable && !keeps;
        let mut leftovers_killed = kills && live.group.sweep();
        let until = later(Instant::now(), DRAIN);
        drain(&mut live, until, see);
        let pipe_held = live.outputs_open();
        if kills && pipe_held {
            leftovers_killed |= live.group.sweep();
        }
        let mut usage = None;
        if let Some(mut child) = live.child.take() {
            if end == End::StatusUnknown(UnknownReason::DoesNotDie) {
                live.children.keep_hanging(child);
            } else {
                // Reaps: from here on the number may be anybody's.
                usage = child.try_wait4().ok().flatten().map(|reaped| reaped.rusage);
                live.children.reaped(child.id());
            }
        }
        // The kernel's peak of memory is of no use: it counts ours, from before the start.
        let cpu_time = usage.map(|usage| usage.utime + usage.stime);
        let (stage, peak_memory) = (self.stage, self.peak_memory);
        self.ended = Some(Ended { end, stage, leftovers_killed, pipe_held, cpu_time, peak_memory });
    }
}

/// Reads what is there and what still comes of one that has ended.
fn drain(live: &mut Live, until: Instant, see: &mut dyn FnMut(Written<'_>)) {
    while live.outputs_open() {
        if live.read_some(see) {
            if Instant::now() >= until {
                return;
            }
            continue;
        }
        let outputs = live.watched().into_iter().skip(1).take(2).flatten();
        let mut set: Vec<_> = outputs.map(|(fd, flags)| PollFd::from_borrowed_fd(fd, flags)).collect();
        let left = until.saturating_duration_since(Instant::now()).min(SILENCE);
        if left.is_zero() || !matches!(poll(&mut set, Some(&timespec(left))), Ok(1..)) {
            return;
        }
    }
}
