//! Each kind reads what it says it allows, from TOML and from text alike.

use super::*;

fn toml(kind: ValueKind, text: &str) -> Option<Json> {
    kind.read(&DeValue::parse(text).unwrap()).ok()
}

fn text(kind: ValueKind, text: &str) -> Option<Json> {
    kind.read_text(text, Bare::Seconds).ok()
}

#[test]
fn numbers_have_every_base_of_toml() {
    let kind = ValueKind::Integer { min: 0, max: 300 };
    for (written, number) in [("0x10", 16), ("0o17", 15), ("0b11", 3), ("+3", 3), ("3_0", 30)] {
        assert_eq!(toml(kind, written), Some(number.into()), "{written}");
    }
    assert_eq!(toml(kind, "301"), None);
    assert_eq!(text(kind, "+3"), Some(3.into()));
    assert_eq!(text(kind, "++3"), None);
}

#[test]
fn durations_are_nanoseconds_whatever_their_type() {
    let kind = ValueKind::Duration { zero: false, off: true };
    for written in ["2", "2.0", "'2s'", "'2000ms'", "'2'"] {
        assert_eq!(toml(kind, written), Some(2_000_000_000u64.into()), "{written}");
    }
    assert_eq!(toml(kind, "'off'"), Some("off".into()));
    assert_eq!(text(kind, " off "), Some("off".into()));
    assert_eq!(toml(ValueKind::Duration { zero: false, off: false }, "'off'"), None);
    assert_eq!(toml(ValueKind::Duration { zero: true, off: false }, "0.0"), Some(0.into()));
}

#[test]
fn lists_in_text_are_written_as_in_toml() {
    assert_eq!(text(ValueKind::TextList, "['a', \"b\"]"), Some(vec!["a", "b"].into()));
    assert_eq!(text(ValueKind::TextList, "a,b"), None);
    assert_eq!(toml(ValueKind::TextList, "'a'"), Some(vec!["a"].into()));
    assert_eq!(text(ValueKind::Choices(&["x", "y"]), "['y']"), Some(vec!["y"].into()));
    assert_eq!(text(ValueKind::Choices(&["x", "y"]), "['z']"), None);
    assert_eq!(text(ValueKind::BooleanOrList, "no"), Some(false.into()));
    assert_eq!(text(ValueKind::BooleanOrList, "['PATH']"), Some(vec!["PATH"].into()));
}

#[test]
fn text_stays_as_it_is() {
    let kind = ValueKind::Text { empty: true };
    for written in ["007", " blank ", "", "true", "[1]"] {
        assert_eq!(text(kind, written), Some(written.into()));
    }
    assert_eq!(text(ValueKind::Text { empty: false }, ""), None);
    assert_eq!(text(ValueKind::Command, " echo  x "), Some(" echo  x ".into()));
}

#[test]
fn scalars_of_text_are_typed_as_in_toml() {
    for (written, value) in
        [("3", Json::from(3)), ("true", true.into()), ("'3'", "3".into()), ("abc d", "abc d".into())]
    {
        assert_eq!(text(ValueKind::Scalar, written), Some(value), "{written}");
    }
}

#[test]
fn a_later_choice_is_not_a_wrong_one() {
    let kind = ValueKind::Choice { names: &["now"], later: &["then"] };
    assert!(matches!(kind.read_text("then", Bare::Seconds), Err(Fault::NotSupported { .. })));
    assert!(matches!(kind.read_text("never", Bare::Seconds), Err(Fault::Wrong { .. })));
    assert_eq!(kind.allowed(), "\"now\" or \"then\"");
}
