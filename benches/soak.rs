//! A steady mixed load for minutes: does anything grow?
//!
//!     cargo bench --bench soak            # one minute
//!     cargo bench --bench soak -- 10      # ten
//!
//! Commands, batches, resident processes and functions, some of which fail, hang or are tried again, get 300 events a
//! second, of sessions that come and go. Every row of the table is a tenth of the time; the first one is warm-up.
//!
//! - **heap**, **blocks**: what is allocated, in bytes and in number, at the quietest moment of the row. This is what a
//!   leak would add to.
//! - **resident**: the memory that this process has of its own at the end of the row. It is the heap and what the system's
//!   allocator keeps beside it: each thread allocates from an arena of its own, and an arena seldom gives pages back, so
//!   this creeps up to the sum of what each thread ever needed at once, for minutes after the heap has stopped.
//! - **threads**, **descriptors** at the end of the row, and the waits of the jobs that ended in it.
//!
//! The benchmark itself allocates nothing that stays after the first row.

#![expect(
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints its table, and panics when it cannot measure"
)]

use std::alloc::System;
use std::fs;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use hookpool::{Answer, Call, Config, Event, HookPool, OutcomeKind};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const ROWS: u32 = 10;
const PER_SECOND: u32 = 300;
/// Events of one session, one after the other; after them it never comes again.
const SESSION: u32 = 50;
/// Sessions at once.
const SESSIONS: u32 = 31;

const HOOKS: &str = r#"
    [pool]
    workers = 4
    [queue]
    max_wait = "30s"
    [hook.function]
    on = ["pre_tool", "user_prompt"]
    [hook.command]
    on = ["post_tool"]
    run = "cat > /dev/null"
    max_concurrency = 2
    [hook.fails]
    on = ["post_tool"]
    where = { n = 0 }
    run = ["false"]
    retry = { attempts = 2, backoff = "50ms" }
    [hook.hangs]
    on = ["post_tool"]
    where = { n = 1 }
    run = ["sleep", "60"]
    timeout = "100ms"
    priority = "low"
    [hook.lines]
    on = ["session_start"]
    run = "while read -r line; do :; done"
    mode = "lines"
    batch = { size = 20, linger = "50ms" }
    [hook.resident]
    on = ["stop"]
    run = ["/usr/bin/env", "python3", "examples/handlers/audit.py"]
    mode = "resident"
    max_events = 500
"#;

fn main() {
    let minutes: u64 = std::env::args().skip(1).find_map(|word| word.parse().ok()).unwrap_or(1);
    let row = Duration::from_secs(minutes * 60) / ROWS;
    let waits = Arc::new(Mutex::new(Waits::new()));
    let noted = Arc::clone(&waits);
    let pool = HookPool::builder()
        .config(Config::from_toml(HOOKS).unwrap())
        .register("function", |call: &Call| match call.session() {
            Some(session) if session.ends_with('0') => Answer::failed("as asked"),
            _ => Answer::ok(),
        })
        .on_outcome(move |outcome| {
            if outcome.kind.has_run() {
                noted.lock().unwrap().add(outcome.wait);
            }
        })
        .build()
        .unwrap();
    println!("| time | heap, blocks | resident | threads | descriptors | jobs | wait p50 | p99 | max |");
    println!("| --- | --- | --- | --- | --- | --- | --- | --- | --- |");
    let begun = Instant::now();
    let mut sent = 0;
    let (mut half, mut last) = (Live::MOST, Live::MOST);
    for number in 1..=ROWS {
        let mut quietest = Live::MOST;
        while begun.elapsed() < row * number {
            pool.submit(event(sent));
            sent += 1;
            let due = begun + Duration::from_secs(1) * sent / PER_SECOND;
            while let Some(left) = due.checked_duration_since(Instant::now()) {
                std::thread::park_timeout(left);
            }
            quietest = quietest.min(Live::now());
        }
        let waits = std::mem::replace(&mut *waits.lock().unwrap(), Waits::new());
        println!(
            "| {:.0} s | {} kB, {} | {} kB | {} | {} | {} | {:.0?} | {:.1?} | {:.0?} |",
            begun.elapsed().as_secs_f64(),
            quietest.bytes / 1000,
            quietest.blocks,
            memory_kb(),
            count("/proc/self/task"),
            count("/proc/self/fd"),
            waits.nanos.len(),
            waits.at(0.5),
            waits.at(0.99),
            waits.longest,
        );
        if number == ROWS / 2 {
            half = quietest;
        }
        last = quietest;
    }
    println!(
        "in the second half of the time: {:+} bytes, {:+} blocks",
        last.bytes - half.bytes,
        last.blocks - half.blocks
    );
    let ledger = pool.drain(Duration::from_mins(1));
    assert!(ledger.is_balanced(), "{ledger:?}");
    let total = &ledger.snapshot.total;
    let ends: Vec<_> = OutcomeKind::ALL
        .iter()
        .filter(|kind| total.outcome(**kind) > 0)
        .map(|kind| format!("{} {kind}", total.outcome(*kind)))
        .collect();
    println!("{} jobs: {}", total.admitted(), ends.join(", "));
}

/// What is allocated.
#[derive(Clone, Copy)]
struct Live {
    bytes: i64,
    blocks: i64,
}

impl Live {
    const MOST: Self = Self { bytes: i64::MAX, blocks: i64::MAX };

    fn now() -> Self {
        let stats = ALLOCATOR.stats();
        let less = |one: usize, other: usize| one.wrapping_sub(other).cast_signed() as i64;
        Self {
            bytes: less(stats.bytes_allocated, stats.bytes_deallocated),
            blocks: less(stats.allocations, stats.deallocations),
        }
    }

    fn min(self, other: Self) -> Self {
        Self { bytes: self.bytes.min(other.bytes), blocks: self.blocks.min(other.blocks) }
    }
}

/// The waits of one row.
struct Waits {
    nanos: Histogram<u32>,
    longest: Duration,
}

impl Waits {
    fn new() -> Self {
        // As large from the start as it can become.
        let nanos = Histogram::new_with_max(nanos(Duration::from_hours(1)), 2).unwrap();
        Self { nanos, longest: Duration::ZERO }
    }

    fn add(&mut self, wait: Duration) {
        self.nanos.saturating_record(nanos(wait));
        self.longest = self.longest.max(wait);
    }

    fn at(&self, quantile: f64) -> Duration {
        Duration::from_nanos(self.nanos.value_at_quantile(quantile))
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap()
}

fn event(n: u32) -> Event {
    const NAMES: [&str; 6] =
        ["PreToolUse", "PostToolUse", "UserPromptSubmit", "SessionStart", "Stop", "PreToolUse"];
    let name = NAMES[n as usize % NAMES.len()];
    let session = n % SESSIONS + n / (SESSION * SESSIONS) * SESSIONS;
    let text = format!(
        r#"{{"hook_event_name":"{name}","session_id":"s{session}","n":{},"tool_name":"Bash","tool_input":{{"command":"ls"}}}}"#,
        n % 97
    );
    Event::from_json(text).unwrap()
}

fn count(folder: &str) -> usize {
    fs::read_dir(folder).unwrap().count()
}

fn memory_kb() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
