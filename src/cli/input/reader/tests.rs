//! The rules of reading and recovery, each by example and all together on random mixtures.

use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;

const LIMIT: usize = 1000;

/// Gives out its bytes in chunks of one size.
struct InChunks<'a>(&'a [u8], usize);

impl Read for InChunks<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.1.min(self.0.len()).min(buffer.len());
        let (now, later) = self.0.split_at(count);
        buffer[..count].copy_from_slice(now);
        self.0 = later;
        Ok(count)
    }
}

/// A live stream: gives out its pieces, and would block when it has none.
struct Live(VecDeque<&'static str>);

impl Read for Live {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let piece = self.0.pop_front().ok_or(io::ErrorKind::WouldBlock)?;
        buffer[..piece.len()].copy_from_slice(piece.as_bytes());
        Ok(piece.len())
    }
}

fn items_of<R: Read>(mut reader: DocumentReader<R>) -> Vec<Item> {
    let items = std::iter::from_fn(|| reader.next().unwrap()).collect();
    assert_eq!(reader.next().unwrap(), None, "the end stays the end");
    items
}

/// The items of `input`, a line of text each: the place and the bytes, or the place and the problem.
fn read_with(input: &[u8], limit: usize, chunk: usize) -> Vec<String> {
    let items = items_of(DocumentReader::new(InChunks(input, chunk), limit));
    items
        .into_iter()
        .map(|item| match item {
            Item::Document { bytes, line } => format!("{line} {}", String::from_utf8_lossy(&bytes)),
            Item::Bad { line, problem } => format!("{line}! {problem}"),
        })
        .collect()
}

/// What `input` gives, in chunks of every size.
#[track_caller]
fn gives(input: impl AsRef<[u8]>, expected: &[&str]) {
    let input = input.as_ref();
    for chunk in (1..=input.len().min(40)).chain([CHUNK]) {
        assert_eq!(read_with(input, LIMIT, chunk), expected, "in chunks of {chunk}");
    }
}

const TRUNCATED: &str = "ends in the middle: its last `}` is missing";

#[test]
fn json_lines_are_documents_as_they_stood() {
    gives("", &[]);
    gives("\n \n\t\r\n", &[]);
    gives("{\"a\": 1}\n{\"b\":\"ü }\"}\n", &["1 {\"a\": 1}", "2 {\"b\":\"ü }\"}"]);
    gives("\n\n  {} \r\n\r\n{ }\r\n", &["3 {}", "5 { }"]);
    gives("{\"last\":[]}", &["1 {\"last\":[]}"]);
    gives("\u{feff}{}\n{}", &["1 {}", "2 {}"]);
    gives("{}{} {}\t{}\n{}", &["1 {}", "1 {}", "1 {}", "1 {}", "2 {}"]);
}

#[test]
fn pretty_documents_are_documents_as_they_stood() {
    gives(
        "{\n  \"a\": {\n    \"b\": []\n  }\n}\n{\n}\n",
        &["1 {\n  \"a\": {\n    \"b\": []\n  }\n}", "6 {\n}"],
    );
    gives("{\r\n\"a\":\r\n1\r\n}{\n} {\"b\":2}\r\n", &["1 {\r\n\"a\":\r\n1\r\n}", "4 {\n}", "5 {\"b\":2}"]);
}

#[test]
fn bytes_that_are_not_utf8_pass_in_strings_only() {
    let mut reader = DocumentReader::new(&b"{\"a\":\"\xff\"}\n{\xff}\n"[..], LIMIT);
    assert_eq!(reader.next().unwrap(), Some(Item::Document { bytes: b"{\"a\":\"\xff\"}".to_vec(), line: 1 }));
    gives(
        b"{\xff}\n{\0}\n\0\n\xef\xbb{}\n{}",
        &[
            "1! not JSON at 1:2: expected a key in double quotes or `}`, found byte 0xff",
            "2! not JSON at 2:2: expected a key in double quotes or `}`, found byte 0x00",
            "3! not JSON at 3:1: expected an object, found byte 0x00",
            "4! not JSON at 4:1: expected an object, found byte 0xef",
            "5 {}",
        ],
    );
    // A byte order mark that is none, and one that comes too late.
    gives(b"\xef\xbb", &["1! not JSON at 1:1: expected an object, found byte 0xef"]);
    gives("{}\n\u{feff}{}\n", &["1 {}", "2! not JSON at 2:1: expected an object, found byte 0xef"]);
}

