//! Events of many agents, damaged ones included: names, kinds, sessions, fields, and what is refused.

use super::*;

fn event(json: &str) -> Event {
    Event::from_json(json).unwrap()
}

#[test]
fn name_goes_by_preference_not_by_place() {
    let named =
        event(r#"{"type":"e","event":"d","event_name":"c","hookEventName":"b","hook_event_name":"a"}"#);
    assert_eq!(named.name(), "a");
    assert_eq!(event(r#"{"hook_event_name":7,"hookEventName":null,"event":"Stop"}"#).name(), "Stop");
    assert_eq!(event(r#"{"hook_event_name":"","type":"Stop"}"#).name(), "Stop");
    assert_eq!(event(r#"{"hookName":"permissionRequest","toolName":"bash"}"#).kind(), EventKind::Permission);
}

#[test]
fn last_of_equal_members_counts() {
    let twice = event(r#"{"event":"Stop","session_id":"a","event":"PreToolUse","session_id":"b"}"#);
    assert_eq!((twice.kind(), twice.session()), (EventKind::PreTool, Some("b")));
    assert_eq!(event(r#"{"event":"Stop","session_id":"a","session_id":null}"#).session(), None);
}

#[test]
fn session_is_text_or_a_number_as_written() {
    let session = |json: &str| event(json).session().map(str::to_owned);
    assert_eq!(session(r#"{"event":"x","sessionId":"s"}"#).as_deref(), Some("s"));
    assert_eq!(session(r#"{"event":"x","thread_id":"t","conversation_id":"c"}"#).as_deref(), Some("c"));
    let huge = r#"{"event":"x","session_id":123456789012345678901234567890}"#;
    assert_eq!(session(huge).as_deref(), Some("123456789012345678901234567890"));
    assert_eq!(session(r#"{"event":"x","session_id":1e999}"#).as_deref(), Some("1e999"));
    assert_eq!(session(r#"{"event":"x","session_id":{"id":"s"}}"#), None);
    assert_eq!(session(r#"{"event":"x","session_id":""}"#), None);
}

#[test]
fn session_key_never_changes() {
    // A value that some journal may hold; a change of it is a change of format.
    assert_eq!(event(r#"{"event":"x","session_id":"s1"}"#).session_key(), Some(0xaba6_830c_f67d_2fc6));
    assert_eq!(event(r#"{"event":"x"}"#).session_key(), None);
}

#[test]
fn payload_is_kept_to_the_byte() {
    let bytes = b"\xEF\xBB\xBF \n{ \"event\" : \"Stop\", \"n\": 1.0e0 }\r\n";
    let event = Event::from_json(bytes).unwrap();
    assert_eq!(event.payload(), bytes);
    assert_eq!(event.object(), b"{ \"event\" : \"Stop\", \"n\": 1.0e0 }");
}

#[test]
fn errors_say_what_where_and_what_would_be_right() {
    let error = |bytes: &[u8]| Event::from_json(bytes).unwrap_err().to_string();
    assert_eq!(error(b" \n"), "the event is empty; expected one JSON object");
    assert_eq!(
        error(b"{\"event\":\n \"Stop\",}"),
        "the event is not valid JSON at line 2, column 9: trailing comma"
    );
    assert_eq!(
        error(b"{\"event\":\"Stop\"} {}"),
        "the event is not valid JSON at line 1, column 18: trailing characters"
    );
    assert_eq!(error(b"[1]"), "the event is an array; expected a JSON object");
    assert_eq!(error(b"-1.5"), "the event is a number; expected a JSON object");
    assert!(error(b"[1").contains("EOF while parsing a list"));
    assert!(
        error(b"{\"a\":1}").contains("hook_event_name, hookEventName, event_name, event, type, hookName")
    );
    assert!(error(b"{\"a\":1}").contains("it has to be given one"));
    assert!(error(b"{\"event\":\"\xff\"}").contains("line 1, column"));
    assert!(error(br#"{"event":"\ud800"}"#).starts_with("member `event` of the event is not readable text"));
    let long = format!(r#"{{"event":"x","session_id":"{}"}}"#, "s".repeat(5000));
    assert_eq!(
        error(long.as_bytes()),
        "member `session_id` of the event has 5000 bytes; expected at most 4096"
    );
}

#[test]
fn a_control_character_in_a_name_has_to_be_escaped() {
    for name in ["a\0", "a\nb", "\u{1f}", "x\\u0041\t"] {
        let error =
            Event::from_json(format!("{{\"event\":\"Stop\",\n\"{name}\":1}}")).unwrap_err().to_string();
        assert!(error.starts_with("the event is not valid JSON at line "), "{error}");
        assert!(error.contains("control character"), "{error}");
    }
    let escaped = event(r#"{"event":"Stop","a\u0000\n":1,"\u007f":2}"#);
    assert_eq!(escaped.field(&"a\0\n".parse().unwrap()), Some(Scalar::Integer(1)));
    assert_eq!(event("{\"event\":\"Stop\",\"\u{7f}\":1}").kind(), EventKind::Stop);
}

#[test]
fn skipped_parts_may_hold_anything() {
    let odd =
        b"{\"event\":\"Stop\",\"\xff\":\"\xff\",\"s\":\"\\ud800\",\"n\":1e999,\"z\":\"\\u0000\",\"b\":2}";
    let event = Event::from_json(odd).unwrap();
    assert_eq!(event.kind(), EventKind::Stop);
    assert_eq!(event.field(&"b".parse().unwrap()), Some(Scalar::Integer(2)));
    assert_eq!(event.field(&"s".parse().unwrap()), None);
    assert_eq!(event.field(&"z".parse().unwrap()), Some(Scalar::Text("\0".into())));
}

#[test]
fn depth_overflows_nothing() {
    let deep = format!("{}1{}", "[".repeat(1_000_000), "]".repeat(1_000_000));
    for member in ["a", "session_id", "prompt", "event", "timestamp"] {
        let event = event(&format!(r#"{{"hook_event_name":"Stop","{member}":{deep},"b":true}}"#));
        assert_eq!(event.kind(), EventKind::Stop);
        assert_eq!(event.field(&"b".parse().unwrap()), Some(Scalar::Bool(true)));
        assert_eq!(event.field(&format!("{member}.0.0.1").parse().unwrap()), None);
    }
    assert!(matches!(Event::from_json(deep), Err(EventError::NotAnObject { found: "an array" })));
    assert!(matches!(Event::from_json("[".repeat(1_000_000)), Err(EventError::NotJson { .. })));
}

#[test]
fn timestamps_are_milliseconds() {
    let time = |value: &str| event(&format!(r#"{{"event":"x","timestamp":{value}}}"#)).timestamp_ms();
    assert_eq!(time(r#""2026-11-22T13:49:15.149Z""#), Some(1_795_355_355_149));
    assert_eq!(time(r#""2026-11-22T14:49:15.149+01:00""#), Some(1_795_355_355_149));
    assert_eq!(time("1795355355149"), Some(1_795_355_355_149));
    assert_eq!(time("1795355355"), Some(1_795_355_355_000));
    assert_eq!(time("1795355355.25"), Some(1_795_355_355_250));
    for bad in ["null", r#""yesterday""#, "1e999", "{}", r#""2026-11-22""#] {
        assert_eq!(time(bad), None, "{bad}");
    }
}

#[test]
fn kinds_include_the_groups() {
    let kinds = |json: &str| event(json).kinds();
    let one = EventKind::as_set;
    assert_eq!(kinds(r#"{"event":"PreToolUse","tool_name":"Bash"}"#), one(EventKind::PreTool));
    assert_eq!(
        kinds(r#"{"event":"PostToolUseFailure","tool_name":"task"}"#),
        one(EventKind::ToolFailed).union(one(EventKind::PostTool)).union(KindSet::DELEGATION)
    );
    assert_eq!(
        kinds(r#"{"event":"SubagentStop"}"#),
        one(EventKind::DelegationStop).union(KindSet::DELEGATION)
    );
    // A permission to spawn is no delegation yet.
    assert_eq!(kinds(r#"{"event":"PermissionRequest","tool_name":"Agent"}"#), one(EventKind::Permission));
}

#[test]
fn kinds_are_recognised_by_their_own_names() {
    for kind in EventKind::ALL {
        assert_eq!(kind_of(kind.name()), *kind);
        assert!(is_known_name(kind.name()));
    }
}

#[test]
fn unknown_names_are_judged_by_their_words() {
    for (name, kind) in [
        ("on_tool_start", EventKind::PreTool),
        ("BeforeToolInvocation", EventKind::PreTool),
        ("tool.call.completed", EventKind::PostTool),
        ("tool_call_error", EventKind::ToolFailed),
        ("on_llm_end", EventKind::PostModel),
        ("SessionResumed", EventKind::SessionStart),
        ("subagent.finished", EventKind::DelegationStop),
        ("turn-completed", EventKind::Stop),
        ("ToolsChanged", EventKind::Other),
        ("express", EventKind::Other),
        ("Präludium", EventKind::Other),
    ] {
        assert_eq!(kind_of(name), kind, "{name}");
        assert!(!is_known_name(name), "{name}");
    }
    assert_eq!(kind_of(&"pretool".repeat(1000)), EventKind::Other);
}

#[test]
fn shape_decides_before_the_fallback() {
    let kind = |json: &str| Event::from_json_named(json, Some("Notification")).unwrap().kind();
    assert_eq!(kind(r#"{"sessionId":"s","toolName":"bash","toolArgs":{}}"#), EventKind::PreTool);
    assert_eq!(kind(r#"{"sessionId":"s","toolName":"bash","toolResult":null}"#), EventKind::PreTool);
    assert_eq!(kind(r#"{"sessionId":"s"}"#), EventKind::Notification);
    assert_eq!(kind(r#"{"type":"Stop"}"#), EventKind::Stop);
}

mod path {
    use super::*;

    fn value<'a>(event: &'a Event, path: &str) -> Option<Scalar<'a>> {
        event.field(&path.parse().unwrap())
    }

    #[test]
    fn paths_go_by_members_and_indices() {
        let event = event(r#"{"event":"x","a":{"b":[{"c":"deep"},"two"],"0":"zero","d.e":1,"\u0066":"f"}}"#);
        assert_eq!(value(&event, "a.b.0.c"), Some(Scalar::Text("deep".into())));
        assert_eq!(value(&event, "a.b.1"), Some(Scalar::Text("two".into())));
        assert_eq!(value(&event, "a.0"), Some(Scalar::Text("zero".into())));
        assert_eq!(value(&event, r"a.d\.e"), Some(Scalar::Integer(1)));
        assert_eq!(value(&event, "a.f"), Some(Scalar::Text("f".into())));
        for missing in ["a", "a.b", "a.b.2", "a.b.01", "a.b.x", "a.d.e", "b"] {
            assert_eq!(value(&event, missing), None, "{missing}");
        }
    }

    #[test]
    fn last_of_equal_members_counts_at_every_depth() {
        let twice = event(r#"{"event":"x","a":{"b":1},"c":1,"a":{"d":2},"c":[]}"#);
        assert_eq!(value(&twice, "a.b"), None);
        assert_eq!(value(&twice, "a.d"), Some(Scalar::Integer(2)));
        assert_eq!(value(&twice, "c"), None);
    }

    #[test]
    fn numbers_are_equal_by_value() {
        let event =
            event(r#"{"event":"x","n":[1,1.0,100e-2,-0,9007199254740993,18446744073709551616,0.5,1e999]}"#);
        let number = |index: usize| value(&event, &format!("n.{index}"));
        assert_eq!(number(0), Some(Scalar::Integer(1)));
        assert_eq!(number(1), Some(Scalar::Integer(1)));
        assert_eq!(number(2), Some(Scalar::Integer(1)));
        assert_eq!(number(3), Some(Scalar::Integer(0)));
        assert_eq!(number(4), Some(Scalar::Integer(9_007_199_254_740_993)));
        assert_eq!(number(5), Some(Scalar::Integer(1 << 64)));
        assert_eq!(number(6), Some(Scalar::Float(0.5)));
        assert_eq!(number(7), Some(Scalar::Float(f64::INFINITY)));
    }

    #[test]
    fn paths_are_written_as_they_are_read() {
        for text in ["a", "a.b.0", r"a\.b", r"a\\.b"] {
            assert_eq!(text.parse::<FieldPath>().unwrap().to_string(), text);
        }
        for bad in ["", "a..b", ".a", "a.", r"a\b", r"a\"] {
            assert!(bad.parse::<FieldPath>().is_err(), "{bad}");
        }
        assert!(["a"; 33].join(".").parse::<FieldPath>().is_err());
    }

    #[test]
    fn many_paths_are_found_in_one_pass() {
        let paths: Vec<FieldPath> =
            ["b", "a.b", "a", "a.c", "z.1.q"].map(|text| text.parse().unwrap()).into();
        let trie = PathTrie::new(paths.clone(), 100);
        let found = trie.find(br#" {"a":{"c":1,"b":2},"b":"x","z":[0,{"q":false}]} "#);
        let at = |path: &str| trie.place(&path.parse().unwrap()).unwrap();
        assert_eq!(
            found,
            [
                (at("a.b"), Scalar::Integer(2)),
                (at("a.c"), Scalar::Integer(1)),
                (at("b"), Scalar::Text("x".into())),
                (at("z.1.q"), Scalar::Bool(false)),
            ]
        );
    }
}
