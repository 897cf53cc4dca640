//! What a handler that speaks lines writes, taken apart as it comes: answers, broken answers, noise.
//!
//! A line that begins with `{` is an answer: `{"id":"…","ok":true,"message":"…","verdict":…}`. The first two are needed;
//! members that nobody knows are ignored. A line that begins with anything else is noise, and is handed on without being
//! held. A line of either kind may end in CR LF.
//!
//! Invariant: how the output is cut into pieces changes nothing. At most [`LONGEST`] bytes of a line are held; a longer
//! answer is broken, and the rest of its line is passed over.

use std::borrow::Cow;
use std::ops::ControlFlow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::outcome::Json;

/// Longest answer, in bytes.
pub(in super::super) const LONGEST: usize = 1024 * 1024;

/// One thing that a handler wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) enum Item<'a> {
    Answer(Line),
    /// Why a line that begins like an answer is none.
    Broken(String),
    /// Part of a line that is no answer, or all of it.
    Noise(&'a [u8]),
}

/// What a handler says of one event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Line {
    pub(in super::super) id: String,
    pub(in super::super) ok: bool,
    pub(in super::super) message: Option<String>,
    pub(in super::super) verdict: Option<Json>,
}

/// The members of an answer.
#[derive(Deserialize)]
struct Raw<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    ok: bool,
    #[serde(borrow, default)]
    message: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    verdict: Option<&'a RawValue>,
}

/// Takes output apart. It is at the beginning of a line when it is made.
#[derive(Debug, Default)]
pub(in super::super) struct Reader {
    /// The answer that has begun.
    held: Vec<u8>,
    state: State,
    /// An object without `id` is no answer, but one of the many things that a service says of its own.
    of_service: bool,
}

/// What the line is that is being read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// Nothing of it has come.
    #[default]
    New,
    Answer,
    /// An answer that was too long, and has been reported.
    TooLong,
    Noise,
}

impl Reader {
    /// One for what a web service answers: an object without `id` is noise.
    #[cfg(feature = "http")]
    pub(in super::super) fn of_service() -> Self {
        Self { of_service: true, ..Self::default() }
    }

    /// Takes the next piece. The sink may end it early: what is left of the piece is lost then.
    pub(in super::super) fn push(
        &mut self,
        mut piece: &[u8],
        mut sink: impl FnMut(Item<'_>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        while let Some(first) = piece.first() {
            if self.state == State::New {
                self.state = if *first == b'{' { State::Answer } else { State::Noise };
            }
            let end = piece.iter().position(|byte| *byte == b'\n');
            let (part, rest) = piece.split_at(end.map_or(piece.len(), |end| end + 1));
            piece = rest;
            let complete = end.is_some();
            match self.state {
                State::Noise => sink(Item::Noise(part))?,
                State::Answer if self.held.len() + part.len() > LONGEST => {
                    self.held = Vec::new();
                    self.state = State::TooLong;
                    sink(Item::Broken(format!("it is longer than {LONGEST} bytes")))?;
                }
                State::Answer if !complete => self.held.extend_from_slice(part),
                State::Answer if self.held.is_empty() => sink(self.read(part))?,
                State::Answer => {
                    self.held.extend_from_slice(part);
                    let held = std::mem::take(&mut self.held);
                    let item = self.read(&held);
                    // Before the sink can end it: the line is over.
                    self.state = State::New;
                    sink(item)?;
                }
                State::New | State::TooLong => {}
            }
            if complete {
                self.state = State::New;
            }
        }
        ControlFlow::Continue(())
    }

    /// The output has ended: a last line without its end counts.
    pub(in super::super) fn finish(&mut self) -> Option<Item<'static>> {
        let held = std::mem::take(&mut self.held);
        self.state = State::New;
        (!held.is_empty()).then(|| self.read(&held))
    }

    fn read(&self, line: &[u8]) -> Item<'static> {
        /// An object that names no event.
        #[derive(Deserialize)]
        struct Nameless {
            id: Option<serde::de::IgnoredAny>,
        }
        let is_noise = || serde_json::from_slice::<Nameless>(line).is_ok_and(|object| object.id.is_none());
        match read(line) {
            Item::Broken(_) if self.of_service && is_noise() => Item::Noise(b""),
            item => item,
        }
    }
}

