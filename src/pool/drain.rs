//! The end of a pool, in numbered steps.
//!
//! 1. **Close.** Nothing more is admitted; the cut is exact, since the closed bit and the counts share one word. Those
//!    who wait for room are refused. Batches stop lingering.
//! 2. **Drain.** The workers go on in the same order until nothing waits and nothing runs, or the deadline comes.
//! 3. **Abandon.** What still waits is resolved as abandoned. A job that was admitted and not yet pushed is waited for:
//!    its submitter is between two instructions.
//! 4. **Stop.** What still runs is told to stop; its runner sends TERM, waits for the grace, sends KILL, and reports
//!    it as cancelled. That takes at most the longest grace.
//! 5. **Leave.** The workers find nothing and end; they are joined. One that does not end in time is left alone and
//!    counted: only a Rust handler can do that, as nothing can stop it.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::{Host, Pool, Shared};
use crate::class::PerClass;
use crate::time::Time;

/// What a drain could not end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Remainder {
    /// Workers that still run a handler that cannot be stopped.
    pub(crate) leaked: usize,
}

impl<H: Host> Pool<H> {
    /// Step 1: admits nothing more.
    pub(crate) fn close(&self) {
        let shared = &*self.shared;
        shared.admission.close();
        shared.with_core(|core, _| core.close());
        shared.room.tell();
        shared.parking.notify();
    }

    /// Steps 1 to 5. `longest_grace` bounds step 4. Doing it twice is harmless.
    pub(crate) fn drain(&self, deadline: Duration, longest_grace: Duration) -> Remainder {
        let shared = &*self.shared;
        self.close();
        let now = shared.clock.now();
        let until = (deadline != Duration::MAX).then_some(now + deadline);
        let mut stop_until = None;
        if !shared.wait_until(until, Shared::is_quiet) {
            self.abandon();
            shared.host.stop_running();
            let grace_ends = shared.clock.now() + longest_grace;
            stop_until = Some(grace_ends);
            shared.wait_until(stop_until, Shared::is_quiet);
        }
        shared.leaving.store(true, Ordering::Release);
        shared.parking.notify_all();
        self.join(stop_until)
    }

    /// Cuts a drain short: its deadline is now.
    pub(crate) fn hurry(&self) {
        self.close();
        self.abandon();
        self.shared.host.stop_running();
        self.shared.tell_quiet();
    }

    /// Step 3.
    fn abandon(&self) {
        let shared = &*self.shared;
        loop {
            shared.with_core(super::Core::abandon_waiting);
            if shared.admission.is_empty() {
                return;
            }
            std::thread::yield_now();
        }
    }

    /// Step 5.
    fn join(&self, until: Option<Time>) -> Remainder {
        let shared = &*self.shared;
        let mut threads = self.threads();
        let all = threads.len();
        let ended = |shared: &Shared<H>| shared.gone.load(Ordering::Acquire) >= all;
        if shared.wait_until(until, ended) {
            for thread in threads.drain(..) {
                if thread.join().is_err() {
                    tracing::error!("a worker panicked outside of a handler");
                }
            }
        }
        // The threads that are left run on without us; their number is all that can be told.
        Remainder { leaked: threads.drain(..).filter(|thread| !thread.is_finished()).count() }
    }
}

impl<H: Host> Shared<H> {
    /// Waits until it is true; looks again whenever a job or a worker has ended. False: the time came first.
    fn wait_until(&self, until: Option<Time>, is_true: impl Fn(&Self) -> bool) -> bool {
        let mut guard = self.quiet.lock().unwrap_or_else(PoisonError::into_inner);
        while !is_true(self) {
            guard = match until.map(|until| self.clock.until(until)) {
                None => self.may_be_quiet.wait(guard).unwrap_or_else(PoisonError::into_inner),
                Some(left) if left.is_zero() => return false,
                Some(left) => {
                    self.may_be_quiet.wait_timeout(guard, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
        true
    }

    fn is_quiet(&self) -> bool {
        self.admission.is_empty() && self.lock().running() == PerClass::default()
    }
}
