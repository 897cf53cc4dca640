//! What a server answers, taken apart as it comes: HTTP/1.1, without sockets and clocks.
//!
//! Interim answers (1xx) are passed over. The body is handed on as it is read and not held; how long it is says the
//! head: by its length, in chunks, or up to the end of the connection.
//!
//! Invariant: how the answer is cut into pieces changes nothing, and at most [`LONGEST_HEAD`] bytes of heads are held,
//! whatever the server sends. Nothing is guessed: what is not clear is an error, and the connection is not used again.

use super::escaped;

/// Most bytes of all heads of one answer together.
const LONGEST_HEAD: usize = 64 * 1024;
/// Most headers of one head.
const MOST_HEADERS: usize = 128;
/// Longest line between two chunks.
const LONGEST_LINE: usize = 4096;

/// Reads one answer.
#[derive(Debug)]
pub(super) struct Reader {
    state: State,
    /// The head that has begun, or the line between two chunks.
    held: Vec<u8>,
    /// Bytes of heads and of lines behind the body.
    overhead: usize,
    pub(super) head: Option<Head>,
    keeps_alive: bool,
}

/// What counts of a head.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) status: u16,
    pub(super) location: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Head,
    /// So much of a body of known length is missing.
    Length(u64),
    ChunkSize,
    Chunk(u64),
    ChunkEnd,
    Trailer,
    UntilEnd,
    Done,
}

impl Reader {
    pub(super) fn new() -> Self {
        Self { state: State::Head, held: Vec::new(), overhead: 0, head: None, keeps_alive: false }
    }

    /// True when the answer is complete.
    pub(super) fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// True when nothing of it has come.
    pub(super) fn is_new(&self) -> bool {
        self.overhead == 0 && self.held.is_empty()
    }

    /// True when the server keeps the connection for the next request.
    pub(super) fn keeps_alive(&self) -> bool {
        self.is_done() && self.keeps_alive
    }

