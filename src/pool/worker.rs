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
    let mut station = shared.host.station(worker);
    let mut ran = None;
    let mut pace = Pace::default();
    while let Some((dispatch, now)) = next(shared, worker, course, ran.take()) {
        let run = dispatch.run;
        // A panic must not cost the seat, or the jobs behind this one in its chain.
        let finished = catch_unwind(AssertUnwindSafe(|| shared.host.run(&mut station, dispatch, now)));
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
    now: Time,
    found: Option<Dispatch<J>>,
    /// Beside what was found there is something for another worker to do, or to watch.
    more: bool,
    deadline: Option<Time>,
    /// Other classes have a free seat than before.
    opened: bool,
    left: Vec<Resolved<J>>,
}

/// Completes what ran last, and answers with what to run next, and the time. `None`: the pool is left, or has a worker too many.
fn next<H: Host>(
    shared: &Shared<H>,
    worker: usize,
    course: &Course,
    ran: Option<Ran<H>>,
) -> Option<(Dispatch<H::Job>, Time)> {
    if ran.is_some() {
        let epoch = shared.parking.epoch();
        let look = shared.look(worker, course, ran);
        if look.found.is_some() {
            shared.parking.go_on(epoch, look.more, look.opened);
            return shared.set_out(look);
        }
        // The bytes of the jobs that ran are free, though nothing takes their seat.
        shared.room.tell();
        shared.tell(look.left);
        shared.tell_quiet();
    }
    shared.parking.start_search();
    loop {
        let epoch = shared.parking.epoch();
        let look = shared.look(worker, course, None);
        if look.found.is_some() {
            shared.parking.stop_search(epoch, look.more);
            return shared.set_out(look);
        }
        let Look { deadline, left, .. } = look;
        if !left.is_empty() {
            // Who searches is relied on to find what comes; the host's time must not be part of that.
            shared.parking.stop_search(epoch, false);
            shared.tell(left);
            shared.parking.start_search();
            continue;
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
        let deadline = core.next_deadline();
        let to_watch = deadline.is_some_and(|deadline| self.parking.is_unwatched(deadline));
        let more = found.is_some() && (to_watch || core.has_eligible());
        let opened = self.parking.set_open(core.seats_open(), core.paused());
        Look { now, found, more, deadline, opened, left }
    }

    /// Does what there is to do before the run of what was found.
    fn set_out(&self, look: Look<H::Job>) -> Option<(Dispatch<H::Job>, Time)> {
        // Its place is free, and so are the bytes of the jobs that ran.
        self.room.tell_lazily(|| self.admission.is_well_filled());
        let is_late = !look.left.is_empty();
        self.tell(look.left);
        look.found.map(|dispatch| (dispatch, if is_late { self.clock.now() } else { look.now }))
    }
}

impl<J> Finished<J> {
    /// The run took that long, and nothing is to be retried.
    pub(crate) fn after(elapsed: Duration) -> Self {
        Self { elapsed, retries: Vec::new() }
    }
}
