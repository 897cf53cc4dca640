//! Chains: the jobs of one hook and one session, in order and one at a time.
//!
//! Only the head of a chain is placed where it can be picked; members of an open batch count as one head, as they are
//! handled together and in order. While a run of the chain holds a seat, nothing of it is placed.
//!
//! **Order wins over importance.** A job never overtakes its chain. Instead the head inherits: it stands in the queue
//! of the most important class that waits in its chain, at the place of the first job of that class, its *lender*. So
//! an important job is never held up by the unimportance of those in front of it, and nobody gains more than that.

use super::*;

/// Names a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct ChainKey {
    pub(super) hook: HookSlot,
    /// A hash of the session's id. Two sessions that share one are merely handled one after the other.
    pub(super) session: u64,
}

/// A chain that has jobs, waiting or running. It is gone when the last one has.
#[derive(Debug, Default)]
pub(super) struct Chain {
    waiting: List,
    counts: PerClass<u32>,
    /// The first waiting job of the most important class that waits.
    lender: Option<JobSlot>,
    /// Jobs that hold a seat; more than one only as members of one batch.
    pub(super) running: u32,
}

impl<T> Core<T> {
    /// Adds an arrival to its chain.
    pub(super) fn join_chain(&mut self, slot: JobSlot, key: ChainKey, now: Time) {
        let class = self.job(slot).class;
        let chain = self.chains.entry(key).or_default();
        let (lender, running, before) = (chain.lender, chain.running, chain.waiting.last());
        chain.waiting.push_back(&mut self.jobs, ListKind::Chain, slot);
        chain.counts[class] += 1;
        let lends = lender.is_none_or(|lender| class.is_more_important_than(self.job(lender).class));
        if lends {
            self.chain(key).lender = Some(slot);
        }
        match before {
            _ if running > 0 => {}
            None => self.place(slot, now),
            Some(before) => {
                self.extend_batch(before);
                if lends {
                    self.restand(key);
                }
            }
        }
    }

    /// Puts a job that is to be retried back to the front of its chain.
    pub(super) fn rejoin_chain(&mut self, slot: JobSlot, key: ChainKey) {
        let class = self.job(slot).class;
        let chain = self.chains.entry(key).or_default();
        let lender = chain.lender;
        chain.waiting.push_front(&mut self.jobs, ListKind::Chain, slot);
        chain.counts[class] += 1;
        if lender.is_none_or(|lender| !self.job(lender).class.is_more_important_than(class)) {
            self.chain(key).lender = Some(slot);
        }
    }

    /// Takes a job out of the list of its chain; the caller sees to what follows.
    pub(super) fn unlink(&mut self, slot: JobSlot, key: ChainKey) {
        let class = self.job(slot).class;
        let chain = self.chains.get_mut(&key).expect("a chain lives as long as its jobs");
        chain.waiting.remove(&mut self.jobs, ListKind::Chain, slot);
        chain.counts[class] -= 1;
        if chain.lender == Some(slot) {
            chain.lender = None;
            let best = chain.counts.iter().find(|(_, count)| **count > 0).map(|(class, _)| class);
            let mut at = chain.waiting.first();
            while let Some(candidate) = at
                && best.is_some_and(|best| self.job(candidate).class != best)
            {
                at = self.job(candidate).links.after(ListKind::Chain);
            }
            self.chain(key).lender = at;
        }
    }

    /// A run has completed one job of the chain.
    pub(super) fn leave_chain(&mut self, key: ChainKey, now: Time) {
        self.chain(key).running -= 1;
        self.advance_chain(key, now);
    }

    /// Sees to it that the head of a chain that is not running is placed, and stands where it should.
    pub(super) fn advance_chain(&mut self, key: ChainKey, now: Time) {
        let chain = self.chain(key);
        if chain.running > 0 {
            return;
        }
        match chain.waiting.first() {
            None => {
                self.chains.remove(&key);
            }
            Some(head) if self.job(head).place == Place::Behind => self.place(head, now),
            Some(_) => self.restand(key),
        }
    }

    /// A delay has passed: the job can be picked, unless its chain is not that far.
    pub(super) fn end_delay(&mut self, slot: JobSlot, now: Time) {
        self.job_mut(slot).place = Place::Behind;
        match self.job(slot).chain {
            None => self.place(slot, now),
            Some(key) => self.advance_chain(key, now),
        }
    }

    /// In which class, and at which key, the head of a chain stands: its own, or those of its lender.
    pub(super) fn standing(&self, head: JobSlot) -> (PriorityClass, u64) {
        let job = self.job(head);
        let lender = job.chain.and_then(|key| self.chains.get(&key)?.lender).map(|lender| self.job(lender));
        match lender {
            Some(lender) if lender.class.is_more_important_than(job.class) => (lender.class, lender.seq),
            _ => (job.class, job.seq),
        }
    }

    /// Moves the head of a chain to where it stands since its lender changed.
    fn restand(&mut self, key: ChainKey) {
        let Some(head) = self.chain(key).waiting.first() else { return };
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
                }
            }
        }
    }

    pub(super) fn chain(&mut self, key: ChainKey) -> &mut Chain {
        self.chains.get_mut(&key).expect("a chain lives as long as its jobs")
    }
}
