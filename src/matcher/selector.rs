//! What a hook wants: the compiled form of `on`, `match` and `where`.

use crate::kind::KindSet;

/// Which events a hook wants. All three parts must hold.
#[derive(Clone, Debug)]
pub struct Selector {
    /// `"*"` was among the names of `on`: every kind.
    pub any: bool,
    /// Kinds and groups of `on`.
    pub kinds: KindSet,
    /// Names of `on` that are neither kinds nor groups: the raw names of events.
    pub names: Vec<Box<str>>,
    /// `match.tool`: the whole tool name must match.
    pub tool: Option<ToolPattern>,
    /// `where`: each field must have the value.
    pub fields: Vec<FieldIs>,
}

/// A case-sensitive regular expression on the whole tool name.
#[derive(Clone, Debug)]
pub struct ToolPattern;

/// `where = { "path" = value }`.
#[derive(Clone, Debug)]
pub struct FieldIs;
