//! Expiry: jobs that waited too long leave, and pausing stops the clock.
//!
//! Jobs of one hook, class and `max_wait` form a group. Their deadlines come in the order of their arrivals, so a group
//! needs one timer, for its first job. The timer is set when the group gets its first job and corrected when it fires
//! or when somebody asks for the next deadline: a steady flow of jobs that start in time never touches it.
//!
//! A group's clock stands still while its hook or its class is paused. It counts pauses in total; a job remembers the
//! total of its admission.

use std::time::Duration;

use super::{Core, GroupSlot, HookSlot, JobSlot, List, ListKind, Timer};
use crate::class::PriorityClass;
use crate::outcome::OutcomeKind;
use crate::time::{Time, nanos};

/// Jobs whose deadlines come in the order of their arrivals. Groups are never removed, and used again when nothing waits
/// in them: there are as many as ways to wait at once, not as jobs, and not as limits that were ever configured.
#[derive(Debug)]
pub(super) struct ExpiryGroup {
    hook: HookSlot,
    class: PriorityClass,
    max_wait: Duration,
    jobs: List,
    /// A timer is set, for the first job or for one that was before it.
    armed: bool,
    /// Length of all pauses that have ended.
    paused_for: Duration,
    paused_since: Option<Time>,
}

impl<T> Core<T> {
    /// From now on the job expires when it has waited for `max_wait`.
    pub(super) fn watch_expiry(&mut self, slot: JobSlot, max_wait: Duration, now: Time) {
        let job = self.job(slot);
        let (hook, class, admitted) = (job.hook, job.class, job.admitted);
        let slot_of_group = self.group_for(hook, class, max_wait, now);
        let group = self.groups.get_mut(slot_of_group.index()).expect("groups are never removed");
        let current_pause = group.paused_since.map_or(Duration::ZERO, |since| admitted.since(since));
        let paused_before = nanos(group.paused_for + current_pause);
        group.jobs.push_back(&mut self.jobs, ListKind::Expiry, slot);
        let job = self.job_mut(slot);
        (job.group, job.paused_before) = (Some(slot_of_group), paused_before);
        self.arm(slot_of_group);
    }

    /// The job starts or goes: it expires no more.
    pub(super) fn unwatch_expiry(&mut self, slot: JobSlot, group: GroupSlot) {
        let group = self.groups.get_mut(group.index()).expect("groups are never removed");
        group.jobs.remove(&mut self.jobs, ListKind::Expiry, slot);
    }

    /// A group's timer has fired: what is over its time expires.
    pub(super) fn expire(&mut self, slot: GroupSlot, now: Time) {
        self.group(slot).armed = false;
        while let Some(deadline) = self.group_deadline(slot)
            && deadline <= now
            && let Some(first) = self.group(slot).jobs.first()
        {
            self.resolve(first, OutcomeKind::Expired, now);
        }
        self.arm(slot);
    }

    /// The group's timer was peeked at: sets it right, and answers with the deadline if it was right already.
    pub(super) fn confirm_deadline(&mut self, slot: GroupSlot, set: Time) -> Option<Time> {
        if self.group_deadline(slot) == Some(set) {
            return Some(set);
        }
        self.timers.remove(&Timer::Expiry(slot));
        self.group(slot).armed = false;
        self.arm(slot);
        None
    }

    /// Stops the clock of everything that waits for this hook, and lets none of it start.
    pub(crate) fn pause_hook(&mut self, hook: HookSlot, now: Time) {
        self.tick(now);
        self.hook(hook).paused = true;
        self.set_hook_clocks(hook);
        self.update_clocks(now);
    }

    /// Lets the hook's jobs start again.
    pub(crate) fn resume_hook(&mut self, hook: HookSlot, now: Time) {
        self.tick(now);
        self.hook(hook).paused = false;
        self.set_hook_clocks(hook);
        self.update_clocks(now);
        self.unpark(hook);
    }

