//! What a web service saves beside a process that calls it: the same service on the loopback interface, once as a hook with
//! a `url`, once as one that runs `curl` for each event. `cargo bench --bench http`; it needs curl.
//!
//! Both go through the whole pool, with as many workers. Rounds alternate, so that both sides see the same machine; figures
//! are medians of rounds.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use hookpool::{Config, Event, HookPool, OutcomeKind};

const ROUNDS: usize = 5;
const LONG: Duration = Duration::from_mins(5);

#[expect(clippy::print_stdout, reason = "the result of a bench is its output")]
fn main() {
    if !Path::new("/usr/bin/curl").exists() {
        println!("/usr/bin/curl: not there, nothing to compare with");
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").expect("the loopback interface is there");
    let port = listener.local_addr().expect("it is bound").port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || serve(&stream));
        }
    });
    let pool = |keys: &str| {
        let text = format!(
            "queue.max_wait = 'off'\n[pool]\nworkers = 2\nstandby = 0\n[hook.a]\non = ['*']\norder = 'none'\ntimeout = '60s'\n{keys}\n"
        );
        HookPool::builder().config(Config::from_toml(&text).expect("it is valid")).build().expect("it starts")
    };
    let url = format!("http://127.0.0.1:{port}/");
    let http = pool(&format!("url = '{url}'"));
    let curl = pool(&format!(
        "run = ['/usr/bin/curl', '--silent', '--fail', '--data-binary', '@-', '--header', 'Content-Type: application/json', '{url}']"
    ));
    let (mut by_http, mut by_curl) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        by_curl.push(per_second(&curl, 100));
        by_http.push(per_second(&http, 1000));
    }
    let (by_http, by_curl) = (median(by_http), median(by_curl));
    println!(
        "events per second, 2 workers: url {by_http:.0}, a process with curl {by_curl:.0}: {:.1} x",
        by_http / by_curl
    );
}

fn serve(stream: &TcpStream) {
    let mut reader = BufReader::new(stream);
    let (mut line, mut length) = (String::new(), 0);
    while reader.read_line(&mut line).is_ok_and(|count| count > 0) {
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().expect("it is a number");
        }
        if line == "\r\n" {
            reader.read_exact(&mut vec![0; length]).expect("the body comes");
            let _ = (&mut &*stream).write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        }
        line.clear();
    }
}

fn per_second(pool: &HookPool, events: u32) -> f64 {
    let event = format!(r#"{{"event":"x","data":"{}"}}"#, "x".repeat(1000));
    let begun = Instant::now();
    let jobs: Vec<_> = (0..events)
        .filter_map(|_| {
            pool.submit(Event::from_json(&*event).expect("it is valid")).admitted().next().cloned()
        })
        .collect();
    for job in &jobs {
        let outcome = job.wait(LONG).expect("it ends");
        assert_eq!(outcome.kind, OutcomeKind::Succeeded, "{outcome}");
    }
    f64::from(events) / begun.elapsed().as_secs_f64()
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or_default()
}
