//! What a handler says of an event: that it did its work or not, a message, a verdict.
//!
//! A process says it with its exit status or with answer lines, a handler in Rust with what it returns.

use std::fmt;
use std::str::FromStr;

use serde_json::value::RawValue;

use super::OutcomeKind;
use super::record::Ending;

/// What a handler says of one event.
///
/// Nothing (`()`) is a success without further words, and the error of a `Result` a failure with its text.
///
/// ```
/// use hookpool::Answer;
///
/// let answer = Answer::ok().with_message("3 files").with_verdict(r#"{"allow": true}"#.parse()?);
/// assert!(answer.is_ok());
/// assert_eq!(answer.message(), Some("3 files"));
///
/// let failed: Answer = Err::<(), _>("no such file").into();
/// assert_eq!((failed.is_ok(), failed.message()), (false, Some("no such file")));
/// # Ok::<(), String>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    said: Said,
    message: Option<String>,
    verdict: Option<Json>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    Ok,
    Failed,
    /// Caught where the other events of its batch are not harmed.
    Panicked,
}

impl Answer {
    /// The handler did its work: the job succeeds.
    #[must_use]
    pub fn ok() -> Self {
        Self { said: Said::Ok, message: None, verdict: None }
    }

    /// The handler did not: the job fails, and this is why.
    #[must_use]
    pub fn failed(message: impl fmt::Display) -> Self {
        Self { said: Said::Failed, ..Self::ok() }.with_message(message.to_string())
    }

    pub(crate) fn panicked(message: String) -> Self {
        Self { said: Said::Panicked, ..Self::ok() }.with_message(message)
    }

    /// Sets the message: what a person should read of it. An empty one is none.
    #[must_use]
    pub fn with_message(mut self, message: impl Into<String>) -> Self {
        self.message = Some(message.into()).filter(|message| !message.is_empty());
        self
    }

    /// Sets the verdict: what a program should read of it. Its meaning is between the handler and who asked.
    #[must_use]
    pub fn with_verdict(mut self, verdict: Json) -> Self {
        self.verdict = Some(verdict);
        self
    }

    /// True when the handler did its work.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.said == Said::Ok
    }

    /// The message, if there is one.
    #[must_use]
    pub fn message(&self) -> Option<&str> {
        self.message.as_deref()
    }

    /// The verdict, if there is one.
    #[must_use]
    pub fn verdict(&self) -> Option<&Json> {
        self.verdict.as_ref()
    }
}

impl From<()> for Answer {
    fn from((): ()) -> Self {
        Self::ok()
    }
}

/// The error's text is the message.
impl<A: Into<Answer>, E: fmt::Display> From<Result<A, E>> for Answer {
    fn from(result: Result<A, E>) -> Self {
        result.map_or_else(Self::failed, Into::into)
    }
}

impl From<Answer> for Ending {
    fn from(Answer { said, message, verdict }: Answer) -> Self {
        let text = message.as_deref();
        let (kind, reason) = match said {
            Said::Ok => (OutcomeKind::Succeeded, String::new()),
            Said::Failed => (
                OutcomeKind::Failed,
                text.unwrap_or("its handler says that it failed, and not why").to_owned(),
            ),
            Said::Panicked => {
                (OutcomeKind::Panicked, format!("the handler panicked: {}", text.unwrap_or("no message")))
            }
        };
        Self { message: message.filter(|_| said != Said::Panicked), verdict, ..Self::new(kind, reason) }
    }
}

/// One JSON value, as text. Kept as it was written.
///
/// ```
/// use hookpool::Json;
/// let verdict: Json = r#"{ "allow": true }"#.parse()?;
/// assert_eq!(verdict.as_str(), r#"{ "allow": true }"#);
/// assert!("{".parse::<Json>().is_err());
/// # Ok::<(), String>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Json(Box<str>);

impl Json {
    /// The text: exactly one JSON value.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Json {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let value: &RawValue =
            serde_json::from_str(text).map_err(|error| format!("this is no JSON value: {error}"))?;
        Ok(Self(value.get().into()))
    }
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
