//! Which class is served next, and who has a seat.
//!
//! A class is *eligible* when it has a ready unit, is not paused, and a seat is free for it. Of the eligible classes:
//!
//! 1. one that is *due* goes first, the one that has been for longest: since it was served last, it could have run and
//!    was passed over by more important classes as often as `bypass` allows;
//! 2. else the most important one; in weighted mode `critical`, then the one that has used the least time for its
//!    weight.
//!
//! Only being passed over by a *more important* class counts. If being passed over by a less important one that was due
//! counted too, two classes with small bounds could alternate for ever and starve the others. And a class that is due
//! lets each other go first only once, however rarely its seat is free. So more important classes pass over a class with
//! bound B at most B + 3 times, and a less important one comes between only when it is due itself: unless a less
//! important class has a smaller bound, a class is served at least once in B + 4 picks in which it could have been.
//! Counts, not clocks: the bound holds however long handlers run. In weighted mode only `critical` passes over: the
//! others share by time, and a bound in picks would undo that.
//!
//! A unit whose hook may not run more at once is parked in the hook's own queue when it comes to the front. While the
//! hook has room, the first unit of each class is never parked: what is parked is behind another of its hook and class.
//! Nothing is looked at twice in one pick.

use std::time::Duration;

use super::{Core, HookSlot, HookState, PickParams, Place, ReadyQueue, Run, Unit};
use crate::class::{ClassSet, PerClass, PriorityClass};

/// Seat time, in nanoseconds, that a class may claim for a time in which it had nothing to run.
const CREDIT: u64 = 100_000_000;

/// Counters of picks.
#[derive(Debug, Default)]
pub(super) struct Picker {
    /// How often the class could have run and was passed over, since it was served last.
    passed_over: PerClass<u32>,
    due: ClassSet,
    /// For those that are due, the number of the pick since which.
    due_since: PerClass<u64>,
    picks: u64,
    /// Weighted mode: seat time used, divided by weight.
    used: PerClass<u64>,
    /// Weighted mode: the least `used` of the classes that could be picked; never falls.
    frontier: u64,
    /// Weighted mode: expected time of a run of the class.
    expected: PerClass<u64>,
}

impl Picker {
    #[cfg(test)]
    pub(super) fn is_due(&self, class: PriorityClass) -> bool {
        self.due.contains(class)
    }

    fn choose(&self, params: &PickParams, eligible: ClassSet) -> Option<PriorityClass> {
        let first = eligible.first()?;
        // Here and below, ties go to the more important class: it comes first.
        let due = eligible.and(self.due);
        if !due.is_empty() {
            return due.iter().min_by_key(|class| self.due_since[*class]);
        }
        if !params.weighted || first == PriorityClass::Critical {
            return Some(first);
        }
        eligible.iter().min_by_key(|class| self.claim(params, *class))
    }

    /// Time that the class has used for its weight, less what it may claim for having been idle.
    fn claim(&self, params: &PickParams, class: PriorityClass) -> u64 {
        self.used[class].max(self.frontier.saturating_sub(CREDIT / weight(params, class)))
    }

    fn serve(&mut self, params: &PickParams, eligible: ClassSet, served: PriorityClass) {
        self.picks += 1;
        self.passed_over[served] = 0;
        self.due.set(served, false);
        if !params.weighted || served == PriorityClass::Critical {
            for class in eligible.below(served).iter() {
                let count = self.passed_over[class].saturating_add(1);
                self.passed_over[class] = count;
                // Reached only by being passed over, so a bound of 0 counts as 1.
                if params.bypass.is_some_and(|bound| count >= bound[class]) && !self.due.contains(class) {
                    self.due.set(class, true);
                    self.due_since[class] = self.picks;
                }
            }
        } else {
            let sharing = eligible.below(PriorityClass::Critical).iter();
            let least = sharing.map(|class| self.claim(params, class)).min();
            let claim = self.claim(params, served);
            self.used[served] = claim.saturating_add(self.expected[served] / weight(params, served));
            self.frontier = self.frontier.max(least.unwrap_or(0));
        }
    }

