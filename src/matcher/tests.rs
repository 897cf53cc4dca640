//! Selectors and their index: what each wants, and that the index finds what a plain search finds.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::kind::EventKind;

/// What `on`, `match` and `where` mean, said once more without any index and with a tree of the payload.
#[expect(clippy::cast_precision_loss, reason = "a second opinion may be coarse")]
fn reference(selector: &Selector, event: &Event, enabled: KindSet) -> Option<Matched> {
    let mut ways = KindSet::EMPTY;
    for kind in event.kinds().members() {
        if selector.any || selector.kinds.intersects(kind) {
            ways = ways.union(kind);
        }
    }
    if selector.names.iter().any(|name| **name == *event.name()) {
        ways = ways.union(event.kind().as_set());
    }
    let tool = match &selector.tool {
        None => true,
        Some(pattern) => event.tool().is_some_and(|tool| {
            regex::Regex::new(&format!("^(?:{})$", pattern.as_str())).unwrap().is_match(tool)
        }),
    };
    let payload: Value = serde_json::from_slice(event.object()).unwrap();
    let fields = selector.fields.iter().all(|field| {
        let pointer = format!("/{}", field.path.to_string().replace('.', "/"));
        match (payload.pointer(&pointer), &field.value) {
            (Some(Value::String(a)), Scalar::Text(b)) => a == b,
            (Some(Value::Bool(a)), Scalar::Bool(b)) => a == b,
            (Some(Value::Number(a)), Scalar::Integer(b)) => {
                a.as_i128() == Some(*b) || a.as_f64() == Some(*b as f64)
            }
            (Some(Value::Number(a)), Scalar::Float(b)) => a.as_f64() == Some(*b),
            _ => false,
        }
    });
    (!ways.is_empty() && tool && fields).then(|| Matched { ways, open: ways.intersection(enabled) })
}

fn found(matcher: &Matcher, event: &Event, enabled: KindSet) -> Vec<(usize, Matched)> {
    let mut all = Vec::new();
    matcher.find(event, enabled, |hook, matched| all.push((hook, matched)));
    all
}

fn hooks(selectors: &[Selector], event: &str) -> Vec<usize> {
    let event = Event::from_json(event).unwrap();
    found(&Matcher::new(selectors), &event, KindSet::all()).into_iter().map(|(hook, _)| hook).collect()
}

fn selector(on: &[&str], tool: Option<&str>, fields: &[(&str, Value)]) -> Selector {
    let on: Vec<String> = on.iter().map(|name| (*name).to_owned()).collect();
    let fields = fields.iter().map(|(path, value)| ((*path).to_owned(), value.clone())).collect();
    Selector::new(&on, tool, fields).unwrap()
}

#[test]
fn all_three_parts_must_hold() {
    let selectors = [
        selector(&["pre_tool"], None, &[]),
        selector(&["post_tool"], None, &[]),
        selector(&["pre_tool"], Some("Bash|Edit"), &[]),
        selector(&["pre_tool"], Some("bash"), &[]),
        selector(&["*"], Some("B.*"), &[("tool_input.command", json!("ls"))]),
        selector(&["*"], Some("B.*"), &[("tool_input.command", json!("ls")), ("tool_input.n", json!(2))]),
        selector(&["PreToolUse"], None, &[("tool_input.n", json!(1.0))]),
        selector(&["preToolUse"], None, &[]),
        selector(&["stop", "PreToolUse", "*"], None, &[]),
        selector(&["delegation"], None, &[]),
    ];
    let event = r#"{"hook_event_name":"PreToolUse","tool_name":"Bash","tool_input":{"command":"ls","n":1}}"#;
    assert_eq!(hooks(&selectors, event), [0, 2, 4, 6, 8]);
}

