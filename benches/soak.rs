//! A steady mixed load for minutes: does anything grow?
//!
//!     cargo bench --bench soak            # one minute
//!     cargo bench --bench soak -- 10      # ten
//!
//! Commands, batches, resident processes and functions, some of which fail, hang or are tried again, get 300 events a
//! second. Every row is a tenth of the time: the memory, threads and descriptors of this process at its end, and the
//! waits of the jobs that ended in it. The first row is warm-up.

#![expect(
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints its table, and panics when it cannot measure"
)]

use std::fs;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use hookpool::{Answer, Call, Config, Event, HookPool, OutcomeKind};

const ROWS: u32 = 10;
const PER_SECOND: u32 = 300;

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
    let waits = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&waits);
    let pool = HookPool::builder()
        .config(Config::from_toml(HOOKS).unwrap())
        .register("function", |call: &Call| match call.session() {
            Some("s0") => Answer::failed("as asked"),
            _ => Answer::ok(),
        })
        .on_outcome(move |outcome| {
            if outcome.kind.has_run() {
                noted.lock().unwrap().push(outcome.wait);
            }
        })
        .build()
        .unwrap();
    println!(
        "{:>8} {:>9} {:>8} {:>12} {:>8} {:>11} {:>11} {:>11}",
        "time", "memory", "threads", "descriptors", "jobs", "wait p50", "p99", "max"
    );
    let begun = Instant::now();
    let mut sent = 0;
    for number in 1..=ROWS {
        while begun.elapsed() < row * number {
            pool.submit(event(sent));
            sent += 1;
            let due = begun + Duration::from_secs(1) * sent / PER_SECOND;
            while let Some(left) = due.checked_duration_since(Instant::now()) {
                std::thread::park_timeout(left);
            }
        }
        let mut waits = std::mem::take(&mut *waits.lock().unwrap());
        waits.sort_unstable();
        let at = |part: usize| waits.get(waits.len() * part / 1000).copied().unwrap_or_default();
        println!(
            "{:>8} {:>6} kB {:>8} {:>12} {:>8} {:>11?} {:>11?} {:>11?}",
            format!("{:.0}s", begun.elapsed().as_secs_f64()),
            memory_kb(),
            count("/proc/self/task"),
            count("/proc/self/fd"),
            waits.len(),
            at(500),
            at(990),
            waits.last().copied().unwrap_or_default(),
        );
    }
    let ledger = pool.drain(Duration::from_mins(1));
    assert!(ledger.is_balanced(), "{ledger:?}");
    let total = &ledger.snapshot.total;
    let ends: Vec<_> =
        OutcomeKind::ALL.iter().map(|kind| format!("{} {kind}", total.outcome(*kind))).collect();
    println!("{} jobs: {}", total.admitted(), ends.join(", "));
}

fn event(n: u32) -> Event {
    const NAMES: [&str; 6] =
        ["PreToolUse", "PostToolUse", "UserPromptSubmit", "SessionStart", "Stop", "PreToolUse"];
    let name = NAMES[n as usize % NAMES.len()];
    let text = format!(
        r#"{{"hook_event_name":"{name}","session_id":"s{}","n":{},"tool_name":"Bash","tool_input":{{"command":"ls"}}}}"#,
        n % 31,
        n % 97
    );
    Event::from_json(text).unwrap()
}

fn count(folder: &str) -> usize {
    fs::read_dir(folder).unwrap().count()
}

fn memory_kb() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
