//! A process that stays: started once, then fed and read by one thread at a time for as long as that likes.
//!
//! Like a run, it leads a process group, its streams are pipes whose near ends never block, and its end is seen without
//! reaping. Unlike a run it has no deadline of its own: each turn has one. One turn is one `poll` over input, outputs,
//! exit and cancellation, and reads at most one piece of each output, so that a small question and its answer cost
//! three system calls. `live_stop` ends such processes.
//!
//! Invariant: the child is reaped once, by whoever stops it; one that is dropped gets KILL and is reaped later. Bytes that
//! were given and not yet taken by the pipe are held here, so whoever gives bounds them.

use std::ffi::OsStr;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

use super::cancel::{Cancel, CancelLevel};
use super::children::Children;
use super::group::Group;
use super::pipes::{pause, set_nonblocking, timespec};
use super::spawn::Prepared;
use super::start_error::StartError;
use super::{Runner, later};
use crate::hook::Leftovers;

/// Read of one output at once: what a full pipe holds.
const PIECE: usize = 64 * 1024;
/// How often to look for what no descriptor tells.
pub(super) const LOOK: Duration = Duration::from_millis(5);

/// See the module's description.
#[derive(Debug)]
pub struct Live {
    /// `None` once it is reaped.
    pub(super) child: Option<Child>,
    pub(super) group: Group,
    pub(super) pidfd: Option<OwnedFd>,
    input: Option<ChildStdin>,
    output: Option<ChildStdout>,
    errors: Option<ChildStderr>,
    /// What the pipe has not taken yet begins at `sent`.
    unsent: Vec<u8>,
    sent: usize,
    /// Bytes that the pipe has taken, of all that it was ever given.
    fed: u64,
    /// What was unread when the input was closed.
    unread: u64,
    buffer: Box<[u8]>,
    pub(super) children: Arc<Children>,
    pub(super) started: Instant,
    spawn_time: Duration,
    pub(super) leftovers: Leftovers,
}

/// What a process wrote.
#[derive(Clone, Copy, Debug)]
pub enum Written<'a> {
    Stdout(&'a [u8]),
    Stderr(&'a [u8]),
}

/// What a turn has found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Turn {
    /// The process has ended, or its standard output has: nothing more is to be expected of it. Its end comes after all
    /// that it wrote has been read.
    pub over: bool,
    /// The token is cancelled.
    pub cancelled: bool,
    /// It closed its input before it took all.
    pub refused: bool,
}

impl Runner {
    /// Starts a process that stays. `env` is added to the prepared environment; `nice` is as in [`Limits`](super::Limits).
    ///
    /// # Errors
    /// Why it did not start.
    pub fn start<K, V>(
        &self,
        prepared: &Prepared,
        env: impl IntoIterator<Item = (K, V)>,
        nice: u8,
    ) -> Result<Live, StartError>
    where
        K: AsRef<OsStr>,
        V: AsRef<OsStr>,
    {
        self.children.reap_hanging();
        let started = Instant::now();
        let mut child = self.spawn(prepared, true, env, nice)?.child;
        let spawn_time = started.elapsed();
        let group = Group::of(&child);
        #[cfg(target_os = "linux")]
        let pidfd = rustix::process::pidfd_open(group.leader(), rustix::process::PidfdFlags::empty()).ok();
        #[cfg(not(target_os = "linux"))]
        let pidfd = None;
        let (mut input, mut output, mut errors) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take());
        // Own, fresh pipes: this does not fail. One that could block is not used.
        input.take_if(|pipe| set_nonblocking(pipe.as_fd()).is_err());
        output.take_if(|pipe| set_nonblocking(pipe.as_fd()).is_err());
        errors.take_if(|pipe| set_nonblocking(pipe.as_fd()).is_err());
        Ok(Live {
            child: Some(child),
            group,
            pidfd,
            input,
            output,
            errors,
            unsent: Vec::new(),
            sent: 0,
            fed: 0,
            unread: 0,
            buffer: vec![0; PIECE].into(),
            children: Arc::clone(&self.children),
            started,
            spawn_time,
            leftovers: prepared.leftovers(),
        })
    }
}

