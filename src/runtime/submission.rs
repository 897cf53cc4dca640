//! What a submit answers: for each hook that wants the event, whether its job was admitted, refused or skipped.

use std::iter;
use std::sync::Arc;

use smallvec::SmallVec;

use super::handle::{JobHandle, JobShared};
use super::hooks::HookEntry;
use crate::class::PriorityClass;
use crate::hook::HookName;
use crate::outcome::{Refusal, Skip};

/// The answer to a submit. Empty: no hook wants the event.
#[derive(Clone, Debug, Default)]
pub struct Submission {
    /// An event that one or two hooks want costs no allocation.
    parts: SmallVec<[SubmittedHook; 2]>,
}

/// What became of the event for one hook.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SubmittedHook {
    /// The hook that wants the event.
    pub hook: HookName,
    /// What was decided.
    pub decision: Decision,
}

/// The three answers that a hook can get.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Decision {
    /// It will have exactly one outcome, of which the handle tells.
    Admitted(JobHandle),
    /// It was not admitted.
    Refused(Refusal),
    /// It was not wanted.
    Skipped(Skip),
}

impl Submission {
    /// The decision is made once there is a place for it, and so at that place.
    #[inline]
    pub(super) fn push(&mut self, entry: &HookEntry, decision: impl FnOnce() -> Decision) {
        let part = || SubmittedHook { hook: entry.hook.name.clone(), decision: decision() };
        self.parts.extend(iter::once_with(part));
    }

    /// The last job that was admitted. If its event's bytes are counted no more, then for none before it.
    pub(super) fn latest(&self) -> Option<&Arc<JobShared>> {
        self.admitted().last().map(|handle| &handle.shared)
    }

    /// True when no hook wants the event: it was skipped as `no_match`.
    #[must_use]
    pub fn is_unmatched(&self) -> bool {
        self.parts.is_empty()
    }

    /// The hooks that want the event, in the order of the configuration.
    #[must_use]
    pub fn hooks(&self) -> &[SubmittedHook] {
        &self.parts
    }

    /// The handles of the admitted jobs.
    pub fn admitted(&self) -> impl Iterator<Item = &JobHandle> {
        self.parts.iter().filter_map(|part| match &part.decision {
            Decision::Admitted(handle) => Some(handle),
            _ => None,
        })
    }

    /// The handle of the job for the hook of that name, if it was admitted.
    ///
    /// ```
    /// use hookpool::{Config, Event, HookPool};
    /// let config = Config::from_toml("[hook.greet]\non = ['*']\nrun = 'true'\n")?;
    /// let pool = HookPool::builder().config(config).build()?;
    /// let submission = pool.submit(Event::from_json(r#"{"event": "hello"}"#)?);
    /// assert!(submission.admitted_for("greet").is_some() && submission.admitted_for("other").is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn admitted_for(&self, hook: &str) -> Option<&JobHandle> {
        self.parts.iter().find(|part| part.hook.as_str() == hook).and_then(|part| match &part.decision {
            Decision::Admitted(handle) => Some(handle),
            _ => None,
        })
    }

    /// The hooks whose jobs were refused, with the reasons.
    pub fn refused(&self) -> impl Iterator<Item = (&HookName, Refusal)> {
        self.parts.iter().filter_map(|part| match part.decision {
            Decision::Refused(why) => Some((&part.hook, why)),
            _ => None,
        })
    }

    /// The hooks that were skipped, with the reasons.
    pub fn skipped(&self) -> impl Iterator<Item = (&HookName, Skip)> {
        self.parts.iter().filter_map(|part| match part.decision {
            Decision::Skipped(why) => Some((&part.hook, why)),
            _ => None,
        })
    }
}

/// What a submit would decide for one hook that wants the event, room provided.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Preview {
    /// The hook that wants the event.
    pub hook: HookName,
    /// The class that its job would have.
    pub class: PriorityClass,
    /// Why it would be skipped. `None`: it would run.
    pub skip: Option<Skip>,
}
