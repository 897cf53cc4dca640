//! Events of this process, written only when somebody wants them.
//!
//! A [`Draft`] knows what the matcher asks first: name, kind and tool. Its payload is written when a hook asks for a
//! field of it or takes it, so an event that no hook wants, or that is skipped, costs no serialising and no memory. A
//! [`Subject`] is either: an event that is there, or a draft.
//!
//! Invariant: what a draft says of itself before it is written is what [`Event::from_json`] would read in what it
//! writes. Who makes the writer answers for that.

use std::borrow::Cow;
use std::cell::{Cell, OnceCell};
use std::sync::Arc;

use super::{Event, EventError, Facts, Inner, recognise, stable_hash};
use crate::kind::{EventKind, KindSet};

/// What the way into the queue asks of an event.
pub(crate) trait Subject {
    fn name(&self) -> &str;
    fn kind(&self) -> EventKind;
    fn kinds(&self) -> KindSet;
    fn tool(&self) -> Option<&str>;
    fn session(&self) -> Option<&str>;
    /// The event itself, written now if it is not yet. `None`: it cannot be written.
    fn event(&self) -> Option<&Event>;
    /// The same for who asks last.
    fn into_event(self) -> Option<Event>
    where
        Self: Sized;
    /// True when somebody has asked for the event and it cannot be written.
    fn is_impossible(&self) -> bool;
}

impl<S: Subject> Subject for &S {
    fn name(&self) -> &str {
        (**self).name()
    }

    fn kind(&self) -> EventKind {
        (**self).kind()
    }

    fn kinds(&self) -> KindSet {
        (**self).kinds()
    }

    fn tool(&self) -> Option<&str> {
        (**self).tool()
    }

    fn session(&self) -> Option<&str> {
        (**self).session()
    }

    fn event(&self) -> Option<&Event> {
        (**self).event()
    }

    fn into_event(self) -> Option<Event> {
        self.event().cloned()
    }

    fn is_impossible(&self) -> bool {
        (**self).is_impossible()
    }
}

impl Subject for Event {
    fn name(&self) -> &str {
        Self::name(self)
    }

    fn kind(&self) -> EventKind {
        Self::kind(self)
    }

    fn kinds(&self) -> KindSet {
        Self::kinds(self)
    }

    fn tool(&self) -> Option<&str> {
        Self::tool(self)
    }

    fn session(&self) -> Option<&str> {
        Self::session(self)
    }

    fn event(&self) -> Option<&Event> {
        Some(self)
    }

    fn into_event(self) -> Option<Event> {
        Some(self)
    }

    fn is_impossible(&self) -> bool {
        false
    }
}

/// A session id with its hash, shared by all events of the session.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    id: Arc<str>,
    key: u64,
}

impl Session {
    /// `None`: no id is empty, or longer than [`Event::MAX_NAME_BYTES`].
    pub(crate) fn new(id: &str) -> Option<Self> {
        let fits = !id.is_empty() && id.len() <= Event::MAX_NAME_BYTES;
        fits.then(|| Self { id: id.into(), key: stable_hash(id) })
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }
}

/// An event that `write` can write: it appends one JSON object, and answers with the event's time in milliseconds, or with
/// nothing if it cannot; why not is between the writer and whoever made it.
pub(crate) struct Draft<'a, W> {
    name: &'static str,
    kind: EventKind,
    kinds: KindSet,
    tool: Option<&'a str>,
    session: &'a Session,
    write: Cell<Option<W>>,
    event: OnceCell<Option<Event>>,
}

impl<'a, W: FnOnce(&mut Vec<u8>) -> Option<i64>> Draft<'a, W> {
    /// `kind` is the kind of events of that name.
    pub(crate) fn new(
        name: &'static str,
        kind: EventKind,
        tool: Option<&'a str>,
        session: &'a Session,
        write: W,
    ) -> Result<Self, EventError> {
        debug_assert_eq!(kind, recognise::kind_of(name));
        let tool = tool.filter(|tool| !tool.is_empty());
        if let Some(bytes) = tool.map(str::len).filter(|bytes| *bytes > Event::MAX_NAME_BYTES) {
            return Err(EventError::TooLong { member: "tool_name", bytes });
        }
        let kinds = recognise::kinds_of(kind, tool);
        let (write, event) = (Cell::new(Some(write)), OnceCell::new());
        Ok(Self { name, kind, kinds, tool, session, write, event })
    }

