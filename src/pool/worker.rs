//! The loop of a worker: complete what ran, take in what came, pick, run.

use std::hint;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::MutexGuard;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::combining::Paper;
use super::threads::Course;
use super::{Finished, Host, Shared};
use crate::scheduler::{Core, Dispatch, Resolved, RunKey};
use crate::time::{Pace, Time};

/// A run after which it is worth a moment to let another worker keep the core: no longer than that moment.
const BRIEF: Duration = Duration::from_micros(1);

/// Runs jobs until the pool is left, or the worker was replaced.
pub(super) fn work<H: Host>(shared: &Shared<H>, worker: usize, course: &Course) {
    let _leaving = Leaving { shared, course };
    shared.parking.check_in(worker);
    let mut station = shared.host.station(worker);
    let mut shift = Shift::default();
    let mut pace = Pace::default();
    while let Some(dispatch) = next(shared, (worker, course), &mut station, &mut shift) {
        let (run, now) = (dispatch.run, shift.now);
        // A panic must not cost the seat, or the jobs behind this one in its chain.
        let finished = catch_unwind(AssertUnwindSafe(|| shared.host.run(&mut station, dispatch, now)));
        let Some(finished) = finished.unwrap_or_else(|_| Some(Finished::after(Duration::ZERO))) else {
            return;
        };
        shift.ran = Some((run, finished));
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

/// What a worker did last.
pub(super) type Ran<H> = (RunKey, Finished<<H as Host>::Job>);

/// What it does next, and the time.
pub(super) type Found<H> = (Dispatch<<H as Host>::Job>, Time);

/// Where a worker stands between two runs. What is large stays at its place: it is not handed from call to call.
pub(super) struct Shift<J> {
    ran: Option<(RunKey, Finished<J>)>,
    pub(super) found: Option<Dispatch<J>>,
    /// When that was found.
    now: Time,
    was_served: bool,
}

/// What a look at the core has shown.
pub(super) struct Look<J> {
    /// Beside what was found there is something for another worker to do, or to watch.
    more: bool,
    /// There is a deadline that nobody watches.
    to_watch: bool,
    deadline: Option<Time>,
    /// Other classes have a free seat than before.
    opened: bool,
    left: Vec<Resolved<J>>,
}

/// Completes what ran last, and answers with what to run next. `None`: the pool is left, or has a worker too many.
fn next<H: Host>(
    shared: &Shared<H>,
    (worker, course): (usize, &Course),
    station: &mut H::Station,
    shift: &mut Shift<H::Job>,
) -> Option<Dispatch<H::Job>> {
    if shift.ran.is_some() {
        let epoch = shared.parking.epoch();
        let look = shared.look_after(worker, course, shift);
        if shift.found.is_some() {
            shared.parking.go_on(epoch, look.more, look.opened);
            shared.set_out(look, shift);
            return shift.found.take();
        }
        // The bytes of the jobs that ran are free, though nothing takes their seat.
        shared.room.tell();
        if look.to_watch && !look.left.is_empty() {
            // Until the host has been told the deadline would be nobody's.
            shared.parking.notify();
        }
        shared.tell(look.left);
        shared.tell_quiet();
        shared.host.rests(station);
    }
    shared.parking.start_search();
    loop {
        let epoch = shared.parking.epoch();
        let look = shared.look(shared.lock(), worker, course, shift);
        if shift.found.is_some() {
            shared.parking.stop_search(epoch, look.more);
            shared.set_out(look, shift);
            return shift.found.take();
        }
        let Look { deadline, left, to_watch, .. } = look;
        if !left.is_empty() {
            // Who searches is relied on to find what comes; the host's time must not be part of that.
            shared.parking.stop_search(epoch, to_watch);
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

impl<J> Default for Shift<J> {
    fn default() -> Self {
        Self { ran: None, found: None, now: Time::default(), was_served: false }
    }
}

impl<J> Look<J> {
    /// Of who was served: whatever else there is, the other one has seen.
    fn of_another() -> Self {
        Self { more: false, to_watch: false, deadline: None, opened: false, left: Vec::new() }
    }
}

impl<H: Host> Shared<H> {
    /// Completes what ran, and picks; by itself, or by whoever has the lock. What somebody else found for this worker
    /// leaves it nothing to tell: whatever else there is, the other one has seen.
    fn look_after(&self, worker: usize, course: &Course, shift: &mut Shift<H::Job>) -> Look<H::Job> {
        // Who served it last is about to come again, if its runs are as brief, and has the core in its cache.
        let is_brief = shift.ran.as_ref().is_some_and(|(_, finished)| finished.elapsed < BRIEF);
        let waits = std::mem::take(&mut shift.was_served) && is_brief;
        if !waits && let Some(core) = self.try_lock() {
            return self.look(core, worker, course, shift);
        }
        if !self.requests.has_place(worker) {
            return self.look(self.lock(), worker, course, shift);
        }
        if let Some(ran) = shift.ran.take() {
            self.requests.ask(worker, ran);
        }
        let core = self.lock_unless_answered(worker);
        let answer = match core {
            None => self.requests.take_answer(worker),
            Some(core) => match self.requests.take_back(worker) {
                Some(Paper::Request(ran)) => {
                    shift.ran = Some(ran);
                    return self.look(core, worker, course, shift);
                }
                Some(Paper::Answer(answer)) => Some(answer),
                None => None,
            },
        };
        shift.was_served = true;
        if let Some((dispatch, now)) = answer.flatten() {
            (shift.found, shift.now) = (Some(dispatch), now);
        }
        Look::of_another()
    }

    /// `None`: there is an answer.
    fn lock_unless_answered(&self, worker: usize) -> Option<MutexGuard<'_, Core<H::Job>>> {
        // Each attempt at the lock takes its line from whoever is about to answer, so they are far apart.
        for looks in [64, 128, 256] {
            for _ in 0..looks {
                if self.requests.is_answered(worker) {
                    return None;
                }
                hint::spin_loop();
            }
            if let Some(core) = self.try_lock() {
                return Some(core);
            }
        }
        Some(self.lock())
    }

    /// Completes what ran, and picks, unless there are workers enough without this one: then it retires for good. Does the
    /// same for those that wait for the lock.
    pub(super) fn look(
        &self,
        mut core: MutexGuard<'_, Core<H::Job>>,
        worker: usize,
        course: &Course,
        shift: &mut Shift<H::Job>,
    ) -> Look<H::Job> {
        let mut left = Vec::new();
        let now = self.take_in(&mut core);
        shift.now = now;
        // Only this thread and those who hold the lock look at it.
        if worker >= core.params().seats.in_all() {
            course.retires.store(true, Ordering::Relaxed);
        }
        let picks = !course.retires.load(Ordering::Relaxed);
        shift.found = self.turn(&mut core, shift.ran.take(), picks, now);
        if let Some(now) = self.serve(&mut core)
            && shift.found.is_none()
        {
            // What has ended may have set something free for this worker, too, who may be about to sleep.
            shift.found = self.turn(&mut core, None, picks, now);
            shift.now = now;
        }
        let has_found = shift.found.is_some();
        self.settle(&mut core, &mut left);
        self.begin_telling(&left);
        let may_watch = |earliest: Time| self.parking.is_unwatched(earliest);
        // Who has something to do watches nothing itself.
        let is_asked_for = !has_found || core.no_deadline_before().is_some_and(may_watch);
        let deadline = if is_asked_for { core.next_deadline() } else { None };
        let to_watch = deadline.is_some_and(may_watch);
        let more = has_found && (to_watch || core.has_eligible());
        let opened = self.parking.set_open(core.seats_open(), core.paused());
        Look { more, to_watch, deadline, opened, left }
    }

    /// Does for the workers that wait for the lock what they would do if they had it: with what has come until they asked,
    /// and at a time that is not before the end of their runs. Answers with that time, if there was anybody.
    pub(super) fn serve(&self, core: &mut Core<H::Job>) -> Option<Time> {
        let mut now = None;
        self.requests.serve(|worker, ran| {
            let now = *now.get_or_insert_with(|| self.take_in(core));
            // One whose number is nobody's finds that out by itself.
            let picks = worker < core.params().seats.in_all();
            self.turn(core, Some(ran), picks, now).map(|dispatch| (dispatch, now))
        });
        now
    }

    /// The end of one run and the beginning of the next.
    fn turn(
        &self,
        core: &mut Core<H::Job>,
        ran: Option<Ran<H>>,
        picks: bool,
        now: Time,
    ) -> Option<Dispatch<H::Job>> {
        if let Some((run, finished)) = ran {
            for retry in &finished.retries {
                self.admission.readmit(retry.job.class);
            }
            for key in core.complete(run, finished.elapsed, finished.retries, now) {
                self.tell_placed(core, key);
                if core.body(key).is_some_and(|job| self.host.is_unwanted(job)) {
                    core.cancel(key, now);
                }
            }
        }
        if self.cut.load(Ordering::Relaxed) {
            core.abandon_waiting(now);
        }
        let found = if picks { core.pick(now) } else { None };
        // Its places are free before the lock is: who displaces under the lock counts only what can be displaced.
        if let Some(dispatch) = &found {
            self.admission.release(dispatch.first.class);
            for job in &dispatch.rest {
                self.admission.release(job.class);
            }
        }
        found
    }

    /// Does what there is to do before the run of what was found.
    fn set_out(&self, look: Look<H::Job>, shift: &mut Shift<H::Job>) {
        // Its place is free, and so are the bytes of the jobs that ran.
        self.room.tell_lazily(|| self.admission.is_well_filled());
        if !look.left.is_empty() {
            self.tell(look.left);
            shift.now = self.clock.now();
        }
    }
}

impl<J> Finished<J> {
    /// The run took that long, and nothing is to be retried.
    pub(crate) fn after(elapsed: Duration) -> Self {
        Self { elapsed, retries: Vec::new() }
    }
}
