//! The loop of a worker: complete what ran, take in what came, pick, run.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::{Finished, Host, Shared};
use crate::scheduler::{Dispatch, RunKey};

/// Runs jobs until the pool is left.
pub(super) fn work<H: Host>(shared: &Shared<H>, worker: usize) {
    let _gone = Gone(shared);
    shared.parking.check_in(worker);
    let mut ran = None;
    while let Some(dispatch) = next(shared, worker, ran.take()) {
        let run = dispatch.run;
        ran = Some((run, shared.host.run(worker, dispatch)));
    }
}

/// Counts a worker that leaves, however it does.
struct Gone<'a, H: Host>(&'a Shared<H>);

impl<H: Host> Drop for Gone<'_, H> {
    fn drop(&mut self) {
        self.0.gone.fetch_add(1, Ordering::AcqRel);
        self.0.tell_quiet();
    }
}

type Ran<H> = (RunKey, Finished<<H as Host>::Job>);

/// Completes what ran last, and answers with what to run next. `None`: the pool is left.
fn next<H: Host>(shared: &Shared<H>, worker: usize, mut ran: Option<Ran<H>>) -> Option<Dispatch<H::Job>> {
    if ran.is_some() {
        // The bytes of the jobs that ran are free.
        shared.room.tell();
    }
    shared.parking.start_search();
    loop {
        let epoch = shared.parking.epoch();
        let mut completed = false;
        let (found, more, deadline, resolved) = {
            let mut core = shared.lock();
            let now = shared.clock.now();
            shared.take_in(&mut core, now);
            if let Some((run, finished)) = ran.take() {
                completed = true;
                for retry in &finished.retries {
                    shared.admission.readmit(retry.job.class);
                }
                core.complete(run, finished.elapsed, finished.retries, now);
            }
            let found = core.pick(now);
            let more = found.is_some() && core.has_eligible();
            let deadline = core.next_deadline();
            shared.parking.set_open(&core.seats_open());
            (found, more, deadline, core.take_resolved())
        };
        shared.resolve(resolved);
        if let Some(dispatch) = found {
            let to_watch = deadline.is_some_and(|deadline| shared.parking.is_unwatched(deadline));
            shared.parking.stop_search(epoch, more || to_watch);
            release(shared, &dispatch);
            return Some(dispatch);
        }
        if completed {
            shared.tell_quiet();
        }
        if shared.leaving.load(Ordering::Acquire) {
            shared.parking.stop_search(epoch, false);
            return None;
        }
        shared.parking.sleep(worker, epoch, deadline);
    }
}

/// The picked jobs do not wait any more.
fn release<H: Host>(shared: &Shared<H>, dispatch: &Dispatch<H::Job>) {
    shared.release(dispatch.first.class);
    for job in &dispatch.rest {
        shared.release(job.class);
    }
}

impl<J> Finished<J> {
    /// The run took that long, and nothing is to be retried.
    pub(crate) fn after(elapsed: Duration) -> Self {
        Self { elapsed, retries: Vec::new() }
    }
}