fn read(line: &[u8]) -> Item<'static> {
    let read = serde_json::from_slice::<Raw<'_>>(line).map_err(|error| short(&error.to_string()));
    let answer = read.and_then(|Raw { id, ok, message, verdict }| {
        let verdict = verdict.map(|verdict| read_verdict(verdict.get())).transpose()?;
        Ok(Line { id: id.into_owned(), ok, message: message.map(Cow::into_owned), verdict })
    });
    answer.map_or_else(|why| Item::Broken(format!("{why}: {}", excerpt(line))), Item::Answer)
}

/// A verdict that a reader cannot make values of, such as `1e999` or a depth without measure, would be lost further on.
pub(in super::super) fn read_verdict(text: &str) -> Result<Json, String> {
    serde_json::from_str::<serde_json::Value>(text)
        .map_err(|error| error.to_string())
        .and_then(|_| text.parse())
        .map_err(|error| format!("its verdict cannot be read: {}", short(&error)))
}

/// The parser's words without most of what they quote, which is the handler's and of any length.
fn short(error: &str) -> String {
    const LONG: usize = 120;
    if error.len() <= LONG {
        return error.to_owned();
    }
    let begin: String = error.chars().take(LONG / 2).collect();
    // What it says after the quotation is bounded.
    let end = error.rsplit_once(", expected ").map_or("", |(_, end)| end);
    if end.is_empty() || end.len() > LONG {
        format!("{begin}…")
    } else {
        format!("{begin}…, expected {end}")
    }
}

