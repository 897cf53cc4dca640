//! `--metrics-listen`: `GET /metrics`, for who asks on this machine, while the run goes on.
//!
//! One thread, which sleeps in the kernel while nobody asks. It answers one connection at a time, each with one answer
//! and then its end, within [`PATIENCE`] and for a request of at most [`MOST_BYTES`]: a client that sends nothing, or
//! reads nothing, holds up the others for that long at most, and the pool not at all.
//!
//! The thread ends with the process. What can be read here names hooks and counts jobs; nobody beyond this machine is
//! let in.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use hookpool::HookPool;

use super::openmetrics::{MEDIA_TYPE, render};
use crate::cli::error::CliError;

/// For one connection, from its beginning to its end.
const PATIENCE: Duration = Duration::from_secs(2);
/// Head of a request.
const MOST_BYTES: usize = 8 * 1024;
const MOST_HEADERS: usize = 64;

/// Reads the value of the option.
pub(in crate::cli) fn loopback(text: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr =
        text.parse().map_err(|_| "an address and a port are needed, such as 127.0.0.1:9464".to_owned())?;
    if address.ip().is_loopback() {
        Ok(address)
    } else {
        Err("metrics are for this machine alone: an address such as 127.0.0.1:9464 or [::1]:9464 is needed"
            .to_owned())
    }
}

/// Listens from now on until the process ends. Gives back the address, with the port that was chosen for 0.
pub(in crate::cli) fn serve(address: SocketAddr, pool: &HookPool) -> Result<SocketAddr, CliError> {
    let refuse = |source| CliError::Listen { address, source };
    let listener = TcpListener::bind(address).map_err(refuse)?;
    let bound = listener.local_addr().map_err(refuse)?;
    let pool = pool.clone();
    let serve = move || {
        loop {
            match listener.accept() {
                // Who breaks off gets no answer.
                Ok((client, _)) => drop(answer(&client, &pool)),
                // Most likely no descriptor is left: not in a busy loop.
                Err(_) => std::thread::park_timeout(Duration::from_millis(100)),
            }
        }
    };
    std::thread::Builder::new().name("hookpool-metrics".to_owned()).spawn(serve).map_err(refuse)?;
    Ok(bound)
}

fn answer(client: &TcpStream, pool: &HookPool) -> io::Result<()> {
    let until = Instant::now() + PATIENCE;
    let request = read_request(client, until)?;
    let (status, more, body) = match request {
        Request::Asks { head_only } => {
            let text = render(pool.status());
            let more = format!("Content-Type: {MEDIA_TYPE}\r\nContent-Length: {}\r\n", text.len());
            ("200 OK", more, if head_only { String::new() } else { text })
        }
        Request::Elsewhere => failure("404 Not Found", "", "metrics are at /metrics"),
        Request::OtherMethod => failure("405 Method Not Allowed", "Allow: GET, HEAD\r\n", "GET it"),
        Request::Broken => failure("400 Bad Request", "", "this is no HTTP request"),
        Request::TooLarge => failure("431 Request Header Fields Too Large", "", "the request is too large"),
    };
    let head = format!("HTTP/1.1 {status}\r\n{more}Connection: close\r\n\r\n");
    write(client, head.as_bytes(), until)?;
    write(client, body.as_bytes(), until)?;
    client.shutdown(Shutdown::Write)?;
    // What was sent and not read would make the kernel take the answer back.
    let mut rest = [0; 4096];
    for _ in 0..16 {
        if read(client, &mut rest, until)? == 0 {
            break;
        }
    }
    Ok(())
}

fn failure(status: &'static str, more: &str, words: &str) -> (&'static str, String, String) {
    let body = format!("{words}\n");
    (status, format!("{more}Content-Type: text/plain\r\nContent-Length: {}\r\n", body.len()), body)
}

enum Request {
    /// For the metrics.
    Asks {
        head_only: bool,
    },
    Elsewhere,
    OtherMethod,
    Broken,
    TooLarge,
}

fn read_request(client: &TcpStream, until: Instant) -> io::Result<Request> {
    let mut bytes = Vec::new();
    let mut piece = [0; 1024];
    loop {
        let count = read(client, &mut piece, until)?;
        bytes.extend_from_slice(piece.get(..count).unwrap_or_default());
        let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
        let mut request = httparse::Request::new(&mut headers);
        match request.parse(&bytes) {
            Ok(httparse::Status::Complete(_)) => return Ok(Request::of(&request)),
            Err(httparse::Error::TooManyHeaders) => return Ok(Request::TooLarge),
            Err(_) => return Ok(Request::Broken),
            Ok(httparse::Status::Partial) if bytes.len() >= MOST_BYTES => return Ok(Request::TooLarge),
            Ok(httparse::Status::Partial) if count == 0 => return Ok(Request::Broken),
            Ok(httparse::Status::Partial) => {}
        }
    }
}

impl Request {
    fn of(request: &httparse::Request<'_, '_>) -> Self {
        let path = request.path.unwrap_or_default();
        let path = path.split_once('?').map_or(path, |(path, _)| path);
        match request.method {
            _ if path != "/metrics" => Self::Elsewhere,
            Some("GET") => Self::Asks { head_only: false },
            Some("HEAD") => Self::Asks { head_only: true },
            _ => Self::OtherMethod,
        }
    }
}

fn left(until: Instant) -> io::Result<Duration> {
    let left = until.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
}

fn read(mut client: &TcpStream, into: &mut [u8], until: Instant) -> io::Result<usize> {
    client.set_read_timeout(Some(left(until)?))?;
    client.read(into)
}

fn write(mut client: &TcpStream, mut bytes: &[u8], until: Instant) -> io::Result<()> {
    while !bytes.is_empty() {
        client.set_write_timeout(Some(left(until)?))?;
        match client.write(bytes)? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            count => bytes = bytes.get(count..).unwrap_or_default(),
        }
    }
    Ok(())
}
