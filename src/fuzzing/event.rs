//! An event: it is refused in words, or it is kept to the byte and what is read from it is what any parser reads.

use serde::de::IgnoredAny;
use serde_json::Value;

use super::check_text;
use crate::event::{Event, EventError, FieldPath, PathTrie, Scalar};
use crate::handler::door;

/// Most fields of one event that are looked up.
const FIELDS: usize = 64;

/// The bytes are a payload.
pub fn event(bytes: &[u8]) {
    for fallback in [None, Some("Fallback")] {
        match Event::from_json_named(bytes, fallback) {
            Ok(event) => accepted(&event, bytes, fallback),
            Err(error) => refused(&error, bytes, fallback),
        }
    }
}

pub(super) fn is_json(bytes: &[u8]) -> bool {
    serde_json::from_slice::<IgnoredAny>(bytes).is_ok()
}

fn refused(error: &EventError, bytes: &[u8], fallback: Option<&str>) {
    check_text(&error.to_string(), 500);
    let text = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    match error {
        EventError::Empty => assert!(text.trim_ascii().is_empty()),
        EventError::NotJson { line, column, .. } => {
            assert!(!is_json(text) || std::str::from_utf8(text).is_err(), "this is JSON");
            let lines = text.split(|byte| *byte == b'\n').count();
            assert!((1..=lines).contains(line) && *column <= text.len() + 1, "no such place");
        }
        EventError::NotAnObject { .. } => assert!(is_json(text) && !text.trim_ascii().starts_with(b"{")),
        EventError::NoName => assert!(is_json(text) && fallback.is_none()),
        EventError::BadText { .. } => assert!(is_json(text) && text.contains(&b'\\')),
        EventError::TooLong { bytes, .. } => {
            assert!(*bytes > Event::MAX_NAME_BYTES && text.len() > *bytes);
        }
        EventError::Unwritable { .. } => panic!("nothing was to be written"),
    }
}

fn accepted(event: &Event, bytes: &[u8], fallback: Option<&str>) {
    assert_eq!(event.payload(), bytes, "a payload is kept to the byte");
    let object = event.object();
    assert!(is_json(object) && object.starts_with(b"{") && object.ends_with(b"}"));
    assert!(event.kinds().intersects(event.kind().as_set()), "an event is of its own kind");
    for text in [Some(event.name()), event.session(), event.tool()].into_iter().flatten() {
        assert!((1..=Event::MAX_NAME_BYTES).contains(&text.len()));
    }
    same_facts(event, object, fallback);
    line(event, fallback);
    if let Ok(value) = serde_json::from_slice::<Value>(object) {
        fields(event, &value);
    }
}

pub(super) fn same_facts(event: &Event, object: &[u8], fallback: Option<&str>) {
    let again = Event::from_json_named(object, fallback).expect("what was taken from an event is one");
    assert_eq!((again.name(), again.session(), again.tool()), (event.name(), event.session(), event.tool()));
    assert_eq!((again.kind(), again.kinds()), (event.kind(), event.kinds()));
    assert_eq!((again.timestamp_ms(), again.session_key()), (event.timestamp_ms(), event.session_key()));
}

/// What a handler gets in a line means the same, and no member of the event can pass for hookpool's own.
fn line(event: &Event, fallback: Option<&str>) {
    let line = door::line(event);
    let end = line.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
    assert_eq!(end, Some(line.len() - 1), "an event is one line");
    assert!(line.starts_with(b"{\"hookpool\":{\"id\":\"17\",") && is_json(&line));
    same_facts(event, &line, fallback);
    let values = [event.object(), &line].map(serde_json::from_slice::<Value>);
    if let [Ok(Value::Object(mut sent)), Ok(Value::Object(mut given))] = values {
        let head = given.remove("hookpool").expect("it is the first member");
        assert_eq!(head.get("id").and_then(Value::as_str), Some("17"), "an event answers for nobody");
        sent.remove("hookpool");
        assert_eq!(sent, given);
    }
}

/// Every field has the value that a parser of the whole finds, looked up alone and with all others.
fn fields(event: &Event, value: &Value) {
    let mut found: Vec<(FieldPath, &Value)> = Vec::new();
    let mut open: Vec<(Vec<String>, &Value)> = vec![(Vec::new(), value)];
    while let Some((path, value)) = open.pop() {
        if found.len() >= FIELDS {
            break;
        }
        // Without empty segments and within the limit it is a path.
        if !path.is_empty()
            && let Ok(path) = path.join(".").parse()
        {
            found.push((path, value));
        }
        let below = |segment: &str| {
            let segment = segment.replace('\\', r"\\").replace('.', r"\.");
            path.iter().cloned().chain([segment]).collect()
        };
        match value {
            Value::Object(members) => open.extend(members.iter().map(|(name, value)| (below(name), value))),
            Value::Array(items) => {
                open.extend(items.iter().enumerate().map(|(at, value)| (below(&at.to_string()), value)));
            }
            _ => {}
        }
    }
    let trie = PathTrie::new(found.iter().map(|(path, _)| path.clone()).collect(), usize::MAX);
    let together = trie.find(event.object());
    for (path, value) in found {
        let alone = event.field(&path);
        assert!(is_same(alone.as_ref(), value), "{path} is {alone:?}, not {value}");
        let place = trie.place(&path);
        let there = together.iter().find(|(at, _)| Some(*at) == place).map(|(_, there)| there);
        assert_eq!(there, alone.as_ref(), "{path}");
    }
}

#[expect(clippy::cast_precision_loss, reason = "compared within a few digits")]
fn is_same(scalar: Option<&Scalar<'_>>, value: &Value) -> bool {
    match (scalar, value) {
        (Some(Scalar::Text(text)), Value::String(other)) => **text == **other,
        (Some(Scalar::Bool(flag)), Value::Bool(other)) => flag == other,
        (Some(Scalar::Integer(whole)), Value::Number(number)) if number.is_i64() || number.is_u64() => {
            number.as_i128() == Some(*whole)
        }
        (Some(number @ (Scalar::Integer(_) | Scalar::Float(_))), Value::Number(other)) => {
            let number = match number {
                Scalar::Float(float) => *float,
                Scalar::Integer(whole) => *whole as f64,
                _ => return false,
            };
            let other = other.as_f64().unwrap_or(f64::NAN);
            (number - other).abs() <= other.abs() * 1e-14
        }
        (None, Value::Null | Value::Object(_) | Value::Array(_)) => true,
        _ => false,
    }
}