/// The beginning of a line, fit for a message.
fn excerpt(line: &[u8]) -> String {
    const SHOWN: usize = 80;
    let line = line.trim_ascii_end();
    let text = String::from_utf8_lossy(line.get(..SHOWN).unwrap_or(line)).escape_debug().to_string();
    if line.len() > SHOWN { format!("{text}…") } else { text }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What a piece-wise reading gives, with noise put together again.
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    struct Seen {
        items: Vec<String>,
        noise: Vec<u8>,
    }

    fn seen(pieces: &[&[u8]]) -> Seen {
        let mut reader = Reader::default();
        let mut seen = Seen::default();
        let mut sink = |item: Item<'_>| {
            match item {
                Item::Noise(bytes) => seen.noise.extend_from_slice(bytes),
                item => seen.items.push(format!("{item:?}")),
            }
            ControlFlow::Continue(())
        };
        for piece in pieces {
            let _ = reader.push(piece, &mut sink);
            assert!(reader.held.len() <= LONGEST);
        }
        if let Some(item) = reader.finish() {
            let _ = sink(item);
        }
        seen
    }

    fn only(output: &[u8]) -> Item<'static> {
        let mut reader = Reader::default();
        let mut found = Vec::new();
        let _ = reader.push(output, |item| {
            found.push(match item {
                Item::Noise(_) => Item::Noise(b""),
                Item::Answer(answer) => Item::Answer(answer),
                Item::Broken(why) => Item::Broken(why),
            });
            ControlFlow::Continue(())
        });
        found.extend(reader.finish());
        assert_eq!(found.len(), 1, "{found:?}");
        found.pop().unwrap()
    }

    #[test]
    fn an_answer_has_an_id_and_says_how_it_went() {
        let plain = Line { id: "7".into(), ok: true, message: None, verdict: None };
        for line in [
            r#"{"id":"7","ok":true}"#,
            "{\"id\":\"7\",\"ok\":true}\n",
            "{ \"ok\" : true, \"more\": [{}], \"id\":\"\\u0037\", \"message\":null, \"verdict\":null }\r\n",
        ] {
            assert_eq!(only(line.as_bytes()), Item::Answer(plain.clone()), "{line}");
        }
        let full = r#"{"id":"7","ok":false,"message":"no\nway","verdict":{"a": [1, "x"]}}"#;
        let Item::Answer(answer) = only(full.as_bytes()) else { panic!("it is an answer") };
        assert_eq!((answer.ok, answer.message.as_deref()), (false, Some("no\nway")));
        assert_eq!(answer.verdict.as_ref().map(Json::as_str), Some(r#"{"a": [1, "x"]}"#));
    }

    #[test]
    fn a_line_that_begins_like_an_answer_and_is_none_is_broken() {
        for (line, why) in [
            ("{", "EOF"),
            ("{}", "missing field `id`"),
            (r#"{"id":"7"}"#, "missing field `ok`"),
            (r#"{"id":7,"ok":true}"#, "invalid type"),
            (r#"{"id":"7","ok":"yes"}"#, "invalid type"),
            (r#"{"id":"7","ok":true} more"#, "trailing"),
            (r#"{"id":"7","id":"8","ok":true}"#, "duplicate"),
            (r#"{"id":"7","ok":true,"message":1}"#, "invalid type"),
        ] {
            let Item::Broken(reason) = only(line.as_bytes()) else { panic!("{line} is broken") };
            assert!(reason.contains(why) && reason.contains(&line[..1]), "{reason}");
        }
        assert!(matches!(only(b"{\"id\":\"\xff\",\"ok\":true}"), Item::Broken(_)));
    }

    #[test]
    fn a_reason_is_short_whatever_the_handler_wrote() {
        let line = format!(r#"{{"id":"7","ok":"{}"}}"#, "é".repeat(100_000));
        let Item::Broken(reason) = only(line.as_bytes()) else { panic!("it is broken") };
        assert!(reason.len() < 1000, "{} bytes", reason.len());
        assert!(
            reason.starts_with("invalid type: string") && reason.contains("expected a boolean"),
            "{reason}"
        );
    }

    #[test]
    fn a_verdict_that_cannot_be_read_is_a_broken_answer() {
        let deep = format!("{}{}", "[".repeat(1000), "]".repeat(1000));
        for verdict in ["1e999", r#""\ud800""#, &deep] {
            let line = format!(r#"{{"id":"7","ok":true,"verdict":{verdict}}}"#);
            let Item::Broken(reason) = only(line.as_bytes()) else { panic!("{verdict} is broken") };
            assert!(reason.starts_with("its verdict cannot be read"), "{reason}");
        }
    }

    #[test]
    fn everything_else_is_noise_and_is_not_held() {
        for line in ["hello\n", " {\"id\":\"7\",\"ok\":true}\n", "\n", "\r\n", "[1]\n", "no end"] {
            assert_eq!(seen(&[line.as_bytes()]), Seen { items: Vec::new(), noise: line.into() });
        }
        assert_eq!(seen(&[b"\xff\xfe\n"]).noise, b"\xff\xfe\n");
    }

    #[test]
    fn an_answer_without_measure_is_broken_once_and_the_next_line_counts() {
        let mut long = br#"{"id":"1","ok":true,"message":""#.to_vec();
        long.resize(3 * LONGEST, b'x');
        let mut pieces: Vec<&[u8]> = long.chunks(64 * 1024).collect();
        pieces.push(b"\"}\n{\"id\":\"2\",\"ok\":true}\n");
        let items = seen(&pieces).items;
        assert_eq!(items.len(), 2, "{items:?}");
        assert!(items[0].starts_with("Broken") && items[1].contains("\"2\""), "{items:?}");
    }

    #[test]
    fn a_sink_that_has_enough_ends_it_between_two_lines() {
        let mut reader = Reader::default();
        let ended = reader.push(b"{\"id\"", |_| ControlFlow::Break(()));
        assert!(ended.is_continue());
        assert!(reader.push(b":\"1\",\"ok\":true}\nnoise", |_| ControlFlow::Break(())).is_break());
        assert_eq!(reader.finish(), None);
    }

    proptest! {
        #[test]
        fn how_the_output_is_cut_changes_nothing(
            lines in prop::collection::vec(prop_oneof![
                r#"\{"id":"[0-9]{1,3}","ok":(true|false)\}"#,
                r#"\{"id":"[0-9]","ok":true,"verdict":\{"a":"[\\]"\}\}"#,
                r"\{.{0,12}",
                ".{0,12}",
            ], 0..12),
            ends in prop::collection::vec(prop_oneof!["\n", "\r\n"], 12),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..24),
            last_ends: bool,
        ) {
            let mut output: Vec<u8> =
                lines.iter().zip(&ends).flat_map(|(line, end)| format!("{line}{end}").into_bytes()).collect();
            if !last_ends {
                output.pop();
            }
            let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(output.len() + 1)).collect();
            cuts.extend([0, output.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|pair| &output[pair[0]..pair[1]]).collect();
            prop_assert_eq!(seen(&pieces), seen(&[&output]));
        }
    }
}
