//! Handlers that are web services, against real and rude servers.

#![cfg(all(target_os = "linux", feature = "http"))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

#[path = "helpers/server.rs"]
mod server;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hookpool::{Config, Event, HookPool, JobHandle, Outcome, OutcomeKind};
use server::{Server, answer, until_closed};

use OutcomeKind::{Cancelled, Failed, NotStarted, Succeeded, TimedOut};

const AMPLE: Duration = Duration::from_mins(1);
const EVENT: &str = r#"{ "event" : "x",  "session_id":"s1" }"#;

fn pool(url: &str, keys: &str) -> HookPool {
    let text = format!("[hook.a]\non = ['*']\nurl = '{url}'\ngrace = '10s'\n{keys}\n");
    HookPool::builder().config(Config::from_toml(&text).unwrap_or_else(|e| panic!("{e}"))).build().unwrap()
}

fn send(pool: &HookPool, event: &str) -> JobHandle {
    pool.submit(Event::from_json(event).unwrap()).admitted().next().unwrap().clone()
}

fn outcome(job: &JobHandle) -> Arc<Outcome> {
    job.wait(AMPLE).expect("it has an outcome")
}

fn run(pool: &HookPool) -> Arc<Outcome> {
    outcome(&send(pool, EVENT))
}

fn until(what: &str, is_true: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_true() {
        assert!(begun.elapsed() < AMPLE, "never came true: {what}");
        std::thread::yield_now();
    }
}

#[test]
fn a_service_gets_the_exact_bytes_and_what_is_known_beside_them() {
    let server = Server::saying(answer(204, ""));
    let pool = pool(&server.url(), "timeout = '60s'\nheaders = { X-Own = 'a b', Accept = 'text/x' }");
    assert_eq!(run(&pool).kind, Succeeded);
    let request = &server.requests()[0];
    assert_eq!((&*request.first, &*request.body), ("POST /hook HTTP/1.1", EVENT.as_bytes()));
    for (name, value) in [
        ("Host", &*format!("127.0.0.1:{}", server.port)),
        ("Content-Type", "application/json"),
        ("X-Own", "a b"),
        ("Accept", "text/x"),
        ("Hookpool-Hook", "a"),
        ("Hookpool-Kind", "other"),
        ("Hookpool-Event", "x"),
        ("Hookpool-Session", "s1"),
        ("Hookpool-Job", "1"),
        ("Hookpool-Attempt", "1"),
    ] {
        assert_eq!(request.header(name), Some(value), "{name}");
    }
    let left: u64 = request.header("Hookpool-Deadline-Ms").unwrap().parse().unwrap();
    assert!(left <= 60_000, "{left}");
    assert!(pool.drain(AMPLE).is_balanced());
}

