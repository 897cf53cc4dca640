//! What it costs to take the secrets out of 64 kB, the most output that is kept of a stream by default.
//!
//!     cargo bench --bench redact
//!
//! The goal is less than a millisecond, on whatever the text is. The last column is the time for eight times the text
//! over that for once: about 8 where the work is linear.

#![expect(clippy::print_stdout, reason = "a benchmark prints its findings")]

use std::fmt::Write;
use std::hint::black_box;
use std::time::Duration;

use hookpool::Redactor;
use rustix::time::{ClockId, clock_gettime};

/// Bytes of text.
const SIZE: usize = 64 * 1024;

type Text = fn(usize) -> String;

/// Program output first, then text that is made to be work.
const TEXTS: &[(&str, Text)] = &[
    ("lines of a build", |bytes| {
        lines(bytes, |n| format!("   Compiling crate-{n} v1.0.{n} (/work/crate-{n})"))
    }),
    ("lines of a log", |bytes| {
        lines(bytes, |n| {
            format!("2026-01-02T03:04:05.{n:06}Z INFO request id=5f3c{n:08x} path=/v1/items/{n} status=200")
        })
    }),
    ("a secret in each line", |bytes| lines(bytes, |n| format!("user{n} password=hunter{n} and more"))),
    ("a name in each line", |bytes| {
        lines(bytes, |n| format!("the token: {n}th of a tokenizer, password: required"))
    }),
    ("JSON", |bytes| {
        lines(bytes, |n| format!(r#"{{"tool":"Bash","input":{{"command":"ls {n}","timeout":{n}}}}}"#))
    }),
    ("base64 without an end", |bytes| "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo1".repeat(bytes / 36)),
    ("names without values", |bytes| "token:".repeat(bytes / 6)),
    ("beginnings of keys", |bytes| "-----BEGIN PRIVATE KEY-----".repeat(bytes / 27)),
    ("ends of keys", |bytes| "-----END PRIVATE KEY-----".repeat(bytes / 25)),
    ("URLs without an end", |bytes| "://a:".repeat(bytes / 5)),
];

fn lines(bytes: usize, line: impl Fn(usize) -> String) -> String {
    let mut text = String::with_capacity(bytes + 200);
    for number in 0.. {
        if text.len() >= bytes {
            break;
        }
        writeln!(text, "{}", line(number)).expect("text can be written to");
    }
    text.truncate(bytes);
    text
}

fn main() {
    // Without `--bench` this is a trial run of the test command.
    let rounds = if std::env::args().any(|arg| arg == "--bench") { 51 } else { 1 };
    let redactor = Redactor::default();
    let first = fastest(1, || drop(black_box(redactor.text(black_box("nothing")))));
    println!("the rules are made once, by the first text: {first:.1?}");
    println!("{:<24}{:>12}{:>12}{:>8}", "64 kB of", "as text", "as JSON", "8 x");
    for (name, text) in TEXTS {
        let (text, long) = (text(SIZE), text(8 * SIZE));
        let document = serde_json::to_string(&[&text]).expect("text can be JSON");
        let once = fastest(rounds, || drop(black_box(redactor.text(black_box(&text)))));
        let as_json = fastest(rounds, || drop(black_box(redactor.json(black_box(document.as_bytes())))));
        let eight = fastest(rounds, || drop(black_box(redactor.text(black_box(&long)))));
        let ratio = eight.as_secs_f64() / once.as_secs_f64();
        println!("{name:<24}{:>12}{:>12}{ratio:>8.1}", format!("{once:.1?}"), format!("{as_json:.1?}"));
    }
}

/// In processor time. What disturbs it makes it slower, never faster.
fn fastest(rounds: usize, work: impl Fn()) -> Duration {
    let time = |_| {
        let begun = clock_gettime(ClockId::ThreadCPUTime);
        work();
        let took = clock_gettime(ClockId::ThreadCPUTime) - begun;
        Duration::try_from(took).unwrap_or_default()
    };
    (0..rounds).map(time).min().unwrap_or_default()
}
