//! Events in the form that agents send, written in one pass.
//!
//! What is the same in all events of a manager is written once, when it is made. Values that go by two names, today's
//! and the older one, are serialised once and copied.
//!
//! Invariant: what is written is one JSON object, and nothing that is written here comes twice in it.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;
use serde::de::IgnoredAny;

use super::ToolUseId;
use crate::event::{Event, EventError, Session, append_json};

/// What speaks in events: a session, and what they all say.
#[derive(Debug)]
pub(super) struct Voice {
    session: Session,
    /// `"session_id":"…"` and `"cwd":"…"`, each by its name. There may be no working directory.
    session_member: Vec<u8>,
    cwd_member: Vec<u8>,
    /// What events of the three commonest names begin with, up to their time.
    pre_tool: Vec<u8>,
    post_tool: Vec<u8>,
    prompt: Vec<u8>,
    instance: u32,
    /// `hookpool-9c41f0a2-`
    id_prefix: String,
}

impl Voice {
    pub(super) fn new(session: Session) -> Self {
        let member = |name: &'static str, value: &str| {
            let mut text = format!("\"{name}\":").into_bytes();
            append_json(&mut text, name, value).expect("text always has a form in JSON");
            text
        };
        let session_member = member("session_id", session.id());
        let cwd = std::env::current_dir().ok();
        let cwd_member = cwd.map(|cwd| member("cwd", &cwd.to_string_lossy())).unwrap_or_default();
        let head = |name: &str| {
            let mut text = format!("{{\"hook_event_name\":\"{name}\",").into_bytes();
            text.extend_from_slice(&session_member);
            if !cwd_member.is_empty() {
                text.push(b',');
                text.extend_from_slice(&cwd_member);
            }
            text
        };
        let [pre_tool, post_tool, prompt] = ["PreToolUse", "PostToolUse", "UserPromptSubmit"].map(head);
        #[expect(clippy::cast_possible_truncation, reason = "any 32 of the bits will do")]
        let instance = random(0) as u32;
        let id_prefix = format!("hookpool-{instance:08x}-");
        Self { session, session_member, cwd_member, pre_tool, post_tool, prompt, instance, id_prefix }
    }

    pub(super) fn session(&self) -> &Session {
        &self.session
    }

    pub(super) fn tool_use_id(&self, number: u64) -> ToolUseId {
        ToolUseId { manager: self.instance, number }
    }

    /// Writes the event; the answer is its time in milliseconds since 1970.
    pub(super) fn pre_tool(
        &self,
        text: &mut Vec<u8>,
        tool: &str,
        args: &impl Serialize,
        id: ToolUseId,
    ) -> Result<i64, EventError> {
        let now = begin(text, &self.pre_tool);
        text.extend_from_slice(br#","tool_name":"#);
        append_json(text, "tool_name", tool)?;
        text.extend_from_slice(br#","tool_input":"#);
        let begin = text.len();
        append_json(text, "tool_input", args)?;
        if text.get(begin..) == Some(b"null") {
            text.truncate(begin);
            text.extend_from_slice(b"{}");
        }
        let end = text.len();
        text.extend_from_slice(br#","tool_args":"#);
        text.extend_from_within(begin..end);
        self.end_of_call(text, Some(id));
        Ok(now)
    }

    /// Writes the event; the answer is its time in milliseconds since 1970.
    pub(super) fn post_tool(
        &self,
        text: &mut Vec<u8>,
        tool: &str,
        exit_code: i32,
        result: &impl Serialize,
        id: Option<ToolUseId>,
    ) -> Result<i64, EventError> {
        let now = begin(text, &self.post_tool);
        text.extend_from_slice(br#","tool_name":"#);
        append_json(text, "tool_name", tool)?;
        text.extend_from_slice(br#","exit_code":"#);
        append_json(text, "exit_code", &exit_code)?;
        text.extend_from_slice(br#","tool_response":"#);
        let begin = text.len();
        append_json(text, "tool_response", result)?;
        let end = text.len();
        text.extend_from_slice(br#","result":"#);
        text.extend_from_within(begin..end);
        self.end_of_call(text, id);
        Ok(now)
    }

    /// Writes the event; the answer is its time in milliseconds since 1970.
    pub(super) fn prompt(&self, text: &mut Vec<u8>, prompt: &str) -> Result<i64, EventError> {
        let now = begin(text, &self.prompt);
        text.extend_from_slice(br#","prompt":"#);
        append_json(text, "prompt", prompt)?;
        text.push(b'}');
        Ok(now)
    }

    /// An event of any name with these fields. Those that are no object become the member `otherwise`, if it has a name.
    pub(super) fn whole(
        &self,
        name: &str,
        agent_type: Option<&str>,
        otherwise: &'static str,
        fields: &impl Serialize,
    ) -> Result<Event, EventError> {
        if name.is_empty() {
            return Err(EventError::NoName);
        }
        let mut raw = Vec::new();
        append_json(&mut raw, "fields", fields)?;
        let is_object = raw.first() == Some(&b'{');
        let refused = |member, reason: &str| EventError::Unwritable { member, reason: reason.to_owned() };
        #[expect(
            clippy::zero_sized_map_values,
            reason = "only the names are looked at, and a set is read from a list"
        )]
        let names: BTreeMap<Cow<'_, str>, IgnoredAny> = if is_object {
            serde_json::from_slice(&raw).map_err(|error| refused("fields", &error.to_string()))?
        } else {
            BTreeMap::new()
        };
        let mut text = br#"{"hook_event_name":"#.to_vec();
        append_json(&mut text, "hook_event_name", name)?;
        for (own, given) in [("hook_event_name", true), ("agent_type", agent_type.is_some())] {
            if given && names.contains_key(own) {
                return Err(refused(own, "it is given already, so it cannot be among the fields"));
            }
        }
        for (own, member) in [("session_id", &self.session_member), ("cwd", &self.cwd_member)] {
            if !names.contains_key(own) && !member.is_empty() {
                text.push(b',');
                text.extend_from_slice(member);
            }
        }
        if !names.contains_key("timestamp") {
            append_now(&mut text);
        }
        if let Some(agent_type) = agent_type {
            text.extend_from_slice(br#","agent_type":"#);
            append_json(&mut text, "agent_type", agent_type)?;
        }
        if is_object {
            let members = raw.get(1..raw.len() - 1).unwrap_or_default().trim_ascii();
            if !members.is_empty() {
                text.push(b',');
                text.extend_from_slice(members);
            }
        } else if raw != b"null" {
            if otherwise.is_empty() {
                return Err(refused("fields", "they have to be an object"));
            }
            text.extend_from_slice(format!(",\"{otherwise}\":").as_bytes());
            text.extend_from_slice(&raw);
        }
        text.push(b'}');
        Event::from_json(text)
    }

    fn end_of_call(&self, text: &mut Vec<u8>, id: Option<ToolUseId>) {
        if let Some(id) = id {
            text.extend_from_slice(br#","tool_use_id":""#);
            if id.manager == self.instance {
                text.extend_from_slice(self.id_prefix.as_bytes());
                append_json(text, "tool_use_id", &id.number).expect("numbers have a form in JSON");
            } else {
                text.extend_from_slice(id.to_string().as_bytes());
            }
            text.push(b'"');
        }
        text.push(b'}');
    }
}

/// Writes the head and the time; the answer is that time in milliseconds since 1970.
fn begin(text: &mut Vec<u8>, head: &[u8]) -> i64 {
    text.extend_from_slice(head);
    append_now(text)
}

/// Appends `,"timestamp":"2026-07-27T12:00:00.123456+00:00"`, and answers with that time in milliseconds.
fn append_now(text: &mut Vec<u8>) -> i64 {
    // A clock before 1970 is set wrong anyway.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    text.extend_from_slice(br#","timestamp":""#);
    append_time(text, now);
    text.push(b'"');
    i64::try_from(now.as_millis()).unwrap_or(i64::MAX)
}

/// The date and the second are the same for many events, so each thread remembers their text.
fn append_time(text: &mut Vec<u8>, since_1970: Duration) {
    thread_local! {
        static SECOND: Cell<(u64, [u8; 19])> = const { Cell::new((0, *b"1970-01-01T00:00:00")) };
    }
    let (mut second, mut shown) = SECOND.get();
    if second != since_1970.as_secs() {
        second = since_1970.as_secs();
        let time = i64::try_from(second).ok().and_then(|second| jiff::Timestamp::from_second(second).ok());
        // `2026-07-27T12:00:00Z`; later than the year 9999 it would be longer, and is left as it was.
        let time = time.map(|time| time.to_string());
        if let Some(fits) = time.and_then(|time| time.as_bytes().first_chunk().copied()) {
            shown = fits;
        }
        SECOND.set((second, shown));
    }
    text.extend_from_slice(&shown);
    let mut digits = *b".000000+00:00";
    let mut micros = since_1970.subsec_micros();
    for digit in digits.iter_mut().take(7).skip(1).rev() {
        *digit += (micros % 10) as u8;
        micros /= 10;
    }
    text.extend_from_slice(&digits);
}

/// A session id that nobody else has, in the form of a UUID of version 4.
pub(super) fn random_session() -> Session {
    let (high, low) = (random(1), random(2));
    let id = format!(
        "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
        high >> 32,
        high >> 16 & 0xffff,
        high & 0xfff,
        low >> 48 & 0x3fff | 0x8000,
        low & 0xffff_ffff_ffff,
    );
    Session::new(&id).expect("it is neither empty nor long")
}

/// 64 random bits. The standard library takes its randomness from the system once for each thread, so what tells a
/// process from its fork goes in too.
fn random(salt: u8) -> u64 {
    let mut hasher = RandomState::new().build_hasher();
    hasher.write_u8(salt);
    hasher.write_u32(std::process::id());
    hasher.write_u128(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos());
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(seconds: u64, micros: u32) -> String {
        let mut text = Vec::new();
        append_time(&mut text, Duration::new(seconds, micros * 1000));
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn times_are_written_with_microseconds_whatever_was_written_before() {
        assert_eq!(shown(0, 0), "1970-01-01T00:00:00.000000+00:00");
        assert_eq!(shown(1_785_153_600, 123_456), "2026-07-27T12:00:00.123456+00:00");
        assert_eq!(shown(1_785_153_600, 999_999), "2026-07-27T12:00:00.999999+00:00");
        assert_eq!(shown(1_785_153_601, 7), "2026-07-27T12:00:01.000007+00:00");
        assert_eq!(shown(951_782_400, 0), "2000-02-29T00:00:00.000000+00:00");
    }

    #[test]
    fn random_sessions_are_uuids_of_version_4_and_all_different() {
        let ids: Vec<String> = (0..100).map(|_| random_session().id().to_owned()).collect();
        let distinct: std::collections::BTreeSet<_> = ids.iter().collect();
        assert_eq!(distinct.len(), ids.len());
        for id in &ids {
            let parts: Vec<&str> = id.split('-').collect();
            assert_eq!(parts.iter().map(|part| part.len()).collect::<Vec<_>>(), [8, 4, 4, 4, 12], "{id}");
            assert!(parts[2].starts_with('4') && parts[3].starts_with(['8', '9', 'a', 'b']), "{id}");
            assert!(id.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit()), "{id}");
        }
    }
}
