//! Why jobs wait: each moment between admission and the first start has one cause.
//!
//! What holds a job up, the first that is true:
//!
//! 1. its hook or its class is **paused** (for a job that stands in a queue: the class in which it stands);
//! 2. it is behind its **chain**, or in a batch that **lingers**;
//! 3. a **limit** of its own is reached: its hook runs as much as it may, or the class has all the seats of its own
//!    limit, where that is lower than what the pool has for it;
//! 4. no seat is free for its class: because of **more important** work if all runs are of more important classes, or
//!    if one of those waits for nothing but a seat, too; else there is **no seat**;
//! 5. a seat is free, and nobody has come to take the job yet: the hand-over. It is what is left of the wait.
//!
//! Nobody walks over the jobs that wait. Clocks run for each class, whether it has jobs or not: how long it has been
//! paused, at its limit, behind more important work, without a seat. They are set when time has passed and before
//! anything changes ([`Core::pass`]). A hook has clocks for each class, too: those of the class, but for the time in
//! which the hook was paused or full. A job that begins to wait for something takes the reading of the clocks off its
//! tally, and adds it when that ends: both cost the same however many wait.
//!
//! The shell may hand a job over long after its admission, as nobody looks while all seats are taken. Then the job has
//! waited for what it would have waited for since the core was looked at last: behind its chain, or with its class.

use super::{Core, HookSlot, HookState, JobSlot, Place};
use crate::class::{ClassSet, PerClass, PriorityClass};
use crate::outcome::{WaitCause, WaitSplit};
use crate::time::{Time, nanos};

/// What a job waits for, as far as its place decides it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Waits {
    /// It does not, or not for its first start.
    #[default]
    Not,
    Behind,
    Lingers,
    /// In the queue of that class.
    Stands(PriorityClass),
}

/// What can hold up a class or a hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hold {
    MoreImportant,
    NoSeat,
    Limit,
    Paused,
}

/// Nanoseconds for each [`Hold`]. Differences of readings are what counts, so everything wraps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Reading {
    more_important: u64,
    no_seat: u64,
    limit: u64,
    paused: u64,
}

impl Reading {
    fn add(&mut self, hold: Hold, span: u64) {
        let of = match hold {
            Hold::MoreImportant => &mut self.more_important,
            Hold::NoSeat => &mut self.no_seat,
            Hold::Limit => &mut self.limit,
            Hold::Paused => &mut self.paused,
        };
        *of = of.wrapping_add(span);
    }

    fn zip(self, other: Self, f: impl Fn(u64, u64) -> u64) -> Self {
        Self {
            more_important: f(self.more_important, other.more_important),
            no_seat: f(self.no_seat, other.no_seat),
            limit: f(self.limit, other.limit),
            paused: f(self.paused, other.paused),
        }
    }

    fn plus(self, other: Self) -> Self {
        self.zip(other, u64::wrapping_add)
    }

    fn minus(self, other: Self) -> Self {
        self.zip(other, u64::wrapping_sub)
    }
}

/// What a job has waited for so far; while it waits, less the readings of when that began.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    held: Reading,
    behind: u64,
}

impl Tally {
    /// `lingered` is kept with what else only jobs of batches have.
    fn split(&self, lingered: u64, total: u64) -> WaitSplit {
        let Self { held, behind } = *self;
        let known = [held.more_important, held.no_seat, held.limit, held.paused, behind, lingered];
        let known = known.iter().fold(0_u64, |sum, part| sum.saturating_add(*part));
        debug_assert!(known <= total, "a moment has one cause: {self:?} of {total}");
        WaitSplit::from_fn(|cause| match cause {
            WaitCause::MoreImportant => held.more_important,
            WaitCause::Chain => behind,
            WaitCause::NoSeat => held.no_seat,
            WaitCause::Linger => lingered,
            WaitCause::Paused => held.paused,
            WaitCause::Limit => held.limit,
            WaitCause::Wake => total.saturating_sub(known),
        })
    }
}

