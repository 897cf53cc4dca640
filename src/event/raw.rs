//! Values on their way into a payload: JSON text that is there already, and everything that can be serialised.

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::EventError;
use super::probe::{not_json, reason_of};

/// JSON text, checked once, that goes into events as it is: the fast way for arguments that are serialised already.
///
/// It serialises as the text that it holds, through `serde_json`.
///
/// ```
/// use hookpool::{HookManager, HookPool, RawJson};
/// let manager = HookManager::new(HookPool::builder().build()?);
/// let args = RawJson::new(r#"{"command": "ls -la"}"#)?;
/// manager.trigger_pre_tool_hook("Bash", args);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct RawJson<'a>(&'a RawValue);

impl<'a> RawJson<'a> {
    /// Checks that the text is one JSON value.
    ///
    /// # Errors
    /// [`EventError::Empty`] or [`EventError::NotJson`].
    ///
    /// ```
    /// use hookpool::RawJson;
    /// assert_eq!(RawJson::new(" [1, 2] ")?.get(), "[1, 2]");
    /// assert!(RawJson::new("[1, 2").is_err());
    /// # Ok::<(), hookpool::EventError>(())
    /// ```
    pub fn new(text: &'a str) -> Result<Self, EventError> {
        if text.trim_ascii().is_empty() {
            return Err(EventError::Empty);
        }
        serde_json::from_str(text).map(Self).map_err(|error| not_json(&error))
    }

    /// The text, without white space around it.
    #[must_use]
    pub fn get(self) -> &'a str {
        self.0.get()
    }
}

impl Serialize for RawJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

/// Appends a value as JSON. After an error the text ends anywhere.
pub(crate) fn append_json(
    text: &mut Vec<u8>,
    member: &'static str,
    value: &(impl Serialize + ?Sized),
) -> Result<(), EventError> {
    serde_json::to_writer(text, value)
        .map_err(|error| EventError::Unwritable { member, reason: reason_of(&error) })
}
