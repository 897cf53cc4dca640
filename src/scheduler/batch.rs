//! Batches: jobs of one hook, definition, class and key that one handler run takes together.
//!
//! A batch is open while it takes members. It *lingers* at first, if its hook says so: it cannot be picked until it is
//! full, its linger has passed, the queue is under pressure, nothing more comes, or something more important waits
//! behind it. Then it is ready, at the place of its first member, and goes on filling until it is picked or full.
//! With a linger of zero it is ready from the start, so that a free worker takes it at once, and it fills only while
//! none is free.
//!
//! A job joins only if the job in front of it in its chain is a member too: members stay in order, and a batch holds a
//! prefix of each chain. It is asked to when it arrives, and when a job in front of it in its chain goes. An event larger than the byte limit is a batch by itself.

use super::{BatchParams, BatchSlot, Batching, Core, HookSlot, JobSlot, ListKind, Place, Timer, Unit, Waits};
use crate::class::PriorityClass;
use crate::time::Time;

/// How a job may share a batch, and what only such a job has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Joining {
    pub(super) batching: Batching,
    /// Size of the payload.
    pub(super) bytes: u32,
    /// Of its wait: see [`Tally`](super::Tally).
    pub(super) lingered: u64,
}

/// What the members of a batch have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct BatchKey {
    pub(super) hook: HookSlot,
    class: PriorityClass,
    definition: u32,
    key: u64,
}

#[derive(Debug)]
pub(super) struct Batch {
    pub(super) key: BatchKey,
    /// In the order in which the handler gets them. Never empty.
    pub(super) members: Vec<JobSlot>,
    bytes: u64,
    limits: BatchParams,
    /// It takes members: `Core::open` has it.
    pub(super) open: bool,
    place: BatchPlace,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BatchPlace {
    Lingering,
    Ready { class: PriorityClass, key: u64, parked: bool },
}

impl Batch {
    /// What its members wait for.
    fn waits(&self) -> Waits {
        match self.place {
            BatchPlace::Lingering => Waits::Lingers,
            BatchPlace::Ready { class, .. } => Waits::Stands(class),
        }
    }

    /// Where it stands, if it does not linger.
    #[cfg(test)]
    pub(super) fn stands(&self) -> Option<(PriorityClass, u64)> {
        match self.place {
            BatchPlace::Lingering => None,
            BatchPlace::Ready { class, key, .. } => Some((class, key)),
        }
    }
}

impl<T> Core<T> {
    /// Puts a job into the open batch of its key, or opens one.
    pub(super) fn join_batch(&mut self, slot: JobSlot, batching: Batching, now: Time) {
        let key = self.batch_key(slot, batching);
        let limits = batching.bounds;
        if let Some(open) = self.open.get(&key).copied() {
            if self.try_join(open, slot) {
                return;
            }
            self.close_batch(open);
        }
        let batch = BatchSlot::from_index(self.batches.insert(Batch {
            key,
            members: Vec::with_capacity(1),
            bytes: 0,
            limits,
            open: true,
            place: BatchPlace::Lingering,
        }));
        self.open.insert(key, batch);
        self.lingering.insert(batch);
        self.add_member(batch, slot);
        let lingers =
            !limits.linger.is_zero() && !self.closing && self.waiting_in_all() < self.params.pressure;
        if lingers {
            if self.batch(batch).place == BatchPlace::Lingering {
                self.set_timer(Timer::Linger(batch), now + limits.linger);
            }
        } else {
            self.make_ready(batch);
        }
    }

    /// Takes the jobs behind `slot` in its chain into its batch, as far as they fit and follow its members.
    pub(super) fn extend_batch(&mut self, slot: JobSlot) {
        let Place::Batch(batch) = self.job(slot).place else { return };
        let mut last = slot;
        while let Some(next) = self.job(last).links.after(ListKind::Chain)
            && match self.job(next).place {
                Place::Batch(of) => of == batch,
                Place::Behind => self.try_join(batch, next),
                Place::Ready { .. } | Place::Delayed => false,
            }
        {
            last = next;
        }
    }

    fn try_join(&mut self, slot: BatchSlot, job: JobSlot) -> bool {
        let Some(joining) = self.job(job).batching.as_deref().copied() else { return false };
        let (key, bytes) = (self.batch_key(job, joining.batching), u64::from(joining.bytes));
        let batch = self.batch(slot);
        let fits = batch.open && batch.key == key && batch.bytes + bytes <= batch.limits.bytes;
        if fits {
            self.add_member(slot, job);
        }
        fits
    }

    fn add_member(&mut self, slot: BatchSlot, job: JobSlot) {
        let bytes = self.bytes_of(job);
        self.job_mut(job).place = Place::Batch(slot);
        let batch = self.batch(slot);
        batch.members.push(job);
        batch.bytes += bytes;
        let waits = batch.waits();
        self.wait_for(job, waits);
        let batch = self.batch(slot);
        let full = batch.members.len() >= batch.limits.size as usize || batch.bytes >= batch.limits.bytes;
        if full {
            self.close_batch(slot);
            return;
        }
        let stands = self.standing(job);
        match self.batch(slot).place {
            BatchPlace::Ready { class, key, .. } if !goes_before(stands, (class, key)) => {}
            _ => self.move_batch(slot, stands),
        }
    }

