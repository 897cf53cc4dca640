//! What metrics cost: a pool with `timings(true)` beside one with `timings(false)`, and one that is looked at all the time.
//!
//!     cargo bench --bench metrics
//!
//! Counts are kept in all of them, as the ledger needs them. Rounds alternate, so that a busy machine is busy for all;
//! figures are medians, ratios are of one round.

#![expect(
    clippy::cast_precision_loss,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints its table, and panics when it cannot measure"
)]

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use hookpool::{Call, Config, Event, HookPool};

const QUEUE: &str = "queue = { capacity = 32767, max_bytes = '1GB' }\npool = { workers = 2, standby = 0 }\n";

#[derive(Clone, Copy)]
enum Way {
    Off,
    On,
    Watched,
}

fn main() {
    // Without `--bench` this is a trial run of the test command.
    let is_real = std::env::args().any(|arg| arg == "--bench");
    let (rounds, calls, starts) = if is_real { (21, 30_000, 400) } else { (1, 50, 5) };
    println!("{:<40}{:>12}{:>12}{:>10}{:>22}", "", "off", "on", "ratio", "looked at every ms");
    compare("submit, handlers paused, ns", rounds, |way| submit(way, calls));
    compare("a function as handler, ns per job", rounds, |way| function(way, calls));
    compare("/bin/true as handler, ns per job", rounds, |way| processes(way, starts));
}

fn compare(what: &str, rounds: usize, measure: impl Fn(Way) -> f64) {
    let mut all = [Vec::new(), Vec::new(), Vec::new()];
    measure(Way::On);
    for round in 0..rounds {
        for turn in 0..3 {
            let way = (round + turn) % 3;
            all[way].push(measure([Way::Off, Way::On, Way::Watched][way]));
        }
    }
    let ratios = |way: usize| median(all[way].iter().zip(&all[0]).map(|(one, off)| one / off).collect());
    let (on, watched) = (ratios(1), ratios(2));
    let [off_ns, on_ns, _] = all.clone().map(median);
    println!("{what:<40}{off_ns:>12.0}{on_ns:>12.0}{on:>10.3}{watched:>22.3}");
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn submit(way: Way, calls: usize) -> f64 {
    let pool = pool(way, "run = 'true'\n", false);
    pool.pause("a");
    let taken = timed(way, &pool, || submit_all(&pool, calls));
    pool.kill();
    taken / calls as f64
}

fn function(way: Way, calls: usize) -> f64 {
    let pool = pool(way, "", true);
    let taken = timed(way, &pool, || {
        submit_all(&pool, calls);
        assert!(pool.drain(Duration::MAX).is_balanced());
    });
    taken / calls as f64
}

fn processes(way: Way, starts: usize) -> f64 {
    let pool = pool(way, "run = ['/bin/true']\n", false);
    let taken = timed(way, &pool, || {
        submit_all(&pool, starts);
        assert!(pool.drain(Duration::MAX).is_balanced());
    });
    taken / starts as f64
}

fn pool(way: Way, handler: &str, is_function: bool) -> HookPool {
    let text = format!("{QUEUE}[hook.a]\non = ['stop']\norder = 'none'\n{handler}");
    let builder = HookPool::builder().config(Config::from_toml(&text).unwrap()).replay(true);
    let builder = builder.timings(!matches!(way, Way::Off));
    let builder = if is_function { builder.register("a", |_: &Call| ()) } else { builder };
    builder.build().unwrap()
}

fn submit_all(pool: &HookPool, calls: usize) {
    let event = Event::from_json(r#"{"hook_event_name":"Stop","session_id":"s"}"#).unwrap();
    for _ in 0..calls {
        assert!(pool.submit_when_room(event.clone()).admitted().next().is_some());
    }
}

/// Nanoseconds.
fn timed(way: Way, pool: &HookPool, work: impl FnOnce()) -> f64 {
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        if matches!(way, Way::Watched) {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    std::hint::black_box(pool.status());
                    std::thread::park_timeout(Duration::from_millis(1));
                }
            });
        }
        let begun = Instant::now();
        work();
        let taken = begun.elapsed().as_secs_f64() * 1e9;
        is_over.store(true, Ordering::Relaxed);
        taken
    })
}
