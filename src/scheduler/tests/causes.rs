//! The model's answer to why a job waits: for each stretch of time in which nothing happens, each waiting job is asked.

use crate::class::PriorityClass;
use crate::outcome::{WaitCause, WaitSplit};
use crate::scheduler::tests::model::{Id, Model};

/// What the jobs have waited for.
#[derive(Debug, Default)]
pub(super) struct Causes {
    /// Nanoseconds by cause, for each job that ever came.
    waited: Vec<[u64; WaitCause::COUNT]>,
    /// The last stretch: when it began, and what held up the jobs of each hook and class that were ready.
    began: u64,
    held: Vec<[WaitCause; PriorityClass::COUNT]>,
}

impl Model {
    /// What the job has waited for until it was started, or until now.
    pub(super) fn waited(&self, id: Id) -> WaitSplit {
        self.causes.waited[id].into()
    }

    /// Jobs that ever came.
    pub(super) fn arrived(&self) -> Id {
        self.causes.waited.len()
    }

    /// Nothing happens until then.
    pub(super) fn attribute(&mut self, to: u64) {
        if to == self.now {
            return;
        }
        let mut waiting = self.waiting();
        waiting.retain(|id| !self.job(*id).started);
        for id in waiting {
            let cause = self.cause(id);
            self.causes.waited[id][cause.index()] += to - self.now;
        }
        self.causes.began = self.now;
        let hooks = 0..self.setup.hooks.len();
        self.causes.held =
            hooks.map(|hook| PriorityClass::ALL.map(|class| self.cause_when_ready(hook, class))).collect();
    }

    /// The job has arrived, long after its admission, perhaps.
    pub(super) fn attribute_before(&mut self, id: Id, admitted: u64) {
        let began = admitted.max(self.causes.began).min(self.now);
        let job = self.job(id);
        let held = self.causes.held.get(job.hook).map_or(WaitCause::Wake, |held| held[job.class.index()]);
        let is_behind = self.batch_of(id).is_none() && !self.is_head(id);
        let cause = if is_behind && held != WaitCause::Paused { WaitCause::Chain } else { held };
        let mut waited = [0; WaitCause::COUNT];
        waited[cause.index()] += self.now - began;
        waited[WaitCause::Wake.index()] += began - admitted;
        assert_eq!(self.causes.waited.len(), id);
        self.causes.waited.push(waited);
    }

    fn cause(&self, id: Id) -> WaitCause {
        let job = self.job(id);
        let is_paused = self.paused_hooks[job.hook] || self.paused_classes[job.class.index()];
        let members = match self.batch_of(id).map(|batch| &self.batches[batch]) {
            Some(batch) if batch.lingers_until.is_some() && is_paused => return WaitCause::Paused,
            Some(batch) if batch.lingers_until.is_some() => return WaitCause::Linger,
            Some(batch) => batch.members.clone(),
            None if self.is_head(id) => vec![id],
            None if is_paused => return WaitCause::Paused,
            None => return WaitCause::Chain,
        };
        let class = members.iter().map(|id| self.standing(*id).0).min_by_key(|class| class.index()).unwrap();
        self.cause_when_ready(job.hook, class)
    }

    fn cause_when_ready(&self, hook: usize, class: PriorityClass) -> WaitCause {
        if self.paused_hooks[hook] || self.paused_classes[class.index()] {
            WaitCause::Paused
        } else if !self.hook_has_room(hook) || self.is_at_limit(class) {
            WaitCause::Limit
        } else if self.seat_is_free(class) {
            WaitCause::Wake
        } else if self.more_important_runs_alone(class) || self.more_important_waits_for_a_seat(class) {
            WaitCause::MoreImportant
        } else {
            WaitCause::NoSeat
        }
    }

    /// The class has as many seats as it may, and fewer than there are for it.
    fn is_at_limit(&self, class: PriorityClass) -> bool {
        let seats = self.setup.core.seats;
        let standby = if class.index() <= seats.standby_for.index() { seats.standby } else { 0 };
        let most = seats.per_class[class];
        most < seats.workers + standby
            && self.runs.iter().filter(|(other, _)| *other == class).count() >= most as usize
    }

    fn more_important_runs_alone(&self, class: PriorityClass) -> bool {
        self.runs.iter().all(|(other, _)| other.is_more_important_than(class))
    }

    fn more_important_waits_for_a_seat(&self, class: PriorityClass) -> bool {
        self.units().iter().any(|unit| {
            unit.class.is_more_important_than(class)
                && self.hook_has_room(self.job(unit.members[0]).hook)
                && !self.paused_hooks[self.job(unit.members[0]).hook]
                && !self.paused_classes[unit.class.index()]
                && !self.is_at_limit(unit.class)
                && !self.seat_is_free(unit.class)
        })
    }
}
