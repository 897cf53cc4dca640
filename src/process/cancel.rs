//! A token that stops a run from another thread, at once: politely, or, at its second level, without grace.
//!
//! The run watches a descriptor that becomes readable when the token reaches a level, and stays readable. There is one
//! for each level, made when the first run needs it, so a token that no run ever sees costs no descriptor. The portable
//! waiter cannot watch it and looks at the level now and then.
//!
//! Invariant: the level only rises, and changes under one lock with the descriptors, so no cancellation falls between a
//! run's look at the level and its wait.

use std::fmt;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Cancels runs. Clones are the same token.
#[derive(Clone, Default)]
pub struct Cancel(Arc<State>);

/// How far a token has gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum CancelLevel {
    /// Not cancelled.
    #[default]
    None,
    /// Handlers are asked to end, and killed after their grace.
    Stop,
    /// Handlers are killed now.
    Kill,
}

/// How a [`Cancel::wait`] ended.
#[cfg(feature = "http")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waited {
    Ready,
    Cancelled,
    Late,
}

#[derive(Default)]
struct State {
    /// A [`CancelLevel`] as a number: whoever merely looks at it takes no lock.
    level: AtomicU8,
    wakes: Mutex<Wakes>,
}

#[derive(Default)]
struct Wakes {
    #[cfg(target_os = "linux")]
    stop: Option<Arc<Wake>>,
    #[cfg(target_os = "linux")]
    kill: Option<Arc<Wake>>,
}

impl Cancel {
    /// A token that is not cancelled.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Stops the runs that watch this token, and any that begin later. Never blocks.
    pub fn cancel(&self) {
        self.raise(CancelLevel::Stop);
    }

    /// Like [`Cancel::cancel`], but without grace, also for runs that are in theirs.
    pub fn kill(&self) {
        self.raise(CancelLevel::Kill);
    }

    /// Whether it has been cancelled, at either level.
    pub fn is_cancelled(&self) -> bool {
        self.level() != CancelLevel::None
    }

    /// How far it has gone.
    pub fn level(&self) -> CancelLevel {
        match self.0.level.load(Ordering::SeqCst) {
            0 => CancelLevel::None,
            1 => CancelLevel::Stop,
            _ => CancelLevel::Kill,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Wakes> {
        self.0.wakes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn raise(&self, level: CancelLevel) {
        let wakes = self.lock();
        if level <= self.level() {
            return;
        }
        self.0.level.store(level as u8, Ordering::SeqCst);
        #[cfg(target_os = "linux")]
        {
            let kills = level == CancelLevel::Kill;
            let wakes = [wakes.stop.as_ref(), wakes.kill.as_ref().filter(|_| kills)];
            wakes.into_iter().flatten().for_each(|wake| wake.ring());
        }
    }

    /// Waits until the descriptor is ready, the token is cancelled, or it is `until`. A signal may end it early, as ready.
    #[cfg(feature = "http")]
    pub(crate) fn wait(
        &self,
        descriptor: std::os::fd::BorrowedFd<'_>,
        flags: rustix::event::PollFlags,
        until: std::time::Instant,
    ) -> std::io::Result<Waited> {
        use rustix::event::{PollFd, PollFlags, poll};
        let left = until.saturating_duration_since(std::time::Instant::now());
        if self.is_cancelled() {
            return Ok(Waited::Cancelled);
        }
        if left.is_zero() {
            return Ok(Waited::Late);
        }
        #[cfg(target_os = "linux")]
        let wake = self.wake(CancelLevel::Stop);
        #[cfg(target_os = "linux")]
        let wake = wake.as_ref().map(|wake| std::os::fd::AsFd::as_fd(&**wake));
        #[cfg(not(target_os = "linux"))]
        let wake = None;
        // What tells of no cancellation has to be looked at.
        let left = if wake.is_some() { left } else { left.min(super::live::LOOK) };
        let own = PollFd::from_borrowed_fd(descriptor, flags);
        let wake = PollFd::from_borrowed_fd(
            wake.unwrap_or(descriptor),
            if wake.is_some() { PollFlags::IN } else { flags },
        );
        match poll(&mut [own, wake], Some(&super::pipes::timespec(left))) {
            Ok(_) | Err(rustix::io::Errno::INTR) if self.is_cancelled() => Ok(Waited::Cancelled),
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(Waited::Ready),
            Err(error) => Err(error.into()),
        }
    }

    /// The descriptor that tells of that level or a higher one. `None`: there is none left in this process; the run
    /// then has to look now and then.
    #[cfg(target_os = "linux")]
    pub(super) fn wake(&self, level: CancelLevel) -> Option<Arc<Wake>> {
        let mut wakes = self.lock();
        let reached = self.level() >= level;
        let slot = if level == CancelLevel::Kill { &mut wakes.kill } else { &mut wakes.stop };
        if slot.is_none() {
            let wake = Wake::new()?;
            if reached {
                wake.ring();
            }
            *slot = Some(Arc::new(wake));
        }
        slot.clone()
    }
}

impl fmt::Debug for Cancel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Cancel").field(&self.level()).finish()
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
        let watched = before.wake(CancelLevel::Stop).unwrap();
        assert!(!readable(&watched));
        before.clone().cancel();
        after.cancel();
        assert!(readable(&watched) && readable(&after.wake(CancelLevel::Stop).unwrap()));
        assert!(before.is_cancelled() && after.is_cancelled());
    }

    #[test]
    fn the_second_level_rings_for_both_and_the_first_only_for_itself() {
        let token = Cancel::new();
        let (stop, kill) = (token.wake(CancelLevel::Stop).unwrap(), token.wake(CancelLevel::Kill).unwrap());
        token.cancel();
        assert!(readable(&stop) && !readable(&kill));
        token.kill();
        assert!(readable(&kill));
        token.cancel();
        assert_eq!(token.level(), CancelLevel::Kill, "it only rises");

        let at_once = Cancel::new();
        let stop = at_once.wake(CancelLevel::Stop).unwrap();
        at_once.kill();
        assert!(readable(&stop) && readable(&at_once.wake(CancelLevel::Kill).unwrap()));
    }
}