#[test]
fn no_event_can_add_a_header() {
    let server = Server::saying(answer(200, ""));
    let pool = pool(&server.url(), "timeout = '60s'");
    let evil = r#"{"event":"x\r\nX-Evil: 1","session_id":"s\nX-Evil: 2\u00e9"}"#;
    assert_eq!(outcome(&send(&pool, evil)).kind, Succeeded);
    let long = format!(r#"{{"event":"x","session_id":"{}"}}"#, "s".repeat(2000));
    assert_eq!(outcome(&send(&pool, &long)).kind, Succeeded);
    let requests = server.requests();
    assert_eq!(requests[0].header("Hookpool-Event"), Some("x%0D%0AX-Evil:%201"));
    assert_eq!(requests[0].header("Hookpool-Session"), Some("s%0AX-Evil:%202%C3%A9"));
    assert_eq!((requests[0].header("X-Evil"), requests[1].header("Hookpool-Session")), (None, None));
}

#[test]
fn what_the_service_answers_is_the_outcome() {
    let redirect = "HTTP/1.1 302 Found\r\nLocation: /login?t=hush\r\nContent-Length: 0\r\n\r\n";
    let chunked =
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n{\"ok\":fal\r\n3\r\nse}\r\n0\r\n\r\n";
    let large = answer(500, &format!("\u{1b}[2J{}", "x".repeat(100_000)));
    for (said, kind, reason) in [
        (answer(200, "fine"), Succeeded, String::new()),
        (answer(200, r#"{"ok":true}"#), Succeeded, String::new()),
        (answer(200, r#"{"status":"ok"}"#), Succeeded, String::new()),
        (answer(201, r#"{"ok":false,"message":"no such file"}"#), Failed, "no such file".into()),
        (chunked.into(), Failed, "its handler says that it failed, and not why".into()),
        (answer(500, "down\r\nfor today\n"), Failed, "HTTP 500: down\\r\\nfor today".into()),
        (answer(503, ""), Failed, "HTTP 503".into()),
        (large, Failed, format!("HTTP 500: \\u{{1b}}[2J{}…", "x".repeat(196))),
        (redirect.into(), Failed, "HTTP 302: it redirects to /login, and redirects are not followed; `url` must name the place itself".into()),
        ("SSH-2.0-x\r\n".into(), Failed, "what came back is no HTTP/1: SSH-2.0-x".into()),
        ("HTTP/1.0 200 OK\r\n\r\n{\"ok\":false}".into(), TimedOut, "it ran longer than its timeout of 2s: its answer (HTTP 200) had not ended".into()),
    ] {
        let server = Server::saying(said);
        let pool = pool(&server.url(), "timeout = '2s'");
        let outcome = run(&pool);
        assert_eq!((outcome.kind, &*outcome.reason), (kind, &*reason));
        assert!(outcome.run.is_some() && outcome.process.is_none());
        assert!(pool.drain(AMPLE).is_balanced());
    }
    let full = r#"{"message":"seen","verdict":{"allow": true},"ok":true}"#;
    let server = Server::saying(answer(200, full));
    let outcome = run(&pool(&server.url(), "timeout = '60s'"));
    assert_eq!(outcome.message.as_deref(), Some("seen"));
    assert_eq!(outcome.verdict.as_ref().unwrap().as_str(), r#"{"allow": true}"#);
}

#[test]
fn a_service_that_says_no_is_not_asked_again_and_one_that_is_down_is() {
    for (status, asked) in [(500, 3), (429, 3), (404, 1), (422, 1)] {
        let server = Server::saying(answer(status, ""));
        let pool = pool(&server.url(), "timeout = '60s'\nretry = { attempts = 3, backoff = '1ms' }");
        assert_eq!(run(&pool).kind, Failed);
        let attempts: Vec<_> = server
            .requests()
            .iter()
            .map(|request| request.header("Hookpool-Attempt").unwrap().to_owned())
            .collect();
        assert_eq!(attempts, ["1", "2", "3"][..asked], "HTTP {status}");
    }
}

#[test]
fn a_connection_is_used_again_and_one_that_the_server_closed_is_not() {
    let kept = Server::saying(answer(200, ""));
    let pool_of_kept = pool(&kept.url(), "timeout = '60s'");
    (0..5).for_each(|_| assert_eq!(run(&pool_of_kept).kind, Succeeded));
    assert_eq!((kept.connections(), kept.requests().len()), (1, 5));

    let closing = Server::serving(|stream, _| {
        stream.write_all(&answer(200, "")).unwrap();
        false
    });
    let pool_of_closing = pool(&closing.url(), "timeout = '60s'");
    for n in 1..=3 {
        assert_eq!(run(&pool_of_closing).kind, Succeeded);
        until("the server has closed it", || closing.ended() == n);
    }
    assert_eq!(closing.connections(), 3);

    let polite =
        Server::saying(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n".as_slice());
    let pool_of_polite = pool(&polite.url(), "timeout = '60s'");
    (0..2).for_each(|_| assert_eq!(run(&pool_of_polite).kind, Succeeded));
    assert_eq!(polite.connections(), 2);
    until("what will not be used again is closed", || polite.ended() == 2);
}

#[test]
fn what_rests_is_bounded_and_gone_at_the_end() {
    let barrier = Arc::new(std::sync::Barrier::new(12));
    let server = Server::answering(move |_| {
        barrier.wait();
        answer(200, "")
    });
    let pool = pool(&server.url(), "timeout = '60s'\norder = 'none'\n[pool]\nworkers = 12");
    let jobs: Vec<_> = (0..12).map(|_| send(&pool, EVENT)).collect();
    for job in &jobs {
        assert_eq!(outcome(job).kind, Succeeded);
    }
    until("four of twelve are closed", || server.ended() == 4);
    let threads = || std::fs::read_dir("/proc/self/task").unwrap().flatten();
    let named =
        |task: std::fs::DirEntry| std::fs::read_to_string(task.path().join("comm")).unwrap_or_default();
    assert!(!threads().map(named).any(|name| name.starts_with("hookpool-lookup")));
    assert!(pool.drain(AMPLE).is_balanced());
    until("the others are, too", || server.ended() == 12);
}

/// A listener that takes no more connections, since nobody accepts those that it has.
fn full() -> (TcpListener, Vec<TcpStream>) {
    use rustix::net::{AddressFamily, SocketType, bind, listen, socket};
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    bind(&socket, &std::net::SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    listen(&socket, 0).unwrap();
    let listener = TcpListener::from(socket);
    let address = listener.local_addr().unwrap();
    let connect = || TcpStream::connect_timeout(&address, Duration::from_secs(1)).ok();
    let connections: Vec<_> = std::iter::from_fn(connect).take(100).collect();
    assert!(connections.len() < 100, "it takes whatever comes");
    (listener, connections)
}

#[test]
fn rude_servers_cost_their_event_and_no_more_time_than_it_has() {
    let slow_head = Server::raw(|mut stream| {
        stream.write_all(b"HTTP/1.1 200 O").unwrap();
        until_closed(&mut stream);
    });
    let slow_body = Server::raw(|mut stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf").unwrap();
        until_closed(&mut stream);
    });
    let drip = Server::raw(|mut stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        while stream.write_all(b"1\r\nx\r\n").is_ok() {}
    });
    let silent = Server::raw(|mut stream| until_closed(&mut stream));
    let deaf = TcpListener::bind("127.0.0.1:0").unwrap();
    let deaf_url = format!("http://{}/", deaf.local_addr().unwrap());
    let (full, _connections) = full();
    let full_url = format!("http://{}/", full.local_addr().unwrap());
    for (url, how_far) in [
        (full_url, "there was no connection yet"),
        (silent.url().replace("http", "https"), "there was no connection yet"),
        (slow_head.url(), "no answer had come"),
        (slow_body.url(), "its answer (HTTP 200) had not ended"),
        (drip.url(), "its answer (HTTP 200) had not ended"),
        (silent.url(), "no answer had come"),
        (deaf_url, "no answer had come"),
    ] {
        let pool = pool(&url, "timeout = '300ms'");
        let outcome = run(&pool);
        let reason = format!("it ran longer than its timeout of 300ms: {how_far}");
        assert_eq!((outcome.kind, &*outcome.reason), (TimedOut, &*reason));
        assert_eq!(outcome.hint.as_deref(), Some("raise `hook.a.timeout`"));
    }
    for (begin, reason) in [
        ("", "the connection was closed before an answer came"),
        ("HTTP/1.1 200 OK\r\nX: y", "the connection was closed in the middle of the answer's head"),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n{\"ok\":true",
            "the connection was closed in the middle of the answer (HTTP 200)",
        ),
    ] {
        let server = Server::serving(move |stream, _| {
            stream.write_all(begin.as_bytes()).unwrap();
            false
        });
        let outcome = run(&pool(&server.url(), "timeout = '60s'"));
        assert_eq!((outcome.kind, &*outcome.reason), (Failed, reason));
    }
}

#[test]
fn an_answer_without_measure_is_read_and_not_held() {
    let server = Server::serving(|stream, _| {
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 209715200\r\n\r\n{").unwrap();
        let piece = vec![b'x'; 1 << 20];
        (0..199).for_each(|_| stream.write_all(&piece).unwrap());
        stream.write_all(&piece[1..]).unwrap();
        true
    });
    let before = peak_memory();
    let pool = pool(&server.url(), "timeout = '60s'");
    assert_eq!(run(&pool).kind, Succeeded);
    assert!(
        peak_memory().saturating_sub(before) < 150_000_000,
        "{} bytes more",
        peak_memory().saturating_sub(before)
    );
}

fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() * 1024
}

#[test]
fn an_answer_that_comes_before_the_event_was_taken_counts() {
    let server = Server::raw(|mut stream| {
        stream.read_exact(&mut [0; 100]).unwrap();
        stream.write_all(&answer(413, "too large")).unwrap();
        // It closes with data unread: the connection is reset.
    });
    let pool = pool(&server.url(), "timeout = '60s'");
    let event = format!(r#"{{"event":"x","data":"{}"}}"#, "x".repeat(7_000_000));
    let outcome = outcome(&send(&pool, &event));
    assert_eq!((outcome.kind, &*outcome.reason), (Failed, "HTTP 413: too large"));
}

#[test]
fn what_cannot_be_reached_was_not_started() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let plain = Server::raw(|mut stream| {
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        until_closed(&mut stream);
    });
    for (url, why) in [
        (format!("http://{nobody}/"), "refused; is the service running?"),
        ("http://nothing.invalid/".to_owned(), "the host `nothing.invalid` was not found"),
        (format!("https://127.0.0.1:{}/", plain.port), "no connection with TLS: "),
    ] {
        let outcome = run(&pool(&url, "timeout = '60s'"));
        assert_eq!(outcome.kind, NotStarted, "{outcome}");
        assert!(outcome.reason.contains(why) && outcome.run.is_none(), "{outcome}");
    }
}

#[test]
fn a_name_is_looked_up_and_every_address_tried() {
    let server = Server::saying(answer(200, ""));
    let pool = pool(&format!("http://localhost:{}/", server.port), "timeout = '60s'");
    assert_eq!(run(&pool).kind, Succeeded);
    assert_eq!(server.requests()[0].header("Host"), Some(&*format!("localhost:{}", server.port)));
}

#[test]
fn a_reload_sends_to_the_new_address_and_leaves_no_connection_to_the_old_one() {
    let gate = Arc::new(std::sync::Barrier::new(2));
    let held = Arc::clone(&gate);
    let old = Server::answering(move |request| {
        if request.header("Hookpool-Event") == Some("held") {
            held.wait();
        }
        answer(200, "")
    });
    let new = Server::saying(answer(200, ""));
    let text = |url: &str, keys: &str| {
        format!("[hook.a]\non = ['*']\nurl = '{url}'\norder = 'none'\n{keys}\n[pool]\nworkers = 4")
    };
    let change =
        |pool: &HookPool, text: &str| drop(pool.reload_with(Config::from_toml(text).unwrap()).unwrap());
    let pool = pool(&old.url(), "order = 'none'\ntimeout = '60s'\n[pool]\nworkers = 4");
    assert_eq!(run(&pool).kind, Succeeded);
    change(&pool, &text(&old.url(), "timeout = '50s'"));
    assert_eq!(run(&pool).kind, Succeeded);
    assert_eq!(old.connections(), 1, "what is the same service keeps its connections");

    let one = send(&pool, r#"{"event":"held"}"#);
    until("it is under way", || old.requests().len() == 3);
    change(&pool, &text(&old.url(), "timeout = '50s'\nheaders.X-Own = 'new'"));
    assert_eq!(run(&pool).kind, Succeeded);
    assert_eq!(old.requests()[3].header("X-Own"), Some("new"));
    change(&pool, &text(&new.url(), "timeout = '50s'"));
    assert_eq!(run(&pool).kind, Succeeded);
    until("what rested is closed", || old.ended() == 1);
    assert!(one.outcome().is_none(), "what is under way goes on");
    gate.wait();
    assert_eq!(outcome(&one).kind, Succeeded);
    until("the last one is closed after it", || old.ended() == 2);
    assert_eq!((old.requests().len(), new.requests().len()), (4, 1));
    assert!(pool.drain(AMPLE).is_balanced());
}

#[test]
fn a_request_ends_when_it_is_cancelled_or_the_pool_does() {
    let silent = Server::raw(|mut stream| until_closed(&mut stream));
    let pool = pool(&silent.url(), "timeout = '1h'\norder = 'none'");
    let (one, two) = (send(&pool, EVENT), send(&pool, EVENT));
    until("both are under way", || silent.connections() == 2);
    one.cancel();
    let first = outcome(&one);
    assert_eq!((first.kind, &*first.reason), (Cancelled, "it was cancelled while its request was under way"));
    until("its connection is closed", || silent.ended() == 1);
    assert!(two.outcome().is_none());
    let ledger = pool.drain(Duration::ZERO);
    assert!(ledger.is_balanced() && ledger.leaked == 0);
    assert_eq!(outcome(&two).kind, Cancelled);
    until("its connection is closed", || silent.ended() == 2);
}

const LINES: &str = "mode = 'lines'\nbatch = { size = 10, linger = '0s' }\ntimeout = '60s'\n";

fn three(pool: &HookPool) -> Vec<Arc<Outcome>> {
    pool.pause("a");
    let jobs: Vec<_> = (0..3).map(|_| send(pool, r#"{"event":"x"}"#)).collect();
    pool.resume("a");
    jobs.iter().map(outcome).collect()
}

fn kinds(outcomes: &[Arc<Outcome>]) -> Vec<OutcomeKind> {
    outcomes.iter().map(|outcome| outcome.kind).collect()
}

#[test]
fn a_batch_is_lines_and_answers_are_lines() {
    let server = Server::saying(answer(
        200,
        "{\"id\":\"3\",\"ok\":true}\n{\"id\":\"1\",\"ok\":false,\"message\":\"no\"}",
    ));
    let pool = pool(&server.url(), LINES);
    let outcomes = three(&pool);
    assert_eq!(kinds(&outcomes), [Failed, Failed, Succeeded]);
    assert_eq!(
        (&*outcomes[0].reason, &*outcomes[1].reason),
        ("no", "the service ended without an answer to it (HTTP 200)")
    );
    let request = &server.requests()[0];
    assert_eq!(request.header("Content-Type"), Some("application/x-ndjson"));
    assert_eq!((request.header("Hookpool-Job"), request.header("Hookpool-Event")), (Some("1"), None));
    let lines = String::from_utf8(request.body.clone()).unwrap();
    let begins: Vec<_> = lines.lines().map(|line| &line[..24]).collect();
    assert_eq!(begins, [1, 2, 3].map(|n| format!(r#"{{"hookpool":{{"id":"{n}","h"#)));
}

#[test]
fn without_answers_the_status_counts_for_the_whole_batch() {
    for (said, expected) in [
        (answer(200, ""), [Succeeded; 3]),
        (answer(200, "{\"took\":30,\"errors\":false}\n"), [Succeeded; 3]),
        (answer(200, "{\"id\":\"1\",\"ok\":\n"), [Failed, Succeeded, Succeeded]),
        (answer(500, "{\"id\":\"1\",\"ok\":true}\n"), [Failed; 3]),
    ] {
        let server = Server::saying(said);
        let outcomes = three(&pool(&server.url(), LINES));
        assert_eq!(kinds(&outcomes), expected);
        assert_eq!(server.requests().len(), 1);
    }
    let server = Server::saying(answer(500, "no"));
    let outcomes = three(&pool(&server.url(), &format!("{LINES}on_batch_failure = 'split'")));
    assert_eq!((kinds(&outcomes), server.requests().len()), (vec![Failed; 3], 4));
}

#[test]
fn an_event_has_its_outcome_while_the_others_are_worked_on() {
    let server = Server::serving(|stream, _| {
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{\"id\":\"2\",\"ok\":true}\n")
            .unwrap();
        until_closed(stream);
        false
    });
    let pool = pool(&server.url(), &LINES.replace("60s", "1h"));
    pool.pause("a");
    let jobs: Vec<_> = (0..3).map(|_| send(&pool, r#"{"event":"x"}"#)).collect();
    pool.resume("a");
    assert_eq!(outcome(&jobs[1]).kind, Succeeded);
    assert!(jobs[0].outcome().is_none() && jobs[2].outcome().is_none());
    pool.kill();
    assert_eq!((outcome(&jobs[0]).kind, outcome(&jobs[2]).kind), (Cancelled, Cancelled));
}

mod tls {
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
    use rustls::pki_types::PrivateKeyDer;
    use rustls::{ServerConfig, ServerConnection, StreamOwned};

    use super::*;

    /// A server with a certificate for `localhost` alone, and the file of its authority.
    fn server() -> (Server, tempfile::NamedTempFile) {
        let mut authority = CertificateParams::new(Vec::new()).unwrap();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let own = CertificateParams::new(vec!["localhost".to_owned()])
            .unwrap()
            .signed_by(&key, &authority)
            .unwrap();
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(authority.pem().as_bytes()).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config =
            ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config =
            Arc::new(config.with_no_client_auth().with_single_cert(vec![own.der().clone()], key).unwrap());
        let server = Server::raw(move |stream| {
            let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut stream = std::io::BufReader::new(StreamOwned::new(connection, stream));
            while let Some(request) = server::Request::read(&mut stream) {
                let said =
                    answer(200, &format!("{{\"ok\":true,\"message\":\"{} bytes\"}}", request.body.len()));
                if stream.get_mut().write_all(&said).is_err() {
                    break;
                }
            }
        });
        (server, file)
    }

    #[test]
    fn a_server_is_trusted_only_as_its_authority_and_name_allow() {
        let (server, ca) = server();
        let trust = format!("timeout = '60s'\ntls.ca = '{}'", ca.path().display());
        let pool_of = |host: &str, keys: &str| pool(&format!("https://{host}:{}/", server.port), keys);
        let right = pool_of("localhost", &trust);
        for _ in 0..3 {
            let outcome = run(&right);
            assert_eq!(
                (outcome.kind, outcome.message.as_deref()),
                (Succeeded, Some("37 bytes")),
                "{outcome}"
            );
        }
        assert_eq!(server.connections(), 1, "tickets that come later make no connection stale");
        let event = format!(r#"{{"event":"x","data":"{}"}}"#, "x".repeat(7_000_000));
        assert_eq!(outcome(&send(&right, &event)).message.as_deref(), Some("7000023 bytes"));

        for (pool, why) in [
            (
                pool_of("localhost", "timeout = '60s'"),
                "the server's certificate is not trusted; if it is the right server",
            ),
            (pool_of("127.0.0.1", &trust), "not valid for name"),
            (
                pool_of("localhost", "tls.ca = '/nothing.pem'"),
                "`tls.ca`: `/nothing.pem` cannot be used: No such file",
            ),
            (pool_of("localhost", "tls.ca = '/etc/passwd'"), "it holds no certificate in PEM form"),
        ] {
            let outcome = run(&pool);
            assert!(outcome.kind == NotStarted && outcome.reason.contains(why), "{outcome}");
        }
    }
}
