//! What must be true inside the core between two calls. Looks at everything: for tests only.

use std::collections::HashSet;

use crate::class::PriorityClass;
use crate::scheduler::job::Place;
use crate::scheduler::list::{List, ListKind};
use crate::scheduler::ready::{ReadyQueue, Unit};
use crate::scheduler::{Core, JobSlot, Timer};

impl<T> Core<T> {
    pub(super) fn assert_consistent(&mut self) {
        self.assert_counts();
        self.assert_places();
        self.assert_chains();
        self.assert_batches();
        self.assert_parked();
        self.assert_timers();
    }

    fn assert_counts(&self) {
        for class in PriorityClass::ALL {
            let waiting = self.jobs.iter().filter(|(_, job)| job.class == class).count();
            assert_eq!(self.waiting[class] as usize, waiting, "waiting jobs of {class}");
            let unstarted = self.jobs.iter().filter(|(_, job)| job.class == class && !job.started).count();
            assert_eq!(self.listed(self.lanes[class], ListKind::Lane).len(), unstarted, "lane of {class}");
        }
        let running: u32 = self.seats.taken().values().sum();
        assert_eq!(running as usize, self.runs.len(), "seats that are taken");
        let by_hook: u32 = self.hooks.iter().map(|hook| hook.running).sum();
        assert_eq!(running, by_hook, "runs by hook");
        let saturated = self.hooks.iter().filter(|hook| !hook.has_room()).count();
        assert_eq!(self.saturated as usize, saturated, "hooks that may not run more");
    }

    /// Each waiting job is in exactly one place, and each unit in a queue is where it stands.
    fn assert_places(&self) {
        let mut units = 0;
        let mut queued = HashSet::new();
        for class in PriorityClass::ALL {
            let parked = self.hooks.iter().map(|hook| &hook.parked[class]);
            for (key, unit) in std::iter::once(&self.ready[class]).chain(parked).flat_map(ReadyQueue::units) {
                units += 1;
                assert!(queued.insert(format!("{unit:?}")), "{unit:?} is in a queue twice");
                if let Unit::Job(slot) = unit {
                    assert_eq!(self.standing(slot), (class, key), "where {slot:?} stands");
                    assert!(matches!(self.job(slot).place, Place::Ready { .. }));
                }
            }
        }
        let single = self.jobs.iter().filter(|(_, job)| matches!(job.place, Place::Ready { .. })).count();
        assert_eq!(units, single + self.batches.len() - self.lingering.len(), "units in the queues");
        let in_batches = self.jobs.iter().filter(|(_, job)| matches!(job.place, Place::Batch(_))).count();
        let members: usize = self.batches.iter().map(|(_, batch)| batch.members.len()).sum();
        assert_eq!(in_batches, members, "members of batches");
    }

    fn assert_chains(&self) {
        let alive: HashSet<_> = self.jobs.iter().filter_map(|(_, job)| job.chain).collect();
        let running = self.runs.iter().flat_map(|(_, run)| run.jobs()).filter_map(|job| job.chain);
        let alive: HashSet<_> = alive.into_iter().chain(running).collect();
        assert_eq!(alive.len(), self.chains.len(), "chains that have jobs, and chains that are kept");
        assert_eq!(self.named.len(), self.chains.len(), "chains that can be found");
        for (key, slot) in &self.named {
            let chain = &self.chains[slot.index()];
            let jobs = self.listed(chain.waiting, ListKind::Chain);
            let numbers: Vec<_> = jobs.iter().map(|slot| self.job(*slot).seq).collect();
            assert!(numbers.is_sorted(), "order of {key:?}: {numbers:?}");
            for (class, list) in chain.by_class.iter() {
                let of_class: Vec<_> =
                    jobs.iter().copied().filter(|slot| self.job(*slot).class == class).collect();
                assert_eq!(self.listed(*list, ListKind::ChainClass), of_class, "{class} of {key:?}");
            }
            let standing: Vec<_> = jobs.iter().map(|slot| self.job(*slot).place).collect();
            let is_placed = |place: &Place| matches!(place, Place::Ready { .. } | Place::Batch(_));
            let placed = standing.iter().filter(|place| is_placed(place)).count();
            if chain.running > 0 {
                assert_eq!(placed, 0, "{key:?} runs, so nothing of it is placed");
            } else {
                assert_ne!(
                    standing.first(),
                    Some(&Place::Behind),
                    "nothing is in front of the head of {key:?}"
                );
                assert!(
                    standing.iter().take(placed).all(is_placed),
                    "a front of {key:?} is placed: {standing:?}"
                );
                let one_unit =
                    placed <= 1 || standing.iter().take(placed).all(|place| Some(place) == standing.first());
                assert!(one_unit, "{key:?} is one unit: {standing:?}");
            }
        }
    }

    fn assert_batches(&mut self) {
        for (slot, batch) in &self.batches {
            assert!(!batch.members.is_empty(), "a batch has a member");
            assert_eq!(batch.open, self.open.values().any(|open| open.index() == slot), "open batches");
        }
        assert!(self.open.len() <= self.batches.len(), "an open batch exists");
        let slots: Vec<_> = self.batches.iter().map(|(slot, _)| slot).collect();
        for slot in slots {
            let slot = crate::scheduler::job::BatchSlot::from_index(slot);
            if let Some((class, key)) = self.batch(slot).stands() {
                assert_eq!(self.batch_standing(slot), (class, key), "where {slot:?} stands");
            }
        }
    }

    /// While a hook has room, the first unit of each class is not parked.
    fn assert_parked(&self) {
        for (hook, state) in self.hooks.iter().enumerate().filter(|(_, state)| state.has_room()) {
            for class in PriorityClass::ALL {
                let Some((parked, _)) = state.parked[class].front() else { continue };
                let before = self.ready[class].units().any(|(key, unit)| {
                    key < parked
                        && match unit {
                            Unit::Job(slot) => self.job(slot).hook.0 as usize == hook,
                            Unit::Batch(slot) => self.batches[slot.index()].key.hook.0 as usize == hook,
                        }
                });
                assert!(before, "{class} of hook {hook} has room and is parked");
            }
        }
    }

    fn assert_timers(&self) {
        for slot in &self.lingering {
            assert!(self.timers.get(&Timer::Linger(*slot)).is_some(), "{slot:?} lingers without end");
        }
        let delayed = self.jobs.iter().filter(|(_, job)| job.place == Place::Delayed);
        for (slot, _) in delayed.clone() {
            let timer = Timer::Retry(JobSlot::from_index(slot));
            assert!(self.timers.get(&timer).is_some(), "job {slot} is delayed without end");
        }
        let expiries = self.timers.iter().filter(|(timer, _)| matches!(timer, Timer::Expiry(_))).count();
        assert!(expiries <= self.groups.len(), "one timer for each group");
        assert_eq!(self.timers.len(), expiries + self.lingering.len() + delayed.count(), "dead timers");
    }

    /// A picture of what waits: equal if nothing has happened in between.
    pub(super) fn picture(&self) -> impl PartialEq + std::fmt::Debug + use<T> {
        let places: Vec<_> = self.jobs.iter().map(|(slot, job)| (slot, job.seq, job.place)).collect();
        (places, self.lingering.clone(), self.resolved.len())
    }

    fn listed(&self, list: List, kind: ListKind) -> Vec<JobSlot> {
        std::iter::successors(list.first(), |slot| self.job(*slot).links.after(kind)).collect()
    }
}
