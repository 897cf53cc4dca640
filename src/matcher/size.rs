//! What an expression takes at most when it is compiled, found without compiling it.
//!
//! Invariant: [`most_bytes`] is never below what the engine counts against its size limit, whatever the expression.
//! So one whose bound is small certainly compiles, and only one near the limit has to be compiled to know.

use regex_syntax::hir::{Class, ClassUnicode, Hir, HirKind};
use regex_syntax::utf8::Utf8Sequences;

/// Above the size of one state of the engine with one transition and one way to it.
const STATE_BYTES: u64 = 64;

/// States around the expression: those of the search for its start, of the whole match, and its end.
const AROUND: u64 = 16;

/// The bound, in bytes.
pub(super) fn most_bytes(expression: &Hir) -> u64 {
    states(expression).saturating_add(AROUND).saturating_mul(STATE_BYTES)
}

/// Recursion is bounded by the parser's limit of nesting.
fn states(expression: &Hir) -> u64 {
    match expression.kind() {
        HirKind::Empty | HirKind::Look(_) => 2,
        // Among literals that are alternatives a byte may have a fork and a meeting point beside its own state.
        HirKind::Literal(literal) => 3 * len(literal.0.len()) + 2,
        HirKind::Class(Class::Bytes(class)) => len(class.ranges().len()) + 2,
        HirKind::Class(Class::Unicode(class)) => of_class(class) + 2,
        HirKind::Repetition(repetition) => {
            let copies = repetition.max.unwrap_or_else(|| repetition.min.max(1));
            states(&repetition.sub).saturating_add(2).saturating_mul(copies.into()).saturating_add(4)
        }
        HirKind::Capture(capture) => states(&capture.sub).saturating_add(2),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => {
            let each = parts.iter().map(|part| states(part).saturating_add(1));
            each.fold(2, u64::saturating_add)
        }
    }
}

/// One state for each byte of each sequence of bytes, as if no two had one in common.
fn of_class(class: &ClassUnicode) -> u64 {
    if class.is_ascii() {
        return len(class.ranges().len());
    }
    let sequences = class.ranges().iter().flat_map(|range| Utf8Sequences::new(range.start(), range.end()));
    sequences.map(|sequence| len(sequence.len()) + 1).sum()
}

fn len(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX / STATE_BYTES)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use regex::RegexBuilder;

    use super::*;

    fn is_enough(pattern: &str) -> Result<(), String> {
        let Ok(expression) = regex_syntax::parse(pattern) else { return Ok(()) };
        // Larger ones take long, and are compiled to know.
        let bound = most_bytes(&expression);
        if bound > 4 << 20 {
            return Ok(());
        }
        let limit = usize::try_from(bound).map_err(|error| error.to_string())?;
        let built = RegexBuilder::new(pattern).size_limit(limit).build();
        // Short ones are taken into the anchoring group without another look.
        let anchored = crate::matcher::tool::anchored(pattern);
        if anchored.is_ok_and(|anchored| regex_syntax::parse(&anchored).is_err()) {
            return Err(format!("{pattern:?} is not valid in a group"));
        }
        built.map(drop).map_err(|error| format!("{pattern:?} takes more than {bound}: {error}"))
    }

    #[test]
    fn it_is_enough_for_every_part_of_the_syntax() {
        for pattern in [
            "",
            "a",
            ".",
            "(?s).",
            r"\w",
            r"\W",
            r"\d\D\s\S",
            "[^a]",
            "(?i)straße",
            r"(?-u:\w)",
            r"\b\B^$\A\z",
            "(?mR)^$",
            "a*",
            "a+?",
            "(a*)*",
            "(?:|a)*",
            "a{3}",
            "a{2,}",
            "a{2,5}?",
            "a{0}",
            "(?:a{0,9}){0,9}",
            "()|()|()",
            "(?P<name>a)(b)",
            "a|ab|abc|b|bcd",
            "é|è|ê",
            "[α-ω]|[\u{10000}-\u{10ffff}]",
            r"\w{20}",
            "[\u{0}-\u{d7ff}]",
            "(?i)[k-s]",
            r"\p{Lu}",
            "[a&&b]",
            "ſ|K",
        ] {
            is_enough(pattern).unwrap();
        }
    }

    fn pattern() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            "[a-c]{1,4}",
            "[a-zé-üα-ω一-丁😀]{1,3}",
            Just(".".to_owned()),
            Just(r"\w".to_owned()),
            Just(r"\d".to_owned()),
            Just(r"\W".to_owned()),
            Just(r"\b".to_owned()),
            Just("^".to_owned()),
            Just("(?i:straße)".to_owned()),
            Just(String::new()),
            (any::<char>(), any::<char>()).prop_map(|(a, b)| {
                format!(r"[\x{{{:x}}}-\x{{{:x}}}]", u32::from(a.min(b)), u32::from(a.max(b)))
            }),
        ];
        leaf.prop_recursive(5, 40, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 1..6).prop_map(|parts| parts.concat()),
                prop::collection::vec(inner.clone(), 1..6)
                    .prop_map(|parts| format!("(?:{})", parts.join("|"))),
                inner.clone().prop_map(|inner| format!("({inner})")),
                (
                    inner,
                    prop::sample::select(vec!["*", "+", "?", "*?", "{3}", "{2,}", "{0,4}", "{1,3}?", "{0}"])
                )
                    .prop_map(|(inner, times)| format!("(?:{inner}){times}")),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]
        #[test]
        fn it_is_enough_for_any_expression(pattern in pattern()) {
            prop_assert_eq!(is_enough(&pattern), Ok(()));
        }
    }
}
