//! The scanner against `serde_json`, on JSON, on broken JSON, and in chunks of any size.

use proptest::prelude::*;

use super::*;

/// Whether `bytes` are one JSON text, fed in pieces of `chunk` bytes.
fn accepts(bytes: &[u8], chunk: usize) -> bool {
    let mut scanner = Scanner::new();
    // A line break ends a number, and changes nothing else.
    for piece in bytes.chunks(chunk).chain([b"\n".as_slice()]) {
        let mut rest = piece;
        while !rest.is_empty() {
            let (taken, step) = scanner.feed(rest);
            if let Step::Error(_) = step {
                return false;
            }
            rest = &rest[taken..];
        }
    }
    scanner.state == State::Between(Expect::End)
}

fn serde_accepts(bytes: &[u8]) -> bool {
    serde_json::from_slice::<serde::de::IgnoredAny>(bytes).is_ok()
}

fn json() -> impl Strategy<Value = String> {
    let scalar = prop_oneof![
        r#"null|true|false|""|0|-0|10|-1\.50|1e5|0E\+7|2\.5e-10"#,
        r#""([a-z ü]|\\[nt"\\/bfr]|\\u[0-9a-fA-F]{4}){0,20}""#,
    ];
    let blank = "[ \t\r\n]{0,2}";
    scalar.prop_recursive(6, 40, 4, move |inner| {
        let member = (blank, "\"[a-z]{0,9}\"", blank, inner.clone())
            .prop_map(|(a, key, b, value)| format!("{a}{key}{b}:{value}{a}"));
        prop_oneof![
            prop::collection::vec(inner, 0..4).prop_map(|all| format!("[ {}]", all.join(" ,"))),
            prop::collection::vec(member, 0..4).prop_map(|all| format!("{{{}}}", all.join(","))),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn json_is_accepted(text in json(), chunk in 1..20_usize) {
        prop_assert!(serde_accepts(text.as_bytes()));
        prop_assert!(accepts(text.as_bytes(), chunk));
    }

    #[test]
    fn mutated_json_is_judged_as_serde_json_judges_it(
        text in json(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), 0..3_u8, any::<u8>()), 1..4),
        chunk in 1..20_usize,
    ) {
        const LIKELY: &[u8] = b"{}[]\",:\\ue+-.019tfn \n\r\0\x1f\x7f\xff";
        let mut bytes = text.into_bytes();
        for (at, how, with) in changes {
            let at = at.index(bytes.len() + 1);
            let with = if with < 128 { LIKELY[usize::from(with) % LIKELY.len()] } else { with };
            match how {
                0 => bytes.insert(at, with),
                _ if at >= bytes.len() => {}
                1 => bytes[at] = with,
                _ => drop(bytes.remove(at)),
            }
        }
        prop_assert_eq!(accepts(&bytes, chunk), serde_accepts(&bytes));
    }

    #[test]
    fn jsonish_bytes_are_judged_as_serde_json_judges_them(
        bytes in prop::collection::vec(prop::sample::select(b"{}[]\",:\\u0019eE+-. \n\ttrue\x01\xe4".to_vec()), 0..12),
        chunk in 1..5_usize,
    ) {
        prop_assert_eq!(accepts(&bytes, chunk), serde_accepts(&bytes));
    }

    #[test]
    fn plain_bytes_of_a_string_are_counted_exactly(bytes in prop::collection::vec(any::<u8>(), 0..40), calm in any::<bool>()) {
        let bytes: Vec<u8> = if calm { bytes.iter().map(|byte| byte | 0x60).collect() } else { bytes };
        let slow = bytes.iter().take_while(|&&byte| byte >= 0x20 && byte != b'"' && byte != b'\\').count();
        prop_assert_eq!(plain_length(&bytes), slow);
    }
}

#[test]
fn brackets_are_remembered_at_any_depth() {
    let open = "[{\"k\":".repeat(200);
    let close = "}]".repeat(200);
    assert!(accepts(format!("{open}1{close}").as_bytes(), 7));
    for wrong in 0..400 {
        let mut close = close.clone().into_bytes();
        close[wrong] = if close[wrong] == b'}' { b']' } else { b'}' };
        assert!(!accepts(&[format!("{open}1").as_bytes(), &close].concat(), 64), "bracket {wrong}");
    }
}

#[test]
fn a_reset_forgets_the_open_brackets() {
    let mut scanner = Scanner::new();
    scanner.feed("[".repeat(1000).as_bytes());
    scanner.stop_at(3);
    scanner.reset();
    assert_eq!((scanner.depth(), scanner.outer.len()), (0, 0));
    assert_eq!(scanner.feed(b"[[[[]]]]x"), (8, Step::Complete { empty: false }));
}

#[test]
fn deeper_than_the_limit_is_refused() {
    let limit = usize::try_from(MAX_DEPTH).unwrap();
    let deep = |depth: usize| ["[".repeat(depth), "]".repeat(depth)].concat().into_bytes();
    assert!(accepts(&deep(limit), 4096));
    let (taken, step) = Scanner::new().feed(&deep(limit + 1));
    assert_eq!((taken, step), (limit, Step::Error(SyntaxError::TooDeep)));
}

#[test]
fn a_watched_inner_value_stops_the_scan_where_it_ends() {
    let mut scanner = Scanner::new();
    assert_eq!(scanner.feed(b"{\"a\":[\n"), (7, Step::LineEnd));
    scanner.stop_at(scanner.depth());
    assert_eq!(scanner.feed(b"{\"b\":{}},{}]}"), (8, Step::Complete { empty: false }));
    assert_eq!(scanner.feed(b",{}]}"), (3, Step::Complete { empty: true }));
    scanner.stop_at(0);
    assert_eq!(scanner.feed(b"]}x"), (2, Step::Complete { empty: false }));
}

#[test]
fn errors_say_what_would_be_right() {
    let cases: &[(&str, usize, &str)] = &[
        ("{'a':1}", 1, "expected a key in double quotes or `}`, found `'`"),
        ("{\"a\" 1}", 5, "expected `:` after the key, found `1`"),
        ("{\"a\":1,}", 7, "expected a key in double quotes, found `}`"),
        ("{\"a\":[1}", 7, "expected `,` or `]`, found `}`"),
        ("{\"a\":nul}", 8, "expected `true`, `false` or `null`, found `}`"),
        ("{\"a\":1.}", 7, "expected a digit, found `}`"),
        ("{\"a\":\"b\n", 7, "the line ends inside a string"),
        ("{\"a\":\"\t", 6, "byte 0x09 inside a string has to be written `\\u0009`"),
        ("{\0}", 1, "expected a key in double quotes or `}`, found byte 0x00"),
    ];
    for &(text, at, says) in cases {
        let (taken, step) = Scanner::new().feed(text.as_bytes());
        let Step::Error(error) = step else { panic!("{text}: {step:?}") };
        assert_eq!((taken, error.to_string().as_str()), (at, says), "{text}");
    }
}