#[test]
fn event_without_a_tool_matches_no_tool_pattern() {
    let selectors = [
        selector(&["*"], Some(".*"), &[]),
        selector(&["*"], Some("Bash"), &[]),
        selector(&["*"], Some(".*"), &[("event", json!("PreToolUse"))]),
        selector(&["*"], None, &[]),
    ];
    assert_eq!(hooks(&selectors, r#"{"event":"PreToolUse"}"#), [3]);
}

#[test]
fn a_hook_is_named_once_however_it_matches() {
    let selectors =
        [selector(&["tool_failed", "post_tool", "delegation", "PostToolUseFailure"], Some("T.*|X"), &[])];
    assert_eq!(hooks(&selectors, r#"{"event":"PostToolUseFailure","tool_name":"Task"}"#), [0]);
}

#[test]
fn a_disabled_kind_closes_only_that_way() {
    let one = EventKind::as_set;
    let event = Event::from_json(r#"{"event":"PreToolUse","tool_name":"Task"}"#).unwrap();
    let both = one(EventKind::PreTool).union(KindSet::DELEGATION);
    let open = |on: &[&str], disabled: KindSet| {
        let matcher = Matcher::new(&[selector(on, None, &[])]);
        found(&matcher, &event, KindSet::all().without(disabled)).first().map(|(_, matched)| *matched)
    };
    let pre_tool = one(EventKind::PreTool);
    assert_eq!(
        open(&["pre_tool", "delegation"], pre_tool),
        Some(Matched { ways: both, open: KindSet::DELEGATION })
    );
    assert_eq!(open(&["*"], KindSet::DELEGATION), Some(Matched { ways: both, open: pre_tool }));
    assert_eq!(open(&["*"], both), Some(Matched { ways: both, open: KindSet::EMPTY }));
    assert_eq!(open(&["pre_tool"], KindSet::DELEGATION), Some(Matched { ways: pre_tool, open: pre_tool }));
    // By its raw name an event comes as what it is, not as a member of a group.
    assert_eq!(open(&["PreToolUse"], pre_tool), Some(Matched { ways: pre_tool, open: KindSet::EMPTY }));
    assert_eq!(open(&["stop"], pre_tool), None);
}

#[test]
fn more_tools_than_are_remembered_are_matched_rightly() {
    let matcher = Matcher::new(&[selector(&["*"], Some(".*7"), &[]), selector(&["*"], Some("T.*"), &[])]);
    for round in 0..2 {
        for number in 0..3000 {
            let event = Event::from_json(format!(r#"{{"event":"x","tool":"T{number}"}}"#)).unwrap();
            let hooks = found(&matcher, &event, KindSet::all()).len();
            assert_eq!(hooks, if number % 10 == 7 { 2 } else { 1 }, "round {round}, tool {number}");
        }
    }
}

#[test]
fn a_search_inside_a_search_is_fine() {
    let matcher = Matcher::new(&[selector(&["*"], None, &[]), selector(&["*"], None, &[])]);
    let event = Event::from_json(r#"{"event":"x"}"#).unwrap();
    let mut seen = Vec::new();
    matcher.find(&event, KindSet::all(), |outer, _| {
        matcher.find(&event, KindSet::all(), |inner, _| seen.push((outer, inner)));
    });
    assert_eq!(seen, [(0, 0), (0, 1), (1, 0), (1, 1)]);
}

#[test]
fn what_one_hook_asks_for_cannot_hide_anothers_field() {
    let selectors = [
        selector(&["*"], None, &[("content", json!("x"))]),
        selector(&["*"], None, &[("size", json!("1e400"))]),
        selector(&["*"], None, &[("path", json!("p"))]),
    ];
    assert_eq!(hooks(&selectors, r#"{"event":"x","content":"\ud800","size":1e400,"path":"p"}"#), [2]);
}

/// Few words, so that random selectors and events often meet.
fn any_selector() -> impl Strategy<Value = Selector> {
    let name = prop::sample::select(vec![
        "*",
        "pre_tool",
        "post_tool",
        "tool_failed",
        "delegation",
        "stop",
        "other",
        "PreToolUse",
        "my.event",
    ]);
    let tool =
        prop::sample::select(vec!["Bash", "Bash|Edit", "Task|X", "B.*", ".*", "(?i)bash", "Edi[st]", ""]);
    let path = prop::sample::select(vec!["a", "a.b", "a.b.0", "c.1", "c", "tool_input.n", "event"]);
    (
        prop::collection::vec(name, 1..4),
        prop::option::of(tool.prop_filter("an empty pattern is an error", |tool| !tool.is_empty())),
        prop::collection::vec((path, any_scalar()), 0..3),
    )
        .prop_map(|(on, tool, fields)| selector(&on, tool, &fields))
}

fn any_scalar() -> impl Strategy<Value = Value> {
    prop::sample::select(vec![
        json!("x"),
        json!("stop"),
        json!(1),
        json!(1.0),
        json!(0),
        json!(-0.0),
        json!(0.5),
        json!(true),
        json!(false),
        json!(u64::MAX),
    ])
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![4 => any_scalar(), 1 => Just(Value::Null)];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::Array),
            prop::collection::btree_map(prop::sample::select(vec!["a", "b", "0", "n"]), inner, 0..3)
                .prop_map(|members| json!(members)),
        ]
    })
}

fn any_event() -> impl Strategy<Value = Event> {
    let name =
        prop::sample::select(vec!["PreToolUse", "PostToolUse", "PostToolUseFailure", "stop", "my.event"]);
    let tool = prop::option::of(prop::sample::select(vec!["Bash", "bash", "Edit", "Edis", "Task", "Other"]));
    (name, tool, any_value(), any_value(), any_value()).prop_map(|(name, tool, a, c, input)| {
        let mut payload = json!({ "event": name, "a": a, "c": c, "tool_input": input });
        if let Some(tool) = tool {
            payload["tool_name"] = json!(tool);
        }
        Event::from_json(payload.to_string()).unwrap()
    })
}

fn any_kinds() -> impl Strategy<Value = KindSet> {
    let all: Vec<KindSet> = KindSet::all().members().collect();
    prop::sample::subsequence(all, 0..=17)
        .prop_map(|kinds| kinds.into_iter().fold(KindSet::EMPTY, KindSet::union))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) })]

    #[test]
    fn index_and_plain_search_agree(
        selectors in prop::collection::vec(any_selector(), 0..24),
        events in prop::collection::vec(any_event(), 1..8),
        enabled in any_kinds(),
    ) {
        let matcher = Matcher::new(&selectors);
        for event in &events {
            let plain: Vec<(usize, Matched)> = selectors
                .iter()
                .enumerate()
                .filter_map(|(hook, selector)| Some((hook, reference(selector, event, enabled)?)))
                .collect();
            prop_assert_eq!(found(&matcher, event, enabled), plain);
        }
    }
}
