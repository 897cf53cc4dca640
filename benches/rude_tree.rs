//! Whether a rude handler is gone on time: a tree of five processes, all deaf to TERM, through the whole pool.
//!
//!     cargo bench --bench rude_tree
//!
//! The leader writes down the numbers of all five and waits; so do its children and theirs. The clock runs from the
//! moment that the job is handed over (all workers are idle) until none of the five is alive. A watcher looks at
//! `/proc` every half millisecond from the moment when they should be gone; so its times are, if anything, too long. That the
//! watcher itself wakes up late for this moment is what the machine adds to any deadline.

#![expect(
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints its table, and panics when it cannot measure"
)]

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use hookpool::{Config, Event, HookPool, OutcomeKind};

const TIMEOUT: Duration = Duration::from_millis(300);
const GRACE: Duration = Duration::from_millis(200);
const MARGIN: Duration = Duration::from_millis(50);
const TREE: usize = 5;

/// The leader, two children, and a child of each of these. What a shell ignores, the programs that it starts ignore too.
const SCRIPT: &str = r#"trap '' TERM
branch() {
    sh -c 'trap "" TERM; echo $$ >>"$0"
        sh -c '\''trap "" TERM; echo $$ >>"$0"; exec sleep 60'\'' "$0" &
        while :; do wait; done' "$1" &
}
echo $$ >>"$PIDS"
branch "$PIDS"
branch "$PIDS"
while :; do wait; done
"#;

fn main() {
    // Without `--bench` this is a trial run of the test command.
    let runs = if std::env::args().any(|arg| arg == "--bench") { 100 } else { 2 };
    let folder = tempfile::tempdir().unwrap();
    let (pids, script) = (folder.path().join("pids"), folder.path().join("rude.sh"));
    fs::write(&script, SCRIPT).unwrap();
    let config = format!(
        "[pool]\nworkers = 2\n[hook.rude]\non = ['stop']\nrun = ['/bin/sh', '{}']\ntimeout = '{}ms'\n\
         grace = '{}ms'\nenv = {{ PIDS = '{}' }}\n",
        script.display(),
        TIMEOUT.as_millis(),
        GRACE.as_millis(),
        pids.display()
    );
    let pool = HookPool::builder().config(Config::from_toml(&config).unwrap()).build().unwrap();
    let runs: Vec<Run> = (0..runs).map(|_| run(&pool, &pids)).collect();
    assert!(pool.drain(Duration::from_secs(5)).is_balanced());

    let limit = TIMEOUT + GRACE + MARGIN;
    let in_time = runs.iter().filter(|run| run.gone <= limit).count();
    println!("{TREE} processes deaf to TERM, timeout {TIMEOUT:?}, grace {GRACE:?}, limit {limit:?}");
    println!("{:<26}{:>12}{:>12}{:>12}", "", "p50", "p99", "max");
    line("the watcher is awake", runs.iter().map(|run| run.awake));
    line("KILL", runs.iter().map(|run| run.kill));
    line("all five gone", runs.iter().map(|run| run.gone));
    println!("in time: {in_time} of {}", runs.len());
    for late in runs.iter().filter(|run| run.gone > limit) {
        println!("late: watcher {:.1?}, KILL {:.1?}, gone {:.1?}", late.awake, late.kill, late.gone);
    }
}

/// Times since the job was handed over.
struct Run {
    awake: Duration,
    kill: Duration,
    gone: Duration,
}

fn run(pool: &HookPool, pids: &Path) -> Run {
    let _ = fs::remove_file(pids);
    let event = Event::from_json(r#"{"hook_event_name":"Stop","session_id":"s"}"#).unwrap();
    let begun = Instant::now();
    let submission = pool.submit(event);
    let job = submission.admitted().next().unwrap().clone();
    let tree = loop {
        let text = fs::read_to_string(pids).unwrap_or_default();
        let tree: Vec<u32> = text.lines().filter_map(|line| line.parse().ok()).collect();
        if tree.len() == TREE && text.ends_with('\n') {
            break tree;
        }
        assert!(begun.elapsed() < TIMEOUT, "the tree did not grow in time: {text:?}");
        std::thread::park_timeout(Duration::from_millis(1));
    };
    // Nobody is watched before it matters, so that the watcher takes no time from the watched.
    while let Some(left) = (TIMEOUT + GRACE).checked_sub(begun.elapsed()).filter(|left| !left.is_zero()) {
        std::thread::park_timeout(left);
    }
    let awake = begun.elapsed();
    while tree.iter().any(|number| is_alive(*number)) {
        // A watcher that spins would keep the dying from the processor that they need for it.
        std::thread::park_timeout(Duration::from_micros(500));
    }
    let gone = begun.elapsed();
    let outcome = job.wait(Duration::from_mins(1)).unwrap();
    assert_eq!(outcome.kind, OutcomeKind::TimedOut);
    let stopped = outcome.process.as_ref().and_then(|process| process.stopped).unwrap();
    Run { awake, kill: outcome.wait + stopped.kill_after.unwrap(), gone }
}

/// A dead process that nobody has reaped yet is gone: it runs no more.
fn is_alive(number: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{number}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

fn line(what: &str, times: impl Iterator<Item = Duration>) {
    let mut times: Vec<Duration> = times.collect();
    times.sort_unstable();
    let at = |percent: usize| times[(times.len() * percent).div_ceil(100).max(1) - 1];
    println!("{what:<26}{:>12.1?}{:>12.1?}{:>12.1?}", at(50), at(99), at(100));
}
