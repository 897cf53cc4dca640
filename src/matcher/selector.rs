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

/// A part of a selector that cannot be compiled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SelectorError {
    part: SelectorPart,
}

/// Which part of a selector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SelectorPart {
    /// The name of `on` at that position.
    On(usize),
    /// `match.tool`.
    Tool,
    /// The field of `where` with that path.
    Field(String),
}

impl Selector {
    /// Compiles the three parts.
    ///
    /// # Errors
    /// The first part that is wrong.
    pub fn new(
        on: &[String],
        tool: Option<&str>,
        fields: Vec<(String, serde_json::Value)>,
    ) -> Result<Self, SelectorError> {
        if let Some(index) = on.iter().position(String::is_empty) {
            return Err(SelectorError { part: SelectorPart::On(index) });
        }
        let known = on.iter().filter_map(|name| KindSet::from_name(name));
        Ok(Self {
            any: on.iter().any(|name| name == "*"),
            kinds: known.fold(KindSet::EMPTY, KindSet::union),
            names: Vec::new(),
            tool: tool.map(|_| ToolPattern),
            fields: fields.iter().map(|_| FieldIs).collect(),
        })
    }
}

impl SelectorError {
    /// Which part is wrong.
    pub fn part(&self) -> SelectorPart {
        self.part.clone()
    }
}

impl std::fmt::Display for SelectorError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a name in `on` must not be empty")
    }
}

impl std::error::Error for SelectorError {}
