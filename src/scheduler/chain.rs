//! Chains: the jobs of one hook and one session, in order and one at a time.
//!
//! Only the head of a chain is placed where it can be picked; members of an open batch count as one head, as they are
//! handled together and in order. While a run of the chain holds a seat, nothing of it is placed.
//!
//! **Order wins over importance.** A job never overtakes its chain. Instead the head inherits: it stands in the queue
//! of the most important class that waits in its chain, at the place of the first job of that class, its *lender*. So
//! an important job is never held up by the unimportance of those in front of it, and nobody gains more than that. The
//! head takes a seat of the class in which it stands. A class that is paused lends nothing: its pause holds up its own
//! jobs, not the others in front of them.

use slab::Slab;

use super::{ChainSlot, Core, HookSlot, JobSlot, List, ListKind, Place, Unit, Waits};
use crate::class::{PerClass, PriorityClass};
use crate::time::Time;

/// Names a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct ChainKey {
    pub(super) hook: HookSlot,
    /// A hash of the session's id. Two sessions that share one are merely handled one after the other.
    pub(super) session: u64,
}

/// A chain that has jobs, waiting or running. It is gone when the last one has.
#[derive(Debug)]
pub(super) struct Chain {
    key: ChainKey,
    pub(super) waiting: List,
    /// The same jobs by class.
    pub(super) by_class: PerClass<List>,
    /// Jobs that hold a seat; more than one only as members of one batch.
    pub(super) running: u32,
}

impl<T> Core<T> {
    /// The chain of that name, to which the caller adds a job.
    pub(super) fn chain_of(&mut self, key: ChainKey) -> ChainSlot {
        *self.named.entry(key).or_insert_with(|| {
            let (waiting, by_class) = (List::default(), PerClass::default());
            ChainSlot::from_index(self.chains.insert(Chain { key, waiting, by_class, running: 0 }))
        })
    }

    /// Adds an arrival to its chain.
    pub(super) fn join_chain(&mut self, slot: JobSlot, of: ChainSlot, now: Time) {
        let class = self.job(slot).class;
        let chain = kept(&mut self.chains, of);
        let (running, before) = (chain.running, chain.waiting.last());
        let first_of_class = chain.by_class[class].first().is_none();
        chain.waiting.push_back(&mut self.jobs, ListKind::Chain, slot);
        chain.by_class[class].push_back(&mut self.jobs, ListKind::ChainClass, slot);
        match before {
            _ if running > 0 => {}
            None => self.place(slot, now),
            Some(before) => {
                self.extend_batch(before);
                if first_of_class {
                    self.restand(of);
                }
            }
        }
    }

    /// Puts a job that is to be retried back to the front of its chain.
    pub(super) fn rejoin_chain(&mut self, slot: JobSlot, of: ChainSlot) {
        let class = self.job(slot).class;
        let chain = kept(&mut self.chains, of);
        chain.waiting.push_front(&mut self.jobs, ListKind::Chain, slot);
        chain.by_class[class].push_front(&mut self.jobs, ListKind::ChainClass, slot);
    }

    /// Takes a job out of the list of its chain; the caller sees to what follows.
    pub(super) fn unlink(&mut self, slot: JobSlot, of: ChainSlot) {
        let class = self.job(slot).class;
        let chain = kept(&mut self.chains, of);
        chain.waiting.remove(&mut self.jobs, ListKind::Chain, slot);
        chain.by_class[class].remove(&mut self.jobs, ListKind::ChainClass, slot);
    }

    /// A run has completed one job of the chain.
    pub(super) fn leave_chain(&mut self, of: ChainSlot, now: Time) {
        self.chain(of).running -= 1;
        self.advance_chain(of, now);
    }

    /// Sees to it that the head of a chain that is not running is placed, and stands where it should.
    pub(super) fn advance_chain(&mut self, of: ChainSlot, now: Time) {
        let chain = self.chain(of);
        if chain.running > 0 {
            return;
        }
        match chain.waiting.first() {
            None => {
                let Chain { key, .. } = self.chains.remove(of.index());
                self.named.remove(&key);
            }
            Some(head) if self.job(head).place == Place::Behind => self.place(head, now),
            Some(head) => {
                self.extend_batch(head);
                self.restand(of);
            }
        }
    }

    /// A delay has passed: the job can be picked, unless its chain is not that far.
    pub(super) fn end_delay(&mut self, slot: JobSlot, now: Time) {
        self.job_mut(slot).place = Place::Behind;
        match self.job(slot).chain {
            None => self.place(slot, now),
            Some(of) => self.advance_chain(of, now),
        }
    }

    /// In which class, and at which key, the head of a chain stands: its own, or those of its lender.
    pub(super) fn standing(&self, head: JobSlot) -> (PriorityClass, u64) {
        let job = self.job(head);
        let lender = job.chain.and_then(|of| self.lender(of)).map(|lender| self.job(lender));
        match lender {
            Some(lender) if lender.class.is_more_important_than(job.class) => (lender.class, lender.seq),
            _ => (job.class, job.seq),
        }
    }

    /// The first waiting job of the most important class that waits in the chain and is not paused.
    fn lender(&self, of: ChainSlot) -> Option<JobSlot> {
        let lists = self.chains.get(of.index())?.by_class.iter();
        lists.filter(|(class, _)| !self.paused.contains(*class)).find_map(|(_, list)| list.first())
    }

    /// Moves the head of every chain to where it stands since a class was paused or resumed.
    pub(super) fn restand_all(&mut self) {
        let all: Vec<_> = self.chains.iter().map(|(slot, _)| ChainSlot::from_index(slot)).collect();
        for of in all {
            self.restand(of);
        }
    }

    /// Moves the head of a chain to where it stands since its lender changed.
    fn restand(&mut self, of: ChainSlot) {
        let Some(head) = self.chain(of).waiting.first() else { return };
        match self.job(head).place {
            Place::Behind | Place::Delayed => {}
            Place::Batch(batch) => self.restand_batch(batch),
            Place::Ready { class, key, parked } => {
                let standing = self.standing(head);
                if standing != (class, key) {
                    let hook = self.job(head).hook;
                    self.queue_of(hook, class, parked).remove(key);
                    let (class, key) = standing;
                    self.queue_of(hook, class, parked).insert(key, Unit::Job(head));
                    self.job_mut(head).place = Place::Ready { class, key, parked };
                    self.wait_for(head, Waits::Stands(class));
                    self.unpark(hook);
                }
            }
        }
    }

    pub(super) fn chain(&mut self, of: ChainSlot) -> &mut Chain {
        kept(&mut self.chains, of)
    }
}

fn kept(chains: &mut Slab<Chain>, of: ChainSlot) -> &mut Chain {
    chains.get_mut(of.index()).expect("a chain lives as long as its jobs")
}