#[test]
fn a_line_that_is_no_object_is_bad_by_itself() {
    gives("hello\n{}\n", &["1! not JSON at 1:1: expected an object, found `h`", "2 {}"]);
    gives("[{\"a\":1}]\n{}\n", &["1! an array, not an event: give its elements one by one", "2 {}"]);
    gives(
        "  \"text\"  \n12\r\n-1e5\ntrue\nfalse\nnull",
        &[
            "1! a string, not an event: an event is a JSON object",
            "2! a number, not an event: an event is a JSON object",
            "3! a number, not an event: an event is a JSON object",
            "4! a boolean, not an event: an event is a JSON object",
            "5! a boolean, not an event: an event is a JSON object",
            "6! null, not an event: an event is a JSON object",
        ],
    );
    gives(
        "2026-01-31 12:00 started {}\nnothing {}\n\"open\n12",
        &[
            "1! not JSON at 1:5: expected an object, found `-`",
            "2! not JSON at 2:2: expected `true`, `false` or `null`, found `o`",
            "3! not JSON at 3:6: the line ends inside a string",
            "4! a number, not an event: an event is a JSON object",
        ],
    );
    gives("{}, {\"lost\":1}\n{}", &["1 {}", "1! not JSON at 1:3: expected an object, found `,`", "2 {}"]);
}

#[test]
fn a_document_that_breaks_on_its_first_line_is_one_bad_line() {
    gives("{\"a\":oops} {\"lost\":1}\n{}\n", &["1! not JSON at 1:6: expected a value, found `o`", "2 {}"]);
    gives(
        "{\"a\":\"cut\n{\"b\":1}\n",
        &["1! not JSON at 1:10: the line ends inside a string", "2 {\"b\":1}"],
    );
    gives(
        "{} {]\n  {}\n",
        &["1 {}", "1! not JSON at 1:5: expected a key in double quotes or `}`, found `]`", "2 {}"],
    );
}

#[test]
fn a_document_that_breaks_on_a_later_line_is_bad_as_a_whole() {
    // The breaking line may begin the next document,
    gives(
        "{\n  \"a\": 1\n{\"b\":2}\n",
        &["1! not JSON at 3:1: expected `,` or `}`, found `{`", "3 {\"b\":2}"],
    );
    gives(
        "{\n  \"a\": 1\n{\n  \"b\": 2\n}\n",
        &["1! not JSON at 3:1: expected `,` or `}`, found `{`", "3 {\n  \"b\": 2\n}"],
    );
    // also when the break comes late on it,
    gives(
        "{\"a\":\n{\"b\":2} {\"c\":3}\n",
        &["1! not JSON at 2:9: expected `,` or `}`, found `{`", "2 {\"b\":2}", "2 {\"c\":3}"],
    );
    // or be broken itself.
    gives(
        "{\"a\":\n{\"b\":x}\n{}\n",
        &[
            "1! not JSON at 2:6: expected a value, found `x`",
            "2! not JSON at 2:6: expected a value, found `x`",
            "3 {}",
        ],
    );
    // Else the rest of the document goes without a word.
    gives(
        "{\n  \"a\": oops,\n  \"b\": {\n  }\n}\nnoise\n{\"c\":3}\n",
        &["1! not JSON at 2:8: expected a value, found `o`", "7 {\"c\":3}"],
    );
    gives("{\n  \"a\": \"cut\n{}", &["1! not JSON at 2:12: the line ends inside a string", "3 {}"]);
    gives("{\n]\n", &["1! not JSON at 2:1: expected a key in double quotes or `}`, found `]`"]);
}

#[test]
fn a_truncated_line_does_not_swallow_the_good_one_after_it() {
    let bad = format!("1! {TRUNCATED}");
    gives("{\"a\":\n{\"b\":2}\n{\"c\":3}\n", &[&bad, "2 {\"b\":2}", "3 {\"c\":3}"]);
    gives("{\"a\":[\n{\"b\":{}} \t\r\n", &[&bad, "2 {\"b\":{}}"]);
    gives("{\"a\":[1,\n{\"b\":2}", &[&bad, "2 {\"b\":2}"]);
    gives(
        "{\"a\":[\n{\"b\":2},\n{\"c\":3},\n  {\"d\":4}\n]}\n",
        &["1 {\"a\":[\n{\"b\":2},\n{\"c\":3},\n  {\"d\":4}\n]}"],
    );
    gives("{\"a\":[\n{\"b\":2},{\"c\":3}\n]}\n", &["1 {\"a\":[\n{\"b\":2},{\"c\":3}\n]}"]);
    gives("{\"a\":\n{}\n,\"b\":\n{\"c\":\n3}}\n", &["1 {\"a\":\n{}\n,\"b\":\n{\"c\":\n3}}"]);
    gives("{\"a\":\n{\"b\":2}}\n", &["1 {\"a\":\n{\"b\":2}}"]);
}

