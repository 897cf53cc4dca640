//! An HTTP/1.1 client for one address: a POST on a thread that can be called back at any moment.
//!
//! It blocks in one `poll` over its socket and the request's token, never in a read or write, so a request ends at its
//! deadline or when it is cancelled, in whatever phase it is. It reads while it writes, since a server may answer before
//! it has taken all. It knows how far a request came: what was never sent has not been started.
//!
//! | file | owns |
//! |---|---|
//! | `answer.rs` | the grammar of an answer, without sockets |
//! | `connect.rs` | addresses and sockets |
//! | `link.rs` | one connection, bare or with TLS |
//! | `tls.rs` | whom it trusts |
//!
//! Connections that a server keeps rest for the next request, at most [`MOST_RESTING`]; a thing that rests has no thread
//! and no timer. Not done here: redirects, proxies, compression, cookies, tries after a failure. The one exception: what
//! rested may have been closed by the server meanwhile, and if it took nothing at all the request goes to a new one.
//!
//! Invariant: no error repeats path, query or headers of a request.

mod answer;
mod connect;
mod link;
mod tls;

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use rustix::event::PollFlags;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;

use self::answer::Reader;
use self::connect::Lookup;
use self::link::Link;
use crate::hook::HttpUrl;
use crate::process::{Cancel, Waited};

/// Most connections of one client that wait for the next request.
const MOST_RESTING: usize = 8;
/// Read at once.
const PIECE: usize = 16 * 1024;
/// Pieces read or written between two looks at clock and token.
const PIECES: usize = 16;

/// Sends requests to one address.
#[derive(Debug)]
pub(crate) struct Client {
    url: HttpUrl,
    tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
    lookup: Lookup,
    /// The last used one is the last. `None`: none is kept any more.
    resting: Mutex<Option<Vec<Link>>>,
}

/// How long a request is waited for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience<'a> {
    pub(crate) cancel: &'a Cancel,
    pub(crate) until: Instant,
}

/// How far a request came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Connecting,
    /// It is being sent, or its answer is waited for.
    Sent,
    /// The answer, with this status, has begun.
    Answer(u16),
}

/// Why a request has no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Late(Phase),
    Cancelled,
    /// Nothing was sent.
    NotStarted(String),
    /// Something was.
    Failed(String),
}

/// The head of an answer, of which all has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Where a redirect leads to, fit for a message.
    pub(crate) location: Option<String>,
}

impl Client {
    /// A client; `ca` is a file of certificates to trust instead of the built-in ones.
    ///
    /// # Errors
    /// What is wrong with them.
    pub(crate) fn new(url: HttpUrl, ca: Option<&Path>) -> Result<Self, String> {
        let tls = if url.is_tls() {
            let name = ServerName::try_from(url.host().to_owned());
            let name = name.map_err(|_| "`url`: no certificate can be for such a host's name".to_owned())?;
            Some((tls::config(ca)?, name))
        } else {
            None
        };
        Ok(Self { url, tls, lookup: Lookup::default(), resting: Mutex::new(Some(Vec::new())) })
    }

    /// Sends a request and reads its answer. `head` makes the request's first lines, the last one empty, when it is about
    /// to be sent. `see` gets the answer's status and body as it comes.
    ///
    /// # Errors
    /// There was no whole answer.
    pub(crate) fn request(
        &self,
        head: &dyn Fn() -> Vec<u8>,
        body: &[u8],
        patience: &Patience<'_>,
        see: &mut dyn FnMut(u16, &[u8]),
    ) -> Result<Answer, Fault> {
        patience.check(Phase::Connecting)?;
        if let Some(mut link) = self.take_resting() {
            match exchange(&mut link, &head(), body, patience, see) {
                Ok((answer, again)) => return Ok(self.keep(link, answer, again)),
                // Nothing of it was taken.
                Err(Fault::NotStarted(_)) => {}
                Err(fault) => return Err(fault),
            }
        }
        let mut link = self.connect(patience)?;
        let (answer, again) = exchange(&mut link, &head(), body, patience, see)?;
        Ok(self.keep(link, answer, again))
    }

