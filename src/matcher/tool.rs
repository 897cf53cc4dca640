//! `match.tool`: which tool names a hook wants.
//!
//! A pattern is a case-sensitive regular expression on the whole name. One that is nothing but names between bars,
//! as most are (`Bash|Edit`), is kept as these names, so that an index can find it without running an expression.

use std::fmt;

use regex::{Regex, RegexBuilder};

use crate::pattern::PatternError;

/// A case-sensitive regular expression on the whole tool name.
#[derive(Clone)]
pub struct ToolPattern {
    text: Box<str>,
    form: Form,
}

#[derive(Clone)]
enum Form {
    /// Any one of these names.
    Names(Box<[Box<str>]>),
    /// Anchored at both ends.
    Pattern(Regex),
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
            // First as it was written, so that the column of an error is that of the user's text.
            Self::compile(text).map_err(|error| {
                let mut error = PatternError::new(text, &error);
                if text == "*" {
                    error.reason.push_str("; every tool is `.*`");
                }
                error
            })?;
            let anchored = Self::compile(&format!(r"\A(?:{text})\z"))
                // In the verbose form a comment at the end would swallow what follows on its line.
                .or_else(|_| Self::compile(&format!("\\A(?:{text}\n)\\z")))
                .map_err(|error| PatternError::new("", &error))?;
            Form::Pattern(anchored)
        };
        Ok(Self { text: text.into(), form })
    }

    fn compile(pattern: &str) -> Result<Regex, regex::Error> {
        RegexBuilder::new(pattern).size_limit(Self::MAX_COMPILED).dfa_size_limit(Self::MAX_COMPILED).build()
    }

    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// True when the whole name matches.
    pub fn is_match(&self, tool: &str) -> bool {
        match &self.form {
            Form::Names(names) => names.iter().any(|name| **name == *tool),
            Form::Pattern(pattern) => pattern.is_match(tool),
        }
    }

    /// The names, when it is nothing but names.
    pub(super) fn names(&self) -> Option<&[Box<str>]> {
        match &self.form {
            Form::Names(names) => Some(names),
            Form::Pattern(_) => None,
        }
    }

    /// The anchored expression, when it is more than names.
    pub(super) fn anchored(&self) -> Option<&Regex> {
        match &self.form {
            Form::Names(_) => None,
            Form::Pattern(pattern) => Some(pattern),
        }
    }
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
