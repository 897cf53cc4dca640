//! A selector: it is refused with places, or it gives one answer for an event, however it is asked.

use std::sync::OnceLock;

use serde_json::{Map, Value};

use crate::event::{Event, FieldPath, Scalar};
use crate::kind::KindSet;
use crate::matcher::{Matched, Matcher, Selector, SelectorPlace};

/// Three lines and the rest: `on`, separated by commas; the pattern of `match.tool`, none if it is empty; `where` as JSON;
/// an event.
pub fn selector(bytes: &[u8]) {
    let mut parts = bytes.splitn(4, |byte| *byte == b'\n');
    let mut part = || parts.next().unwrap_or_default();
    let text = |part: &[u8]| String::from_utf8_lossy(part).into_owned();
    let on: Vec<String> = text(part()).split(',').map(str::to_owned).collect();
    let tool = Some(text(part())).filter(|tool| !tool.is_empty());
    let fields: Map<String, Value> = serde_json::from_slice(part()).unwrap_or_default();
    let fields: Vec<(String, Value)> = fields.into_iter().collect();
    let event = Event::from_json_named(part(), Some("x")).ok();

    match Selector::new(&on, tool.as_deref(), fields.clone()) {
        Ok(selector) => {
            if let Some(event) = event {
                asked(&selector, &on, &fields, &event);
            }
        }
        Err(error) => {
            assert!(!error.problems().is_empty() && !error.to_string().is_empty());
            for problem in error.problems() {
                let (is_there, letters) = match &problem.place {
                    SelectorPlace::OnElement(at) => (*at < on.len(), 0),
                    SelectorPlace::Tool => {
                        (tool.is_some(), tool.as_deref().unwrap_or_default().chars().count())
                    }
                    SelectorPlace::Field(path) => (fields.iter().any(|(name, _)| name == path), 0),
                    SelectorPlace::On => (on.len() > Selector::MAX_PARTS, 0),
                    SelectorPlace::Where => (fields.len() > Selector::MAX_PARTS, 0),
                };
                let is_inside = problem.column.is_none_or(|column| (1..=letters + 1).contains(&column));
                assert!(is_there && is_inside, "no such place: {problem}");
            }
        }
    }
}

/// Selectors of all kinds, for the one that is asked to be among.
fn others() -> &'static [Selector] {
    static OTHERS: OnceLock<Vec<Selector>> = OnceLock::new();
    OTHERS.get_or_init(|| {
        let make = |on: &str, tool: Option<&str>, fields: &[(&str, Value)]| {
            let fields = fields.iter().map(|(path, value)| ((*path).to_owned(), value.clone())).collect();
            Selector::new(&[on.to_owned()], tool, fields).expect("they are valid")
        };
        vec![
            make("*", None, &[]),
            make("*", Some("Bash|Edit"), &[]),
            make("*", Some("mcp__.*"), &[("a", Value::from(1))]),
            make("pre_tool", None, &[("a.b", Value::from("x")), ("a.b.0", Value::from(true))]),
            make("delegation", Some("[A-Z].*"), &[]),
            make("x", None, &[("a", Value::from("1"))]),
            make("PreToolUse", Some("Bash"), &[("tool_input.command", Value::from("ls"))]),
        ]
    })
}

fn asked(selector: &Selector, on: &[String], fields: &[(String, Value)], event: &Event) {
    let all = KindSet::names().fold(KindSet::EMPTY, |all, (_, kind)| all.union(kind));
    let answer = |matcher: &Matcher, hook: usize, enabled: KindSet| {
        let (mut found, mut last): (Option<Matched>, _) = (None, None);
        matcher.find(event, enabled, |at, matched| {
            assert!(last < Some(at), "ascending, each once");
            last = Some(at);
            if at == hook {
                found = Some(matched);
            }
        });
        found
    };
    let alone = answer(&Matcher::new([selector]), 0, all);
    let many = others();
    let among = Matcher::new(many.iter().chain([selector]).chain(many));
    assert_eq!(answer(&among, many.len(), all), alone, "the company changes nothing");
    let closed = answer(&among, many.len(), KindSet::EMPTY);
    assert_eq!(closed.map(|matched| matched.ways), alone.map(|matched| matched.ways));
    assert!(closed.is_none_or(|matched| matched.open.is_empty()));

    let by_kind = |name: &String| KindSet::from_name(name).is_some_and(|kind| kind.intersects(event.kinds()));
    let by_on = on.iter().any(|name| name == "*" || by_kind(name) || *name == event.name());
    let pattern = selector.tool.as_ref();
    let by_tool = pattern.is_none_or(|pattern| event.tool().is_some_and(|tool| pattern.is_match(tool)));
    let by_field = |(path, value): &(String, Value)| {
        let path: FieldPath = path.parse().expect("the selector was accepted");
        event.field(&path).is_some_and(|there| is_value(&there, value))
    };
    assert_eq!(alone.is_some(), by_on && by_tool && fields.iter().all(by_field), "{selector:?}");
}

fn is_value(scalar: &Scalar<'_>, value: &Value) -> bool {
    match (scalar, value) {
        (Scalar::Text(text), Value::String(other)) => **text == **other,
        (Scalar::Bool(flag), Value::Bool(other)) => flag == other,
        (number, Value::Number(other)) => match (other.as_i128(), other.as_f64()) {
            (Some(whole), _) => *number == Scalar::Integer(whole),
            (_, Some(float)) => *number == Scalar::float(float),
            _ => false,
        },
        _ => false,
    }
}
