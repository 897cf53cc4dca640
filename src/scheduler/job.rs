//! The forms that a job takes on its way through the core: arriving, waiting, picked, running, resolved.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::class::PriorityClass;
use crate::outcome::{OutcomeKind, WaitSplit};
use crate::scheduler::batch::Joining;
use crate::scheduler::list::{Linked, Links};
use crate::scheduler::wait::{Tally, Waits};
use crate::scheduler::{Batching, HookSlot};
use crate::time::Time;

// One more than the index: the place of none costs nothing, and a job has eight of them in its links alone.
macro_rules! slots {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => { $(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub(crate) struct $name(NonZeroU32);

        impl $name {
            pub(super) fn from_index(index: usize) -> Self {
                let number = u32::try_from(index + 1).ok().and_then(NonZeroU32::new);
                Self(number.expect("fewer than 2^32 entries"))
            }

            pub(super) fn index(self) -> usize {
                self.0.get() as usize - 1
            }
        }
    )+ };
}

slots! {
    /// Where a waiting job is kept. Used again when the job has left.
    JobSlot,
    /// Where a batch is kept.
    BatchSlot,
    /// Where a chain is kept as long as it has jobs.
    ChainSlot,
    /// Where an expiry group is kept.
    GroupSlot,
    /// Where a run is kept until it completes.
    RunKey,
}

/// Names one waiting job, for [`Core::cancel`](super::Core::cancel). A job that waits for its retry has a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct JobKey {
    pub(super) slot: JobSlot,
    /// Low bits of its arrival number: they tell it from the next four thousand million that wait in its slot.
    pub(super) seq: u32,
}

impl JobKey {
    /// The bits of no key.
    pub(crate) const NONE: u64 = 0;

    pub(super) fn of(slot: JobSlot, seq: u64) -> Self {
        Self { slot, seq: low(seq) }
    }

    /// True for the arrival number of its job.
    pub(super) fn is_of(self, seq: u64) -> bool {
        low(seq) == self.seq
    }

    /// Itself as one number, for whoever keeps it where no lock is.
    pub(crate) fn to_bits(self) -> u64 {
        u64::from(self.slot.0.get()) << 32 | u64::from(self.seq)
    }

    pub(crate) fn from_bits(bits: u64) -> Option<Self> {
        let slot = u32::try_from(bits >> 32).ok().and_then(NonZeroU32::new);
        slot.map(|slot| Self { slot: JobSlot(slot), seq: low(bits) })
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the low bits are what is wanted")]
fn low(number: u64) -> u32 {
    number as u32
}

/// A job on its way in.
#[derive(Debug)]
pub(crate) struct Arrival<T> {
    pub(crate) hook: HookSlot,
    pub(crate) class: PriorityClass,
    /// Jobs of one hook and session form a chain. `None`: in no chain.
    pub(crate) session: Option<u64>,
    /// Whether and how it may share a batch.
    pub(crate) batching: Option<Batching>,
    /// Size of the payload, which counts in a batch.
    pub(crate) bytes: u32,
    pub(crate) admitted: Time,
    /// Longest wait from admission to the first start.
    pub(crate) max_wait: Option<Duration>,
    pub(crate) body: T,
}

/// A job that waits. There may be a million of them, so a field of all is worth its bytes, and what few have is boxed.
#[derive(Debug)]
pub(super) struct Waiting<T> {
    /// Arrival number: the order of everything.
    pub(super) seq: u64,
    pub(super) hook: HookSlot,
    pub(super) class: PriorityClass,
    pub(super) chain: Option<ChainSlot>,
    pub(super) batching: Option<Box<Joining>>,
    pub(super) admitted: Time,
    pub(super) place: Place,
    /// In which it expires.
    pub(super) group: Option<GroupSlot>,
    /// How long that had been paused in all when the job was admitted, in nanoseconds.
    pub(super) paused_before: u64,
    /// It has run before: it is in no lane, cannot expire and cannot be displaced.
    pub(super) started: bool,
    pub(super) links: Links,
    pub(super) tally: Tally,
    /// What it waits for, since the tally was begun.
    pub(super) waits: Waits,
    pub(super) body: T,
}

impl<T> Linked for Waiting<T> {
    fn links_mut(&mut self) -> &mut Links {
        &mut self.links
    }
}

/// Where a waiting job waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// For the job in front of it in its chain.
    Behind,
    /// In the ready queue of `class` under `key`; if parked, in the hook's own.
    Ready { class: PriorityClass, key: u64, parked: bool },
    /// In a batch.
    Batch(BatchSlot),
    /// For the delay before its retry to pass.
    Delayed,
}

/// What `pick` hands out: the jobs of one handler run.
#[derive(Debug)]
pub(crate) struct Dispatch<T> {
    pub(crate) run: RunKey,
    pub(crate) hook: HookSlot,
    /// The class that it was picked in: its own, or a more important one that it inherited.
    pub(crate) class: PriorityClass,
    pub(crate) first: Picked<T>,
    /// The other members of a batch.
    pub(crate) rest: Vec<Picked<T>>,
}

/// A job that was picked.
#[derive(Debug)]
pub(crate) struct Picked<T> {
    pub(super) key: u64,
    /// Its own class.
    pub(crate) class: PriorityClass,
    /// Kept as long as the run is.
    pub(super) chain: Option<ChainSlot>,
    pub(super) batching: Option<Box<Joining>>,
    pub(crate) admitted: Time,
    /// What it has waited for until now; nothing, if it has run before.
    pub(crate) waited: WaitSplit,
    pub(crate) body: T,
}

impl<T> Picked<T> {
    /// The job without its body, and that.
    pub(crate) fn part(self) -> (Picked<()>, T) {
        let Self { key, class, chain, batching, admitted, waited, body } = self;
        (Picked { key, class, chain, batching, admitted, waited, body: () }, body)
    }
}

impl Picked<()> {
    /// The job with its body again.
    pub(crate) fn with<T>(self, body: T) -> Picked<T> {
        let Self { key, class, chain, batching, admitted, waited, body: () } = self;
        Picked { key, class, chain, batching, admitted, waited, body }
    }
}

/// A job that has run and shall run again.
#[derive(Debug)]
pub(crate) struct Retry<T> {
    pub(crate) job: Picked<T>,
    /// Not before.
    pub(crate) at: Time,
}

/// A run that holds a seat.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) hook: HookSlot,
    pub(super) class: PriorityClass,
    /// Time that was charged for it when it started.
    pub(super) expected: u64,
    pub(super) first: RunJob,
    pub(super) rest: Vec<RunJob>,
}

impl Run {
    pub(super) fn jobs(&self) -> impl Iterator<Item = &RunJob> {
        std::iter::once(&self.first).chain(&self.rest)
    }
}

#[derive(Debug)]
pub(super) struct RunJob {
    pub(super) chain: Option<ChainSlot>,
}

/// A job that left without being picked.
#[derive(Debug)]
pub(crate) struct Resolved<T> {
    pub(crate) body: T,
    /// Its own class.
    pub(crate) class: PriorityClass,
    pub(crate) admitted: Time,
    pub(crate) outcome: OutcomeKind,
    /// What it waited for; nothing, if it had run before.
    pub(crate) waited: WaitSplit,
}
