//! A change that the system refuses the threads for: everything is as it was. Alone in its process, which it starves.
//!
//! A thread that has started and then finds no memory for the few kilobytes that the standard library gives it beside its
//! stack ends the process. So the stacks are vast: what is left over when no more fits is enough for everything else.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test panics when it fails")]

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use hookpool::{Call, Config, Event, HookPool, ReloadError};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Bytes of each thread's stack.
const STACK: u64 = 32 << 20;

/// Bytes of memory that few stacks fit in, and half of one is left over.
const ROOM: u64 = 3 * STACK + STACK / 2;

fn threads() -> usize {
    fs::read_dir("/proc/self/task").unwrap().count()
}

fn with_little_memory<T>(f: impl FnOnce() -> T) -> T {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmSize:")).unwrap();
    let now: u64 = line.trim().trim_end_matches(" kB").parse().unwrap();
    let whole = getrlimit(Resource::As);
    let current = Some((now << 10) + ROOM);
    setrlimit(Resource::As, Rlimit { current, maximum: whole.maximum }).unwrap();
    let answer = f();
    setrlimit(Resource::As, whole).unwrap();
    answer
}

#[test]
fn a_change_that_needs_more_threads_than_there_can_be_changes_nothing() {
    let mut inside = Command::new(std::env::current_exe().unwrap());
    inside.args(["--ignored", "--exact", "inside"]).env("RUST_MIN_STACK", STACK.to_string());
    let output = inside.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("1 passed"), "{text}{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
#[ignore = "run by the other test, with stacks of that size"]
fn inside() {
    let text = "pool = { workers = 2, standby = 0 }\n[hook.a]\non = ['stop']\n";
    let config = Config::from_toml(text).unwrap();
    let pool = HookPool::builder().config(config).register("a", |_: &Call| ()).build().unwrap();
    let before = threads();
    pool.pause("a");
    let more = "queue.capacity = 1\n[hook.b]\non = ['stop']\nrun = 'true'\n";
    let more = Config::from_toml(&format!("pool.workers = 200\n{more}")).unwrap();
    let error = with_little_memory(|| pool.reload_with(more)).unwrap_err();
    assert!(matches!(error, ReloadError::Thread(_)), "{error}");
    let config = pool.config();
    assert_eq!((config.pool.workers, config.hooks.len(), config.queue.capacity), (2, 1, 1000));
    let stop = || Event::from_json(r#"{"event":"stop"}"#).unwrap();
    for _ in 0..3 {
        let submission = pool.submit(stop());
        assert!(submission.admitted_for("a").is_some() && submission.hooks().len() == 1, "{submission:?}");
    }
    assert!(with_little_memory(|| pool.resize(200, 0)).is_err());
    let until = Instant::now() + Duration::from_mins(1);
    while threads() > before {
        assert!(Instant::now() < until, "those that were started have gone");
        std::thread::yield_now();
    }
    pool.resume("a");
    // And the next one is possible.
    pool.resize(3, 0).unwrap();
    let ledger = pool.drain(Duration::from_mins(1));
    assert!(ledger.is_balanced() && ledger.snapshot.total.admitted() == 3, "{ledger:?}");
}
