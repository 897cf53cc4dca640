//! What is wrong with a regular expression that a user wrote, and where in it.
//!
//! It knows how the crate words its errors; it compiles nothing itself.

/// What is wrong with a pattern, and at which letter, counted from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PatternError {
    pub(crate) reason: String,
    pub(crate) column: Option<usize>,
}

impl PatternError {
    /// Takes the reason and the column out of the crate's message, which shows the pattern with a caret under it.
    pub(crate) fn new(text: &str, error: &regex::Error) -> Self {
        let message = match error {
            regex::Error::CompiledTooBig(_) => {
                return Self {
                    reason: "it is too large when compiled; use smaller counts".to_owned(),
                    column: None,
                };
            }
            other => other.to_string(),
        };
        let reason = message.lines().rev().find_map(|line| line.strip_prefix("error: ")).unwrap_or(&message);
        let caret =
            message.lines().find(|line| line.contains('^') && line.trim_matches([' ', '^']).is_empty());
        // The message indents by four. A pattern of several lines is shown otherwise, with line numbers.
        let column = caret.filter(|_| !text.contains('\n')).and_then(|line| line.find('^')?.checked_sub(3));
        Self { reason: reason.to_owned(), column }
    }
}
