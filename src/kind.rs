//! Kinds of events: the canonical, agent-neutral names, their groups, and sets of them.
//!
//! A kind says what happened; a group is a second name under which several kinds of happening can be selected. An
//! event has one [`EventKind`] and a [`KindSet`]: every kind and group under which a hook can ask for it.

use std::fmt;

macro_rules! kinds {
    ($($(#[$doc:meta])* $variant:ident = $name:literal),+ $(,)?) => {
        /// What happened, whatever the agent calls it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum EventKind {
            $($(#[$doc])* $variant),+
        }

        impl EventKind {
            /// Every kind, in the order of documentation.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// How many there are.
            pub(crate) const COUNT: usize = Self::ALL.len();

            /// The spelling in `hooks.toml`, reports and logs.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            /// Position in `ALL`.
            pub(crate) const fn index(self) -> usize {
                self as usize
            }
        }
    };
}

kinds! {
    /// A session began, was resumed, cleared or forked.
    SessionStart = "session_start",
    /// A session ended.
    SessionEnd = "session_end",
    /// The user sent a prompt.
    UserPrompt = "user_prompt",
    /// A tool is about to run.
    PreTool = "pre_tool",
    /// A tool has run.
    PostTool = "post_tool",
    /// A tool has failed. It also belongs to `post_tool`.
    ToolFailed = "tool_failed",
    /// A sub-agent began.
    DelegationStart = "delegation_start",
    /// A sub-agent ended.
    DelegationStop = "delegation_stop",
    /// The agent's turn ended.
    Stop = "stop",
    /// The agent notifies its user.
    Notification = "notification",
    /// A permission was asked for, or refused.
    Permission = "permission",
    /// The context is about to be compacted.
    PreCompact = "pre_compact",
    /// The context was compacted.
    PostCompact = "post_compact",
    /// A model is about to be asked.
    PreModel = "pre_model",
    /// A model has answered.
    PostModel = "post_model",
    /// Anything else; the raw name is kept.
    Other = "other",
}

impl EventKind {
    /// The kind of that name, if there is one. Groups are not kinds.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.name() == name)
    }

    /// The set of this kind alone, without the groups that it belongs to.
    #[must_use]
    pub const fn as_set(self) -> KindSet {
        KindSet(1 << self as u32)
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A set of kinds and of the group `delegation`: what `on`, `[kinds]` and `[priority]` speak of.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct KindSet(u32);

/// The group of everything that concerns a sub-agent: its start, its stop, and the tool calls that spawn it.
const DELEGATION: u32 = 31;

impl KindSet {
    /// No kind.
    pub const EMPTY: Self = Self(0);

    /// The group `delegation`.
    pub const DELEGATION: Self = Self(1 << DELEGATION);

    /// Every kind and group.
    #[must_use]
    pub fn all() -> Self {
        Self::names().fold(Self::EMPTY, |set, (_, one)| set.union(one))
    }

    /// Every kind and group by name, each as a set of one.
    pub fn names() -> impl Iterator<Item = (&'static str, Self)> {
        EventKind::ALL
            .iter()
            .map(|kind| (kind.name(), kind.as_set()))
            .chain([("delegation", Self::DELEGATION)])
    }

    /// The kind or group of that name as a set of one.
    ///
    /// ```
    /// use hookpool::{EventKind, KindSet};
    /// assert_eq!(KindSet::from_name("pre_tool"), Some(EventKind::PreTool.as_set()));
    /// assert_eq!(KindSet::from_name("delegation"), Some(KindSet::DELEGATION));
    /// assert_eq!(KindSet::from_name("PreToolUse"), None);
    /// ```
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::names().find_map(|(known, set)| (known == name).then_some(set))
    }

    /// What is in either.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What is in both.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// What is in `self` and not in `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// True when nothing is in it.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// True when the two share a kind or a group.
    #[must_use]
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// The members, each as a set of one.
    pub fn members(self) -> impl Iterator<Item = Self> {
        std::iter::successors(Some(self.0), |rest| Some(rest & rest.wrapping_sub(1)))
            .take_while(|rest| *rest != 0)
            .map(|rest| Self(rest & rest.wrapping_neg()))
    }

    /// A small number for a set of one, below [`KindSet::SLOTS`]: an index for tables by kind and group.
    pub(crate) const fn slot(self) -> usize {
        self.0.trailing_zeros() as usize
    }

    /// Size of a table that is indexed by [`KindSet::slot`].
    pub(crate) const SLOTS: usize = 32;
}

impl fmt::Debug for KindSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = Self::names().filter(|(_, one)| self.intersects(*one));
        f.debug_set().entries(names.map(|(name, _)| name)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back_and_distinct() {
        let mut seen = KindSet::EMPTY;
        for (name, set) in KindSet::names() {
            assert_eq!(KindSet::from_name(name), Some(set));
            assert!(!seen.intersects(set), "{name} shares a bit");
            seen = seen.union(set);
        }
        assert_eq!(seen, KindSet::all());
        assert_eq!(seen.members().count(), KindSet::names().count());
    }

    #[test]
    fn members_come_one_by_one() {
        let set = EventKind::PreTool.as_set().union(KindSet::DELEGATION);
        let members: Vec<_> = set.members().collect();
        assert_eq!(members, [EventKind::PreTool.as_set(), KindSet::DELEGATION]);
        assert_eq!(KindSet::EMPTY.members().count(), 0);
    }
}