    /// Takes a member out that is resolved; the last one takes the batch with it.
    pub(super) fn leave_batch(&mut self, slot: BatchSlot, member: JobSlot) {
        let bytes = self.bytes_of(member);
        let batch = self.batch(slot);
        batch.members.retain(|other| *other != member);
        batch.bytes -= bytes;
        if !batch.members.is_empty() {
            self.restand_batch(slot);
            return;
        }
        let Batch { key, open, place, .. } = self.batches.remove(slot.index());
        if open {
            self.open.remove(&key);
        }
        match place {
            BatchPlace::Lingering => {
                self.lingering.remove(&slot);
                self.timers.remove(&Timer::Linger(slot));
            }
            BatchPlace::Ready { class, key: at, parked } => self.queue_of(key.hook, class, parked).remove(at),
        }
    }

    /// The batch leaves the ready queue for a seat.
    pub(super) fn take_batch(&mut self, slot: BatchSlot) -> Batch {
        let batch = self.batches.remove(slot.index());
        if batch.open {
            self.open.remove(&batch.key);
        }
        batch
    }

    /// The batch takes no more members, so it need not wait for any.
    fn close_batch(&mut self, slot: BatchSlot) {
        let batch = self.batch(slot);
        let key = batch.key;
        if std::mem::replace(&mut batch.open, false) {
            self.open.remove(&key);
        }
        self.make_ready(slot);
    }

    /// Ends the linger of a batch, if it has not ended.
    pub(super) fn make_ready(&mut self, slot: BatchSlot) {
        if self.batch(slot).place == BatchPlace::Lingering {
            self.lingering.remove(&slot);
            self.timers.remove(&Timer::Linger(slot));
            let (class, key) = self.batch_standing(slot);
            self.batch(slot).place = BatchPlace::Ready { class, key, parked: false };
            self.members_wait(slot);
            self.ready[class].insert(key, Unit::Batch(slot));
        } else {
            self.restand_batch(slot);
        }
    }

    /// Ends the linger of every batch.
    pub(super) fn flush_batches(&mut self) {
        while let Some(slot) = self.lingering.first().copied() {
            self.make_ready(slot);
        }
    }

    /// Ends the linger of the hook's batches.
    pub(super) fn flush_batches_of(&mut self, hook: HookSlot) {
        let of_hook =
            |slot: &BatchSlot| self.batches.get(slot.index()).is_some_and(|batch| batch.key.hook == hook);
        let lingering: Vec<_> = self.lingering.iter().copied().filter(of_hook).collect();
        for slot in lingering {
            self.make_ready(slot);
        }
    }

    /// Moves a batch to where it stands since a member went or a lender changed.
    pub(super) fn restand_batch(&mut self, slot: BatchSlot) {
        let standing = self.batch_standing(slot);
        self.move_batch(slot, standing);
    }

    fn move_batch(&mut self, slot: BatchSlot, standing: (PriorityClass, u64)) {
        let batch = self.batch(slot);
        let BatchKey { hook, class: own, .. } = batch.key;
        match batch.place {
            BatchPlace::Lingering if standing.0.is_more_important_than(own) => self.make_ready(slot),
            BatchPlace::Ready { class: before, key, parked } if standing != (before, key) => {
                self.queue_of(hook, before, parked).remove(key);
                let (class, key) = standing;
                self.queue_of(hook, class, parked).insert(key, Unit::Batch(slot));
                self.batch(slot).place = BatchPlace::Ready { class, key, parked };
                if class != before {
                    self.members_wait(slot);
                }
                self.unpark(hook);
            }
            _ => {}
        }
    }

    /// The batch is ready now, or stands in another class.
    fn members_wait(&mut self, slot: BatchSlot) {
        let batch = self.batch(slot);
        let waits = batch.waits();
        let members = std::mem::take(&mut batch.members);
        for member in &members {
            self.wait_for(*member, waits);
        }
        self.batch(slot).members = members;
    }

    /// The best standing of its members.
    pub(super) fn batch_standing(&self, slot: BatchSlot) -> (PriorityClass, u64) {
        let members = self.batches.get(slot.index()).map_or(&[][..], |batch| &batch.members);
        members
            .iter()
            .map(|member| self.standing(*member))
            .reduce(|best, other| if goes_before(other, best) { other } else { best })
            .expect("a batch has a member")
    }

    pub(super) fn set_batch_parked(&mut self, slot: BatchSlot, to: bool) {
        if let BatchPlace::Ready { parked, .. } = &mut self.batch(slot).place {
            *parked = to;
        }
    }

    pub(super) fn batch(&mut self, slot: BatchSlot) -> &mut Batch {
        self.batches.get_mut(slot.index()).expect("a batch lives as long as its members")
    }

    fn bytes_of(&self, member: JobSlot) -> u64 {
        self.job(member).batching.as_ref().map_or(0, |joining| joining.bytes.into())
    }

    fn batch_key(&self, slot: JobSlot, batching: Batching) -> BatchKey {
        let job = self.job(slot);
        let Batching { definition, key, .. } = batching;
        BatchKey { hook: job.hook, class: job.class, definition, key }
    }
}

/// Of two places where a unit can stand, whether the first is the better one.
fn goes_before(one: (PriorityClass, u64), other: (PriorityClass, u64)) -> bool {
    one.0.is_more_important_than(other.0) || one.0 == other.0 && one.1 < other.1
}
