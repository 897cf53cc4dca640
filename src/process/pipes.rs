//! The three pipes of a run, fed and read without ever blocking.
//!
//! Our ends are non-blocking, and a turn moves a bounded amount, so no handler can keep a run from looking at the clock.
//! A handler that closes its input has simply read enough: that is no failure. Memory is bounded by the keepers.

use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_setfl};

use super::capture::{Captured, Keeper};

/// Bytes read at once, and reads of one stream in one turn. A full pipe holds 64 KiB.
const PIECE: usize = 16 * 1024;
const PIECES: usize = 8;

pub(super) struct Pipes<'a> {
    stdin: Option<ChildStdin>,
    left: &'a [u8],
    /// Sees standard output as it comes.
    see: &'a mut dyn FnMut(&[u8]),
    stdout: Stream<ChildStdout>,
    stderr: Stream<ChildStderr>,
}

#[derive(Debug)]
struct Stream<R> {
    pipe: Option<R>,
    kept: Keeper,
    /// Bytes that have come.
    written: u64,
}

/// What a wait has found. The pipes have been served already.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ready {
    /// The first of the further descriptors is readable.
    pub(super) first: bool,
    /// So is the second.
    #[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "only the pidfd waiter has a second"))]
    pub(super) second: bool,
    /// Output arrived or ended.
    pub(super) output: bool,
}

impl<'a> Pipes<'a> {
    /// Takes over a child's pipes and feeds as much as fits.
    pub(super) fn new(
        child: &mut Child,
        stdin: &'a [u8],
        max_output: usize,
        see: &'a mut dyn FnMut(&[u8]),
    ) -> Self {
        let mut pipes = Self {
            stdin: child.stdin.take(),
            left: stdin,
            see,
            stdout: Stream { pipe: child.stdout.take(), kept: Keeper::new(max_output), written: 0 },
            stderr: Stream { pipe: child.stderr.take(), kept: Keeper::new(max_output), written: 0 },
        };
        // A pipe that cannot be made non-blocking could hold us for ever. It is an own, fresh pipe: this does not fail.
        pipes.stdin.take_if(|pipe| set_nonblocking(pipe.as_fd()).is_err());
        pipes.stdout.pipe.take_if(|pipe| set_nonblocking(pipe.as_fd()).is_err());
        pipes.stderr.pipe.take_if(|pipe| set_nonblocking(pipe.as_fd()).is_err());
        pipes.feed();
        pipes
    }

    /// Bytes of both outputs that have come.
    pub(super) fn written(&self) -> u64 {
        self.stdout.written.saturating_add(self.stderr.written)
    }

    /// True until both outputs have ended.
    pub(super) fn outputs_open(&self) -> bool {
        self.stdout.pipe.is_some() || self.stderr.pipe.is_some()
    }

    /// True while any pipe is open.
    pub(super) fn open(&self) -> bool {
        self.stdin.is_some() || self.outputs_open()
    }

    /// Waits until a pipe or one of two further descriptors is ready, or the time is over, and serves the pipes.
    pub(super) fn serve(
        &mut self,
        first: Option<BorrowedFd<'_>>,
        second: Option<BorrowedFd<'_>>,
        at_most: Duration,
    ) -> Ready {
        let found = self.wait(first, second, at_most);
        let [stdin, stdout, stderr, first, second] = found;
        if stdin {
            self.feed();
        }
        let stdout_ended = stdout && self.stdout.read(self.see);
        let stderr_ended = stderr && self.stderr.read(&mut |_| {});
        if stdout_ended || stderr_ended {
            // Mostly that is the handler's exit, and the other stream has ended as well: nobody has to tell us.
            self.stdout.read(self.see);
            self.stderr.read(&mut |_| {});
        }
        Ready { first, second, output: stdout || stderr }
    }

    /// Reads what is there and what still comes, until the outputs end, nothing came for `silence`, or it is `until`.
    pub(super) fn drain(&mut self, silence: Duration, until: Instant) {
        self.stdin = None;
        while self.outputs_open() {
            let left = until.saturating_duration_since(Instant::now());
            if !self.serve(None, None, silence.min(left)).output || left.is_zero() {
                break;
            }
        }
    }

    /// Closes everything. Gives back standard output, standard error, and how much input was not taken.
    pub(super) fn finish(self) -> (Captured, Captured, usize) {
        (self.stdout.kept.finish(), self.stderr.kept.finish(), self.left.len())
    }

    fn wait(
        &self,
        first: Option<BorrowedFd<'_>>,
        second: Option<BorrowedFd<'_>>,
        at_most: Duration,
    ) -> [bool; 5] {
        let watched = [
            self.stdin.as_ref().map(|pipe| (pipe.as_fd(), PollFlags::OUT)),
            self.stdout.pipe.as_ref().map(|pipe| (pipe.as_fd(), PollFlags::IN)),
            self.stderr.pipe.as_ref().map(|pipe| (pipe.as_fd(), PollFlags::IN)),
            first.map(|descriptor| (descriptor, PollFlags::IN)),
            second.map(|descriptor| (descriptor, PollFlags::IN)),
        ];
        let mut set = Vec::with_capacity(watched.len());
        set.extend(watched.iter().flatten().map(|&(fd, flags)| PollFd::from_borrowed_fd(fd, flags)));
        if let Err(error) = poll(&mut set, Some(&timespec(at_most))) {
            if error != rustix::io::Errno::INTR {
                // No memory, or more descriptors than the limit allows: look at everything, but not in a busy loop.
                pause(at_most.min(Duration::from_millis(10)));
                return watched.map(|place| place.is_some());
            }
            return [false; 5];
        }
        let mut results = set.iter().map(|entry| !entry.revents().is_empty());
        watched.map(|place| place.is_some() && results.next().unwrap_or(false))
    }

    /// Writes what the pipe takes; closes it after the last byte, or when nobody reads.
    fn feed(&mut self) {
        let Some(pipe) = &mut self.stdin else { return };
        while !self.left.is_empty() {
            match pipe.write(self.left) {
                Ok(count) => self.left = self.left.get(count..).unwrap_or_default(),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(_) => break,
            }
        }
        self.stdin = None;
    }
}

impl<R: Read> Stream<R> {
    /// Reads what is there, within one turn's measure. Closes the pipe at its end; true: that was now.
    fn read(&mut self, see: &mut dyn FnMut(&[u8])) -> bool {
        let Some(pipe) = &mut self.pipe else { return false };
        let mut buffer = [0; PIECE];
        for _ in 0..PIECES {
            match pipe.read(&mut buffer) {
                Ok(count @ 1..) => {
                    let piece = buffer.get(..count).unwrap_or_default();
                    self.written = self.written.saturating_add(count as u64);
                    self.kept.push(piece);
                    see(piece);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
                Ok(0) | Err(_) => {
                    self.pipe = None;
                    return true;
                }
            }
        }
        false
    }
}

pub(super) fn set_nonblocking(pipe: BorrowedFd<'_>) -> io::Result<()> {
    // A fresh pipe has no other flags that could be lost.
    Ok(fcntl_setfl(pipe, OFlags::NONBLOCK)?)
}

pub(super) fn timespec(time: Duration) -> Timespec {
    Timespec { tv_sec: time.as_secs().try_into().unwrap_or(i64::MAX), tv_nsec: time.subsec_nanos().into() }
}

/// Waits for a while; a signal may end it early.
pub(super) fn pause(time: Duration) {
    let _ = poll(&mut [], Some(&timespec(time)));
}
