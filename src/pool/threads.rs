//! The threads of the workers, and spare ones for those that do not come back.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use super::{Host, Pool, worker};
use crate::scheduler::RunKey;

/// A thread that has not been joined.
#[derive(Debug)]
pub(super) struct WorkerThread {
    worker: usize,
    handle: JoinHandle<()>,
    course: Arc<Course>,
    /// It is no worker any more, and leaves when it comes back from what it runs.
    pub(super) was_replaced: bool,
}

/// How far a worker's thread has come.
#[derive(Debug, Default)]
pub(super) struct Course {
    /// Its number is nobody's any more: there are fewer seats. Set under the core's lock.
    pub(super) retires: AtomicBool,
    pub(super) has_left: AtomicBool,
}

impl WorkerThread {
    pub(super) fn has_left(&self) -> bool {
        self.course.has_left.load(Ordering::Acquire)
    }

    /// It retired, and has left.
    pub(super) fn is_over(&self) -> bool {
        self.course.retires.load(Ordering::Relaxed) && self.has_left()
    }

    /// It is the thread of that worker, and stays.
    pub(super) fn serves(&self, worker: usize) -> bool {
        self.worker == worker && !self.was_replaced && !self.course.retires.load(Ordering::Relaxed)
    }

    pub(super) fn join(self) {
        if self.handle.join().is_err() {
            tracing::error!("a worker panicked outside of a handler");
        }
    }
}

impl<H: Host> Pool<H> {
    pub(super) fn spawn(&self, worker: usize) -> std::io::Result<WorkerThread> {
        let (shared, course) = (Arc::clone(&self.shared), Arc::<Course>::default());
        let own = Arc::clone(&course);
        let thread = Builder::new().name(format!("hookpool-{worker}"));
        let handle = thread.spawn(move || worker::work(&shared, worker, &own))?;
        Ok(WorkerThread { worker, handle, course, was_replaced: false })
    }

    /// Takes the place of a worker away that is in [`Host::run`] and does not come back, and gives it to a new thread,
    /// if `spare` says so. The run still holds its seat. [`Host::run`] must answer with `None`.
    pub(crate) fn replace(&self, worker: usize, spare: bool) -> std::io::Result<()> {
        let mut threads = self.threads();
        let spare = if spare { Some(self.spawn(worker)?) } else { None };
        for thread in threads.iter_mut().filter(|thread| thread.worker == worker) {
            thread.was_replaced = true;
        }
        threads.retain(|thread| !thread.was_replaced || !thread.has_left());
        threads.extend(spare);
        Ok(())
    }

    /// Completes the run of a worker that was replaced.
    pub(crate) fn complete(&self, run: RunKey, elapsed: Duration) {
        self.shared.with_core(|core, now| {
            core.complete(run, elapsed, Vec::new(), now);
        });
        self.shared.room.tell();
        self.shared.tell_quiet();
    }

    pub(super) fn threads(&self) -> MutexGuard<'_, Vec<WorkerThread>> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
