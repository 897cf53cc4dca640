//! A job of the runtime: one hook bound to one event, and the duty to give it exactly one outcome.
//!
//! That duty is over with [`Job::resolve`] or [`Job::leave`]. A job that is dropped without is a fault of hookpool: debug
//! builds panic, release builds count it as lost, and the ledger does not balance.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;

use super::accounts::Accounts;
use super::handle::{Admitted, JobHandle, JobShared};
use super::hooks::HookEntry;
use super::spares;
use crate::hook::Order;
use crate::kind::EventKind;
use crate::outcome::{Attempt, JobId, Outcome, WaitSplit};
use crate::scheduler::{Arrival, Batching};
use crate::time::Time;

/// See the module's description. Nothing but a pointer to what it shares with its handles.
#[derive(Debug)]
pub(super) struct Job(Option<Arc<JobShared>>);

/// A job that waits, with what is its alone: its handles do not keep a hook's definition, with its processes. It is moved
/// from one place to another on its way, and a million may wait.
#[derive(Debug)]
pub(super) struct Queued {
    pub(super) job: Job,
    /// What its hook was defined as when it was admitted.
    pub(super) entry: Arc<HookEntry>,
    pub(super) more: Option<Box<More>>,
}

/// One that is on its way to the core.
pub(super) struct Pushed {
    queued: Queued,
    admitted: Time,
}

/// What most jobs have none of.
#[derive(Debug, Default)]
pub(super) struct More {
    /// How it may share a batch, until it is in the core.
    batching: Option<Batching>,
    /// The attempts that have failed and were not the last.
    pub(super) attempts: Vec<Attempt>,
    /// What it waited for before its first start, once it has been started.
    pub(super) waited: Option<WaitSplit>,
}

impl Job {
    /// The job's number in the pool, by that of its place.
    pub(super) fn id(place: u64) -> JobId {
        JobId(place + 1)
    }

    pub(super) fn new(admitted: Admitted) -> Self {
        Self(Some(spares::job(admitted)))
    }

    pub(super) fn handle(&self) -> JobHandle {
        JobHandle { shared: Arc::clone(self) }
    }

    pub(super) fn kind(&self) -> EventKind {
        self.event().kind()
    }

    /// The job has its outcome. Its bytes are free before anybody who waits can know that.
    pub(super) fn resolve(mut self, outcome: Arc<Outcome>, accounts: &Accounts) {
        if let Some(shared) = self.0.take() {
            shared.leave(accounts);
            shared.resolve(outcome);
            spares::keep(shared);
        }
    }

    /// The job has come to an end that nobody waits for.
    pub(super) fn leave(mut self, accounts: &Accounts) {
        if let Some(shared) = self.0.take() {
            shared.leave(accounts);
            spares::keep(shared);
        }
    }
}

impl Pushed {
    /// Of a job that is admitted, for a hook that is defined like this.
    pub(super) fn new(job: Job, entry: &Arc<HookEntry>, admitted: Time) -> Self {
        let batching = entry.batching(job.event());
        let more = batching.map(|_| Box::new(More { batching, ..More::default() }));
        Self { queued: Queued { job, entry: Arc::clone(entry), more }, admitted }
    }

    /// The number of its place.
    pub(super) fn place(&self) -> u64 {
        self.queued.job.id.0 - 1
    }

    /// What the core has to know of it.
    pub(super) fn arrival(self) -> Arrival<Queued> {
        let Self { mut queued, admitted } = self;
        let (event, class) = (queued.job.event(), queued.job.class);
        Arrival {
            hook: queued.entry.record.slot,
            class,
            session: event.session_key().filter(|_| queued.entry.hook.order == Order::Session),
            batching: queued.more.as_mut().and_then(|more| more.batching.take()),
            bytes: u32::try_from(event.payload().len()).unwrap_or(u32::MAX),
            admitted,
            max_wait: queued.entry.max_wait[class],
            body: queued,
        }
    }
}

impl Deref for Job {
    type Target = Arc<JobShared>;

    fn deref(&self) -> &Arc<JobShared> {
        self.0.as_ref().expect("it is taken out at the end only")
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        let Some(shared) = self.0.take() else { return };
        if let Some(engine) = shared.pool().engine() {
            engine.accounts.lost.fetch_add(1, Ordering::Relaxed);
            shared.leave(&engine.accounts);
        }
        debug_assert!(thread::panicking(), "a job was dropped without an outcome");
    }
}

impl More {
    /// The attempts of a job that have failed and were not the last.
    pub(super) fn attempts(of: Option<&Self>) -> &[Attempt] {
        of.map_or(&[], |more| &more.attempts)
    }

    /// Number of the attempt that runs, or comes next: 1 for the first.
    pub(super) fn attempt(of: Option<&Self>) -> u32 {
        u32::try_from(Self::attempts(of).len()).unwrap_or(u32::MAX).saturating_add(1)
    }
}
