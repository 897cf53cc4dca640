//! What a trigger answers: what became of the event, hook by hook, or why it was none.

use std::fmt;

use crate::event::EventError;
use crate::hook::HookName;
use crate::outcome::{Refusal, Skip};
use crate::runtime::{JobHandle, Submission, SubmittedHook};

/// What became of a triggered event. Nothing has to be done with it.
///
/// ```
/// use hookpool::{Config, HookManager, Refusal};
///
/// let manager = HookManager::from_config(Config::from_toml("[hook.a]\non = ['stop']\nrun = 'true'\n")?)?;
/// let triggered = manager.trigger("Stop", ());
/// assert!(triggered.is_admitted());
/// manager.shutdown();
/// let triggered = manager.trigger("Stop", ());
/// assert_eq!(triggered.refused().next().map(|(_, why)| why), Some(Refusal::Closed));
/// assert!(manager.trigger("SessionEnd", ()).is_unmatched());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Triggered {
    submission: Submission,
    /// The event as a whole was skipped.
    skip: Option<Skip>,
    invalid: Option<Box<EventError>>,
    tool_use_id: Option<ToolUseId>,
}

impl Triggered {
    /// The answer of a pool; `invalid` if the event could not be written for those hooks that wanted it.
    pub(super) fn new(submission: Submission, invalid: Option<EventError>) -> Self {
        let skip = (submission.is_unmatched() && invalid.is_none()).then_some(Skip::NoMatch);
        Self { submission, skip, invalid: invalid.map(Box::new), tool_use_id: None }
    }

    pub(super) fn skipped(why: Skip) -> Self {
        Self { skip: Some(why), ..Self::default() }
    }

    pub(super) fn invalid_event(error: EventError) -> Self {
        Self { invalid: Some(Box::new(error)), ..Self::default() }
    }

    pub(super) fn of_call(self, id: ToolUseId) -> Self {
        Self { tool_use_id: Some(id), ..self }
    }

    /// True when at least one job was admitted.
    #[must_use]
    pub fn is_admitted(&self) -> bool {
        self.admitted().next().is_some()
    }

    /// True when no hook wants the event.
    #[must_use]
    pub fn is_unmatched(&self) -> bool {
        self.skip == Some(Skip::NoMatch)
    }

    /// The hooks that want the event with what was decided for each, in the order of the configuration.
    #[must_use]
    pub fn hooks(&self) -> &[SubmittedHook] {
        self.submission.hooks()
    }

    /// The handles of the admitted jobs.
    pub fn admitted(&self) -> impl Iterator<Item = &JobHandle> {
        self.submission.admitted()
    }

    /// The hooks whose jobs were refused, with the reasons.
    pub fn refused(&self) -> impl Iterator<Item = (&HookName, Refusal)> {
        self.submission.refused()
    }

    /// The hooks that were skipped, with the reasons.
    pub fn skipped_hooks(&self) -> impl Iterator<Item = (&HookName, Skip)> {
        self.submission.skipped()
    }

    /// Why the event as a whole was skipped: `no_match`, or `config_error` for the manager of an invalid configuration.
    #[must_use]
    pub fn skip(&self) -> Option<Skip> {
        self.skip
    }

    /// Why the event is none: a value has no form in JSON, or a name is too long. Nothing was submitted for the hooks
    /// that wanted it.
    ///
    /// A value is only looked at when a hook wants the event.
    #[must_use]
    pub fn invalid(&self) -> Option<&EventError> {
        self.invalid.as_deref()
    }

    /// The id of the tool call, for [`HookManager::trigger_post_tool_hook_for`](crate::HookManager::trigger_post_tool_hook_for).
    /// `None` for everything but tool calls.
    #[must_use]
    pub fn tool_use_id(&self) -> Option<ToolUseId> {
        self.tool_use_id
    }
}

/// What a tool call is known by: the `tool_use_id` of its events. Shows as text, such as `hookpool-9c41f0a2-17`.
///
/// ```
/// # use hookpool::{Config, HookManager};
/// # let manager = HookManager::from_config(Config::default())?;
/// let first = manager.trigger_pre_tool_hook("Bash", ()).tool_use_id();
/// let second = manager.trigger_pre_tool_hook("Bash", ()).tool_use_id();
/// assert_ne!(first, second);
/// # Ok::<(), hookpool::BuildError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ToolUseId {
    /// Random, so that managers of several processes are told apart.
    pub(super) manager: u32,
    pub(super) number: u64,
}

impl fmt::Display for ToolUseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "hookpool-{:08x}-{}", self.manager, self.number)
    }
}
