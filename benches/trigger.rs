//! What a trigger costs its caller, for an event of 1 KB, beside what the system before this one took.
//!
//!     cargo bench --bench trigger
//!
//! Each call is timed by itself, reading the clock included. The rows are measured in turn, round by round, so that a
//! busy machine is busy for all of them. The older figures are those of its own enqueue, which keeps the arguments by
//! reference and turns them to JSON later: 7.2 µs, and 26 µs for what a full queue drops.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints, and panics when it cannot measure"
)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use hookpool::{Config, HookManager, RawJson};

const HOOK: &str = "shutdown.drain = '1ms'\n[hook.a]\non = ['pre_tool']\nrun = ['true']\n";
const BEFORE: f64 = 7_190.0;
const BEFORE_FULL: f64 = 26_300.0;

struct Row {
    name: &'static str,
    before: f64,
    config: &'static str,
    prepare: fn(&HookManager),
    trigger: fn(&HookManager, &Args<'_>),
}

struct Args<'a> {
    raw: RawJson<'a>,
    value: serde_json::Value,
}

fn raw(manager: &HookManager, args: &Args<'_>) {
    black_box(manager.trigger_pre_tool_hook("Bash", args.raw));
}

fn value(manager: &HookManager, args: &Args<'_>) {
    black_box(manager.trigger_pre_tool_hook("Bash", &args.value));
}

fn pause(manager: &HookManager) {
    manager.pool().unwrap().pause("a");
}

const ROWS: &[Row] = &[
    Row {
        name: "admitted, workers run hooks",
        before: BEFORE,
        config: "queue.capacity = 32767",
        prepare: |_| {},
        trigger: raw,
    },
    Row {
        name: "admitted, workers sleep",
        before: BEFORE,
        config: "queue.capacity = 32767",
        prepare: pause,
        trigger: raw,
    },
    Row {
        name: "the same, arguments serialised",
        before: BEFORE,
        config: "queue.capacity = 32767",
        prepare: pause,
        trigger: value,
    },
    Row {
        name: "queue full",
        before: BEFORE_FULL,
        config: "queue.capacity = 1",
        prepare: pause,
        trigger: raw,
    },
    Row {
        name: "performance mode",
        before: BEFORE,
        config: "performance_mode = true",
        prepare: |_| {},
        trigger: raw,
    },
    Row { name: "kind off", before: BEFORE, config: "kinds.pre_tool = false", prepare: |_| {}, trigger: raw },
    Row {
        name: "no hook wants it",
        before: BEFORE,
        config: "",
        prepare: |_| {},
        trigger: |manager, args| {
            black_box(manager.trigger_post_tool_hook("Bash", 0, args.raw));
        },
    },
];

fn main() {
    // Without `--bench` this is a trial run of the test command.
    let (rounds, calls) = if std::env::args().any(|arg| arg == "--bench") { (5, 10_000) } else { (1, 20) };
    let text =
        format!(r#"{{"command":"{}","description":"run the tests"}}"#, "cargo test --workspace ".repeat(14));
    let args = Args { raw: RawJson::new(&text).unwrap(), value: serde_json::from_str(&text).unwrap() };
    let mut times = vec![Vec::new(); ROWS.len()];
    for _ in 0..rounds {
        for (row, times) in ROWS.iter().zip(&mut times) {
            let config = Config::from_toml(&format!("{}\n{HOOK}", row.config)).unwrap();
            let manager = HookManager::from_config(config).unwrap();
            (row.prepare)(&manager);
            for _ in 0..100 {
                (row.trigger)(&manager, &args);
            }
            for _ in 0..calls {
                let begun = Instant::now();
                (row.trigger)(&manager, &args);
                times.push(begun.elapsed());
            }
            assert!(manager.shutdown().is_balanced());
        }
    }
    let mut clock: Vec<Duration> = (0..calls).map(|_| Instant::now().elapsed()).collect();
    clock.sort_unstable();
    println!(
        "one event, {} bytes of arguments, under two names; reading the clock: {:?}",
        text.len(),
        at(&clock, 50)
    );
    println!("{:<32}{:>10}{:>10}{:>12}{:>12}", "", "p50", "p99", "max", "before/p50");
    for (row, mut times) in ROWS.iter().zip(times) {
        times.sort_unstable();
        let [p50, p99, max] = [50, 99, 100].map(|percent| at(&times, percent));
        let ratio = row.before / p50.as_secs_f64() / 1e9;
        println!(
            "{:<32}{:>10}{:>10}{:>12}{ratio:>12.1}",
            row.name,
            format!("{p50:?}"),
            format!("{p99:?}"),
            format!("{max:?}")
        );
    }
}

fn at(sorted: &[Duration], percent: usize) -> Duration {
    let place = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted.get(place).copied().unwrap_or_default()
}
