//! Which class is served next, and who has a seat.
//!
//! A class is *eligible* when it has a ready unit, is not paused, and a seat is free for it. Of the eligible classes:
//!
//! 1. one that is *due* goes first, the most important of them: it could have run and was passed over by more
//!    important classes as often as `bypass` allows;
//! 2. else the most important one; in weighted mode `critical`, then the one that has used the least time for its
//!    weight.
//!
//! Only being passed over by a *more important* class counts. If being passed over by a less important one that was due
//! counted too, two classes with small bounds could alternate for ever and starve a third. So a class with bound B is
//! served at least once in B + 4 picks in which it could have been. Counts, not clocks: the bound holds however long
//! handlers run.
//!
//! Seats are counted, not owned: a standby seat is the rule that the classes it is not for take at most `workers`.
//!
//! A unit whose hook may not run more at once is parked in the hook's own queue when it comes to the front, and the
//! best parked one returns when the hook has room: nothing is looked at twice in one pick.

use super::*;

/// Time that a class may be behind the others when it comes back from having nothing to do, for each unit of weight.
const CREDIT: u64 = 100_000_000;

/// Counters of picks and seats.
#[derive(Debug, Default)]
pub(super) struct Picker {
    running: PerClass<u32>,
    /// How often in a row the class could have run and a more important one was picked.
    passed_over: PerClass<u32>,
    /// Weighted mode: time used, divided by weight.
    used: PerClass<u64>,
    /// Weighted mode: `used` of the class that was picked last.
    frontier: u64,
    /// Weighted mode: expected time of a run of the class.
    expected: PerClass<u64>,
}

impl Picker {
    pub(super) fn running(&self) -> PerClass<u32> {
        self.running
    }

    pub(super) fn seat_is_free(&self, seats: &SeatParams, class: PriorityClass) -> bool {
        let in_all: u32 = self.running.values().sum();
        let stands_by = |class| !seats.standby_for.is_more_important_than(class);
        let without_standby: u32 =
            self.running.iter().filter(|(other, _)| !stands_by(*other)).map(|(_, n)| n).sum();
        in_all < seats.workers + seats.standby
            && (stands_by(class) || without_standby < seats.workers)
            && self.running[class] < seats.per_class[class]
    }

    fn choose(&mut self, params: &PickParams, eligible: &PerClass<bool>) -> Option<PriorityClass> {
        let candidates = || PriorityClass::ALL.into_iter().filter(|class| eligible[*class]);
        let due = params
            .bypass
            .and_then(|bound| candidates().find(|class| self.passed_over[*class] >= bound[*class]));
        let first = candidates().next()?;
        if due.is_some() || !params.weighted || first == PriorityClass::Critical {
            return Some(due.unwrap_or(first));
        }
        for (class, used) in self.used.iter_mut() {
            let credit = CREDIT / u64::from(params.weights[class].max(1));
            *used = (*used).max(self.frontier.saturating_sub(credit));
        }
        // Ties go to the more important class: it comes first, and only less replaces it.
        Some(
            candidates()
                .fold(first, |best, class| if self.used[class] < self.used[best] { class } else { best }),
        )
    }

    fn serve(&mut self, params: &PickParams, eligible: &PerClass<bool>, served: PriorityClass) {
        for (class, count) in self.passed_over.iter_mut() {
            if class == served {
                *count = 0;
            } else if eligible[class] && served.is_more_important_than(class) {
                *count = count.saturating_add(1);
            }
        }
        self.frontier = self.used[served];
        self.used[served] += self.expected[served] / u64::from(params.weights[served].max(1));
        self.running[served] += 1;
    }

    fn free(&mut self, params: &PickParams, class: PriorityClass, expected: u64, elapsed: u64) {
        self.running[class] -= 1;
        let weight = u64::from(params.weights[class].max(1));
        self.used[class] = (self.used[class] + elapsed / weight).saturating_sub(expected / weight);
        self.expected[class] = self.expected[class] - self.expected[class] / 8 + elapsed / 8;
    }
}

impl<T> Core<T> {
    /// The class that is to be served next, if any can be; the classes that could be.
    pub(super) fn choose(&mut self) -> Option<(PriorityClass, PerClass<bool>)> {
        for class in PriorityClass::ALL {
            self.park_saturated(class);
            if self.ready[class].is_empty() {
                self.picker.passed_over[class] = 0;
            }
        }
        let eligible = PerClass::from_fn(|class| {
            !self.ready[class].is_empty()
                && !self.paused[class]
                && self.picker.seat_is_free(&self.params.seats, class)
        });
        self.picker.choose(&self.params.pick, &eligible).map(|class| (class, eligible))
    }

    /// Gives a run of the class a seat. Answers with the time that was charged in advance.
    pub(super) fn take_seat(&mut self, class: PriorityClass, eligible: &PerClass<bool>) -> u64 {
        let expected = self.picker.expected[class];
        self.picker.serve(&self.params.pick, eligible, class);
        expected
    }

    pub(super) fn free_seat(&mut self, run: &Run, elapsed: Duration) {
        self.picker.free(&self.params.pick, run.class, run.expected, crate::time::nanos(elapsed));
    }

    /// Parks the units at the front of the class whose hooks may not run more.
    fn park_saturated(&mut self, class: PriorityClass) {
        while let Some((key, unit)) = self.ready[class].front() {
            let hook = self.hook_of(unit);
            if self.hook(hook).has_room() {
                return;
            }
            self.ready[class].pop_front();
            self.hook(hook).parked[class].insert(key, unit);
            self.set_parked(unit, true);
        }
    }

    /// Puts the best parked unit of the hook back, if the hook may run one more. True if there was one.
    pub(super) fn unpark_best(&mut self, hook: HookSlot) -> bool {
        let state = self.hook(hook);
        if !state.has_room() {
            return false;
        }
        let best = state.parked.iter_mut().find_map(|(class, queue)| Some((class, queue.pop_front()?)));
        let Some((class, (key, unit))) = best else { return false };
        self.ready[class].insert(key, unit);
        self.set_parked(unit, false);
        true
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
    fn has_room(&self) -> bool {
        !self.paused && self.params.max_concurrency.is_none_or(|most| self.running < most)
    }
}
