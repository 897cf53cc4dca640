//! Seats: how many runs hold one, and for which classes one is free.
//!
//! Seats are counted, not owned: a standby seat is the rule that the classes it is not for take at most `workers`. What is
//! free is asked for far more often than it changes, so it is counted when it does.

use super::SeatParams;
use crate::class::{ClassSet, PerClass, PriorityClass};

/// See the module's description.
#[derive(Debug)]
pub(super) struct Seats {
    workers: u32,
    in_all: u32,
    /// Classes that may take standby seats.
    stand_by: ClassSet,
    /// Classes that may take fewer than the pool has for them, and how many.
    limited: ClassSet,
    most: PerClass<u32>,
    taken: PerClass<u32>,
    taken_in_all: u32,
    /// By the classes that may not stand by.
    taken_below: u32,
    free: ClassSet,
    at_limit: ClassSet,
}

impl Seats {
    pub(super) fn new(params: &SeatParams) -> Self {
        let mut seats = Self {
            workers: 0,
            in_all: 0,
            stand_by: ClassSet::default(),
            limited: ClassSet::default(),
            most: PerClass::default(),
            taken: PerClass::default(),
            taken_in_all: 0,
            taken_below: 0,
            free: ClassSet::default(),
            at_limit: ClassSet::default(),
        };
        seats.change(params);
        seats
    }

    /// Other rules hold. Who has a seat keeps it.
    pub(super) fn change(&mut self, params: &SeatParams) {
        self.workers = params.workers;
        self.in_all = params.workers.saturating_add(params.standby);
        self.stand_by = ClassSet::from_fn(|class| params.stands_by(class));
        self.limited = ClassSet::from_fn(|class| params.per_class[class] < params.open_to(class));
        self.most = params.per_class;
        let below = self.taken.iter().filter(|(class, _)| !self.stand_by.contains(*class));
        self.taken_below = below.map(|(_, taken)| taken).sum();
        self.count();
    }

    pub(super) fn take(&mut self, class: PriorityClass) {
        self.taken[class] += 1;
        self.taken_in_all += 1;
        self.taken_below += u32::from(!self.stand_by.contains(class));
        self.count();
    }

    pub(super) fn give_back(&mut self, class: PriorityClass) {
        self.taken[class] -= 1;
        self.taken_in_all -= 1;
        self.taken_below -= u32::from(!self.stand_by.contains(class));
        self.count();
    }

    /// A class without a limit of its own needs no look: what the pool has for it is its limit.
    fn count(&mut self) {
        let open = if self.taken_in_all >= self.in_all {
            ClassSet::default()
        } else if self.taken_below < self.workers {
            ClassSet::ALL
        } else {
            self.stand_by
        };
        if !self.limited.is_empty() || !self.at_limit.is_empty() {
            let has_most = |class| self.limited.contains(class) && self.taken[class] >= self.most[class];
            self.at_limit = ClassSet::from_fn(has_most);
        }
        self.free = open.without(self.at_limit);
    }

    /// The classes for which a seat is free.
    pub(super) fn free(&self) -> ClassSet {
        self.free
    }

    /// Those that have all the seats that they may have, where the pool has more for them.
    pub(super) fn at_limit(&self) -> ClassSet {
        self.at_limit
    }

    /// Seats that are taken, by the class in which the job was picked.
    pub(super) fn taken(&self) -> PerClass<u32> {
        self.taken
    }

    /// The classes that are less important than everything that runs.
    pub(super) fn below_all(&self) -> ClassSet {
        let runs = ClassSet::from_fn(|class| self.taken[class] > 0);
        runs.last().map_or(ClassSet::ALL, |last| ClassSet::ALL.below(last))
    }
}
