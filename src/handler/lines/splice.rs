//! One event as one line: its object with one member in front that says what hookpool knows.
//!
//! `{"hookpool":{"id":"17","hook":"audit","attempt":1,"deadline_ms":2000},` and then what the agent sent. Line breaks
//! between the tokens are left out; nothing else of the event is changed, not even white space, escapes, or bytes that
//! are no text. A valid object has no line break within a string, so the line is one line and means the same.
//!
//! Members of the event that are called `hookpool` themselves are left out: of two members with one name most parsers
//! take the last, and an event must not be able to answer for another one.

use std::io::Write;

use crate::event::Event;
use crate::hook::HookName;

/// What the handler is told beside the event.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Head<'a> {
    /// What the answer has to repeat. Plain: it needs no escapes.
    pub(in super::super) id: &'a str,
    pub(in super::super) hook: &'a HookName,
    pub(in super::super) attempt: u32,
    pub(in super::super) deadline_ms: u128,
}

/// Puts the line of an event behind what is in the buffer, with its end.
pub(in super::super) fn push_line(line: &mut Vec<u8>, head: Head<'_>, event: &Event) {
    let Head { id, hook, attempt, deadline_ms } = head;
    line.reserve(event.object().len() + 128);
    let written = write!(
        line,
        r#"{{"hookpool":{{"id":"{id}","hook":"{hook}","attempt":{attempt},"deadline_ms":{deadline_ms}}}"#
    );
    debug_assert!(written.is_ok(), "writing to memory does not fail");
    let mut parts = event.inside_without("hookpool").into_iter().peekable();
    if parts.peek().is_some() {
        line.push(b',');
    }
    for part in parts {
        for piece in part.split(|byte| matches!(byte, b'\n' | b'\r')) {
            line.extend_from_slice(piece);
        }
    }
    line.extend_from_slice(b"}\n");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn line(event: &[u8]) -> Vec<u8> {
        let event = Event::from_json_named(event, Some("x")).unwrap();
        let hook = HookName::new("audit").unwrap();
        let mut line = b"before\n".to_vec();
        push_line(&mut line, Head { id: "17", hook: &hook, attempt: 1, deadline_ms: 2000 }, &event);
        line.split_off(7)
    }

    const HEAD: &str = r#"{"hookpool":{"id":"17","hook":"audit","attempt":1,"deadline_ms":2000}"#;

    #[test]
    fn the_event_gets_one_member_in_front_and_keeps_all_else_to_the_byte() {
        for (event, rest) in [
            ("{}", "}"),
            (" \n{ \r\n }\n", "}"),
            (r#"{"a":1}"#, r#","a":1}"#),
            ("\u{feff}\t{ \"a\" : [1 ,\t2] } ", ",\u{20}\"a\" : [1 ,\t2] }"),
            (
                "{\r\n  \"a\": {\n    \"b\": \"x\\ny \\u000a\"\r\n  }\r\n}\r\n",
                ",  \"a\": {    \"b\": \"x\\ny \\u000a\"  }}",
            ),
            ("{\"a\":\"\u{2028}\\/\\\"}{\"}", ",\"a\":\"\u{2028}\\/\\\"}{\"}"),
            (r#"{"hookpool":{"id":"1"}}"#, "}"),
            (r#"{"hookpool":{"id":"1"},"a":{"hookpool":2},"\u0068ookpool":3}"#, r#","a":{"hookpool":2}}"#),
        ] {
            assert_eq!(
                String::from_utf8(line(event.as_bytes())).unwrap(),
                format!("{HEAD}{rest}\n"),
                "{event}"
            );
        }
    }

    #[test]
    fn bytes_that_are_no_text_pass() {
        assert_eq!(line(b"{\"a\":\"\xff\"}"), [HEAD.as_bytes(), b",\"a\":\"\xff\"}\n"].concat());
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("hookpool|.{0,4}", inner, 0..4)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn a_line_means_what_the_event_means(members in prop::collection::btree_map("hookpool|.{0,6}", json(), 0..5), pretty: bool) {
            let mut event = Value::Object(members.into_iter().collect());
            let text = if pretty { serde_json::to_vec_pretty(&event) } else { serde_json::to_vec(&event) };
            let line = line(&text.unwrap());
            prop_assert_eq!(line.iter().position(|byte| *byte == b'\n'), Some(line.len() - 1));
            let mut read: Value = serde_json::from_slice(&line).unwrap();
            let head = read.as_object_mut().unwrap().remove("hookpool").unwrap();
            prop_assert_eq!(&head["id"], "17");
            event.as_object_mut().unwrap().remove("hookpool");
            prop_assert_eq!(read, event);
        }
    }
}
