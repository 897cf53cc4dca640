//! What a hook wants: the compiled form of `on`, `match` and `where`.
//!
//! A [`Selector`] is checked when it is made, with every problem found at once and each placed; asking it whether it
//! wants an event cannot fail. Many selectors are asked together by the matcher's index, which gives the same answer.

use std::fmt;

use crate::event::{FieldPath, Scalar, is_known_name};
use crate::kind::KindSet;

use super::tool::ToolPattern;

/// Which events a hook wants. All three parts must hold.
#[derive(Clone, Debug, PartialEq)]
pub struct Selector {
    /// `"*"` was among the names of `on`: every kind.
    pub any: bool,
    /// Kinds and groups of `on`.
    pub kinds: KindSet,
    /// Names of `on` that are neither kinds nor groups: the raw names of events.
    pub names: Vec<Box<str>>,
    /// `match.tool`: the whole tool name must match. An event without a tool never does.
    pub tool: Option<ToolPattern>,
    /// `where`: each field must have the value.
    pub fields: Vec<FieldIs>,
}

/// `where = { "path" = value }`.
#[derive(Clone, PartialEq)]
pub struct FieldIs {
    pub(super) path: FieldPath,
    pub(super) value: Scalar<'static>,
}

impl Selector {
    /// Most elements of `on`, and of `where`.
    pub const MAX_PARTS: usize = 256;

    /// Longest raw name in `on`, in bytes.
    pub const MAX_NAME_BYTES: usize = 256;

    /// Checks and compiles `on`, `match.tool` and `where`.
    ///
    /// An element of `on` is `"*"`, a kind, a group, or an event's raw name, which must be spelt as the agent does.
    /// A word of nothing but `a-z`, `0-9`, `_` and `-` that is nearly a kind is taken for a misspelt one, unless some known
    /// agent has an event of that name (`pre_tool_use`). Everything else is a raw name.
    ///
    /// # Errors
    /// Every problem, each with its place.
    ///
    /// ```
    /// use hookpool::Selector;
    /// let on = ["pre_tool".to_owned(), "PostToolBatch".to_owned()];
    /// assert!(Selector::new(&on, Some("Bash|Edit"), Vec::new()).is_ok());
    /// let error = Selector::new(&["pre_tools".to_owned()], None, Vec::new()).unwrap_err();
    /// assert_eq!(error.to_string(), "`on`, element 1: `pre_tools` is no kind of event; did you mean `pre_tool`?");
    /// ```
    pub fn new(
        on: &[String],
        tool: Option<&str>,
        fields: Vec<(String, serde_json::Value)>,
    ) -> Result<Self, SelectorError> {
        let mut problems = Vec::new();
        let mut selector =
            Self { any: false, kinds: KindSet::EMPTY, names: Vec::new(), tool: None, fields: Vec::new() };

        if on.is_empty() {
            let message = "it is empty and so wants no event; name kinds, or `\"*\"` for all".to_owned();
            problems.push(SelectorProblem::new(SelectorPlace::On, message));
        }
        if on.len() > Self::MAX_PARTS {
            let message = format!("it has {} elements, at most {} go", on.len(), Self::MAX_PARTS);
            problems.push(SelectorProblem::new(SelectorPlace::On, message));
        }
        for (index, name) in on.iter().enumerate() {
            if let Err(problem) = selector.add_name(index, name) {
                problems.push(problem);
            }
        }

        match tool.map(ToolPattern::new).transpose() {
            Ok(tool) => selector.tool = tool,
            Err(error) => problems.push(SelectorProblem {
                column: error.column,
                ..SelectorProblem::new(SelectorPlace::Tool, error.reason)
            }),
        }

        if fields.len() > Self::MAX_PARTS {
            let message = format!("it has {} fields, at most {} go", fields.len(), Self::MAX_PARTS);
            problems.push(SelectorProblem::new(SelectorPlace::Where, message));
        }
        for (path, value) in fields {
            match FieldIs::new(&path, value) {
                Ok(field) => selector.fields.push(field),
                Err(message) => problems.push(SelectorProblem::new(SelectorPlace::Field(path), message)),
            }
        }

        if problems.is_empty() { Ok(selector) } else { Err(SelectorError { problems }) }
    }

