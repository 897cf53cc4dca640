//! The end of a pool, in numbered steps.
//!
//! 1. **Close.** Nothing more is admitted; the cut is exact, since the closed bit and the counts share one word. Those
//!    who wait for room are refused. Batches stop lingering.
//! 2. **Drain.** The workers go on in the same order until nothing waits and nothing runs, or the deadline comes.
//! 3. **Abandon.** What still waits is resolved as abandoned. A job that was admitted and not yet pushed is waited for:
//!    its submitter is between two instructions.
//! 4. **Stop.** What still runs is told to stop; its runner sends TERM, waits for the grace, sends KILL, and reports
//!    it as cancelled. That takes at most the longest grace; [`Pool::kill`] ends the grace.
//! 5. **Leave.** The workers find nothing and end; they are joined. One that does not end in time is left alone and
//!    counted: only a Rust handler can do that, as nothing can stop it.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::{Host, Pool, Shared, WorkerThread};
use crate::class::PerClass;
use crate::scheduler::Core;
use crate::time::Time;

/// How long a worker that runs nothing may take to leave, when others have to be left behind. It takes microseconds;
/// this is for machines that are busy with other things.
const LEAVING: Duration = Duration::from_secs(5);

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
        shared.with_core(Core::close);
        shared.room.tell();
    }

    /// Steps 1 to 5. `longest_grace` bounds step 4. Doing it twice is harmless: the second one waits for the first, and
    /// joins what has ended since.
    pub(crate) fn drain(&self, deadline: Duration, longest_grace: Duration) -> Remainder {
        let shared = &*self.shared;
        self.close();
        let until = (deadline != Duration::MAX).then(|| shared.clock.now() + deadline);
        shared.wait_until(until, |shared| shared.is_quiet() || shared.hurried.load(Ordering::Acquire));
        let mut leave_until = None;
        if !shared.is_quiet() {
            self.abandon();
            shared.host.stop_running();
            let grace_ends = shared.clock.now() + longest_grace;
            if !shared.wait_until(Some(grace_ends), Shared::is_quiet) {
                leave_until = Some(shared.clock.now() + LEAVING);
            }
        }
        shared.leaving.store(true, Ordering::Release);
        shared.parking.notify_all();
        self.join(leave_until)
    }

    /// Cuts a drain short, one that goes on or one to come: its deadline is now.
    pub(crate) fn hurry(&self) {
        self.close();
        self.shared.hurried.store(true, Ordering::Release);
        self.shared.tell_quiet();
    }

    /// Like [`Pool::hurry`], and ends what runs without grace. For an end that nobody wants to wait for: who drains finds
    /// nothing left to do.
    pub(crate) fn kill(&self) {
        self.hurry();
        // First, so that the seats that get free now are not given away again.
        self.abandon();
        self.shared.host.kill_running();
    }

    /// Step 3.
    fn abandon(&self) {
        let shared = &*self.shared;
        loop {
            shared.with_core(|core, now| {
                // From now on nothing is picked: a retry, or a job that is pushed late, is abandoned at once.
                shared.cut.store(true, Ordering::Relaxed);
                core.abandon_waiting(now);
            });
            if shared.admission.is_empty() {
                return;
            }
            std::thread::yield_now();
        }
    }

    /// Step 5. Whoever holds no run leaves at once and is waited for, at most until then.
    fn join(&self, until: Option<Time>) -> Remainder {
        let shared = &*self.shared;
        let others_are_gone = |shared: &Shared<H>| {
            let is_there = |thread: &&WorkerThread| !thread.was_replaced && !thread.has_left();
            let there = self.threads().iter().filter(is_there).count();
            there <= shared.lock().running().values().map(|n| *n as usize).sum()
        };
        shared.wait_until(until, others_are_gone);
        let mut threads = self.threads();
        let gone: Vec<_> = threads.extract_if(.., |thread| thread.has_left()).collect();
        let leaked = threads.len();
        drop(threads);
        // Without the lock: on its last steps a thread tells those who wait for the end, and they count the threads.
        gone.into_iter().for_each(WorkerThread::join);
        Remainder { leaked }
    }
}

impl<H: Host> Shared<H> {
    /// Waits until it is true; looks again whenever a job or a worker has ended. False: the time came first.
    pub(super) fn wait_until(&self, until: Option<Time>, is_true: impl Fn(&Self) -> bool) -> bool {
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

    /// Nothing waits, runs, or is on its way to the host. Looked at under the core's lock, as jobs go from one to the
    /// other under it.
    pub(super) fn is_quiet(&self) -> bool {
        let core = self.lock();
        core.running() == PerClass::default()
            && self.admission.is_empty()
            && self.telling.load(Ordering::SeqCst) == 0
    }
}