#[test]
fn a_document_over_the_limit_is_bad_and_the_next_is_found() {
    let of = |length: usize| format!("{{\"a\":\"{}\"}}", "x".repeat(length - 8));
    let too_long = "longer than the limit of 1000 bytes for one event";
    let fits = of(LIMIT);
    gives(&fits, &[&format!("1 {fits}")]);
    gives(format!("  {fits}  \n{{}}"), &[&format!("1 {fits}"), "2 {}"]);
    gives(format!("{} {{}}\n{{}}", of(LIMIT + 1)), &[&format!("1! {too_long}"), "2 {}"]);
    gives(of(5 * LIMIT), &[&format!("1! {too_long}")]);
    // On a later line, the next document begins with the next brace in column 1, this line's first.
    let half = format!("\"a\":\"{}\"", "x".repeat(LIMIT / 2));
    gives(format!("{{\n {half},\n {half}\n}}\n{{}}\n"), &[&format!("1! {too_long}"), "5 {}"]);
    let line = of(LIMIT - 1);
    gives(format!("{{{half},\"b\":\n{line}\n"), &[&format!("1! {too_long}"), &format!("2 {line}")]);
    gives(format!("{{\"b\":[{}\n{{}}", " ".repeat(LIMIT - 7)), &[&format!("1! {too_long}"), "2 {}"]);
}

#[test]
fn the_end_of_input_in_a_document_is_one_bad_document() {
    let bad = format!("1! {TRUNCATED}");
    for input in ["{", "{\"a\":\"", "{\"a\":1,\n", "{\n{", "{\n\"a\":\n{\"b\":"] {
        let expected = if input == "{\n{" {
            vec![
                "1! not JSON at 2:1: expected a key in double quotes or `}`, found `{`".to_owned(),
                format!("2! {TRUNCATED}"),
            ]
        } else {
            vec![bad.clone()]
        };
        gives(input, &expected.iter().map(String::as_str).collect::<Vec<_>>());
    }
}

#[test]
fn a_live_document_is_handed_on_before_more_is_asked_for() {
    let live = Live(["{\"a\"", ":1}", "\n{\n", "}\n", "{\"b\":\n{\"c\":2}\n", "oops\n{"].into());
    let mut reader = DocumentReader::new(live, LIMIT);
    let mut seen = Vec::new();
    let mut at_rest = |reader: &mut DocumentReader<Live>| {
        // Each read that follows an item would have to come from the next piece.
        let left = reader.source.0.len();
        let item = reader.next();
        seen.push((left, reader.source.0.len(), item.is_ok()));
        item
    };
    let document = |bytes: &str, line| Item::Document { bytes: bytes.into(), line };
    assert_eq!(at_rest(&mut reader).unwrap(), Some(document("{\"a\":1}", 1)));
    assert_eq!(at_rest(&mut reader).unwrap(), Some(document("{\n}", 2)));
    assert_eq!(at_rest(&mut reader).unwrap(), Some(bad(4, BadDocument::Truncated)));
    assert_eq!(at_rest(&mut reader).unwrap(), Some(document("{\"c\":2}", 5)));
    assert!(matches!(at_rest(&mut reader).unwrap(), Some(Item::Bad { line: 6, .. })));
    assert_eq!(at_rest(&mut reader).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    assert_eq!(seen, [(6, 4, true), (4, 2, true), (2, 1, true), (1, 1, true), (1, 0, true), (0, 0, false)]);
    // An error of the source loses nothing.
    reader.source.0.extend(["\"d\":3}", ""]);
    assert_eq!(reader.next().unwrap(), Some(document("{\"d\":3}", 7)));
    assert_eq!(reader.next().unwrap(), None);
}

#[test]
fn an_interrupted_read_is_tried_again() {
    struct Interrupted(bool);
    impl Read for Interrupted {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            self.0 = !self.0;
            if self.0 { Err(io::ErrorKind::Interrupted.into()) } else { Ok(0) }
        }
    }
    let reader = DocumentReader::new(b"{}\n{".chain(Interrupted(false)), LIMIT);
    assert_eq!(items_of(reader).len(), 2);
}