    /// The raw names of `on` that look like kinds and that no known agent uses: perhaps kinds that do not exist.
    pub fn doubtful_names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(|name| &**name).filter(|name| is_doubtful(name))
    }

    fn add_name(&mut self, index: usize, name: &str) -> Result<(), SelectorProblem> {
        let fail = |message| SelectorProblem::new(SelectorPlace::OnElement(index), message);
        if name == "*" {
            self.any = true;
            return Ok(());
        }
        if let Some(kind) = KindSet::from_name(name) {
            self.kinds = self.kinds.union(kind);
            return Ok(());
        }
        if name.trim().is_empty() {
            return Err(fail("the name is empty".to_owned()));
        }
        if name.len() > Self::MAX_NAME_BYTES {
            return Err(fail(format!("the name is longer than {} bytes", Self::MAX_NAME_BYTES)));
        }
        if is_doubtful(name)
            && let Some(kind) = nearest_kind(name)
        {
            let mut problem = fail(format!("`{name}` is no kind of event"));
            problem.suggestion = Some(kind);
            return Err(problem);
        }
        if !self.names.iter().any(|known| **known == *name) {
            self.names.push(name.into());
        }
        Ok(())
    }
}

/// Spelt much like a kind, and no name that a known agent uses: `pretool`, `deploy`.
fn is_doubtful(name: &str) -> bool {
    let is_word = name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-'));
    let letters = |name: &str| name.replace(['_', '-'], "");
    let is_kind_spelt_otherwise = || KindSet::names().any(|(kind, _)| letters(kind) == letters(name));
    is_word && (!is_known_name(name) || is_kind_spelt_otherwise())
}

impl FieldIs {
    fn new(path: &str, value: serde_json::Value) -> Result<Self, String> {
        use serde_json::Value;
        let path = path.parse()?;
        let refused = |what| Err(format!("{what} cannot be compared; give a string, a number or a boolean"));
        let value = match value {
            Value::String(text) => Scalar::Text(text.into()),
            Value::Bool(value) => Scalar::Bool(value),
            Value::Number(number) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
                (Some(whole), _, _) => Scalar::Integer(whole.into()),
                (_, Some(whole), _) => Scalar::Integer(whole.into()),
                (_, _, Some(float)) => Scalar::float(float),
                _ => return refused("such a number"),
            },
            Value::Array(_) => return refused("an array"),
            Value::Object(_) => return refused("a table"),
            Value::Null => return refused("null"),
        };
        Ok(Self { path, value })
    }
}

impl fmt::Debug for FieldIs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} = {:?}", self.path, self.value)
    }
}

/// Everything that is wrong with a selector: at least one problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SelectorError {
    problems: Vec<SelectorProblem>,
}

impl SelectorError {
    /// The problems, in the order of `on`, `match` and `where`.
    pub fn problems(&self) -> &[SelectorProblem] {
        &self.problems
    }
}

impl fmt::Display for SelectorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            write!(f, "{}{problem}", if index == 0 { "" } else { "; " })?;
        }
        Ok(())
    }
}

impl std::error::Error for SelectorError {}

/// One thing that is wrong with a selector.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SelectorProblem {
    /// Where it is.
    pub place: SelectorPlace,
    /// The letter of the text at that place, counted from 1, when it is known.
    pub column: Option<usize>,
    /// What is wrong.
    pub message: String,
    /// The kind or group that was probably meant.
    pub suggestion: Option<&'static str>,
}

impl SelectorProblem {
    fn new(place: SelectorPlace, message: String) -> Self {
        Self { place, column: None, message, suggestion: None }
    }
}

impl fmt::Display for SelectorProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.place)?;
        if let Some(column) = self.column {
            write!(f, ", column {column}")?;
        }
        write!(f, ": {}", self.message)?;
        match self.suggestion {
            Some(kind) => write!(f, "; did you mean `{kind}`?"),
            None => Ok(()),
        }
    }
}

/// A place in a selector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SelectorPlace {
    /// `on` as a whole.
    On,
    /// One element of `on`, counted from 0.
    OnElement(usize),
    /// `match.tool`.
    Tool,
    /// `where` as a whole.
    Where,
    /// The field of `where` with that path, as it was written.
    Field(String),
}

impl fmt::Display for SelectorPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::On => f.write_str("`on`"),
            Self::OnElement(index) => write!(f, "`on`, element {}", index + 1),
            Self::Tool => f.write_str("`match.tool`"),
            Self::Where => f.write_str("`where`"),
            Self::Field(path) => write!(f, "`where`, field `{path}`"),
        }
    }
}

