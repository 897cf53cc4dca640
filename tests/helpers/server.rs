//! A web server on the loopback interface that does as each test says: real sockets, one thread for each connection.

#![allow(dead_code, clippy::unwrap_used, reason = "each test file uses its part, and a test may panic")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

pub(crate) struct Server {
    pub(crate) port: u16,
    connections: Arc<AtomicUsize>,
    ended: Arc<AtomicUsize>,
    requests: Arc<Mutex<Vec<Request>>>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Request {
    pub(crate) first: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    /// The one value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(own, _)| own.eq_ignore_ascii_case(name));
        let value = values.next()?;
        assert!(values.next().is_none(), "{name} is there once");
        Some(&value.1)
    }

    /// `None`: the client has closed the connection.
    pub(crate) fn read(stream: &mut impl BufRead) -> Option<Self> {
        let mut line = || {
            let mut line = String::new();
            stream.read_line(&mut line).ok().filter(|count| *count > 0)?;
            Some(line.strip_suffix("\r\n").expect("lines end in CR LF").to_owned())
        };
        let mut request = Self { first: line()?, ..Self::default() };
        loop {
            let header = line()?;
            let Some((name, value)) = header.split_once(": ") else { break };
            request.headers.push((name.to_owned(), value.to_owned()));
        }
        let length = request.header("content-length").unwrap().parse().unwrap();
        request.body = vec![0; length];
        stream.read_exact(&mut request.body).ok()?;
        Some(request)
    }
}

impl Server {
    /// Answers each request with these bytes, whatever they are, and keeps the connection.
    pub(crate) fn saying(answer: impl Into<Vec<u8>>) -> Self {
        let answer = answer.into();
        Self::answering(move |_| answer.clone())
    }

    /// Answers each request with what this makes of it, and keeps the connection.
    pub(crate) fn answering(answer: impl Fn(&Request) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self::serving(move |stream, request| stream.write_all(&answer(request)).is_ok())
    }

    /// Does this with each request. False closes the connection.
    pub(crate) fn serving(serve: impl Fn(&mut TcpStream, &Request) -> bool + Send + Sync + 'static) -> Self {
        let requests = Arc::<Mutex<Vec<Request>>>::default();
        let seen = Arc::clone(&requests);
        let server = Self::raw(move |mut stream| {
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            while let Some(request) = Request::read(&mut reader) {
                seen.lock().unwrap().push(request.clone());
                if !serve(&mut stream, &request) {
                    break;
                }
            }
        });
        Self { requests, ..server }
    }

    /// Does this with each connection.
    pub(crate) fn raw(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (connections, ended) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let counts = (Arc::clone(&connections), Arc::clone(&ended));
        let serve = Arc::new(serve);
        thread::spawn(move || {
            for stream in listener.incoming() {
                counts.0.fetch_add(1, Ordering::SeqCst);
                let (serve, ended) = (Arc::clone(&serve), Arc::clone(&counts.1));
                thread::spawn(move || {
                    serve(stream.unwrap());
                    ended.fetch_add(1, Ordering::SeqCst);
                });
            }
        });
        Self { port, connections, ended, requests: Arc::default() }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/hook", self.port)
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Connections that are closed again.
    pub(crate) fn ended(&self) -> usize {
        self.ended.load(Ordering::SeqCst)
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

/// A whole answer.
pub(crate) fn answer(status: u16, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status} Text\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

/// Reads until the client closes the connection.
pub(crate) fn until_closed(stream: &mut impl Read) {
    let mut buffer = [0; 8192];
    while stream.read(&mut buffer).is_ok_and(|count| count > 0) {}
}