/// The clocks of the classes.
#[derive(Debug, Default)]
pub(super) struct WaitClocks {
    now: Time,
    classes: PerClass<Reading>,
    /// What held the classes up before now, and for how long without a look at that.
    held: Held,
    stretch: u64,
}

/// What holds up the classes: each is in one set at most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Held {
    more_important: ClassSet,
    no_seat: ClassSet,
    limit: ClassSet,
    paused: ClassSet,
}

impl Held {
    fn of(self, class: PriorityClass) -> Option<Hold> {
        let Self { more_important, no_seat, limit, paused } = self;
        if no_seat.contains(class) {
            Some(Hold::NoSeat)
        } else if more_important.contains(class) {
            Some(Hold::MoreImportant)
        } else if limit.contains(class) {
            Some(Hold::Limit)
        } else {
            paused.contains(class).then_some(Hold::Paused)
        }
    }
}

/// The clocks of a hook: each is one of the class, or another one, and what makes it go on from where it stood.
#[derive(Debug, Default)]
pub(super) struct HookClocks {
    state: HookHold,
    offsets: PerClass<Reading>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum HookHold {
    #[default]
    Open,
    /// As many runs as it may have.
    Full,
    Paused,
}

impl WaitClocks {
    pub(super) fn now(&self) -> Time {
        self.now
    }

    /// From when they were set last until `now`, the classes were held up by these.
    fn pass(&mut self, now: Time, held: Held) {
        let stretch = nanos(now.since(self.now));
        let Held { more_important, no_seat, limit, paused } = held;
        for class in more_important.iter() {
            self.classes[class].add(Hold::MoreImportant, stretch);
        }
        for class in no_seat.iter() {
            self.classes[class].add(Hold::NoSeat, stretch);
        }
        for class in limit.iter() {
            self.classes[class].add(Hold::Limit, stretch);
        }
        for class in paused.iter() {
            self.classes[class].add(Hold::Paused, stretch);
        }
        (self.now, self.held, self.stretch) = (now, held, stretch);
    }

    /// What the clocks of a hook in that state show, but for their offset.
    #[inline]
    fn face(&self, state: HookHold, class: PriorityClass) -> Reading {
        let of_class = self.classes[class];
        let Time(now) = self.now;
        match state {
            HookHold::Open => of_class,
            HookHold::Full => Reading {
                limit: now.wrapping_sub(of_class.paused),
                paused: of_class.paused,
                ..Reading::default()
            },
            HookHold::Paused => Reading { paused: now, ..Reading::default() },
        }
    }

    #[inline]
    fn read(&self, hook: &HookClocks, class: PriorityClass) -> Reading {
        self.face(hook.state, class).plus(hook.offsets[class])
    }

    /// What held up the hook's jobs of the class in the last stretch.
    fn held(&self, hook: &HookClocks, class: PriorityClass) -> Option<Hold> {
        match (hook.state, self.held.of(class)) {
            (HookHold::Paused, _) | (_, Some(Hold::Paused)) => Some(Hold::Paused),
            (HookHold::Full, _) => Some(Hold::Limit),
            (HookHold::Open, hold) => hold,
        }
    }
}

impl<T> Core<T> {
    /// Sets the clocks. To be called before anything changes, with the time of the change.
    #[inline]
    pub(super) fn pass(&mut self, now: Time) {
        if now > self.clocks.now {
            let held = self.held();
            self.clocks.pass(now, held);
        }
    }

    /// What holds up a job of each class that is ready to run.
    fn held(&mut self) -> Held {
        let paused = self.paused;
        let limit = self.seats.at_limit().without(paused);
        let for_a_seat = ClassSet::ALL.without(self.seats_open()).without(paused).without(limit);
        // What its hooks do not let run is no reason for others to wait.
        self.park_saturated();
        let first = for_a_seat.and(self.stands()).first();
        let after_it = first.map_or(ClassSet::default(), |first| ClassSet::ALL.below(first));
        let more_important = for_a_seat.and(after_it.or(self.seats.below_all()));
        Held { more_important, no_seat: for_a_seat.without(more_important), limit, paused }
    }