    /// Closes what rests, and keeps nothing from now on.
    pub(crate) fn close(&self) {
        self.resting.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    fn take_resting(&self) -> Option<Link> {
        loop {
            let mut link = self.resting.lock().unwrap_or_else(PoisonError::into_inner).as_mut()?.pop()?;
            if link.is_quiet() {
                return Some(link);
            }
        }
    }

    fn keep(&self, mut link: Link, answer: Answer, again: bool) -> Answer {
        link.used = true;
        if let Some(resting) = &mut *self.resting.lock().unwrap_or_else(PoisonError::into_inner)
            && again
            && resting.len() < MOST_RESTING
        {
            resting.push(link);
        }
        answer
    }

    fn connect(&self, patience: &Patience<'_>) -> Result<Link, Fault> {
        let socket = connect::open(&self.lookup, self.url.host(), self.url.port(), patience)?;
        let no_tls =
            |why: &dyn std::fmt::Display| Fault::NotStarted(format!("no connection with TLS: {why}"));
        let mut link = Link::new(socket, self.tls.clone()).map_err(|error| no_tls(&error))?;
        loop {
            match link.shake_hands() {
                Ok(true) => return Ok(link),
                Ok(false) => patience.wait(link.as_fd(), link.wants(false), Phase::Connecting)?,
                Err(error) => return Err(no_tls(&distrust(&error))),
            }
        }
    }
}

/// Why the handshake failed, with what would help.
fn distrust(error: &io::Error) -> String {
    use rustls::CertificateError as Bad;
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match inner {
        Some(rustls::Error::InvalidCertificate(Bad::UnknownIssuer)) => {
            "the server's certificate is not trusted; if it is the right server, name its authority's file in `tls.ca`".to_owned()
        }
        Some(error) => error.to_string(),
        None if error.kind() == io::ErrorKind::UnexpectedEof => "the server closed the connection".to_owned(),
        None => error.to_string(),
    }
}

impl Patience<'_> {
    /// # Errors
    /// It is over.
    fn check(&self, phase: Phase) -> Result<(), Fault> {
        if self.cancel.is_cancelled() {
            return Err(Fault::Cancelled);
        }
        if Instant::now() >= self.until { Err(Fault::Late(phase)) } else { Ok(()) }
    }

    /// Waits for a descriptor; may end early.
    fn wait(&self, descriptor: BorrowedFd<'_>, flags: PollFlags, phase: Phase) -> Result<(), Fault> {
        match self.cancel.wait(descriptor, flags, self.until) {
            Ok(Waited::Ready) => Ok(()),
            Ok(Waited::Cancelled) => Err(Fault::Cancelled),
            Ok(Waited::Late) => Err(Fault::Late(phase)),
            Err(error) => Err(match phase {
                Phase::Connecting => Fault::NotStarted(error.to_string()),
                Phase::Sent | Phase::Answer(_) => Fault::Failed(error.to_string()),
            }),
        }
    }
}

/// One request and its answer. Says whether the connection can carry another one.
fn exchange(
    link: &mut Link,
    head: &[u8],
    body: &[u8],
    patience: &Patience<'_>,
    see: &mut dyn FnMut(u16, &[u8]),
) -> Result<(Answer, bool), Fault> {
    // Together, if that is little: a small event is one packet.
    let mut first = head.to_vec();
    let (with_head, rest) = body.split_at(body.len().min(PIECE));
    first.extend_from_slice(with_head);
    let mut parts = [first.as_slice(), rest];
    let mut reader = Reader::new();
    let mut buffer = [0; PIECE];
    let mut broken: Option<io::Error> = None;
    let mut nothing_taken = true;
    let unsent = |parts: &[&[u8]]| parts.iter().any(|part| !part.is_empty());
    loop {
        for _ in 0..PIECES {
            if broken.is_some() {
                break;
            }
            let part = parts.iter_mut().find(|part| !part.is_empty());
            let next = part.as_ref().map_or(&[][..], |part| *part);
            match link.write(next) {
                Ok(taken) => {
                    nothing_taken &= taken == 0;
                    let Some(part) = part else { break };
                    *part = part.get(taken..).unwrap_or_default();
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if nothing_taken && link.used => return Err(Fault::NotStarted(error.to_string())),
                // What the server said before it closed the connection may still be there.
                Err(error) => broken = Some(error),
            }
        }
        for _ in 0..PIECES {
            let read = match link.read(&mut buffer) {
                Ok(0) => reader.finish(),
                Ok(count) => reader
                    .push(buffer.get(..count).unwrap_or_default(), &mut |head, part| see(head.status, part)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => Err(match reader.finish() {
                    Err(why) if error.kind() != io::ErrorKind::InvalidData => why,
                    // An end that TLS does not vouch for may be a cut.
                    _ => format!("the connection broke: {error}"),
                }),
            };
            read.map_err(Fault::Failed)?;
            if reader.is_done() {
                let answer::Head { status, location } = reader.head.clone().unwrap_or_default();
                let again = reader.keeps_alive() && broken.is_none() && !unsent(&parts);
                return Ok((Answer { status, location }, again));
            }
        }
        if let Some(error) = &broken
            && reader.is_new()
        {
            return Err(Fault::Failed(format!("the connection broke while the event was sent: {error}")));
        }
        let phase = reader.head.as_ref().map_or(Phase::Sent, |head| Phase::Answer(head.status));
        let writes = broken.is_none() && unsent(&parts);
        patience.wait(link.as_fd(), link.wants(writes), phase)?;
    }
}

/// Bytes from outside for a message: the beginning, as text without anything that a terminal would obey.
pub(crate) fn escaped(bytes: &[u8]) -> String {
    const SHOWN: usize = 200;
    let bytes = bytes.trim_ascii();
    let begin = bytes.get(..SHOWN).unwrap_or(bytes);
    let text =
        String::from_utf8_lossy(begin).escape_debug().to_string().replace("\\\"", "\"").replace("\\'", "'");
    if bytes.len() > SHOWN { format!("{text}…") } else { text }
}