impl Live {
    /// The number of the process.
    pub fn number(&self) -> i32 {
        self.group.leader().as_raw_pid()
    }

    /// How long it took from the call until the program ran.
    pub fn spawn_time(&self) -> Duration {
        self.spawn_time
    }

    /// How long ago it was started.
    pub fn age(&self) -> Duration {
        self.started.elapsed()
    }

    /// Puts bytes behind what it is to be fed: `write` appends them.
    pub fn give(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        if self.sent == self.unsent.len() {
            // A large event must not be held for ever after it.
            self.unsent.clear();
            self.unsent.shrink_to(PIECE);
            self.sent = 0;
        }
        write(&mut self.unsent);
    }

    /// True when it was given more than it has taken, or takes nothing at all.
    pub fn has_unsent(&self) -> bool {
        self.sent < self.unsent.len()
    }

    /// Bytes of what it was given that its pipe took, of those that are still held.
    pub fn sent(&self) -> usize {
        self.sent
    }

    /// Bytes that it has read of its input, of all that it was ever given. Where the system does not tell what is still in
    /// the pipe, all that the pipe took counts as read.
    pub fn has_read(&self) -> u64 {
        self.fed.saturating_sub(self.input.as_ref().map_or(self.unread, in_pipe))
    }

    /// Ends its input.
    pub fn close_input(&mut self) {
        self.unread = self.input.take().as_ref().map_or(self.unread, in_pipe);
    }

