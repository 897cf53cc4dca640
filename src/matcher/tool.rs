//! `match.tool`: which tool names a hook wants.
//!
//! A pattern is a case-sensitive regular expression on the whole name. One that is nothing but names between bars,
//! as most are (`Bash|Edit`), is kept as these names, so that an index can find it without running an expression.
//! Any other is checked in full and compiled when it is first asked: to check a file costs a tenth of that.

use std::fmt;
use std::sync::{Arc, OnceLock};

use regex::{Regex, RegexBuilder};

use super::size::most_bytes;
use crate::pattern::PatternError;

/// A case-sensitive regular expression on the whole tool name.
#[derive(Clone)]
pub struct ToolPattern {
    text: Box<str>,
    form: Form,
}

/// The text is the pattern.
impl PartialEq for ToolPattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for ToolPattern {}

#[derive(Clone)]
enum Form {
    /// Any one of these names.
    Names(Box<[Box<str>]>),
    Expression(Arc<Expression>),
}

/// An expression that compiles. Clones share what was compiled.
struct Expression {
    /// Anchored at both ends.
    text: String,
    compiled: OnceLock<Regex>,
}

impl ToolPattern {
    /// Longest pattern, in bytes.
    pub const MAX_BYTES: usize = 4096;

    /// Largest compiled form, in bytes: some hundred Unicode classes fit, counted repetitions without end do not.
    const MAX_COMPILED: usize = 1 << 20;

    pub(super) fn new(text: &str) -> Result<Self, PatternError> {
        let fail = |reason: &str| Err(PatternError { reason: reason.to_owned(), column: None });
        if text.is_empty() {
            return fail("it is empty and so matches no tool; leave it out to match every event");
        }
        if text.len() > Self::MAX_BYTES {
            return fail("it is longer than 4096 bytes");
        }
        let names: Box<[Box<str>]> = text.split('|').map(Box::from).collect();
        let form = if names.iter().all(|name| is_plain(name)) {
            Form::Names(names)
        } else {
            Form::Expression(Arc::new(Expression::new(text)?))
        };
        Ok(Self { text: text.into(), form })
    }

    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// True when the whole name matches. The first call compiles a pattern that is more than names.
    pub fn is_match(&self, tool: &str) -> bool {
        match &self.form {
            Form::Names(names) => names.iter().any(|name| **name == *tool),
            Form::Expression(expression) => expression.regex().is_match(tool),
        }
    }

    /// The names, when it is nothing but names.
    pub(super) fn names(&self) -> Option<&[Box<str>]> {
        match &self.form {
            Form::Names(names) => Some(names),
            Form::Expression(_) => None,
        }
    }

    /// The anchored expression's text, when it is more than names.
    pub(super) fn anchored(&self) -> Option<&str> {
        match &self.form {
            Form::Names(_) => None,
            Form::Expression(expression) => Some(&expression.text),
        }
    }

    /// The anchored expression, compiled, when it is more than names.
    pub(super) fn regex(&self) -> Option<&Regex> {
        match &self.form {
            Form::Names(_) => None,
            Form::Expression(expression) => Some(expression.regex()),
        }
    }
}

impl Expression {
    /// A valid text without comments, and too short to come near the parser's limit of nesting, is valid in a group.
    const SHORT: usize = 100;

    fn new(text: &str) -> Result<Self, PatternError> {
        // First as it was written, so that the column of an error is that of the user's text.
        let parsed = regex_syntax::parse(text).map_err(|error| {
            let mut error = PatternError::new(text, &error);
            if text == "*" {
                error.reason.push_str("; every tool is `.*`");
            }
            error
        })?;
        let expression = Self { text: anchored(text)?, compiled: OnceLock::new() };
        if most_bytes(&parsed) > ToolPattern::MAX_COMPILED as u64 {
            let compiled = expression.compile().map_err(|error| PatternError::of_build(&error))?;
            expression.compiled.get_or_init(|| compiled);
        }
        Ok(expression)
    }

    fn compile(&self) -> Result<Regex, regex::Error> {
        let mut builder = RegexBuilder::new(&self.text);
        builder.size_limit(ToolPattern::MAX_COMPILED).dfa_size_limit(ToolPattern::MAX_COMPILED).build()
    }

    fn regex(&self) -> &Regex {
        self.compiled.get_or_init(|| self.compile().expect("it parses, and its bound is below the limit"))
    }
}