    /// Other rules hold. What was used by other weights says nothing of these, so all begin alike. How often a class was
    /// passed over stays: a change is no reason to starve.
    fn start_anew(&mut self, params: &PickParams) {
        (self.used, self.frontier) = (PerClass::default(), 0);
        if params.bypass.is_none() {
            self.due = ClassSet::default();
        }
    }

    fn release(&mut self, params: &PickParams, class: PriorityClass, expected: u64, elapsed: u64) {
        // What is used counts by weights alone, and a division takes longer than all the rest.
        if params.weighted {
            let weight = weight(params, class);
            self.used[class] =
                self.used[class].saturating_add(elapsed / weight).saturating_sub(expected / weight);
        }
        self.expected[class] = self.expected[class] - self.expected[class] / 8 + elapsed / 8;
    }
}

fn weight(params: &PickParams, class: PriorityClass) -> u64 {
    u64::from(params.weights[class].max(1))
}

impl<T> Core<T> {
    /// The class that is to be served next, if any can be; the classes that could be.
    pub(super) fn choose(&mut self) -> Option<(PriorityClass, ClassSet)> {
        self.park_saturated();
        let eligible = self.stands().and(self.seats_open());
        self.picker.choose(&self.params.pick, eligible).map(|class| (class, eligible))
    }

    /// The classes in which something is ready.
    pub(super) fn stands(&self) -> ClassSet {
        ClassSet::from_fn(|class| !self.ready[class].is_empty())
    }

    pub(super) fn repick(&mut self, params: &PickParams) {
        self.picker.start_anew(params);
        // What they were charged in advance is forgotten with the rest.
        for (_, run) in &mut self.runs {
            run.expected = 0;
        }
    }

    /// Gives a run of the class a seat. Answers with the time that was charged in advance.
    pub(super) fn take_seat(&mut self, class: PriorityClass, eligible: ClassSet) -> u64 {
        let expected = self.picker.expected[class];
        self.picker.serve(&self.params.pick, eligible, class);
        self.seats.take(class);
        expected
    }

    pub(super) fn free_seat(&mut self, run: &Run, elapsed: Duration) {
        self.picker.release(&self.params.pick, run.class, run.expected, crate::time::nanos(elapsed));
        self.seats.give_back(run.class);
    }

    /// Parks the units at the front of each class whose hooks may not run more.
    #[inline]
    pub(super) fn park_saturated(&mut self) {
        if self.saturated > 0 {
            self.park_fronts();
        }
    }

    fn park_fronts(&mut self) {
        for class in PriorityClass::ALL {
            while let Some((key, unit)) = self.ready[class].front() {
                let hook = self.hook_of(unit);
                if self.hook(hook).has_room() {
                    break;
                }
                self.ready[class].pop_front();
                self.hook(hook).parked[class].insert(key, unit);
                self.set_parked(unit, true);
            }
        }
    }

    /// Puts the first parked unit of each class back, if the hook may run more. To be called whenever the hook may have
    /// got room, or what it has ready has changed.
    pub(super) fn unpark(&mut self, hook: HookSlot) {
        let state = self.hook(hook);
        if !state.has_room() || state.parked.values().all(ReadyQueue::is_empty) {
            return;
        }
        for class in PriorityClass::ALL {
            if let Some((key, unit)) = self.hook(hook).parked[class].pop_front() {
                self.ready[class].insert(key, unit);
                self.set_parked(unit, false);
            }
        }
    }

    fn set_parked(&mut self, unit: Unit, to: bool) {
        match unit {
            Unit::Batch(batch) => self.set_batch_parked(batch, to),
            Unit::Job(job) => {
                if let Place::Ready { parked, .. } = &mut self.job_mut(job).place {
                    *parked = to;
                }
            }
        }
    }

    fn hook_of(&mut self, unit: Unit) -> HookSlot {
        match unit {
            Unit::Job(slot) => self.job(slot).hook,
            Unit::Batch(slot) => self.batch(slot).key.hook,
        }
    }
}

impl HookState {
    pub(super) fn has_room(&self) -> bool {
        !self.paused && self.params.max_concurrency.is_none_or(|most| self.running < most)
    }
}
