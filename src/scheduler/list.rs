//! Doubly linked lists through the waiting jobs themselves: no allocation, and removal from the middle in no time.
//!
//! A job is in up to four lists at once, one for each [`ListKind`]. A list is named by its two ends; the links are in
//! the jobs. Nothing here knows what a list is for.

use slab::Slab;

use crate::scheduler::JobSlot;

/// Which of a job's pairs of links a list uses.
#[derive(Clone, Copy, Debug)]
pub(super) enum ListKind {
    /// All waiting jobs of one class that have not been started, the oldest first.
    Lane,
    /// Jobs of one hook and class with the same `max_wait`, the oldest first.
    Expiry,
    /// Jobs of one hook and session.
    Chain,
    /// Those of them that have the same class.
    ChainClass,
}

/// Neighbours in the lists.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Links([Link; 4]);

#[derive(Clone, Copy, Debug, Default)]
struct Link {
    before: Option<JobSlot>,
    after: Option<JobSlot>,
}

impl Links {
    fn of(&self, kind: ListKind) -> &Link {
        let [lane, expiry, chain, chain_class] = &self.0;
        match kind {
            ListKind::Lane => lane,
            ListKind::Expiry => expiry,
            ListKind::Chain => chain,
            ListKind::ChainClass => chain_class,
        }
    }

    fn of_mut(&mut self, kind: ListKind) -> &mut Link {
        let [lane, expiry, chain, chain_class] = &mut self.0;
        match kind {
            ListKind::Lane => lane,
            ListKind::Expiry => expiry,
            ListKind::Chain => chain,
            ListKind::ChainClass => chain_class,
        }
    }

    /// The next job in the list.
    pub(super) fn after(&self, kind: ListKind) -> Option<JobSlot> {
        self.of(kind).after
    }
}

/// What can be linked.
pub(super) trait Linked {
    fn links_mut(&mut self) -> &mut Links;
}

/// The two ends of a list.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct List {
    first: Option<JobSlot>,
    last: Option<JobSlot>,
}

impl List {
    pub(super) fn first(self) -> Option<JobSlot> {
        self.first
    }

    pub(super) fn last(self) -> Option<JobSlot> {
        self.last
    }

    pub(super) fn push_back<E: Linked>(&mut self, jobs: &mut Slab<E>, kind: ListKind, slot: JobSlot) {
        let last = self.last.replace(slot);
        set(jobs, kind, slot, Link { before: last, after: None });
        match last {
            Some(last) => link(jobs, kind, last).after = Some(slot),
            None => self.first = Some(slot),
        }
    }

    pub(super) fn push_front<E: Linked>(&mut self, jobs: &mut Slab<E>, kind: ListKind, slot: JobSlot) {
        let first = self.first.replace(slot);
        set(jobs, kind, slot, Link { before: None, after: first });
        match first {
            Some(first) => link(jobs, kind, first).before = Some(slot),
            None => self.last = Some(slot),
        }
    }

    /// Takes out a job that is in this list.
    pub(super) fn remove<E: Linked>(&mut self, jobs: &mut Slab<E>, kind: ListKind, slot: JobSlot) {
        let Link { before, after } = *link(jobs, kind, slot);
        set(jobs, kind, slot, Link::default());
        match before {
            Some(before) => link(jobs, kind, before).after = after,
            None => self.first = after,
        }
        match after {
            Some(after) => link(jobs, kind, after).before = before,
            None => self.last = before,
        }
    }
}

fn set<E: Linked>(jobs: &mut Slab<E>, kind: ListKind, slot: JobSlot, to: Link) {
    *link(jobs, kind, slot) = to;
}

fn link<E: Linked>(jobs: &mut Slab<E>, kind: ListKind, slot: JobSlot) -> &mut Link {
    let job = jobs.get_mut(slot.index()).expect("a linked slot is occupied");
    job.links_mut().of_mut(kind)
}