/// The kind or group whose name is that one but for a slip of the finger or two.
fn nearest_kind(name: &str) -> Option<&'static str> {
    // A third of the letters wrong is another word.
    let limit = (name.len() / 3).min(3);
    let near = |known: &'static str| (distance(name.as_bytes(), known.as_bytes()), known);
    KindSet::names()
        .map(|(known, _)| near(known))
        .min()
        .filter(|(slips, _)| *slips <= limit)
        .map(|(_, known)| known)
}

/// Letters to add, drop or change to make one word of the other.
fn distance(a: &[u8], b: &[u8]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (index, x) in a.iter().enumerate() {
        let mut diagonal = index;
        let mut left = index + 1;
        for (y, cell) in std::iter::once(None).chain(b.iter().map(Some)).zip(&mut row) {
            let above = *cell;
            left = match y {
                None => index + 1,
                Some(y) => (diagonal + usize::from(x != y)).min(above + 1).min(left + 1),
            };
            diagonal = above;
            *cell = left;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn on(names: &[&str]) -> Result<Selector, SelectorError> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        Selector::new(&names, None, Vec::new())
    }

    #[test]
    fn names_are_kinds_groups_all_or_raw() {
        let selector = on(&[
            "pre_tool",
            "delegation",
            "PreToolUse",
            "tool.execute.before",
            "my-event",
            "pre_tool_use",
            "*",
        ])
        .unwrap();
        assert!(selector.any);
        assert_eq!(selector.kinds.members().count(), 2);
        let raw: Vec<&str> = selector.names.iter().map(|name| &**name).collect();
        assert_eq!(raw, ["PreToolUse", "tool.execute.before", "my-event", "pre_tool_use"]);
    }

    #[test]
    fn misspelt_kinds_get_a_suggestion() {
        let suggestion = |name: &str| on(&[name]).unwrap_err().problems()[0].suggestion;
        assert_eq!(suggestion("pre_tools"), Some("pre_tool"));
        assert_eq!(suggestion("pretool"), Some("pre_tool"));
        assert_eq!(suggestion("pre-tool"), Some("pre_tool"));
        assert_eq!(suggestion("delegations"), Some("delegation"));
        assert_eq!(suggestion("sesion_start"), Some("session_start"));
        assert_eq!(suggestion("user_prompts"), Some("user_prompt"));
    }

    #[test]
    fn words_that_are_far_from_every_kind_are_raw_names_of_which_it_can_tell() {
        let selector = on(&["frobnicate", "pre_tool_use", "PreToolUse", "stop"]).unwrap();
        assert_eq!(selector.names.len(), 3);
        assert!(selector.doubtful_names().eq(["frobnicate"]));
    }

    #[test]
    fn distance_counts_slips() {
        assert_eq!(distance(b"abc", b"abc"), 0);
        assert_eq!(distance(b"", b"abc"), 3);
        assert_eq!(distance(b"kitten", b"sitting"), 3);
        assert_eq!(distance(b"pre_tools", b"pre_tool"), 1);
    }

    #[test]
    fn every_problem_is_reported_with_its_place() {
        let error = Selector::new(
            &["pre_tool".to_owned(), "pre_tols".to_owned(), String::new()],
            Some("Bash|(Edit"),
            vec![("a..b".to_owned(), json!(1)), ("ok".to_owned(), json!(1)), ("c".to_owned(), json!([1]))],
        )
        .unwrap_err();
        let places: Vec<_> = error.problems().iter().map(|problem| problem.place.clone()).collect();
        let field = |path: &str| SelectorPlace::Field(path.to_owned());
        assert_eq!(
            places,
            [
                SelectorPlace::OnElement(1),
                SelectorPlace::OnElement(2),
                SelectorPlace::Tool,
                field("a..b"),
                field("c")
            ]
        );
        assert!(error.to_string().contains("`match.tool`, column 6: unclosed group"));
        assert!(error.to_string().contains("`where`, field `c`: an array cannot be compared"));
        assert_eq!(on(&[]).unwrap_err().problems()[0].place, SelectorPlace::On);
    }

    #[test]
    fn numbers_of_where_have_one_form() {
        let value = |value| FieldIs::new("a", value).unwrap().value;
        assert_eq!(value(json!(1)), value(json!(1.0)));
        assert_eq!(value(json!(u64::MAX)), Scalar::Integer(u64::MAX.into()));
        assert_ne!(value(json!(9_007_199_254_740_993_i64)), value(json!(9_007_199_254_740_992_i64)));
        assert_eq!(value(json!(0.5)), Scalar::Float(0.5));
    }
}
