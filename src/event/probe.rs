//! The one pass over an incoming payload: checks that it is a JSON object and takes the few members that matter.
//!
//! Everything else is skipped without being decoded, so the cost is that of looking at the bytes once, and the
//! depth of nesting is no matter. Of a member that comes twice the last one counts, as in every agent's own parser.
//! Text in skipped parts may be anything that keeps the JSON grammar, lone surrogates and stray bytes included.
//!
//! It does not decide what an event means; `recognise` does.

use std::fmt;
use std::ops::Range;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use thiserror::Error;

use super::recognise::{self, Shape};
use super::{Event, Facts};

/// Why bytes are no event.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EventError {
    /// Nothing but white space.
    #[error("the event is empty; expected one JSON object")]
    Empty,
    /// Not JSON, or more than one value.
    #[error("the event is not valid JSON at line {line}, column {column}: {reason}")]
    NotJson {
        /// Counted from 1, inside the payload.
        line: usize,
        /// In bytes, counted from 1.
        column: usize,
        /// What is wrong there.
        reason: String,
    },
    /// JSON, but not an object.
    #[error("the event is {found}; expected a JSON object")]
    NotAnObject {
        /// What it is, with its article.
        found: &'static str,
    },
    /// Nothing says what happened.
    #[error(
        "the event has no name: none of {} is a string, and its members fit no known shape; \
         it has to be given one",
        NAME_MEMBERS.join(", ")
    )]
    NoName,
    /// A member that is read has text that cannot be decoded.
    #[error("member `{member}` of the event is not readable text: {reason}")]
    BadText {
        /// The member's name.
        member: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// A value that a program gave for a member has no form in JSON.
    #[error("member `{member}` of the event cannot be written as JSON: {reason}")]
    Unwritable {
        /// The member's name.
        member: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// A name or an id is longer than any agent's.
    #[error("member `{member}` of the event has {bytes} bytes; expected at most {}", Event::MAX_NAME_BYTES)]
    TooLong {
        /// The member's name.
        member: &'static str,
        /// Its length.
        bytes: usize,
    },
}

/// In the order of preference.
const NAME_MEMBERS: [&str; 6] =
    ["hook_event_name", "hookEventName", "event_name", "event", "type", "hookName"];
const SESSION_MEMBERS: [&str; 8] = [
    "session_id",
    "sessionId",
    "conversation_id",
    "thread_id",
    "sessionID",
    "conversationId",
    "threadId",
    "thread-id",
];
const TOOL_MEMBERS: [&str; 3] = ["tool_name", "toolName", "tool"];

/// Reads the facts of an event, and where its object is in the payload.
pub(super) fn read(payload: &[u8], fallback: Option<&str>) -> Result<(Facts, Range<usize>), EventError> {
    let text = payload.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(payload);
    let object = text.trim_ascii();
    match object.first() {
        None => return Err(EventError::Empty),
        Some(b'{') => {}
        Some(first) => return Err(not_an_object(text, *first)),
    }
    let members: Members<'_> = serde_json::from_slice(text).map_err(|error| not_json(&error))?;
    if members.is_doubtful {
        serde_json::from_slice::<IgnoredAny>(text).map_err(|error| not_json(&error))?;
    }

    let session = members.session.first_text(&SESSION_MEMBERS, true)?;
    let tool = members.tool.first_text(&TOOL_MEMBERS, false)?;
    let name = match members.name.first_text(&NAME_MEMBERS, false)? {
        Some(name) => name.into_string().into(),
        None => match (members.shape.name(tool.is_some()), fallback) {
            (Some(name), _) => name.into(),
            (None, Some(name)) => name.to_owned().into(),
            (None, None) => return Err(EventError::NoName),
        },
    };
    let timestamp_ms = members.timestamp.and_then(|raw| recognise::timestamp_ms(raw.get()));

    let before = payload.len() - text.len() + (text.len() - text.trim_ascii_start().len());
    Ok((
        Facts { name, session: session.map(Into::into), tool: tool.map(Into::into), timestamp_ms },
        before..before + object.len(),
    ))
}

/// The values of some members, each in the place of its name.
struct Values<'a, const N: usize>([Option<&'a RawValue>; N]);

