//! Events: what an agent sent, the few facts that are read from it, and its payload, kept byte by byte.
//!
//! An [`Event`] owns the bytes that came in. Handlers get these bytes, so nothing here copies them for a hook or
//! writes them anew. One pass reads the members that matter (`probe`), names and shapes of many agents become one
//! set of kinds (`recognise`), and single fields are looked up in the bytes when a hook asks for them (`path`). An event
//! of this process that no hook wants need not be written at all (`draft`).
//!
//! Invariant: the payload of an `Event` is one valid JSON object, perhaps with white space and a byte order mark
//! around it. Nothing here limits the size of a payload; whoever reads it from outside does.

mod draft;
mod members;
mod path;
mod probe;
mod raw;
mod recognise;
mod scan;

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

pub(crate) use draft::{Draft, Session, Subject};
pub use path::{FieldPath, Scalar};
pub(crate) use path::{PathTrie, ValueKey};
pub use probe::EventError;
pub use raw::RawJson;
pub(crate) use raw::append_json;
pub(crate) use recognise::{is_known_name, kind_of};
use smol_str::SmolStr;

use crate::kind::{EventKind, KindSet};

/// A fact that happened outside, with its kind and its payload. Cheap to clone: the clones share one payload.
#[derive(Clone)]
pub struct Event {
    inner: Arc<Inner>,
}

struct Inner {
    payload: Vec<u8>,
    /// Where the JSON object is in the payload.
    object: Range<usize>,
    facts: Facts,
    kind: EventKind,
    kinds: KindSet,
    session_key: Option<u64>,
}

/// What one pass over the payload finds.
struct Facts {
    name: Cow<'static, str>,
    session: Option<Arc<str>>,
    /// Most names fit in it without an allocation.
    tool: Option<SmolStr>,
    timestamp_ms: Option<i64>,
}

impl Event {
    /// Longest name, session id and tool name, in bytes: they end up in environments and logs.
    pub const MAX_NAME_BYTES: usize = 4096;

    /// Reads one event: a JSON object as an agent sends it.
    ///
    /// The name is the first of `hook_event_name, hookEventName, event_name, event, type, hookName` that is a
    /// string and not empty. An object without one is recognised by its shape, as GitHub Copilot's events must be,
    /// and then has the name that Copilot's documentation gives it (`preToolUse`, `sessionStart`, …).
    ///
    /// # Errors
    /// [`EventError`]: the bytes are no JSON object, or nothing says what happened.
    ///
    /// ```
    /// use hookpool::{Event, EventKind};
    /// let event = Event::from_json(r#"{"hook_event_name":"PreToolUse","tool_name":"Bash","session_id":"s1"}"#)?;
    /// assert_eq!(event.kind(), EventKind::PreTool);
    /// assert_eq!(event.tool(), Some("Bash"));
    /// assert_eq!(event.session(), Some("s1"));
    /// # Ok::<(), hookpool::EventError>(())
    /// ```
    pub fn from_json(payload: impl Into<Vec<u8>>) -> Result<Self, EventError> {
        Self::from_json_named(payload, None)
    }

    /// Reads one event; `fallback` is its name when neither a member nor the shape decides.
    ///
    /// # Errors
    /// As [`Event::from_json`].
    pub fn from_json_named(payload: impl Into<Vec<u8>>, fallback: Option<&str>) -> Result<Self, EventError> {
        let payload = payload.into();
        let (facts, object) = probe::read(&payload, fallback)?;
        let kind = kind_of(&facts.name);
        let kinds = recognise::kinds_of(kind, facts.tool.as_deref());
        let session_key = facts.session.as_deref().map(stable_hash);
        Ok(Self { inner: Arc::new(Inner { payload, object, facts, kind, kinds, session_key }) })
    }

    /// How many share the payload.
    #[cfg(test)]
    pub(crate) fn references(&self) -> usize {
        Arc::strong_count(&self.inner)
    }

    /// The bytes that came in, exactly.
    pub fn payload(&self) -> &[u8] {
        &self.inner.payload
    }

