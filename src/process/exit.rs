//! Sees the end of a child without reaping it.
//!
//! A child that is seen this way stays a zombie, and keeps its number and its group's, until somebody reaps it.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use rustix::io::Errno;
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

use super::report::{End, UnknownReason};

/// How a child ended, if it has. It is not reaped.
pub(super) fn exit_of(child: Pid) -> Option<End> {
    let seen = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
    match waitid(WaitId::Pid(child), seen) {
        Ok(None) | Err(Errno::INTR) => None,
        Ok(Some(status)) => Some(end(status.exit_status(), status.terminating_signal())),
        Err(_) => Some(End::StatusUnknown(UnknownReason::ReapedElsewhere)),
    }
}

/// How a child ended that has been reaped.
pub(super) fn end_of(status: ExitStatus) -> End {
    end(status.code(), status.signal())
}

fn end(code: Option<i32>, signal: Option<i32>) -> End {
    match (code, signal) {
        (Some(code), _) => End::Exited(code),
        (None, Some(signal)) => End::Signalled(signal),
        (None, None) => End::StatusUnknown(UnknownReason::ReapedElsewhere),
    }
}