#[test]
fn memory_is_bounded_by_the_limit_whatever_comes() {
    let limit = 700_000;
    let endless: [&[u8]; 6] = [b"x", b"\"", b"[", b"1", b"{\"a\":\"", b"{\n{\"a\":[\n"];
    for start in endless {
        let fill = if start == b"1" { b'1' } else { b' ' };
        let input = start.chain(io::repeat(fill).take(20 << 20)).chain(&b"\n{}"[..]);
        let mut reader = DocumentReader::new(input, limit);
        let mut last = None;
        while let Some(item) = reader.next().unwrap() {
            assert!(reader.buffer.capacity() <= limit + 2 * CHUNK, "{}", reader.buffer.capacity());
            last = Some(item);
        }
        assert!(matches!(last, Some(Item::Document { .. })), "after {start:?}: {last:?}");
    }
}

fn good_line() -> impl Strategy<Value = String> {
    r#"\{"g":("[a-z{}\[]{0,9}"|[1-9][0-9]{0,4}|\{\}|\[\{"h":1\}\]|null)\}"#
}

fn garbage_line() -> impl Strategy<Value = String> {
    let pieces = r#"\{|\}|\[|\]|"|:|,|"k":|\{"k":|\{"k":\[|1|x| |\\|true|\{\}|\{"k":1\}"#;
    prop_oneof![
        prop::collection::vec(pieces, 0..8).prop_map(|pieces| pieces.concat()),
        // A good line cut short.
        (good_line(), any::<prop::sample::Index>())
            .prop_map(|(line, cut)| line[..cut.index(line.len())].into()),
        r#"\{"long":"x{60,100}"(\}|,)"#,
        "[^\n]{0,6}",
    ]
}

fn pretty() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("{\n  \"p\": [\n    {\n      \"q\": {}\n    }\n  ]\n}".to_owned()),
        Just("{\r\n\"p\":\r\n1\r\n}".to_owned()),
        Just("{\n}".to_owned()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn every_good_line_of_any_mixture_is_delivered(
        lines in prop::collection::vec(
            prop_oneof![
                (Just(true), good_line()),
                (Just(false), garbage_line()),
                (Just(false), pretty()),
            ],
            0..20,
        ),
        limit in prop_oneof![Just(40_usize), Just(LIMIT)],
        chunk in 1..50_usize,
        last_break in any::<bool>(),
    ) {
        let mut input = String::new();
        let mut good = Vec::new();
        for (is_good, text) in &lines {
            let line = 1 + input.matches('\n').count() as u64;
            if *is_good {
                good.push(Item::Document { bytes: text.clone().into_bytes(), line });
            }
            input.push_str(text);
            input.push('\n');
        }
        if !last_break {
            input.pop();
        }
        let input = input.into_bytes();
        let mut reader = DocumentReader::new(InChunks(&input, chunk), limit);
        let items: Vec<Item> = std::iter::from_fn(|| reader.next().unwrap()).collect();
        let mut rest = items.iter();
        for document in &good {
            prop_assert!(rest.any(|item| item == document), "lost {:?} in {:?}", document, items);
        }
        prop_assert!(reader.scanned <= 2 * input.len(), "{} of {}", reader.scanned, input.len());
        for item in &items {
            if let Item::Document { bytes, .. } = item {
                prop_assert!(bytes.len() <= limit);
                prop_assert!(serde_json::from_slice::<serde::de::IgnoredAny>(bytes).is_ok());
            }
        }
        prop_assert_eq!(items, items_of(DocumentReader::new(input.as_slice(), limit)));
    }

    #[test]
    fn good_lines_and_pretty_documents_alone_are_all_delivered(
        all in prop::collection::vec(prop_oneof![good_line(), pretty()], 0..10),
        between in prop::sample::select(vec!["\n", "\r\n", "\n\n", " \n\t"]),
        chunk in 1..50_usize,
    ) {
        let input = all.join(between);
        let items = items_of(DocumentReader::new(InChunks(input.as_bytes(), chunk), LIMIT));
        let documents: Vec<String> = items
            .into_iter()
            .map(|item| match item {
                Item::Document { bytes, .. } => String::from_utf8(bytes).unwrap(),
                Item::Bad { .. } => format!("{item:?}"),
            })
            .collect();
        prop_assert_eq!(documents, all);
    }
}