    /// The JSON object alone: the payload without the white space and the byte order mark around it.
    pub fn object(&self) -> &[u8] {
        self.inner.payload.get(self.inner.object.clone()).unwrap_or_default()
    }

    /// What stands between the braces of the object when its members of that name are taken out, in parts.
    pub(crate) fn inside_without(&self, name: &str) -> Vec<&[u8]> {
        members::inside_without(self.object(), name)
    }

    /// The name that the agent gave it, spelt as it was.
    pub fn name(&self) -> &str {
        &self.inner.facts.name
    }

    /// What happened.
    pub fn kind(&self) -> EventKind {
        self.inner.kind
    }

    /// Every kind and group under which a hook can select it: never empty.
    ///
    /// Its own kind; `post_tool` too for a failed tool; the group `delegation` for the start and stop of a
    /// sub-agent, and for calls of tools that spawn one.
    pub fn kinds(&self) -> KindSet {
        self.inner.kinds
    }

    /// The session's id: the first of `session_id, sessionId, conversation_id, thread_id` (then `sessionID,
    /// conversationId, threadId, thread-id`) that is a non-empty string or a number; a number as it is written.
    pub fn session(&self) -> Option<&str> {
        self.inner.facts.session.as_deref()
    }

    /// A hash of the session id, the same in every process and on every machine.
    pub fn session_key(&self) -> Option<u64> {
        self.inner.session_key
    }

    /// The tool's name: the first of `tool_name, toolName, tool` that is a non-empty string.
    pub fn tool(&self) -> Option<&str> {
        self.inner.facts.tool.as_deref()
    }

    /// When it happened, in milliseconds since 1970, if a member `timestamp` says so: RFC 3339 text, or a number
    /// of milliseconds, or of seconds when it is below 100,000,000,000. Anything else is no timestamp.
    pub fn timestamp_ms(&self) -> Option<i64> {
        self.inner.facts.timestamp_ms
    }

    /// The value at a path, if it is there and is a string, a number or a boolean. Each call reads the payload
    /// once from its beginning to its end.
    ///
    /// ```
    /// use hookpool::{Event, FieldPath, Scalar};
    /// let event = Event::from_json(r#"{"event":"x","tool_input":{"args":["-l", 7]}}"#)?;
    /// let path: FieldPath = "tool_input.args.1".parse().unwrap();
    /// assert_eq!(event.field(&path), Some(Scalar::Integer(7)));
    /// # Ok::<(), hookpool::EventError>(())
    /// ```
    pub fn field(&self, path: &FieldPath) -> Option<Scalar<'_>> {
        let trie = PathTrie::new(vec![path.clone()], usize::MAX);
        trie.find(self.object()).pop().map(|(_, value)| value)
    }
}

impl Event {
    /// A hash of the value at a path, the same in every process and on every machine. `None`: there is no such value.
    pub(crate) fn field_key(&self, path: &FieldPath) -> Option<u64> {
        self.field(path).map(|value| match value.key() {
            ValueKey::Text(text) => stable_hash_of(std::iter::once(u8::MAX).chain(text.bytes())),
            ValueKey::Other(kind, bits) => stable_hash_of(std::iter::once(kind).chain(bits.to_le_bytes())),
        })
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event")
            .field("name", &self.name())
            .field("kind", &self.kind())
            .field("session", &self.session())
            .field("tool", &self.tool())
            .field("payload_bytes", &self.payload().len())
            .finish_non_exhaustive()
    }
}

/// A hash that is the same in every process and on every machine: FNV-1a with a final mix, so that all bits are fit for
/// choosing a slot.
fn stable_hash(text: &str) -> u64 {
    stable_hash_of(text.bytes())
}

fn stable_hash_of(bytes: impl IntoIterator<Item = u8>) -> u64 {
    let fnv = bytes.into_iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let mixed = (fnv ^ (fnv >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
    mixed ^ (mixed >> 32)
}

#[cfg(test)]
mod tests;
