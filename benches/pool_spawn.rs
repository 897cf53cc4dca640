//! What the whole pool adds to a start: `/bin/true` as a hook, against threads that start it bare.
//!
//!     cargo bench --bench pool_spawn
//!
//! The pool does all that it does for every job: recognise and match the event, admit, queue, pick, start, feed 600
//! bytes, keep the output, sweep the process group, reap, count, report. A bare thread starts the program with the
//! same pipes and the same process group, feeds it the same bytes and calls `wait_with_output`. As many workers as
//! threads; rounds alternate, and so does who begins, so that a busy machine is busy for both.

#![expect(
    clippy::cast_precision_loss,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints its table, and panics when it cannot measure"
)]

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use hookpool::{Config, Event, HookPool, OutcomeKind};

const PAYLOAD: usize = 600;

fn main() {
    // Without `--bench` this is a trial run of the test command.
    let (rounds, starts) = if std::env::args().any(|arg| arg == "--bench") { (20, 400) } else { (1, 20) };
    println!("/bin/true, {PAYLOAD} bytes of input, {rounds} pairs of rounds of {starts}; medians");
    println!("{:<16}{:>8}{:>12}{:>12}{:>18}", "", "threads", "bare/s", "pool/s", "ratio (quartiles)");
    compare("small process", rounds, starts);
    let memory = vec![1_u8; 1 << 30];
    compare("1 GiB touched", rounds, starts);
    assert!(std::hint::black_box(memory).iter().step_by(4096).all(|&byte| byte == 1));
}

fn compare(what: &str, rounds: usize, starts: usize) {
    for threads in [2, 4] {
        let (mut bare_all, mut pool_all, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        // The first pair warms up.
        for round in 0..=rounds {
            let first = if round % 2 == 0 { bare(threads, starts) } else { pool(threads, starts) };
            let second = if round % 2 == 0 { pool(threads, starts) } else { bare(threads, starts) };
            let (bare, pool) = if round % 2 == 0 { (first, second) } else { (second, first) };
            if round > 0 {
                bare_all.push(bare);
                pool_all.push(pool);
                ratios.push(pool / bare);
            }
        }
        let [low, ratio, high] = quartiles(ratios);
        let ([_, bare, _], [_, pool, _]) = (quartiles(bare_all), quartiles(pool_all));
        println!("{what:<16}{threads:>8}{bare:>12.0}{pool:>12.0}{ratio:>8.3} ({low:.2}-{high:.2})");
    }
}

/// Starts per second of the pool.
fn pool(workers: usize, starts: usize) -> f64 {
    let config = format!(
        "[pool]\nworkers = {workers}\nstandby = 0\n\
         [hook.observer]\non = ['pre_tool']\nrun = ['/bin/true']\ntimeout = '10s'\n"
    );
    let pool = HookPool::builder().config(Config::from_toml(&config).unwrap()).replay(true).build().unwrap();
    let payloads: Vec<String> = (0..starts).map(payload).collect();
    let begun = Instant::now();
    for payload in payloads {
        pool.submit_when_room(Event::from_json(payload).unwrap());
    }
    let ledger = pool.drain(Duration::from_mins(1));
    let taken = begun.elapsed();
    assert!(ledger.is_balanced());
    assert_eq!(ledger.snapshot.total.outcome(OutcomeKind::Succeeded), starts as u64);
    starts as f64 / taken.as_secs_f64()
}

/// Starts per second of bare threads.
fn bare(threads: usize, starts: usize) -> f64 {
    let payloads: Vec<String> = (0..starts).map(payload).collect();
    let next = AtomicUsize::new(0);
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(payload) = payloads.get(next.fetch_add(1, Ordering::Relaxed)) {
                    start(payload);
                }
            });
        }
    });
    starts as f64 / begun.elapsed().as_secs_f64()
}

fn start(payload: &str) {
    let mut child = Command::new("/bin/true")
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The program may be gone before it is fed.
    let _ = child.stdin.take().unwrap().write_all(payload.as_bytes());
    assert!(child.wait_with_output().unwrap().status.success());
}

/// An event of a session of its own.
fn payload(number: usize) -> String {
    let event = format!(
        r#"{{"session_id":"session-{number:08}","hook_event_name":"PreToolUse","tool_name":"Bash","tool_input":{{"command":""}}}}"#
    );
    let filling = "x".repeat(PAYLOAD - event.len());
    event.replace(r#""command":"""#, &format!(r#""command":"{filling}""#))
}

fn quartiles(mut values: Vec<f64>) -> [f64; 3] {
    values.sort_by(f64::total_cmp);
    [1, 2, 3].map(|quarter| values[(values.len() - 1) * quarter / 4])
}
