//! Other parameters while the pool runs: the bounds of the queue, the seats, and as many threads as seats.
//!
//! The core goes by the new numbers from one look to the next. A submit that races with the change is decided by the
//! old bounds or by the new ones as a whole, never by a part of both. Nothing that waits is dropped: a queue that
//! holds more than it may refuses until that has gone.
//!
//! **Threads.** A worker stays while its number is below the number of seats. One that does not finishes what it runs,
//! decides to leave under the core's lock, and passes on what it was woken for; from that decision on its number is
//! free for a new thread. Threads that have left are joined at the next change, or at the end.
//!
//! No lock is held while the host is told of anything, so an observer may change the pool, too.

use super::threads::WorkerThread;
use super::{Host, Pool};
use crate::scheduler::{CoreParams, SeatParams};

impl<H: Host> Pool<H> {
    /// Changes the parameters, for everything that is not running. If the system refuses a thread, the seats are as they
    /// were. Once the pool is closed, no threads are started any more.
    pub(crate) fn change(&self, change: impl FnOnce(&mut CoreParams)) -> std::io::Result<()> {
        let before = self.set(change);
        let answer = self.staff();
        if answer.is_err() {
            self.set(|params| params.seats = before);
        }
        // Those that are too many sleep, maybe, and so may those that have a seat now.
        self.shared.parking.notify_all();
        self.shared.room.tell();
        answer
    }

    /// Answers with the seats of before.
    fn set(&self, change: impl FnOnce(&mut CoreParams)) -> SeatParams {
        let shared = &*self.shared;
        shared.with_core(|core, now| {
            let mut params = *core.params();
            let before = params.seats;
            change(&mut params);
            core.set_params(params, now);
            shared.admission.set_policy(params.rule, params.displace);
            before
        })
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