    /// The job waits for something else from now on.
    pub(super) fn wait_for(&mut self, slot: JobSlot, waits: Waits) {
        let job = self.jobs.get_mut(slot.index()).expect("a slot that something refers to is occupied");
        if job.started || job.waits == waits {
            return;
        }
        let hook = self.hooks.get(job.hook.0 as usize).expect("hooks are never removed");
        let read = |class| self.clocks.read(&hook.clocks, class);
        let Time(now) = self.clocks.now;
        let tally = &mut job.tally;
        // No other job lingers.
        let mut none = 0;
        let lingered = job.batching.as_mut().map_or(&mut none, |joining| &mut joining.lingered);
        match job.waits {
            Waits::Not => {}
            Waits::Behind | Waits::Lingers => {
                let paused = read(job.class).paused;
                tally.held.paused = tally.held.paused.wrapping_add(paused);
                let of = if job.waits == Waits::Behind { &mut tally.behind } else { &mut *lingered };
                *of = of.wrapping_add(now.wrapping_sub(paused));
            }
            Waits::Stands(class) => tally.held = tally.held.plus(read(class)),
        }
        match waits {
            Waits::Not => {}
            Waits::Behind | Waits::Lingers => {
                let paused = read(job.class).paused;
                tally.held.paused = tally.held.paused.wrapping_sub(paused);
                let of = if waits == Waits::Behind { &mut tally.behind } else { lingered };
                *of = of.wrapping_sub(now.wrapping_sub(paused));
            }
            Waits::Stands(class) => tally.held = tally.held.minus(read(class)),
        }
        job.waits = waits;
    }

    /// The job has arrived and has its place: it begins to wait for what that says, and has waited since its admission.
    pub(super) fn begin_wait(&mut self, slot: JobSlot) {
        if self.job(slot).place == Place::Behind {
            self.wait_for(slot, Waits::Behind);
        }
        let job = self.jobs.get_mut(slot.index()).expect("a slot that something refers to is occupied");
        let before = nanos(self.clocks.now.since(job.admitted)).min(self.clocks.stretch);
        if before == 0 {
            return;
        }
        let hook = self.hooks.get(job.hook.0 as usize).expect("hooks are never removed");
        let tally = &mut job.tally;
        match self.clocks.held(&hook.clocks, job.class) {
            hold if hold != Some(Hold::Paused) && job.waits == Waits::Behind => {
                tally.behind = tally.behind.wrapping_add(before);
            }
            Some(hold) => tally.held.add(hold, before),
            None => {}
        }
    }

    /// The job starts, or goes. Answers with what it has waited for; nothing if it has been started before.
    pub(super) fn end_wait(&mut self, slot: JobSlot) -> WaitSplit {
        self.wait_for(slot, Waits::Not);
        let job = self.job(slot);
        if job.started {
            return WaitSplit::default();
        }
        let lingered = job.batching.as_ref().map_or(0, |joining| joining.lingered);
        job.tally.split(lingered, nanos(self.clocks.now.since(job.admitted)))
    }

    /// The hook was paused or resumed, or has another number of runs.
    pub(super) fn set_hook_clocks(&mut self, hook: HookSlot) {
        let hook = self.hooks.get_mut(hook.0 as usize).expect("hooks are never removed");
        let state = hook.hold();
        let before = std::mem::replace(&mut hook.clocks.state, state);
        if before != state {
            self.saturated += u32::from(state != HookHold::Open);
            self.saturated -= u32::from(before != HookHold::Open);
            for (class, offset) in hook.clocks.offsets.iter_mut() {
                let change = self.clocks.face(before, class).minus(self.clocks.face(state, class));
                *offset = offset.plus(change);
            }
        }
    }
}

impl HookState {
    fn hold(&self) -> HookHold {
        if self.paused {
            HookHold::Paused
        } else if self.has_room() {
            HookHold::Open
        } else {
            HookHold::Full
        }
    }
}
