//! What the whole pool adds to a start: `/bin/true` as a hook, against threads that start it bare.
//!
//!     cargo bench --bench pool_spawn
//!
//! The pool does all that it does for every job: recognise and match the event, admit, queue, pick, start, feed 600
//! bytes, keep the output, sweep the process group, reap, count, report. A bare thread starts the program with the
//! same pipes and the same process group, feeds it the same bytes and calls `wait_with_output`. As many workers as
//! threads; rounds alternate, and so does who begins, so that a busy machine is busy for both. The queue is smaller than
//! a round, so that the one who submits waits for room most of the time, as in the replay of a long file.
//!
//! The second table is processor time, the handlers' own included: it depends less on who else uses the machine.

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
    println!(
        "{:<16}{:>8}{:>10}{:>10}{:>22}{:>14}{:>14}{:>8}",
        "", "threads", "bare/s", "pool/s", "ratio (quartiles)", "bare cpu us", "pool cpu us", "ratio"
    );
    compare("small process", rounds, starts);
    let memory = vec![1_u8; 1 << 30];
    compare("1 GiB touched", rounds, starts);
    assert!(std::hint::black_box(memory).iter().step_by(4096).all(|&byte| byte == 1));
}

fn compare(what: &str, rounds: usize, starts: usize) {
    for threads in [2, 4] {
        let (mut bare_all, mut pool_all) = (Vec::new(), Vec::new());
        // The first pair warms up.
        for round in 0..=rounds {
            let (bare, pool) = if round % 2 == 0 {
                let bare = measured(starts, || bare(threads, starts));
                (bare, measured(starts, || pool(threads, starts)))
            } else {
                let pool = measured(starts, || pool(threads, starts));
                (measured(starts, || bare(threads, starts)), pool)
            };
            if round > 0 {
                bare_all.push(bare);
                pool_all.push(pool);
            }
        }
        let rates = bare_all.iter().zip(&pool_all).map(|(bare, pool)| pool.rate / bare.rate).collect();
        let [low, ratio, high] = quartiles(rates);
        let rate = |all: &[Measured]| quartiles(all.iter().map(|one| one.rate).collect())[1];
        // Counted in hundredths of a second, so the sum is what is exact.
        let cpu = |all: &[Measured]| all.iter().map(|one| one.cpu_micros).sum::<f64>() / all.len() as f64;
        let (bare_cpu, pool_cpu) = (cpu(&bare_all), cpu(&pool_all));
        println!(
            "{what:<16}{threads:>8}{:>10.0}{:>10.0}{:>22}{bare_cpu:>14.0}{pool_cpu:>14.0}{:>8.3}",
            rate(&bare_all),
            rate(&pool_all),
            format!("{ratio:.3} ({low:.2} to {high:.2})"),
            pool_cpu / bare_cpu
        );
    }
}

struct Measured {
    /// Starts per second.
    rate: f64,
    /// Processor time of one start, in microseconds.
    cpu_micros: f64,
}

fn measured(starts: usize, round: impl FnOnce() -> Duration) -> Measured {
    let before = cpu_ticks();
    let taken = round();
    let ticks = cpu_ticks() - before;
    let starts = starts as f64;
    Measured { rate: starts / taken.as_secs_f64(), cpu_micros: ticks as f64 * 10_000.0 / starts }
}

/// Processor time of this process and of the children that it has reaped, in hundredths of a second.
fn cpu_ticks() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let (_, after_name) = stat.rsplit_once(") ").unwrap();
    after_name.split(' ').skip(11).take(4).map(|field| field.parse::<u64>().unwrap()).sum()
}

/// The time that the pool takes, from the first event to the end of the drain.
fn pool(workers: usize, starts: usize) -> Duration {
    let config = format!(
        "[pool]\nworkers = {workers}\nstandby = 0\n[queue]\ncapacity = 64\n\
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
    taken
}

/// The time that bare threads take.
fn bare(threads: usize, starts: usize) -> Duration {
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
    begun.elapsed()
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
