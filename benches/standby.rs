//! What a standby seat is worth: the wait of a `high` job on a pool that is saturated by `low` jobs.
//!
//!     cargo bench --bench standby
//!
//! A pool of 4 workers runs `sleep 0.05` for events of distinct sessions, with a backlog that never ends. A `high` job
//! comes every 60 ms and a bit, so that it meets the others at every phase. Rounds with and without a standby seat
//! alternate; waits are the pool's own, from admission to start.

#![expect(
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints its table, and panics when it cannot measure"
)]

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hookpool::{Config, Event, HookPool, OutcomeKind};

const ROUNDS: usize = 3;
const SAMPLES: usize = 40;

fn main() {
    let mut waits = [Vec::new(), Vec::new()];
    for round in 0..ROUNDS {
        for (standby, waits) in waits.iter_mut().enumerate() {
            waits.extend(round_of(standby));
            eprintln!("round {} of {ROUNDS}, standby = {standby}", round + 1);
        }
    }
    let [without, with] = waits.map(|mut waits| {
        waits.sort_unstable();
        (waits[waits.len() / 2], waits[waits.len() * 99 / 100])
    });
    println!("wait of a high job, 4 workers saturated by 50 ms low jobs, {} samples each", ROUNDS * SAMPLES);
    println!("{:<14} {:>12} {:>12}", "", "p50", "p99");
    println!("{:<14} {:>12?} {:>12?}", "standby = 0", without.0, without.1);
    println!("{:<14} {:>12?} {:>12?}", "standby = 1", with.0, with.1);
    println!("p50 ratio: {:.0}", without.0.as_secs_f64() / with.0.as_secs_f64());
}

fn round_of(standby: usize) -> Vec<Duration> {
    let config = format!(
        "[pool]\nworkers = 4\nstandby = {standby}\n[queue]\ncapacity = 64\n\
         [hook.slow]\non = ['post_tool']\nrun = ['sleep', '0.05']\npriority = 'low'\n\
         [hook.quick]\non = ['delegation']\nrun = ['true']\npriority = 'high'\n"
    );
    let pool = HookPool::builder().config(Config::from_toml(&config).unwrap()).replay(true).build().unwrap();
    let enough = AtomicBool::new(false);
    let sessions = AtomicU64::new(0);
    let event = |name: &str| {
        let session = sessions.fetch_add(1, Ordering::Relaxed);
        Event::from_json(format!(r#"{{"hook_event_name":"{name}","session_id":"s{session}"}}"#)).unwrap()
    };
    let waits = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !enough.load(Ordering::Relaxed) {
                pool.submit_when_room(event("PostToolUse"));
            }
        });
        while pool.queue_size() < 60 {
            std::thread::yield_now();
        }
        let waits = (0..SAMPLES)
            .map(|n| {
                let handle = loop {
                    // The backlog leaves a place now and then; what is refused was never started.
                    if let Some(handle) = pool.submit(event("SubagentStart")).admitted().next() {
                        break handle.clone();
                    }
                    std::thread::yield_now();
                };
                let outcome = handle.wait(Duration::from_mins(1)).unwrap();
                assert_eq!(outcome.kind, OutcomeKind::Succeeded);
                let next = Instant::now() + Duration::from_micros(60_000 + 1_300 * (n as u64 % 7));
                while let Some(left) = next.checked_duration_since(Instant::now()) {
                    std::thread::park_timeout(left);
                }
                outcome.wait
            })
            .collect();
        enough.store(true, Ordering::Relaxed);
        pool.close();
        waits
    });
    assert!(pool.drain(Duration::from_secs(10)).is_balanced());
    waits
}