/// The valid text, anchored at both ends.
pub(super) fn anchored(text: &str) -> Result<String, PatternError> {
    let anchored = format!(r"\A(?:{text})\z");
    if text.len() <= Expression::SHORT && !text.contains('#') {
        return Ok(anchored);
    }
    if regex_syntax::parse(&anchored).is_ok() {
        return Ok(anchored);
    }
    // In the verbose form a comment at the end swallows what follows on its line.
    let anchored = format!("\\A(?:{text}\n)\\z");
    regex_syntax::parse(&anchored)
        .map_err(|error| PatternError { column: None, ..PatternError::new("", &error) })?;
    Ok(anchored)
}

/// A name without a letter that means something in an expression.
fn is_plain(name: &str) -> bool {
    !name.is_empty() && !name.contains(['\\', '.', '+', '*', '?', '(', ')', '[', ']', '{', '}', '^', '$'])
}

impl fmt::Debug for ToolPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_name_must_match() {
        for pattern in ["Bash|Edit", "(Bash|Edit)", "^Bash$|^Edit$", "Bas[h]|Edit"] {
            let pattern = ToolPattern::new(pattern).unwrap();
            assert!(pattern.is_match("Bash") && pattern.is_match("Edit"));
            for other in ["bash", "BashOutput", "MultiEdit", "Bash\n", "", "Bash|Edit"] {
                assert!(!pattern.is_match(other), "{pattern:?} {other}");
            }
        }
        assert!(ToolPattern::new("a|ab").unwrap().is_match("ab"));
        assert!(ToolPattern::new("a.?|ab.").unwrap().is_match("abc"));
        assert!(ToolPattern::new("(?x) Bash # the shell").unwrap().is_match("Bash"));
        assert!(ToolPattern::new("mcp__.*").unwrap().is_match("mcp__git__log"));
    }

    #[test]
    fn names_need_no_expression() {
        let names = |text: &str| ToolPattern::new(text).unwrap().names().map(<[_]>::len);
        assert_eq!(names("Bash"), Some(1));
        assert_eq!(names("Bash|mcp__git-hub__x|a/b"), Some(3));
        for pattern in ["Bash|", "mcp__.*", "B?", "(a)", "[a]", "a$", r"\w", "a{2}", "(?i)bash"] {
            assert_eq!(names(pattern), None, "{pattern}");
        }
    }

    #[test]
    fn what_is_accepted_compiles_and_what_is_too_large_is_refused() {
        // Each is near the limit from one side or the other: what is said at once is what the engine says.
        for pattern in ["(?:ab){COUNT}", r"\w{COUNT}", ".{COUNT}", "(?:a|bc|[d-f]){COUNT}"] {
            let mut refused = 0;
            for count in [1, 2, 3, 5, 9, 20, 50, 100, 200, 400, 900, 2000, 5000, 9000, 20_000, 40_000] {
                let text = pattern.replace("COUNT", &count.to_string());
                let mut builder = RegexBuilder::new(&format!(r"\A(?:{text})\z"));
                let built = builder.size_limit(ToolPattern::MAX_COMPILED).build();
                let pattern = ToolPattern::new(&text);
                assert_eq!(pattern.is_ok(), built.is_ok(), "{text}");
                match pattern {
                    Ok(pattern) => assert!(!pattern.is_match("\n"), "{text}"),
                    Err(_) => refused += 1,
                }
            }
            assert!((1..16).contains(&refused), "{pattern} {refused}");
        }
    }

    #[test]
    fn what_is_valid_is_valid_at_every_depth_and_with_every_comment() {
        for depth in [1, 40, 49, 50, 51, 100, 240, 248, 249, 250, 251, 400] {
            let text = format!("{}a{}", "(".repeat(depth), ")".repeat(depth));
            // A pattern that would only fail when it is first asked would panic here.
            if let Ok(pattern) = ToolPattern::new(&text) {
                assert!(pattern.is_match("a") && !pattern.is_match("ab"));
            }
        }
        for text in ["(?x)a#", "(?x)a #b\n", "a#b", r"(?x)a\#", "(?x) a (?-x: # )"] {
            assert!(!ToolPattern::new(text).unwrap().is_match("b"), "{text}");
        }
    }

    #[test]
    fn errors_name_reason_and_column() {
        let error = |text: &str| ToolPattern::new(text).unwrap_err();
        assert_eq!(error("Bash|(Edit"), PatternError { reason: "unclosed group".into(), column: Some(6) });
        assert_eq!(error("a)(b").column, Some(2));
        assert_eq!(error("*").reason, "repetition operator missing expression; every tool is `.*`");
        assert_eq!(error(r"ab\q").column, Some(3));
        assert!(error("((a{1000}){1000}){1000}").reason.contains("too large"));
        assert!(error("").reason.contains("leave it out"));
        assert!(error(&"a".repeat(5000)).reason.contains("4096"));
    }
}
