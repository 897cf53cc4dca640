//! What is wrong with a regular expression that a user wrote, and where in it.
//!
//! It knows how the crates word their errors; it parses and compiles nothing itself.

/// What is wrong with a pattern, and at which letter, counted from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PatternError {
    pub(crate) reason: String,
    pub(crate) column: Option<usize>,
}

impl PatternError {
    /// Of a pattern that does not parse.
    pub(crate) fn new(text: &str, error: &regex_syntax::Error) -> Self {
        let (reason, span) = match error {
            regex_syntax::Error::Parse(error) => (error.kind().to_string(), Some(error.span())),
            regex_syntax::Error::Translate(error) => (error.kind().to_string(), Some(error.span())),
            other => (other.to_string(), None),
        };
        // Of a pattern of several lines the line would have to be told too.
        let column = span.filter(|_| !text.contains('\n')).map(|span| span.start.column);
        Self { reason, column }
    }

    /// Of one that does not compile.
    pub(crate) fn of_build(error: &regex::Error) -> Self {
        let reason = match error {
            regex::Error::CompiledTooBig(_) => "it is too large when compiled; use smaller counts".to_owned(),
            other => other.to_string(),
        };
        Self { reason, column: None }
    }
}
