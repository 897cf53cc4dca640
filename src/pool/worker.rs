//! The loop of a worker: complete what ran, take in what came, pick, run.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::threads::Course;
use super::{Finished, Host, Shared};
use crate::scheduler::{Dispatch, Resolved, RunKey};
use crate::time::{Pace, Time};

/// Runs jobs until the pool is left, or the worker was replaced.
pub(super) fn work<H: Host>(shared: &Shared<H>, worker: usize, course: &Course) {
    let _leaving = Leaving { shared, course };
    shared.parking.check_in(worker);
    let mut ran = None;
    let mut pace = Pace::default();
    while let Some(dispatch) = next(shared, worker, course, ran.take()) {
        let run = dispatch.run;
        // A panic must not cost the seat, or the jobs behind this one in its chain.
        let finished = catch_unwind(AssertUnwindSafe(|| shared.host.run(worker, dispatch)));
        let Some(finished) = finished.unwrap_or_else(|_| Some(Finished::after(Duration::ZERO))) else {
            return;
        };
        ran = Some((run, finished));
        pace.count(&shared.clock);
    }
}

/// Tells of a thread that leaves, however it does.
struct Leaving<'a, H: Host> {
    shared: &'a Shared<H>,
    course: &'a Course,
}

impl<H: Host> Drop for Leaving<'_, H> {
    fn drop(&mut self) {
        self.course.has_left.store(true, Ordering::Release);
        self.shared.tell_quiet();
    }
}

type Ran<H> = (RunKey, Finished<<H as Host>::Job>);

/// What a look at the core has shown.
struct Look<J> {
    found: Option<Dispatch<J>>,
    /// Another worker would find something, too.
    more: bool,
    deadline: Option<Time>,
    left: Vec<Resolved<J>>,
}

/// Completes what ran last, and answers with what to run next. `None`: the pool is left, or has a worker too many.
fn next<H: Host>(
    shared: &Shared<H>,
    worker: usize,
    course: &Course,
    mut ran: Option<Ran<H>>,
) -> Option<Dispatch<H::Job>> {
    shared.parking.start_search();
    loop {
        let epoch = shared.parking.epoch();
        let completed = ran.is_some();
        let Look { found, more, deadline, left } = shared.look(worker, course, ran.take());
        if let Some(dispatch) = found {
            let to_watch = deadline.is_some_and(|deadline| shared.parking.is_unwatched(deadline));
            shared.parking.stop_search(epoch, more || to_watch);
            // Its place is free, and so are the bytes of the jobs that ran.
            shared.room.tell_lazily(shared.admission.is_well_filled());
            shared.tell(left);
            return Some(dispatch);
        }
        if completed {
            // The bytes of the jobs that ran are free, though nothing takes their seat.
            shared.room.tell();
        }
        if !left.is_empty() {
            // Who searches is relied on to find what comes; the host's time must not be part of that.
            shared.parking.stop_search(epoch, false);
            shared.tell(left);
            if completed {
                shared.tell_quiet();
            }
            shared.parking.start_search();
            continue;
        }
        if completed {
            shared.tell_quiet();
        }
        let retires = course.retires.load(Ordering::Relaxed);
        if retires || shared.leaving.load(Ordering::Acquire) {
            // What it was woken for, or watched, is another one's to find.
            shared.parking.stop_search(epoch, retires);
            return None;
        }
        shared.parking.sleep(worker, epoch, deadline);
    }
}

impl<H: Host> Shared<H> {
    /// Completes what ran, and picks, unless there are workers enough without this one: then it retires for good.
    fn look(&self, worker: usize, course: &Course, ran: Option<Ran<H>>) -> Look<H::Job> {
        let mut left = Vec::new();
        let mut core = self.lock();
        let now = self.take_in(&mut core);
        if let Some((run, finished)) = ran {
            for retry in &finished.retries {
                self.admission.readmit(retry.job.class);
            }
            for key in core.complete(run, finished.elapsed, finished.retries, now) {
                self.tell_placed(&core, key);
            }
        }
        if self.cut.load(Ordering::Relaxed) {
            core.abandon_waiting(now);
        }
        // Only this thread and those who hold the lock look at it.
        if worker >= core.params().seats.in_all() {
            course.retires.store(true, Ordering::Relaxed);
        }
        let retires = course.retires.load(Ordering::Relaxed);
        let found = if retires { None } else { core.pick(now) };
        // Its places are free before the lock is: who displaces under the lock counts only what can be displaced.
        if let Some(dispatch) = &found {
            self.admission.release(dispatch.first.class);
            for job in &dispatch.rest {
                self.admission.release(job.class);
            }
        }
        self.settle(&mut core, &mut left);
        self.begin_telling(&left);
        let more = found.is_some() && core.has_eligible();
        let deadline = core.next_deadline();
        self.parking.set_open(core.seats_open(), core.paused());
        Look { found, more, deadline, left }
    }
}

impl<J> Finished<J> {
    /// The run took that long, and nothing is to be retried.
    pub(crate) fn after(elapsed: Duration) -> Self {
        Self { elapsed, retries: Vec::new() }
    }
}
