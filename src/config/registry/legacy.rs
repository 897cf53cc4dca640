//! The variables of the system that hookpool succeeds, each with the setting that it is another name of.
//!
//! The product that they belong to has more variables of that prefix; those are none of our business and are ignored.

use super::super::value::Bare;

/// An older variable for a setting.
#[derive(Debug)]
pub(crate) struct Legacy {
    pub(crate) variable: &'static str,
    /// The setting's key, dotted.
    pub(crate) key: &'static str,
    /// What a duration without unit counts.
    pub(crate) bare: Bare,
}

/// Every one of them.
pub(crate) const LEGACY: &[Legacy] = &[
    seconds("CLAUDE_MPM_PERFORMANCE_MODE", "performance_mode"),
    seconds("CLAUDE_MPM_HOOKS_PRE_TOOL", "kinds.pre_tool"),
    seconds("CLAUDE_MPM_HOOKS_POST_TOOL", "kinds.post_tool"),
    seconds("CLAUDE_MPM_HOOKS_USER_PROMPT", "kinds.user_prompt"),
    seconds("CLAUDE_MPM_HOOKS_DELEGATION", "kinds.delegation"),
    seconds("CLAUDE_MPM_HOOK_QUEUE_SIZE", "queue.capacity"),
    seconds("CLAUDE_MPM_HOOK_BG_TIMEOUT", "defaults.timeout"),
    seconds("CLAUDE_MPM_HOOK_BATCHING", "batching.enabled"),
    seconds("CLAUDE_MPM_HOOK_BATCH_SIZE", "batching.size"),
    Legacy { variable: "CLAUDE_MPM_HOOK_BATCH_TIMEOUT_MS", key: "batching.linger", bare: Bare::Milliseconds },
    seconds("CLAUDE_MPM_HOOK_DEBUG", "debug"),
];

const fn seconds(variable: &'static str, key: &'static str) -> Legacy {
    Legacy { variable, key, bare: Bare::Seconds }
}