    /// Feeds it, waits until something happens or it is `until` (`None`: never), and reads a piece of each output that has one.
    pub fn turn(
        &mut self,
        cancel: &Cancel,
        level: CancelLevel,
        until: Option<Instant>,
        see: &mut dyn FnMut(Written<'_>),
    ) -> Turn {
        let refused = self.feed();
        if refused {
            return Turn { refused, ..Turn::default() };
        }
        #[cfg(target_os = "linux")]
        let wake = cancel.wake(level);
        #[cfg(target_os = "linux")]
        let wake = wake.as_ref().map(|wake| wake.as_fd());
        #[cfg(not(target_os = "linux"))]
        let wake: Option<BorrowedFd<'_>> = None;
        let now = Instant::now();
        let until = until.unwrap_or_else(|| later(now, Duration::MAX));
        let looks = self.pidfd.is_none() || wake.is_none();
        let until = if looks { until.min(later(now, LOOK)) } else { until };
        let [_, out, err, exit, woken] = self.wait(wake, until.saturating_duration_since(now));
        let (mut turn, mut wrote) = (Turn::default(), false);
        // Before standard output: what it says of an event it says before the answer.
        if err {
            wrote |= read(&mut self.errors, &mut self.buffer, |piece| see(Written::Stderr(piece)));
        }
        if out {
            wrote |= read(&mut self.output, &mut self.buffer, |piece| see(Written::Stdout(piece)));
        }
        let has_ended = (exit || self.pidfd.is_none()) && super::exit::exit_of(self.group.leader()).is_some();
        turn.over = self.output.is_none() || (has_ended && !wrote);
        turn.cancelled = (woken || wake.is_none()) && cancel.level() >= level;
        turn
    }

    /// Reads what is there, without waiting for more: what one that has ended left behind.
    pub fn read_rest(&mut self, see: &mut dyn FnMut(Written<'_>)) {
        // As much as pipes hold by default, and more: one that goes on writing must not keep us.
        for _ in 0..64 {
            if !self.read_some(see) {
                return;
            }
        }
    }

    /// Waits until it ends. False: it has not, in that time.
    pub fn wait_exit(&self, at_most: Duration) -> bool {
        let until = later(Instant::now(), at_most);
        loop {
            if super::exit::exit_of(self.group.leader()).is_some() {
                return true;
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            match &self.pidfd {
                Some(pidfd) => drop(poll(&mut [PollFd::new(pidfd, PollFlags::IN)], Some(&timespec(left)))),
                None => pause(left.min(LOOK)),
            }
        }
    }

    /// Forgets what it was given and has not taken.
    pub fn take_back(&mut self) {
        self.unsent.clear();
        self.sent = 0;
    }

    /// Reads what is there without waiting.
    pub(super) fn read_some(&mut self, see: &mut dyn FnMut(Written<'_>)) -> bool {
        let err = read(&mut self.errors, &mut self.buffer, |piece| see(Written::Stderr(piece)));
        let out = read(&mut self.output, &mut self.buffer, |piece| see(Written::Stdout(piece)));
        err || out
    }

    /// True until both outputs have ended.
    pub(super) fn outputs_open(&self) -> bool {
        self.output.is_some() || self.errors.is_some()
    }

    /// Its descriptors: input if there is something to feed, outputs, and the exit.
    pub(super) fn watched(&self) -> [Option<(BorrowedFd<'_>, PollFlags)>; 4] {
        let hungry = self.input.as_ref().filter(|_| self.has_unsent());
        [
            hungry.map(|pipe| (pipe.as_fd(), PollFlags::OUT)),
            self.output.as_ref().map(|pipe| (pipe.as_fd(), PollFlags::IN)),
            self.errors.as_ref().map(|pipe| (pipe.as_fd(), PollFlags::IN)),
            self.pidfd.as_ref().map(|exit| (exit.as_fd(), PollFlags::IN)),
        ]
    }

    fn wait(&self, wake: Option<BorrowedFd<'_>>, at_most: Duration) -> [bool; 5] {
        let [input, output, errors, exit] = self.watched();
        let watched = [input, output, errors, exit, wake.map(|wake| (wake, PollFlags::IN))];
        let mut set = Vec::with_capacity(watched.len());
        set.extend(watched.iter().flatten().map(|&(fd, flags)| PollFd::from_borrowed_fd(fd, flags)));
        match poll(&mut set, Some(&timespec(at_most))) {
            Ok(_) => {
                let mut results = set.iter().map(|entry| !entry.revents().is_empty());
                watched.map(|place| place.is_some() && results.next().unwrap_or(false))
            }
            Err(Errno::INTR) => [false; 5],
            Err(_) => {
                // No memory, or more descriptors than the limit allows: look at everything, but not in a busy loop.
                pause(at_most.min(Duration::from_millis(10)));
                watched.map(|place| place.is_some())
            }
        }
    }

    /// Writes what the pipe takes. True when it takes no more, for ever, and not all has been sent.
    pub(super) fn feed(&mut self) -> bool {
        while self.has_unsent() {
            let Some(pipe) = &mut self.input else { return true };
            match pipe.write(self.unsent.get(self.sent..).unwrap_or_default()) {
                Ok(count) => {
                    self.sent += count;
                    self.fed += count as u64;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
                Err(_) => {
                    self.close_input();
                    return true;
                }
            }
        }
        false
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        if let Some(child) = self.child.take() {
            self.group.kill();
            self.children.keep_hanging(child);
        }
    }
}

/// Bytes in a pipe that nobody has read.
fn in_pipe(pipe: &ChildStdin) -> u64 {
    rustix::io::ioctl_fionread(pipe).unwrap_or(0)
}

/// Reads one piece, and closes the pipe at its end. True when something came.
fn read(pipe: &mut Option<impl Read>, buffer: &mut [u8], see: impl FnOnce(&[u8])) -> bool {
    let Some(open) = pipe else { return false };
    match open.read(buffer) {
        Ok(0) => {
            *pipe = None;
            false
        }
        Ok(count) => {
            see(buffer.get(..count).unwrap_or_default());
            true
        }
        Err(error) if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::WouldBlock) => false,
        Err(_) => {
            *pipe = None;
            false
        }
    }
}
