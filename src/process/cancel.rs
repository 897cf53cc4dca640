//! A token that stops a run from another thread, at once.
//!
//! The run watches a descriptor that becomes readable when the token is cancelled, and stays readable. It is made when
//! the first run needs it, so a token that no run ever sees costs no descriptor. The portable waiter cannot watch it and
//! looks at the flag now and then.
//!
//! Invariant: `cancelled` and `wake` change under one lock, so no cancellation falls between a run's look at the flag
//! and its wait.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// Cancels runs. Clones are the same token.
#[derive(Clone, Default)]
pub struct Cancel(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    cancelled: bool,
    #[cfg(target_os = "linux")]
    wake: Option<Arc<Wake>>,
}

impl Cancel {
    /// A token that is not cancelled.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Stops the runs that watch this token, and any that begin later. Never blocks.
    pub fn cancel(&self) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !state.cancelled {
            state.cancelled = true;
            #[cfg(target_os = "linux")]
            if let Some(wake) = &state.wake {
                wake.ring();
            }
        }
    }

    /// Whether it has been cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).cancelled
    }

    /// The descriptor to watch. `None`: there is none left in this process; the run then has to look now and then.
    #[cfg(target_os = "linux")]
    pub(super) fn wake(&self) -> Option<Arc<Wake>> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.wake.is_none() {
            let wake = Wake::new()?;
            if state.cancelled {
                wake.ring();
            }
            state.wake = Some(Arc::new(wake));
        }
        state.wake.clone()
    }
}

impl fmt::Debug for Cancel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Cancel").field(&self.is_cancelled()).finish()
    }
}

/// A descriptor that becomes readable once.
#[cfg(target_os = "linux")]
pub(super) struct Wake(std::os::fd::OwnedFd);

#[cfg(target_os = "linux")]
impl Wake {
    fn new() -> Option<Self> {
        use rustix::event::{EventfdFlags, eventfd};
        eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).ok().map(Self)
    }

    fn ring(&self) {
        // Can only fail when the counter is full, which is as good.
        let _ = rustix::io::write(&self.0, &1_u64.to_ne_bytes());
    }
}

#[cfg(target_os = "linux")]
impl std::os::fd::AsFd for Wake {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;

    fn readable(wake: &Wake) -> bool {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let mut set = [PollFd::new(wake, PollFlags::IN)];
        poll(&mut set, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).unwrap() == 1
    }

    #[test]
    fn a_token_rings_whether_it_is_watched_before_or_after_its_cancellation() {
        let (before, after) = (Cancel::new(), Cancel::new());
        let watched = before.wake().unwrap();
        assert!(!readable(&watched));
        before.clone().cancel();
        after.cancel();
        assert!(readable(&watched) && readable(&after.wake().unwrap()));
        assert!(before.is_cancelled() && after.is_cancelled());
    }
}
