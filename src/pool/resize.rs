//! Other parameters while the pool runs: the bounds of the queue, the seats, and as many threads as seats; hooks that
//! come, and that are defined anew.
//!
//! The core goes by the new numbers from one look to the next. A submit that races with the change is decided by the
//! old bounds or by the new ones as a whole, never by a part of both. Nothing that waits is dropped: a queue that
//! holds more than it may refuses until that has gone.
//!
//! **Threads.** A worker stays while its number is below the number of seats. One that does not finishes what it runs,
//! decides to leave under the core's lock, and passes on what it was woken for; from that decision on its number is
//! free for a new thread. Threads that have left are joined at the next change, or at the end.
//!
//! No lock is held while the host is told of anything, so an observer may change the pool, too. Who holds a lock of his
//! own while he changes the pool keeps the [`Departed`] until he has let go of it.

use std::sync::Arc;

use super::threads::WorkerThread;
use super::{Host, Pool, Shared};
use crate::scheduler::{CoreParams, HookParams, HookSlot, Resolved};

/// Jobs that left the queue beside a change. The host is told of them when this is dropped.
#[must_use = "the host is told of them where this is dropped"]
pub(crate) struct Departed<H: Host> {
    shared: Arc<Shared<H>>,
    /// From each look at the core.
    jobs: Vec<Vec<Resolved<H::Job>>>,
}

impl<H: Host> Drop for Departed<H> {
    fn drop(&mut self) {
        for jobs in self.jobs.drain(..) {
            self.shared.tell(jobs);
        }
    }
}

impl<H: Host> Pool<H> {
    /// Changes the parameters, for everything that is not running. If the system refuses a thread, they are as they
    /// were. Once the pool is closed, no threads are started any more.
    pub(crate) fn change(&self, change: impl FnOnce(&mut CoreParams)) -> (std::io::Result<()>, Departed<H>) {
        let mut departed = self.departed(Vec::new());
        let before = self.set(&mut departed, change);
        let answer = self.staff();
        if answer.is_err() {
            self.set(&mut departed, |params| *params = before);
        }
        // Those that are too many sleep, maybe, and so may those that have a seat now.
        self.shared.parking.notify_all();
        self.shared.room.tell();
        (answer, departed)
    }

    /// A hook that nobody has a slot of yet.
    pub(crate) fn add_hook(&self, params: HookParams) -> (HookSlot, Departed<H>) {
        let (slot, jobs) = self.shared.within_core(|core, _| core.add_hook(params));
        (slot, self.departed(jobs))
    }

    /// The hooks are defined anew, for the jobs that come from now on.
    pub(crate) fn set_hooks(&self, hooks: &[(HookSlot, HookParams)]) -> Departed<H> {
        let ((), jobs) = self.shared.within_core(|core, now| {
            for (slot, params) in hooks {
                core.set_hook(*slot, *params, now);
            }
        });
        // Several may run at once now: the look has woken one worker, and each that starts wakes the next.
        self.departed(jobs)
    }

    /// Something that jobs wait for room of has grown.
    pub(crate) fn tell_of_room(&self) {
        self.shared.room.tell();
    }

    #[cfg(test)]
    pub(crate) fn waiting_for_room(&self) -> u32 {
        self.shared.room.waiters()
    }

    fn departed(&self, jobs: Vec<Resolved<H::Job>>) -> Departed<H> {
        Departed { shared: Arc::clone(&self.shared), jobs: vec![jobs] }
    }

    /// Answers with the parameters of before.
    fn set(&self, departed: &mut Departed<H>, change: impl FnOnce(&mut CoreParams)) -> CoreParams {
        let shared = &*self.shared;
        let (before, left) = shared.within_core(|core, now| {
            let before = *core.params();
            let mut params = before;
            change(&mut params);
            core.set_params(params, now);
            shared.admission.set_policy(params.rule, params.displace);
            before
        });
        departed.jobs.push(left);
        before
    }

    /// Starts a thread for each seat that has none.
    fn staff(&self) -> std::io::Result<()> {
        let mut threads = self.threads();
        let gone: Vec<_> = threads.extract_if(.., |thread| thread.is_over()).collect();
        let answer = self.start_missing(&mut threads);
        drop(threads);
        // Without the lock: on its last steps a thread tells those who wait for the end, and they count the threads.
        gone.into_iter().for_each(WorkerThread::join);
        answer
    }

    fn start_missing(&self, threads: &mut Vec<WorkerThread>) -> std::io::Result<()> {
        let missing: Vec<usize> = {
            // Who leaves decides that under this lock.
            let core = self.shared.lock();
            let has_thread = |worker: &usize| threads.iter().any(|thread| thread.serves(*worker));
            (0..core.params().seats.in_all()).filter(|worker| !has_thread(worker)).collect()
        };
        for worker in missing {
            // Under the lock under which the last ones are taken to be joined.
            if self.is_closed() {
                break;
            }
            threads.push(self.spawn(worker)?);
        }
        Ok(())
    }
}