impl<'a, const N: usize> Values<'a, N> {
    /// The first that is text and not empty, or, if asked for, a number as it is written.
    fn first_text(&self, names: &[&'static str; N], numbers: bool) -> Result<Option<Box<str>>, EventError> {
        for (member, raw) in names.iter().copied().zip(self.0) {
            let Some(raw) = raw.map(RawValue::get) else { continue };
            let text = match raw.as_bytes().first() {
                Some(b'"') => serde_json::from_str::<String>(raw)
                    .map_err(|error| EventError::BadText { member, reason: reason_of(&error) })?,
                Some(b'-' | b'0'..=b'9') if numbers => raw.to_owned(),
                _ => continue,
            };
            if text.len() > Event::MAX_NAME_BYTES {
                return Err(EventError::TooLong { member, bytes: text.len() });
            }
            if !text.is_empty() {
                return Ok(Some(text.into()));
            }
        }
        Ok(None)
    }

    fn set(&mut self, place: usize, value: &'a RawValue) {
        if let Some(slot) = self.0.get_mut(place) {
            *slot = Some(value);
        }
    }
}

struct Members<'a> {
    name: Values<'a, 6>,
    session: Values<'a, 8>,
    tool: Values<'a, 3>,
    timestamp: Option<&'a RawValue>,
    shape: Shape,
    /// A member's name has a control character, and only a second look can tell whether it was escaped: the parser
    /// does not check names that it hands on as bytes.
    is_doubtful: bool,
}

/// What a member's name means to us.
enum Member {
    Name(usize),
    Session(usize),
    Tool(usize),
    Timestamp,
    /// Its presence tells something about an event that has no name.
    Shape(fn(&mut Shape) -> &mut bool),
    Doubtful,
    Other,
}

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ObjectVisitor;

        impl<'de> Visitor<'de> for ObjectVisitor {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Members {
                    name: Values([None; 6]),
                    session: Values([None; 8]),
                    tool: Values([None; 3]),
                    timestamp: None,
                    shape: Shape::default(),
                    is_doubtful: false,
                };
                while let Some(member) = map.next_key()? {
                    match member {
                        Member::Name(place) => members.name.set(place, map.next_value()?),
                        Member::Session(place) => members.session.set(place, map.next_value()?),
                        Member::Tool(place) => members.tool.set(place, map.next_value()?),
                        Member::Timestamp => members.timestamp = Some(map.next_value()?),
                        Member::Shape(flag) => {
                            *flag(&mut members.shape) = map.next_value::<Option<IgnoredAny>>()?.is_some();
                        }
                        Member::Doubtful | Member::Other => {
                            members.is_doubtful |= matches!(member, Member::Doubtful);
                            map.next_value::<IgnoredAny>()?;
                        }
                    }
                }
                Ok(members)
            }
        }

        deserializer.deserialize_map(ObjectVisitor)
    }
}

impl<'de> Deserialize<'de> for Member {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NameVisitor;

        impl Visitor<'_> for NameVisitor {
            type Value = Member;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a member's name")
            }

            fn visit_bytes<E>(self, name: &[u8]) -> Result<Member, E> {
                Ok(Member::of(name))
            }
        }

        // As bytes: a name that is not ours may be badly encoded without harm.
        deserializer.deserialize_bytes(NameVisitor)
    }
}

impl Member {
    fn of(name: &[u8]) -> Self {
        let place = |names: &[&str]| names.iter().position(|known| known.as_bytes() == name);
        if let Some(place) = place(&NAME_MEMBERS) {
            return Self::Name(place);
        }
        if let Some(place) = place(&SESSION_MEMBERS) {
            return Self::Session(place);
        }
        if let Some(place) = place(&TOOL_MEMBERS) {
            return Self::Tool(place);
        }
        match name {
            b"timestamp" => Self::Timestamp,
            _ if name.iter().any(u8::is_ascii_control) => Self::Doubtful,
            _ => Shape::flag(name).map_or(Self::Other, Self::Shape),
        }
    }
}

fn not_an_object(text: &[u8], first: u8) -> EventError {
    if let Err(error) = serde_json::from_slice::<IgnoredAny>(text) {
        return not_json(&error);
    }
    let found = match first {
        b'[' => "an array",
        b'"' => "a string",
        b't' | b'f' => "a boolean",
        b'n' => "null",
        _ => "a number",
    };
    EventError::NotAnObject { found }
}

pub(super) fn not_json(error: &serde_json::Error) -> EventError {
    EventError::NotJson { line: error.line(), column: error.column(), reason: reason_of(error) }
}

/// The parser's reason without the place, which it puts at the end.
pub(super) fn reason_of(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rfind(" at line ") {
        Some(end) => text.get(..end).unwrap_or(&text).to_owned(),
        None => text,
    }
}