    /// Stops the clock of every job of this class, and lets none of them start, except in front of a more important one
    /// of its chain. Looks at every chain.
    pub(crate) fn pause_class(&mut self, class: PriorityClass, now: Time) {
        self.tick(now);
        self.paused.set(class, true);
        self.update_clocks(now);
        self.restand_all();
    }

    /// Lets the class's jobs start again.
    pub(crate) fn resume_class(&mut self, class: PriorityClass, now: Time) {
        self.tick(now);
        self.paused.set(class, false);
        self.update_clocks(now);
        self.restand_all();
    }

    /// Starts and stops the clocks of the groups after a pause or a resume.
    fn update_clocks(&mut self, now: Time) {
        for index in 0..self.groups.len() {
            let slot = GroupSlot::from_index(index);
            let (hook, class) = (self.group(slot).hook, self.group(slot).class);
            let paused = self.paused.contains(class) || self.hook(hook).paused;
            let group = self.group(slot);
            match group.paused_since {
                None if paused => group.paused_since = Some(now),
                Some(since) if !paused => {
                    group.paused_for += now.since(since);
                    group.paused_since = None;
                }
                _ => continue,
            }
            self.timers.remove(&Timer::Expiry(slot));
            self.group(slot).armed = false;
            self.arm(slot);
        }
    }

    fn group_for(
        &mut self,
        hook: HookSlot,
        class: PriorityClass,
        max_wait: Duration,
        now: Time,
    ) -> GroupSlot {
        let is_it = |slot: &GroupSlot| {
            self.groups
                .get(slot.index())
                .is_some_and(|group| group.class == class && group.max_wait == max_wait)
        };
        let known = self.hooks.get(hook.0 as usize).and_then(|hook| hook.groups.iter().copied().find(is_it));
        if let Some(known) = known {
            return known;
        }
        if let Some(unused) = self.unused_group(hook, class) {
            self.group(unused).max_wait = max_wait;
            return unused;
        }
        let paused = self.paused.contains(class) || self.hook(hook).paused;
        let slot = GroupSlot::from_index(self.groups.len());
        self.groups.push(ExpiryGroup {
            hook,
            class,
            max_wait,
            jobs: List::default(),
            armed: false,
            paused_for: Duration::ZERO,
            paused_since: paused.then_some(now),
        });
        self.hook(hook).groups.push(slot);
        slot
    }

    /// A group of the hook and class in which nothing waits.
    fn unused_group(&mut self, hook: HookSlot, class: PriorityClass) -> Option<GroupSlot> {
        let is_unused = |slot: &GroupSlot| {
            self.groups
                .get(slot.index())
                .is_some_and(|group| group.class == class && group.jobs.first().is_none())
        };
        let unused = self.hooks.get(hook.0 as usize)?.groups.iter().copied().find(is_unused)?;
        // Its timer may be set for a job that has gone, and later than the next one's deadline.
        if std::mem::take(&mut self.group(unused).armed) {
            self.timers.remove(&Timer::Expiry(unused));
        }
        Some(unused)
    }

    /// Sets the group's timer for its first job, unless one is set.
    fn arm(&mut self, slot: GroupSlot) {
        if !self.group(slot).armed
            && let Some(deadline) = self.group_deadline(slot)
        {
            self.group(slot).armed = true;
            self.set_timer(Timer::Expiry(slot), deadline);
        }
    }

    /// When the first job of the group expires. `None`: there is none, or the clock stands still.
    fn group_deadline(&self, slot: GroupSlot) -> Option<Time> {
        let group = self.groups.get(slot.index())?;
        if group.paused_since.is_some() {
            return None;
        }
        let first = self.job(group.jobs.first()?);
        let paused_before = Duration::from_nanos(first.paused_before);
        Some(first.admitted + group.max_wait + group.paused_for.saturating_sub(paused_before))
    }

    fn group(&mut self, slot: GroupSlot) -> &mut ExpiryGroup {
        self.groups.get_mut(slot.index()).expect("groups are never removed")
    }
}
