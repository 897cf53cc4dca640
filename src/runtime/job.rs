//! A job of the runtime: one hook bound to one event, and the duty to give it exactly one outcome.
//!
//! What a job owes it owes by its [`Share`], which is over with [`Share::resolve`]. One that is dropped without that is
//! a fault of hookpool: debug builds panic, release builds count it as lost, and the ledger does not balance.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;

use super::handle::{Admitted, JobHandle, JobShared};
use super::hooks::HookEntry;
use crate::hook::Order;
use crate::kind::EventKind;
use crate::outcome::{Attempt, JobId, Outcome, WaitSplit};
use crate::scheduler::{Arrival, Batching};
use crate::time::Time;

/// See the module's description. Most that wait are nothing but a pointer to what they share with their handles: a job is
/// moved from one place to another on its way.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) shared: Share,
    more: Option<Box<More>>,
}

/// What most jobs that wait have none of.
#[derive(Debug, Default)]
pub(super) struct More {
    /// How it may share a batch, until it is in the core.
    batching: Option<Batching>,
    /// The attempts that have failed and were not the last.
    attempts: Vec<Attempt>,
    /// Its wait; `None`: it still waits for its first start.
    waited: Option<WaitSplit>,
}

impl Job {
    /// `None`: it has been taken in before.
    fn taken_in(shared: Arc<JobShared>) -> Option<Self> {
        let (entry, more) = shared.taken_in()?;
        Some(Self { shared: Share { shared, entry, is_resolved: false }, more })
    }

    /// What the core has to know of it.
    pub(super) fn arrival(mut self) -> Arrival<Self> {
        let JobShared { event, class, admitted, max_wait, .. } = &**self.shared;
        let entry = &self.shared.entry;
        let arrival = Arrival {
            hook: entry.record.slot,
            class: *class,
            session: event.session_key().filter(|_| entry.hook.order == Order::Session),
            batching: None,
            bytes: u32::try_from(event.payload().len()).unwrap_or(u32::MAX),
            admitted: *admitted,
            max_wait: *max_wait,
            body: (),
        };
        let batching = self.more.as_mut().and_then(|more| more.batching.take());
        Arrival { batching, ..arrival }.with(self)
    }

    pub(super) fn kind(&self) -> EventKind {
        self.shared.event.kind()
    }

    fn more(&mut self) -> &mut More {
        self.more.get_or_insert_default()
    }

    /// What it waited for, if it waits no more since now: that is what the core says and, on top, how long it took to
    /// come here. Said once, it stays: a job that is tried again has waited before its first attempt.
    pub(super) fn has_waited(&mut self, waited: WaitSplit, now: impl FnOnce() -> Time) -> WaitSplit {
        let admitted = self.shared.admitted;
        *self.more().waited.get_or_insert_with(|| waited.until(now().since(admitted)))
    }

    /// It still waits for its first start.
    pub(super) fn is_new(&self) -> bool {
        self.more.as_ref().is_none_or(|more| more.waited.is_none())
    }

    /// The attempts that have failed and were not the last.
    pub(super) fn attempts(&self) -> &[Attempt] {
        self.more.as_ref().map_or(&[], |more| &more.attempts)
    }

    pub(super) fn attempts_mut(&mut self) -> &mut Vec<Attempt> {
        &mut self.more().attempts
    }

    /// Number of the attempt that runs, or comes next: 1 for the first.
    pub(super) fn attempt(&self) -> u32 {
        u32::try_from(self.attempts().len()).unwrap_or(u32::MAX).saturating_add(1)
    }
}

/// A job's own part in what it shares. As long as it has it, it owes an outcome, and the bytes of its event are in use. A
/// handle has none, and so keeps no hook's definition with its processes.
#[derive(Debug)]
pub(super) struct Share {
    shared: Arc<JobShared>,
    /// What its hook was defined as when it was admitted.
    pub(super) entry: Arc<HookEntry>,
    is_resolved: bool,
}

/// A job on its way to the core: nothing but a pointer to what it shares, as it is moved and kept in lanes.
#[derive(Debug)]
pub(super) struct Pushed(Option<Arc<JobShared>>);

impl Pushed {
    /// The job's number in the pool, by that of its place.
    pub(super) fn id(place: u64) -> JobId {
        JobId(place + 1)
    }

    pub(super) fn new(job: Admitted, entry: &Arc<HookEntry>) -> Self {
        let batching = entry.batching(&job.event);
        let more = batching.map(|_| Box::new(More { batching, ..More::default() }));
        Self(Some(Arc::new(JobShared::new(job, Arc::clone(entry), more))))
    }

    fn shared(&self) -> &Arc<JobShared> {
        self.0.as_ref().expect("it is taken out at the end only")
    }

    pub(super) fn place(&self) -> u64 {
        self.shared().id.0 - 1
    }

    pub(super) fn handle(&self) -> JobHandle {
        JobHandle { shared: Arc::clone(self.shared()) }
    }

    /// It has come to the core.
    pub(super) fn into_job(mut self) -> Job {
        self.0.take().and_then(Job::taken_in).expect("it comes once")
    }
}

impl Drop for Pushed {
    fn drop(&mut self) {
        // A job that goes before it came, whose share knows what to do about that.
        drop(self.0.take().and_then(Job::taken_in));
    }
}

impl Share {
    /// The job has its outcome. Its bytes are free before anybody who waits can know that.
    pub(super) fn resolve(mut self, outcome: Arc<Outcome>) {
        self.is_resolved = true;
        let shared = Arc::clone(&self.shared);
        drop(self);
        shared.resolve(outcome);
    }
}

impl Deref for Share {
    type Target = Arc<JobShared>;

    fn deref(&self) -> &Arc<JobShared> {
        &self.shared
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let accounts = &*self.entry.record.accounts;
        if !self.is_resolved {
            accounts.lost.fetch_add(1, Ordering::Relaxed);
        }
        self.shared.leave(accounts);
        debug_assert!(self.is_resolved || thread::panicking(), "a job was dropped without an outcome");
    }
}