    /// Takes the next piece. `see` gets what of it is body.
    ///
    /// # Errors
    /// Why it is no answer.
    pub(super) fn push(&mut self, mut piece: &[u8], see: &mut dyn FnMut(&Head, &[u8])) -> Result<(), String> {
        while !piece.is_empty() {
            match self.state {
                State::Head => piece = self.push_head(piece)?,
                State::Length(left) => {
                    let left = self.hand_on(&mut piece, left, see);
                    self.state = if left == 0 { State::Done } else { State::Length(left) };
                }
                State::Chunk(left) => {
                    let left = self.hand_on(&mut piece, left, see);
                    self.state = if left == 0 { State::ChunkEnd } else { State::Chunk(left) };
                }
                State::UntilEnd => {
                    self.hand_on(&mut piece, u64::MAX, see);
                }
                State::ChunkSize | State::ChunkEnd | State::Trailer => piece = self.push_line(piece)?,
                State::Done => {
                    // Nobody asked for more, so whose answer would it be?
                    self.keeps_alive = false;
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// The connection has ended.
    ///
    /// # Errors
    /// The answer had not.
    pub(super) fn finish(&mut self) -> Result<(), String> {
        self.keeps_alive = false;
        match (self.state, &self.head) {
            (State::Done, _) => Ok(()),
            (State::UntilEnd, _) => {
                self.state = State::Done;
                Ok(())
            }
            (_, Some(head)) => {
                Err(format!("the connection was closed in the middle of the answer (HTTP {})", head.status))
            }
            (_, None) if self.is_new() => Err("the connection was closed before an answer came".to_owned()),
            (_, None) => Err("the connection was closed in the middle of the answer's head".to_owned()),
        }
    }

    fn hand_on(&self, piece: &mut &[u8], left: u64, see: &mut dyn FnMut(&Head, &[u8])) -> u64 {
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(piece.len());
        let (part, rest) = piece.split_at(most);
        if let Some(head) = &self.head {
            see(head, part);
        }
        *piece = rest;
        left - most as u64
    }

    /// Takes what belongs to the head, and gives back what does not.
    fn push_head<'a>(&mut self, piece: &'a [u8]) -> Result<&'a [u8], String> {
        const BEGIN: &[u8] = b"HTTP/1.";
        for (at, byte) in piece.iter().enumerate() {
            self.held.push(*byte);
            self.overhead += 1;
            let begins = self.held.iter().zip(BEGIN).all(|(own, right)| own == right);
            if self.held.len() <= BEGIN.len() && !begins {
                let shown = [
                    self.held.split_last().map_or(&[][..], |(_, held)| held),
                    piece.get(at..).unwrap_or_default(),
                ]
                .concat();
                return Err(format!("what came back is no HTTP/1: {}", escaped(&shown)));
            }
            if self.overhead > LONGEST_HEAD {
                return Err(format!("the answer's head is longer than {LONGEST_HEAD} bytes"));
            }
            if *byte == b'\n' && (self.held.ends_with(b"\n\r\n") || self.held.ends_with(b"\n\n")) {
                self.read_head()?;
                return Ok(piece.get(at + 1..).unwrap_or_default());
            }
        }
        Ok(&[])
    }

    fn read_head(&mut self) -> Result<(), String> {
        let held = std::mem::take(&mut self.held);
        let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
        let mut parsed = httparse::Response::new(&mut headers);
        let complete = match parsed.parse(&held) {
            Ok(httparse::Status::Complete(length)) => length == held.len(),
            Ok(httparse::Status::Partial) => false,
            Err(error) => return Err(format!("the answer's head cannot be read: {error}")),
        };
        let (Some(status), true) = (parsed.code, complete) else {
            return Err("the answer's head cannot be read".to_owned());
        };
        if matches!(status, 100 | 102..=199) {
            return Ok(());
        }
        let values = |name: &'static str| {
            let named = parsed.headers.iter().filter(move |header| header.name.eq_ignore_ascii_case(name));
            // A list may be spread over several headers.
            named.flat_map(|header| header.value.split(|byte| *byte == b',')).map(<[u8]>::trim_ascii)
        };
        let says = |name, word: &str| values(name).any(|value| value.eq_ignore_ascii_case(word.as_bytes()));
        let closes =
            says("connection", "close") || (parsed.version == Some(0) && !says("connection", "keep-alive"));
        self.keeps_alive = !closes;
        let location = parsed.headers.iter().find(|header| header.name.eq_ignore_ascii_case("location"));
        let location = location.map(|header| {
            // A query may be a secret of the server.
            let path = header.value.split(|byte| matches!(byte, b'?' | b'#')).next().unwrap_or_default();
            escaped(path)
        });
        self.head = Some(Head { status, location });
        let codings: Vec<_> = values("transfer-encoding").collect();
        let mut lengths = values("content-length");
        let length = lengths.next();
        self.state = if matches!(status, 101 | 204 | 304) {
            State::Done
        } else if let Some((last, before)) = codings.split_last() {
            if !before.is_empty() || !last.eq_ignore_ascii_case(b"chunked") {
                return Err("the answer has a transfer encoding that was not asked for".to_owned());
            }
            // Who says both says one thing too many.
            self.keeps_alive &= length.is_none();
            State::ChunkSize
        } else if let Some(length) = length {
            if !lengths.all(|other| other == length) {
                return Err("the answer says two different lengths".to_owned());
            }
            let digits =
                std::str::from_utf8(length).ok().filter(|text| text.bytes().all(|c| c.is_ascii_digit()));
            match digits.and_then(|digits| digits.parse().ok()) {
                Some(0) => State::Done,
                Some(length) => State::Length(length),
                None => return Err(format!("the answer's length is no number: {}", escaped(length))),
            }
        } else {
            self.keeps_alive = false;
            State::UntilEnd
        };
        Ok(())
    }

    /// Takes what belongs to a line between two chunks, and gives back what does not.
    fn push_line<'a>(&mut self, piece: &'a [u8]) -> Result<&'a [u8], String> {
        let end = piece.iter().position(|byte| *byte == b'\n');
        let (part, rest) = piece.split_at(end.map_or(piece.len(), |end| end + 1));
        if self.state == State::Trailer {
            self.overhead += part.len();
        }
        if self.held.len() + part.len() > LONGEST_LINE || self.overhead > LONGEST_HEAD {
            return Err("the answer has a line without measure between its chunks".to_owned());
        }
        self.held.extend_from_slice(part);
        if end.is_none() {
            return Ok(rest);
        }
        let line = std::mem::take(&mut self.held);
        let line = line.strip_suffix(b"\n").unwrap_or(&line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        self.state = match self.state {
            State::ChunkSize => {
                let size = line.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
                let digits =
                    std::str::from_utf8(size).ok().filter(|text| text.bytes().all(|c| c.is_ascii_hexdigit()));
                match digits.and_then(|digits| u64::from_str_radix(digits, 16).ok()) {
                    Some(0) => State::Trailer,
                    Some(size) => State::Chunk(size),
                    None => return Err(format!("the answer has a chunk without a size: {}", escaped(line))),
                }
            }
            State::ChunkEnd if line.is_empty() => State::ChunkSize,
            State::ChunkEnd => return Err("the answer has a chunk that is longer than it says".to_owned()),
            _ if line.is_empty() => State::Done,
            _ => State::Trailer,
        };
        Ok(rest)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Status, body, and whether the connection can be used again; or what is wrong with it.
    type Seen = Result<(u16, Vec<u8>, bool), String>;

    fn seen(pieces: &[&[u8]], ends: bool) -> Seen {
        let mut reader = Reader::new();
        let mut body = Vec::new();
        for piece in pieces {
            reader.push(piece, &mut |_, part| body.extend_from_slice(part))?;
            assert!(reader.held.len() <= LONGEST_HEAD);
        }
        if ends {
            reader.finish()?;
        }
        let head = reader.head.clone().ok_or("no head")?;
        if reader.is_done() { Ok((head.status, body, reader.keeps_alive())) } else { Err("open".into()) }
    }

    #[test]
    fn an_answer_ends_where_its_head_says() {
        for (text, status, body, again) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", 200, "hi", true),
            ("HTTP/1.1 200\r\ncontent-length:0\r\n\r\n", 200, "", true),
            ("HTTP/1.1 204 No Content\r\n\r\n", 204, "", true),
            ("HTTP/1.1 200 OK\nContent-Length: 2\n\nhi", 200, "hi", true),
            ("HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\nContent-Length: 2\r\n\r\nhi", 200, "hi", true),
            ("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi", 200, "hi", false),
            ("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi", 200, "hi", false),
            ("HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 2\r\n\r\nhi", 200, "hi", true),
            ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi and more", 200, "hi", false),
            (
                "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nLink: x\r\n\r\nHTTP/1.1 500 No\r\nContent-Length: 1\r\n\r\nx",
                500,
                "x",
                true,
            ),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n",
                200,
                "abc0123456789",
                true,
            ),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\nContent-Length: 9\r\n\r\n1\r\na\r\n0\r\n\r\n",
                200,
                "a",
                false,
            ),
        ] {
            assert_eq!(seen(&[text.as_bytes()], false), Ok((status, body.into(), again)), "{text}");
        }
        let open = b"HTTP/1.1 200 OK\r\n\r\nall the rest";
        assert_eq!(seen(&[open], false), Err("open".into()));
        assert_eq!(seen(&[open], true), Ok((200, b"all the rest".into(), false)));
    }

    #[test]
    fn what_is_no_answer_is_said_so() {
        for (text, why) in [
            ("", "closed before an answer came"),
            ("HTTP/1.1 200 OK\r\n", "in the middle of the answer's head"),
            ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhi", "in the middle of the answer (HTTP 200)"),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
                "in the middle of the answer (HTTP 200)",
            ),
            ("SSH-2.0-OpenSSH\r\n", "no HTTP/1: SSH-2.0-OpenSSH"),
            ("HTTP/2 200\r\n\r\n", "no HTTP/1: HTTP/2 200"),
            ("\u{1b}[2J", "no HTTP/1: \\u{1b}[2J"),
            ("HTTP/1.1 abc\r\n\r\n", "head cannot be read"),
            ("HTTP/1.1 200 OK\r\nno colon\r\n\r\n", "head cannot be read"),
            ("HTTP/1.1 200 OK\r\nContent-Length: +3\r\n\r\nabc", "length is no number"),
            ("HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n", "length is no number"),
            ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", "two different lengths"),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", "transfer encoding"),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n", "chunk without a size"),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\n", "chunk without a size"),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n", "longer than it says"),
        ] {
            let error = seen(&[text.as_bytes()], true).unwrap_err();
            assert!(error.contains(why), "{text:?}: {error}");
        }
    }

    #[test]
    fn nothing_without_measure_is_held() {
        let head = format!("HTTP/1.1 200 OK\r\nX: {}", "x".repeat(LONGEST_HEAD));
        assert!(seen(&[head.as_bytes()], false).unwrap_err().contains("longer than"));
        let interim = "HTTP/1.1 100 Go on\r\n\r\n".repeat(LONGEST_HEAD / 20);
        assert!(seen(&[interim.as_bytes()], false).unwrap_err().contains("longer than"));
        let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: y\r\n".repeat(MOST_HEADERS + 1));
        assert!(seen(&[many.as_bytes()], false).unwrap_err().contains("too many headers"));
        let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        for rest in
            [format!("1;{}", "x".repeat(LONGEST_LINE)), format!("0\r\n{}", "X: y\r\n".repeat(LONGEST_HEAD))]
        {
            let error = seen(&[chunked.as_bytes(), rest.as_bytes()], false).unwrap_err();
            assert!(error.contains("without measure"), "{error}");
        }
    }

    #[test]
    fn where_a_redirect_leads_is_told_without_its_query() {
        let mut reader = Reader::new();
        reader.push(b"HTTP/1.1 302 Found\r\nLocation: /login?token=hush\r\n", &mut |_, _| ()).unwrap();
        reader.push(b"Content-Length: 0\r\n\r\n", &mut |_, _| ()).unwrap();
        assert_eq!(reader.head.unwrap(), Head { status: 302, location: Some("/login".into()) });
    }

    proptest! {
        #[test]
        fn how_the_answer_is_cut_changes_nothing(
            chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..6),
            framing in 0..3,
            interim: bool,
            more: bool,
            broken in prop::option::of(any::<prop::sample::Index>()),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        ) {
            let body = chunks.concat();
            let mut text = if interim { b"HTTP/1.1 100 Continue\r\n\r\n".to_vec() } else { Vec::new() };
            match framing {
                0 => {
                    text.extend(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()).bytes());
                    text.extend(&body);
                }
                1 => {
                    text.extend(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
                    for chunk in &chunks {
                        text.extend(format!("{:x}\r\n", chunk.len()).bytes().chain(chunk.iter().copied()).chain(*b"\r\n"));
                    }
                    text.extend(b"0\r\n\r\n");
                }
                _ => {
                    text.extend(b"HTTP/1.1 200 OK\r\n\r\n");
                    text.extend(&body);
                }
            }
            if more && framing < 2 {
                text.extend(b"more");
            }
            if let Some(at) = broken {
                let at = at.index(text.len());
                text[at] = b'\x00';
            }
            let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(text.len() + 1)).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|pair| &text[pair[0]..pair[1]]).collect();
            let whole = seen(&[&text], true);
            if broken.is_none() {
                prop_assert_eq!(whole.as_ref().map(|seen| &seen.1), Ok(&body));
            }
            // What is shown of garbage depends on what has come; that it is garbage does not.
            let kind = |seen: Seen| seen.map_err(|why| why.split(':').next().unwrap().to_owned());
            prop_assert_eq!(kind(seen(&pieces, true)), kind(whole));
        }
    }
}