    fn written(&self) -> Option<Event> {
        let write = self.write.take().expect("a draft is written once");
        let mut timestamp_ms = 0;
        let payload = with_scratch(|text| {
            timestamp_ms = write(text)?;
            Some(text.clone())
        })?;
        let facts = Facts {
            name: Cow::Borrowed(self.name),
            session: Some(Arc::clone(&self.session.id)),
            tool: self.tool.map(Into::into),
            timestamp_ms: Some(timestamp_ms),
        };
        let (object, session_key) = (0..payload.len(), Some(self.session.key));
        let inner = Inner { payload, object, facts, kind: self.kind, kinds: self.kinds, session_key };
        Some(Event { inner: Arc::new(inner) })
    }
}

/// Runs `f` with an empty buffer of this thread, so that an event is allocated once, in its own size.
fn with_scratch<T>(f: impl FnOnce(&mut Vec<u8>) -> T) -> T {
    /// A larger buffer is not kept.
    const KEPT: usize = 64 << 10;
    thread_local! {
        static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
    }
    // Taken, not borrowed: a value that triggers a hook while it is serialised gets another one.
    let mut scratch = SCRATCH.take();
    scratch.clear();
    let answer = f(&mut scratch);
    if scratch.capacity() <= KEPT {
        SCRATCH.set(scratch);
    }
    answer
}

impl<W: FnOnce(&mut Vec<u8>) -> Option<i64>> Subject for Draft<'_, W> {
    fn name(&self) -> &str {
        self.name
    }

    fn kind(&self) -> EventKind {
        self.kind
    }

    fn kinds(&self) -> KindSet {
        self.kinds
    }

    fn tool(&self) -> Option<&str> {
        self.tool
    }

    fn session(&self) -> Option<&str> {
        Some(self.session.id())
    }

    fn event(&self) -> Option<&Event> {
        self.event.get_or_init(|| self.written()).as_ref()
    }

    fn into_event(self) -> Option<Event> {
        Self::event(&self)?;
        self.event.into_inner().flatten()
    }

    fn is_impossible(&self) -> bool {
        matches!(self.event.get(), Some(None))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_id_is_neither_empty_nor_endless() {
        assert!(Session::new("").is_none());
        assert!(Session::new(&"s".repeat(Event::MAX_NAME_BYTES)).is_some());
        assert!(Session::new(&"s".repeat(Event::MAX_NAME_BYTES + 1)).is_none());
    }

    #[test]
    fn what_a_draft_says_before_it_is_written_is_what_is_read_in_it() {
        let session = Session::new("s1").unwrap();
        for (tool, spawns) in [("Bash", false), ("Task", true)] {
            let text =
                format!(r#"{{"hook_event_name":"PreToolUse","session_id":"s1","tool_name":"{tool}"}}"#);
            let write = |buffer: &mut Vec<u8>| {
                buffer.extend_from_slice(text.as_bytes());
                Some(0)
            };
            let draft = Draft::new("PreToolUse", EventKind::PreTool, Some(tool), &session, write).unwrap();
            let read = Event::from_json(text.clone()).unwrap();
            let written = draft.event().unwrap();
            for event in [&read, written] {
                assert_eq!((event.name(), event.kind()), (draft.name(), draft.kind()));
                assert_eq!((event.kinds(), event.tool()), (draft.kinds(), draft.tool()));
                assert_eq!((event.session(), event.object()), (draft.session(), text.as_bytes()));
            }
            assert_eq!(read.session_key(), written.session_key());
            assert_eq!(draft.kinds().intersects(KindSet::DELEGATION), spawns);
        }
    }

    #[test]
    fn one_that_cannot_be_written_says_so_once_it_was_asked_for() {
        let session = Session::new("s1").unwrap();
        let write = |_: &mut Vec<u8>| None;
        let draft = Draft::new("Stop", EventKind::Stop, None, &session, write).unwrap();
        assert!(!draft.is_impossible());
        assert!(draft.event().is_none() && draft.event().is_none());
        assert!(draft.is_impossible());
        assert!(draft.into_event().is_none());
    }
}
